const FIRST_SECONDS = 5;
const FACTOR = 4;
const LONGEST_SECONDS = 12 * 3600;

/**
 * Seconds until the next attempt: 5 s, 20 s, 80 s ... at most 12 h, of which a random half is taken off, so that receivers that
 * failed together are not called together. What the receiver asks for (Retry-After) is waited for, up to the same bound.
 *
 * @param attempt the attempt that failed, from 1.
 * @param random in [0, 1).
 */
export function retryDelaySeconds(attempt: number, random: number, retryAfterSeconds: number | undefined): number {
  const full = Math.min(LONGEST_SECONDS, FIRST_SECONDS * FACTOR ** Math.min(attempt - 1, 20));
  const asked = Math.min(LONGEST_SECONDS, retryAfterSeconds ?? 0);
  return Math.max(asked, full * (1 - random / 2));
}
