import type { KeyPattern } from './model-spec.ts';

/**
 * Unmasked scores of one head when `newTokens` follow `cachedTokens`: `T(c+n) - T(c)`, where T(x) is the number of
 * scores of a sequence of x tokens. As a difference of one function it is additive over any split of the tokens, and its
 * value for m tokens is the closed form of m decode steps. Bidirectional attention scores n x (c+n) and is not additive.
 */
export function keysAttended(pattern: KeyPattern, cachedTokens: number, newTokens: number): bigint {
  if (pattern.kind === 'bidirectional') return BigInt(newTokens) * BigInt(cachedTokens + newTokens);
  const before = keysAttendedExactly(pattern, cachedTokens, newTokens);
  if (before >= 0) return BigInt(before);
  return triangle(pattern, BigInt(cachedTokens + newTokens)) - triangle(pattern, BigInt(cachedTokens));
}

/** The same in float64 where that is exact (every intermediate below 2^53), -1 where it would not be. */
export function keysAttendedExactly(pattern: KeyPattern, cachedTokens: number, newTokens: number): number {
  const total = cachedTokens + newTokens;
  if (total > 67_108_864) return -1; // 2^26: its triangle is 2^51, far from 2^53
  switch (pattern.kind) {
    case 'bidirectional':
      return newTokens * total;
    case 'causal':
      return newTokens * cachedTokens + (newTokens * (newTokens + 1)) / 2;
    case 'window':
      return windowTriangle(total, pattern.size) - windowTriangle(cachedTokens, pattern.size);
    case 'chunk':
      return chunkTriangle(total, pattern.size) - chunkTriangle(cachedTokens, pattern.size);
  }
}

function windowTriangle(x: number, size: number): number {
  return x <= size ? (x * (x + 1)) / 2 : (size * (size + 1)) / 2 + (x - size) * size;
}

function chunkTriangle(x: number, size: number): number {
  const rest = x % size;
  return (((x - rest) / size) * (size * (size + 1))) / 2 + (rest * (rest + 1)) / 2;
}

function triangle(pattern: Exclude<KeyPattern, { kind: 'bidirectional' }>, x: bigint): bigint {
  if (pattern.kind === 'causal') return (x * (x + 1n)) / 2n;
  const size = BigInt(pattern.size);
  const full = (size * (size + 1n)) / 2n;
  if (pattern.kind === 'chunk') return (x / size) * full + ((x % size) * ((x % size) + 1n)) / 2n;
  return x <= size ? (x * (x + 1n)) / 2n : full + (x - size) * size;
}

/** Keys a layer reads at a context length. */
export function capped(pattern: KeyPattern, context: number): number {
  if (pattern.kind !== 'window' && pattern.kind !== 'chunk') return context;
  return context < pattern.size ? context : pattern.size;
}
