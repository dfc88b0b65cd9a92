import { AMOUNT_PLACES, add, compare, type Decimal, isZero, negate, ONE, ZERO } from '@ergon/exact';
import { amountSteps, discountSteps, withAmountSteps } from './amount-rule.ts';
import type { AmountRuleSpec, QuantityRuleSpec, SimpleModelSpec } from './charge-model-schema.ts';
import {
  type ClosableBucket,
  type CompiledModel,
  LOCAL_TIME_DIMENSION,
  type StandingBucket,
} from './compiled-model.ts';
import type {
  Charge,
  Compiled,
  CumulativeRate,
  Dimensions,
  EventRate,
  PeriodShare,
  SpecError,
  WindowHour,
} from './contract.ts';
import { adjustment, cumulativeRate, joinCharges } from './cumulative-rate.ts';
import { eventLines, eventRate, FIRST_EVENT } from './event-rate.ts';
import type { ExactRate } from './exact-rate.ts';
import { graduatedRate } from './graduated-rate.ts';
import { keptByKey } from './kept-by-key.ts';
import { FREE_RATE, fixedRate, linearRate } from './linear-rate.ts';
import { packageRate } from './package-rate.ts';
import { isWindowKey, type Window, windowKey } from './local-time.ts';
import { prorate } from './prorate.ts';
import { withQuantityRule } from './quantity-rule.ts';
import { NO_CHARGE, shortfall } from './shortfall.ts';
import { specError } from './spec-error.ts';
import { checkBounds, compileTiers } from './tiers.ts';
import { volumeRate } from './volume-rate.ts';
import { toDecimal, type WireDecimal } from './wire-decimal.ts';

/** Key of the bucket of a model that has only one. */
export const ONLY_BUCKET = 'all';

/** What falls due at the close of one bucket. */
type Owed = {
  /** Due without usage: R(0). */
  readonly fixed: Decimal;
  readonly commitment: Decimal | undefined;
  readonly minimum: Decimal | undefined;
};

/** A model that rates one running quantity, or one for each window. */
export function compileSimpleModel(spec: SimpleModelSpec, path: readonly (string | number)[]): Compiled<CompiledModel> {
  const errors = 'tiers' in spec ? [...checkBounds(spec.tiers, [...path, 'tiers'])] : [];
  const amounts: AmountRuleSpec = spec.type === 'free' || spec.type === 'flat' ? {} : spec;
  const lines = spec.type === 'flat' ? undefined : eventLines(spec);
  errors.push(...checkAmounts(spec, amounts, lines !== undefined, path));
  if (errors.length > 0) return { ok: false, errors };

  const base = exactRate(spec);
  const committed = committedSpend(amounts, base);
  const steps = amountSteps(amounts, committed);
  const events = lines === undefined ? undefined : eventRate(lines, steps);
  const rate = events === undefined ? cumulativeRate(withAmountSteps(base, steps)) : loneEventRate(events);
  const owed: Owed = {
    fixed: events === undefined ? rate.total(ZERO) : ZERO,
    commitment: amounts.commitment?.true_up === false ? undefined : committed,
    minimum: amounts.minimum === undefined ? undefined : toDecimal(amounts.minimum),
  };
  const timing = spec.type === 'flat' ? 'at_close' : events === undefined ? 'cumulative' : 'per_event';
  return { ok: true, value: { timing, minimum: undefined, ...buckets(rate, events, owed, amounts.window) } };
}

function exactRate(spec: SimpleModelSpec): ExactRate {
  switch (spec.type) {
    case 'free':
      return FREE_RATE;
    case 'flat':
      return fixedRate(toDecimal(spec.amount));
    case 'per_unit':
      return withQuantityRule(linearRate(toDecimal(spec.unit_amount)), spec);
    case 'package':
      return withQuantityRule(
        packageRate({
          size: toDecimal(spec.package_size),
          amount: toDecimal(spec.package_amount),
          freeUnits: spec.free_units === undefined ? ZERO : toDecimal(spec.free_units),
          rounding: spec.rounding ?? 'up',
        }),
        spec,
      );
    case 'graduated':
      return withQuantityRule(graduatedRate(compileTiers(spec.tiers), spec.flat_fee_at_zero ?? false), spec);
    case 'volume':
      return withQuantityRule(volumeRate(compileTiers(spec.tiers), spec.flat_fee_at_zero ?? false), spec);
    case 'graduated_percentage': {
      const tiers = spec.tiers.map(({ rate, ...tier }) => ({ ...tier, unit_amount: rate }));
      return withQuantityRule(graduatedRate(compileTiers(tiers), spec.flat_fee_at_zero ?? false), spec);
    }
    case 'percentage': {
      const included: QuantityRuleSpec = spec.free_units === undefined ? {} : { included: spec.free_units };
      return withQuantityRule(linearRate(toDecimal(spec.rate)), included);
    }
    case 'dynamic':
      return linearRate(spec.multiplier === undefined ? ONE : toDecimal(spec.multiplier));
    case 'cost_plus':
      return linearRate(add(ONE, spec.markup === undefined ? ZERO : toDecimal(spec.markup)));
  }
}

