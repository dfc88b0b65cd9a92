import type { CliIo } from '../io.ts';

/** An empty variable is as one that is not there. */
export function variable(io: CliIo, name: string): string | undefined {
  const value = io.env[name];
  return value === '' ? undefined : value;
}
