import { add, type Decimal, ONE, ZERO } from '@ergon/exact';
import type { ClosableBucket, CompiledModel } from './compiled-model.ts';
import type { Charge, PeriodClose } from './contract.ts';
import { joinCharges } from './cumulative-rate.ts';
import { shortfall } from './shortfall.ts';

type Held = { readonly bucket: ClosableBucket; readonly quantity: Decimal; readonly charged: Decimal };

/** What a model's price owes when its period closes (see `CompiledPrice.close`). */
export function closePeriod(model: CompiledModel, period: PeriodClose): Charge {
  const share = period.share ?? ONE;
  const held = new Map<string, Held>();
  for (const bucket of standingBuckets(model, period)) {
    held.set(bucket.key, { bucket, quantity: ZERO, charged: ZERO });
  }
  let charged = ZERO;
  for (const usage of period.usage) {
    const bucket = model.bucketOf(usage.key);
    if (bucket === undefined) throw new RangeError(`no bucket of this price: ${usage.key}`);
    held.set(usage.key, { bucket, quantity: usage.quantity, charged: usage.charged });
    charged = add(charged, usage.charged);
  }
  const due = joinCharges([...held.values()].map(({ bucket, ...usage }) => bucket.close(usage, share)));
  return joinCharges([due, shortfall('minimum', model.minimum, share, add(charged, due.amount))]);
}

function standingBuckets(model: CompiledModel, period: PeriodClose): readonly ClosableBucket[] {
  const windows = (period.windows ?? []).flatMap((window) => model.bucket({ local_time: window }) ?? []);
  return [...model.standing, ...windows];
}
