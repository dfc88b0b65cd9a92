/** Awaits all of a pipeline's statements, so that no failure is left unheard, then throws the first. */
export async function allSettledOrThrow(statements: readonly Promise<unknown>[]): Promise<void> {
  for (const result of await Promise.allSettled(statements)) if (result.status === 'rejected') throw result.reason;
}
