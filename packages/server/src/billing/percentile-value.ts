import { compare, type Decimal, decimal, multiply, round, toBigInt } from '@ergon/exact';

export type PercentileValue = {
  readonly value: Decimal;
  /** Of how many values. */
  readonly values: number;
  /** Which one, such as 0.95. */
  readonly percentile: string;
};

/** By {@link percentileKey}. */
export type Percentiles = ReadonlyMap<string, PercentileValue>;
export const NO_PERCENTILES: Percentiles = new Map();

export function percentileKey(cardVersionId: number, bucket: string): string {
  return `${cardVersionId}|${bucket}`;
}

/**
 * The least value that so large a part of all values does not exceed (nearest rank): one of the values, exactly.
 *
 * @throws RangeError without values.
 */
export function percentileOf(values: readonly Decimal[], percentile: string): Decimal {
  const sorted = values.toSorted(compare);
  const rank = round(multiply(decimal(percentile), decimal(values.length)), { places: 0, mode: 'up' });
  const found = sorted[Number(toBigInt(rank)) - 1];
  if (found === undefined) throw new RangeError('a percentile needs values');
  return found;
}
