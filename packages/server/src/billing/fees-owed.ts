import { add, type Decimal, decimal, isZero, minorUnits, multiply, subtract, ZERO } from '@ergon/exact';
import { daysBetween, prorate } from '@ergon/rating';
import { dayAfter, localDay } from '../catalog/billing-period.ts';
import type { Owed, PeriodSpan } from './owed.ts';
import type { Fee } from './schemas.ts';
import type { Subscription } from './subscription-store.ts';

/** A plan or an add-on while it holds within one period. */
type Holding = {
  readonly name: string;
  readonly key: string;
  readonly fees: readonly Fee[];
  readonly quantity: Decimal;
  readonly from: number;
  readonly to: number;
  /** Whether it began, for its once-only fees, within the period. */
  readonly isBeginning: boolean;
};

/**
 * The fees of a period: each owed by the days on which its plan holds, rounded as it is printed. Two plans that share a
 * period owe parts whose roundings telescope: parts of one amount sum to it.
 */
export function feesOwed(subscription: Subscription, period: PeriodSpan, which: 'in_advance' | 'all'): readonly Owed[] {
  const owed = new Map<string, Owed>();
  for (const holding of holdings(subscription, period)) {
    for (const fee of holding.fees) {
      if (which === 'in_advance' && fee.pay === 'in_arrears') continue;
      const amount = feeOwed(fee, holding, subscription, period);
      const key = `fee:${holding.key}:${fee.key}`;
      const known = owed.get(key);
      owed.set(key, {
        kind: 'fee',
        key,
        description: `${holding.name}: ${fee.name ?? fee.key}`,
        currency: subscription.currency,
        amount: add(known?.amount ?? ZERO, amount),
      });
    }
  }
  return [...owed.values()].filter((one) => !isZero(one.amount));
}

function holdings(subscription: Subscription, period: PeriodSpan): Holding[] {
  const { phases, addOns } = subscription;
  const plans = phases.flatMap((phase, index): Holding[] => {
    if (phase.isTrial) return [];
    const end = phases[index + 1]?.from ?? Number.POSITIVE_INFINITY;
    const isFirst = !phases.slice(0, index).some((one) => !one.isTrial && one.planKey === phase.planKey);
    const name = phase.plan.name ?? phase.planKey;
    const key = `plan:${phase.planKey}@${phase.version}`;
    return within({ name, key, fees: phase.plan.fees, quantity: decimal(1) }, phase.from, end, period, isFirst);
  });
  // A trial owes no fees, nor those of add-ons.
  const paidFrom = phases.find((phase) => !phase.isTrial)?.from ?? Number.POSITIVE_INFINITY;
  const added = addOns.flatMap(({ id, key, version, spec, quantity, from, to }) => {
    const holding = { name: spec.name ?? key, key: `add_on:${key}@${version}#${id}`, fees: spec.fees, quantity };
    return within(holding, Math.max(from, paidFrom), to ?? Number.POSITIVE_INFINITY, period, true);
  });
  return [...plans, ...added];
}

function within(
  holding: Pick<Holding, 'name' | 'key' | 'fees' | 'quantity'>,
  begin: number,
  end: number,
  period: PeriodSpan,
  isFirst: boolean,
): Holding[] {
  const from = Math.max(begin, period.from);
  const to = Math.min(end, period.to);
  const isBeginning = isFirst && begin >= period.from && begin < period.to;
  return from < to ? [{ ...holding, from, to, isBeginning }] : [];
}

function feeOwed(fee: Fee, holding: Holding, { timeZone, currency }: Subscription, period: PeriodSpan): Decimal {
  const amount = multiply(decimal(fee.amount), holding.quantity);
  // Fees are printed: in the currency's minor unit, credits in all the decimals an amount has.
  const places = minorUnits(currency);
  if (fee.charge === 'once') return holding.isBeginning ? roundTo(amount, places) : ZERO;
  if (!fee.prorate) return holding.from === period.from ? roundTo(amount, places) : ZERO;
  const { part: until, whole } = daysTo(dayOfEnd(holding.to, period, timeZone), period);
  const { part: since } = daysTo(localDay(holding.from, timeZone), period);
  return subtract(prorate(amount, { part: until, whole }, places), prorate(amount, { part: since, whole }, places));
}

/** Days of a span of the period, and of the whole period. */
export function daysServed(
  from: number,
  to: number,
  period: PeriodSpan,
  timeZone: string,
): { part: bigint; whole: bigint } {
  const { part: until, whole } = daysTo(dayOfEnd(to, period, timeZone), period);
  return { part: until - daysTo(localDay(from, timeZone), period).part, whole };
}

/** A day on which one thing follows another belongs to the later; the day on which everything ends was served. */
function dayOfEnd(micros: number, period: PeriodSpan, timeZone: string): string {
  return micros === period.to ? dayAfter(micros, timeZone) : localDay(micros, timeZone);
}

function daysTo(day: string, { wholeFromOn, wholeToOn }: PeriodSpan): { part: bigint; whole: bigint } {
  return { part: daysBetween(wholeFromOn, day), whole: daysBetween(wholeFromOn, wholeToOn) };
}

function roundTo(amount: Decimal, places: number): Decimal {
  return prorate(amount, { part: 1n, whole: 1n }, places);
}