/** The committed spend: as given, or what the committed quantity costs after discount. */
function committedSpend({ commitment, ...spec }: AmountRuleSpec, base: ExactRate): Decimal | undefined {
  if (commitment?.amount !== undefined) return toDecimal(commitment.amount);
  if (commitment?.quantity === undefined) return undefined;
  return withAmountSteps(base, discountSteps(spec)).charge(toDecimal(commitment.quantity));
}

function checkAmounts(
  spec: SimpleModelSpec,
  { commitment, maximum, minimum }: AmountRuleSpec,
  isPerEvent: boolean,
  path: readonly (string | number)[],
): readonly SpecError[] {
  const errors: SpecError[] = [];
  if (commitment !== undefined && (commitment.amount === undefined) === (commitment.quantity === undefined)) {
    const remedy = 'give exactly one of the two';
    errors.push(specError([...path, 'commitment'], 'a commitment has either amount or quantity', remedy));
  }
  if (commitment?.quantity !== undefined && isPerEvent) {
    const detail = 'single events have no price for a quantity';
    errors.push(specError([...path, 'commitment', 'quantity'], detail, 'commit to an amount'));
  }
  if (isAbove(minimum, maximum)) {
    errors.push(specError([...path, 'minimum'], 'above the maximum', 'lower it or raise the maximum'));
  }
  if (isAbove(commitment?.amount, maximum)) {
    errors.push(specError([...path, 'commitment', 'amount'], 'above the maximum', 'lower it or raise the maximum'));
  }
  if (spec.type === 'percentage' && isAbove(spec.transaction_minimum, spec.transaction_maximum)) {
    const detail = 'above the transaction maximum';
    errors.push(specError([...path, 'transaction_minimum'], detail, 'lower it or raise the maximum'));
  }
  return errors;
}

function isAbove(low: WireDecimal | undefined, high: WireDecimal | undefined): boolean {
  return low !== undefined && high !== undefined && compare(toDecimal(low), toDecimal(high)) > 0;
}

/** A per-event model seen as the price of one lone event; no event costs nothing. */
function loneEventRate(events: EventRate): CumulativeRate {
  const charge = (quantity: Decimal): Charge =>
    isZero(quantity) ? NO_CHARGE : events.next(FIRST_EVENT, quantity).charge;
  return cumulativeRate({
    charge: (quantity) => charge(quantity).amount,
    lines: (before, after) => {
      const earlier = charge(before).amount;
      return isZero(earlier)
        ? charge(after).lines
        : [...charge(after).lines, adjustment('rated before as one event', negate(earlier))];
    },
  });
}

function buckets(
  rate: CumulativeRate,
  events: EventRate | undefined,
  owed: Owed,
  window: Window | undefined,
): Pick<CompiledModel, 'bucket' | 'bucketOf' | 'standing'> {
  const close = (charged: Decimal, share: PeriodShare): Charge => closeBucket(owed, charged, share);
  const bucketAt = keptByKey(
    (key): ClosableBucket => (events === undefined ? { key, rate, close } : { key, rate, close, perEvent: events }),
  );
  const owesWithoutUsage = [owed.fixed, owed.commitment, owed.minimum].some(
    (amount) => amount !== undefined && !isZero(amount),
  );
  if (window === undefined) {
    const only = bucketAt(ONLY_BUCKET);
    return {
      bucket: () => only,
      bucketOf: (key) => (key === ONLY_BUCKET ? only : undefined),
      standing: () => (owesWithoutUsage ? [{ bucket: only }] : []),
    };
  }
  const bucket = (dimensions: Dimensions): ClosableBucket | undefined => {
    const key = windowKey(window, dimensions);
    return key === undefined ? undefined : bucketAt(key);
  };
  return {
    bucket,
    bucketOf: (key) => (isWindowKey(window, key) ? bucketAt(key) : undefined),
    standing: (hours) => (owesWithoutUsage ? windowsOf(hours, bucket) : []),
  };
}

/** The windows that the hours make up, each with the part of it that was served. */
function windowsOf(
  hours: readonly WindowHour[],
  bucket: (dimensions: Dimensions) => ClosableBucket | undefined,
): StandingBucket[] {
  const windows = new Map<string, { bucket: ClosableBucket; share: { part: bigint; whole: bigint } }>();
  for (const { at, served, length } of hours) {
    const found = bucket({ [LOCAL_TIME_DIMENSION]: at });
    if (found === undefined) continue;
    const known = windows.get(found.key);
    if (known === undefined) windows.set(found.key, { bucket: found, share: { part: served, whole: length } });
    else {
      known.share.part += served;
      known.share.whole += length;
    }
  }
  return [...windows.values()];
}

/** Fixed amount, then the rest of the commitment, then the rest of the minimum. */
function closeBucket(owed: Owed, charged: Decimal, share: PeriodShare): Charge {
  const fixed = prorate(owed.fixed, share, AMOUNT_PLACES);
  const due = isZero(fixed) ? NO_CHARGE : { amount: fixed, lines: [adjustment('fixed amount', fixed)] };
  const trueUp = shortfall('commitment true-up', owed.commitment, share, add(charged, due.amount));
  const soFar = joinCharges([due, trueUp]);
  return joinCharges([soFar, shortfall('minimum', owed.minimum, share, add(charged, soFar.amount))]);
}
