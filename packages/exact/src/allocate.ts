import { compare, type Decimal, isNegative, isZero, round, scaled, subtract, sum, toText } from './decimal.ts';

/**
 * Splits `amount` in proportion to `weights` into parts of at most `places` decimals that sum to it exactly.
 *
 * Each part is the exact share rounded toward zero; what is left goes, one last-place unit at a time, to the largest
 * remainders, ties to the earlier part (the largest-remainder method).
 *
 * @throws RangeError when a weight is negative, all are zero, or `amount` has more than `places` decimals.
 * @example allocate(decimal('10'), [ONE, ONE, ONE], 2) // 3.34, 3.33, 3.33
 */
export function allocate(amount: Decimal, weights: readonly Decimal[], places: number): Decimal[] {
  if (weights.some(isNegative)) throw new RangeError('weights must not be negative');
  if (weights.every(isZero)) throw new RangeError('at least one weight must be above zero');
  const exact = round(amount, { places, mode: 'down' });
  if (compare(exact, amount) !== 0) {
    throw new RangeError(`${toText(amount)} has more than ${places} decimals`);
  }
  const units = exact.coefficient * 10n ** BigInt(places - exact.scale);
  // Weights of one scale compare as whole numbers; the scale itself cancels out.
  const scale = weights.reduce((largest, weight) => Math.max(largest, weight.scale), 0);
  const counts = weights.map((weight) => weight.coefficient * 10n ** BigInt(scale - weight.scale));
  const total = counts.reduce((left, right) => left + right, 0n);
  const magnitude = units < 0n ? -units : units;
  const parts = counts.map((count) => (magnitude * count) / total);
  let left = magnitude - parts.reduce((a, b) => a + b, 0n);
  const byRemainder = counts
    .map((count, index) => ({ index, remainder: (magnitude * count) % total }))
    .sort((a, b) => (a.remainder === b.remainder ? a.index - b.index : a.remainder > b.remainder ? -1 : 1));
  for (const { index } of byRemainder) {
    if (left === 0n) break;
    parts[index] = (parts[index] ?? 0n) + 1n;
    left -= 1n;
  }
  const result = parts.map((part) => scaled(units < 0n ? -part : part, places));
  const lost = subtract(amount, sum(result));
  if (!isZero(lost)) throw new Error(`allocation lost ${toText(lost)}`);
  return result;
}
