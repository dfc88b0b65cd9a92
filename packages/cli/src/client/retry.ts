/** How often and how patiently a request is repeated. */
export type RetryPolicy = {
  readonly attemptsMax: number;
  readonly delayBaseMs: number;
  readonly delayMaxMs: number;
};

/** One try and four repeats within about ten seconds: for a person waiting at a terminal. */
export const RETRY_INTERACTIVE: RetryPolicy = { attemptsMax: 4, delayBaseMs: 250, delayMaxMs: 4_000 };
/** About four minutes: a server that restarts, or a rate limit that refills, should not end an import. */
export const RETRY_IMPORT: RetryPolicy = { attemptsMax: 12, delayBaseMs: 250, delayMaxMs: 30_000 };

/** Answers that may be different a moment later; every request of this client is safe to repeat. */
export function isRetryableStatus(status: number): boolean {
  return status === 408 || status === 429 || status === 502 || status === 503 || status === 504;
}

/** The delay that a `Retry-After` header asks for (seconds or an HTTP date), or `undefined`. */
export function retryAfterMs(header: string | null, nowMs: number): number | undefined {
  if (header === null) return undefined;
  const value = header.trim();
  if (/^\d+(\.\d+)?$/.test(value)) return Math.ceil(Number(value) * 1_000);
  const instantMs = Date.parse(value);
  return Number.isNaN(instantMs) ? undefined : Math.max(0, instantMs - nowMs);
}

/**
 * Milliseconds to wait before try number `attempt` + 1: what the server asked for, plus up to a quarter so that clients
 * refused together do not come back together; otherwise exponential with full jitter.
 */
export function retryDelayMs(
  attempt: number,
  askedMs: number | undefined,
  policy: RetryPolicy,
  random: () => number,
): number {
  if (askedMs !== undefined) return Math.min(askedMs, 120_000) + random() * Math.min(askedMs, 120_000) * 0.25;
  const ceiling = Math.min(policy.delayMaxMs, policy.delayBaseMs * 2 ** attempt);
  return ceiling / 2 + (random() * ceiling) / 2;
}
