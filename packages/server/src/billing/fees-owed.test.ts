import { add, currency, isNegative, scaled, toText, ZERO } from '@ergon/exact';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { localDay, periodAt } from '../catalog/billing-period.ts';
import { couponsOwed } from './coupons-owed.ts';
import { feesOwed } from './fees-owed.ts';
import type { PeriodSpan } from './owed.ts';
import { couponSpec, planSpec } from './schemas.ts';
import type { Phase, Subscription } from './subscription-store.ts';

const ZONES = ['UTC', 'Europe/Athens', 'America/New_York', 'Pacific/Auckland'];
const START = Date.UTC(2026, 0, 31) * 1000;

function subscribed(
  timeZone: string,
  fees: readonly { at: number; amount: string }[],
  endsAt: number | null,
): Subscription {
  const phases = fees.map(({ at, amount }, index): Phase => {
    const plan = planSpec.parse({ currency: 'USD', fees: [{ key: 'base', amount }] });
    return { from: at, planKey: 'p', version: index + 1, plan, rateCard: null, isTrial: false };
  });
  return {
    ...{ id: 1n, key: 's', customerId: 1n, customer: 'acme', currency: currency('USD'), timeZone },
    ...{ unit: 'month', count: 1, anchorOn: localDay(START, timeZone), startsAt: phases[0]?.from ?? START, endsAt },
    ...{ dueAt: null, createdAt: START, phases, addOns: [], coupons: [] },
  };
}

/** The first period, cut to the subscription. */
function firstPeriod({ timeZone, anchorOn, unit, count, startsAt, endsAt }: Subscription): PeriodSpan {
  const whole = periodAt({ timeZone, anchorOn, unit, count }, startsAt);
  const to = endsAt === null ? whole.to : Math.min(whole.to, endsAt);
  return { number: 1, period: 'p', from: startsAt, to, wholeFromOn: whole.fromOn, wholeToOn: whole.toOn };
}

const owedOf = (subscription: Subscription) => feesOwed(subscription, firstPeriod(subscription), 'all');
const sumOf = (owed: ReturnType<typeof owedOf>) => owed.reduce((sum, one) => add(sum, one.amount), ZERO);

const amounts = fc.bigInt({ min: 1n, max: 10_000_000n }).map((units) => toText(scaled(units, 4)));
const instants = fc.uniqueArray(fc.integer({ min: 1, max: 27 * 86_400 }), { maxLength: 8 });
const changes = instants.map((seconds) => seconds.sort((a, b) => a - b).map((second) => START + second * 1_000_000));

test('parts of one fee sum to it, wherever its plan was published anew, in any zone', () => {
  fc.assert(
    fc.property(fc.constantFrom(...ZONES), amounts, changes, (timeZone, amount, at) => {
      const parts = [START, ...at].map((from) => ({ at: from, amount }));
      const whole = owedOf(subscribed(timeZone, parts.slice(0, 1), null));
      expect(toText(sumOf(owedOf(subscribed(timeZone, parts, null))))).toBe(toText(sumOf(whole)));
    }),
  );
});

test('a service that ends owes no more than the whole, and with the rest of it the whole', () => {
  fc.assert(
    fc.property(fc.constantFrom(...ZONES), amounts, fc.integer({ min: 0, max: 26 }), (timeZone, amount, day) => {
      const cut = periodAt({ timeZone, anchorOn: localDay(START, timeZone), unit: 'day', count: 1 }, START).from;
      const at = cut + (day + 1) * 86_400_000_000;
      const fee = { at: START, amount };
      const [first, rest] = [subscribed(timeZone, [fee], at), subscribed(timeZone, [{ ...fee, at }], null)];
      const parts = add(sumOf(owedOf(first)), sumOf(owedOf(rest)));
      const whole = sumOf(owedOf(subscribed(timeZone, [fee], null)));
      // Where daylight moves the cut off midnight the day belongs to both.
      if (localDay(at, timeZone) !== localDay(at - 1, timeZone)) expect(toText(parts)).toBe(toText(whole));
    }),
  );
});

test('no period is below zero: neither its fees nor what its coupons leave', () => {
  const coupons = fc.array(
    fc.oneof(
      fc.integer({ min: 1, max: 100 }).map((percent) => couponSpec.parse({ percent: String(percent) })),
      amounts.map((amount) => couponSpec.parse({ amount, currency: 'USD' })),
    ),
    { maxLength: 4 },
  );
  fc.assert(
    fc.property(
      fc.constantFrom(...ZONES),
      fc.array(amounts, { minLength: 9, maxLength: 9 }),
      changes,
      coupons,
      (timeZone, fees, at, specs) => {
        const parts = [START, ...at].map((from, index) => ({ at: from, amount: fees[index] ?? '1' }));
        const subscription = {
          ...subscribed(timeZone, parts, null),
          coupons: specs.map((spec, index) => ({ key: `c${index}`, version: 1, spec, firstPeriod: 1 })),
        };
        const owed = owedOf(subscription);
        for (const { amount } of owed) expect(isNegative(amount)).toBe(false);
        const total = add(sumOf(owed), sumOf(couponsOwed(subscription, 1, owed)));
        expect(isNegative(total)).toBe(false);
      },
    ),
  );
});

test('a yen fee is whole yen, a credit fee keeps its decimals', () => {
  const of = (code: string) => {
    const base = subscribed('UTC', [{ at: START + 10 * 86_400_000_000, amount: '100' }], null);
    return toText(sumOf(owedOf({ ...base, currency: currency(code) })));
  };
  expect([of('JPY'), of('USD'), of('credit:tokens')]).toEqual(['64', '64.29', '64.285714285714']);
});
