import { add, type Decimal, ZERO } from '@ergon/exact';
import type { ClosableBucket, CompiledModel } from './compiled-model.ts';
import type { Charge, PeriodClose, PeriodShare } from './contract.ts';
import { joinCharges } from './cumulative-rate.ts';
import { shortfall } from './shortfall.ts';

const WHOLE_PERIOD: PeriodShare = { part: 1n, whole: 1n };
const NOTHING_SERVED: PeriodShare = { part: 0n, whole: 1n };

/**
 * What a model's price owes when its period closes (see `CompiledPrice.close`).
 *
 * @throws RangeError when a bucket's key is none of this price, or the share is no part of its whole.
 */
export function closePeriod(model: CompiledModel, period: PeriodClose): Charge {
  const share = period.share ?? WHOLE_PERIOD;
  const held = new Map<
    string,
    { readonly bucket: ClosableBucket; readonly charged: Decimal; readonly share: PeriodShare }
  >();
  for (const { bucket, share: own } of model.standing(period.hours ?? []))
    held.set(bucket.key, { bucket, charged: ZERO, share: own ?? share });
  // Whatever else owes something is a window, and not one of the period.
  const elsewhere = period.hours === undefined ? share : NOTHING_SERVED;
  let charged = ZERO;
  for (const usage of period.usage) {
    const bucket = model.bucketOf(usage.key);
    if (bucket === undefined) throw new RangeError(`no bucket of this price: ${usage.key}`);
    held.set(usage.key, { bucket, charged: usage.charged, share: held.get(usage.key)?.share ?? elsewhere });
    charged = add(charged, usage.charged);
  }
  const due = joinCharges([...held.values()].map((entry) => entry.bucket.close(entry.charged, entry.share)));
  return joinCharges([due, shortfall('minimum', model.minimum, share, add(charged, due.amount))]);
}
