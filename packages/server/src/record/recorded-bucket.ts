import { type Decimal, isNegative, ZERO } from '@ergon/exact';
import type { Bucket, CompiledPrice } from '@ergon/rating';
import type { Aggregation, Contribution } from '../catalog/custom-meter.ts';
import type { CardVersion } from '../catalog/snapshot.ts';
import { nameOf } from './bucket-work.ts';
import { matchBucket } from './match-price.ts';
import type { PreparedEvent } from './prepare.ts';
import type { RatedLine } from './types.ts';

/** Aggregations whose quantity only adds up, so that an event can be taken out of it again. */
export const LINEAR: ReadonlySet<string> = new Set(['sum', 'count', 'weighted_sum', 'percentile']);

/** Whether usage of a meter is charged only when the period closes, because only then it is known. */
export function isChargedAtClose(aggregation: Aggregation | undefined): boolean {
  return aggregation === 'percentile';
}

/** What a bucket's charge changes by when its quantity goes from one value to another; below zero usage costs nothing. */
export function changeOfCharge(price: CompiledPrice, cell: Bucket, before: Decimal, after: Decimal): Decimal {
  if (price.timing === 'at_close') return ZERO;
  return cell.rate.marginal(isNegative(before) ? ZERO : before, isNegative(after) ? ZERO : after);
}

/** The price and bucket that a recorded line was rated by. @throws when its card version no longer has them: a bug. */
export function recordedBucket(
  prepared: PreparedEvent,
  contribution: Contribution | undefined,
  recorded: RatedLine,
  version: CardVersion,
): { price: CompiledPrice; cell: Bucket } {
  const dimensions = { ...prepared.dimensions, ...contribution?.group, token_class: undefined as string | undefined };
  dimensions.token_class = prepared.quantities.find((one) => one.meter === recorded.meter)?.tokenClass;
  for (const price of version.card.prices) {
    if (!recorded.bucket.startsWith(`${price.key}/`)) continue;
    const cell = matchBucket(price, dimensions);
    if (cell !== undefined && nameOf(price, cell) === recorded.bucket) return { price, cell };
  }
  throw new Error(`card version ${version.id} has no bucket ${recorded.bucket}`);
}
