import { add, decimal, isPositive, multiply, negate, roundAmount, scaled, smaller, ZERO } from '@ergon/exact';
import type { Owed } from './owed.ts';
import type { CouponSpec } from './schemas.ts';
import type { Coupon, Subscription } from './subscription-store.ts';

const PERCENT = scaled(1n, 2);

/** What the coupons take off, one after the other in the order they were given; never more than there is. */
export function couponsOwed(subscription: Subscription, number: number, owed: readonly Owed[]): readonly Owed[] {
  let left = owed
    .filter((one) => one.currency === subscription.currency)
    .reduce((sum, one) => add(sum, one.amount), ZERO);
  const lines: Owed[] = [];
  for (const coupon of subscription.coupons) {
    if (!isInForce(coupon, number) || !isPositive(left)) continue;
    const { spec, key, version } = coupon;
    const discount = discountOf(spec, left);
    left = add(left, negate(discount));
    lines.push({
      kind: 'coupon',
      key: `coupon:${key}@${version}`,
      description: spec.name ?? key,
      currency: subscription.currency,
      amount: negate(discount),
    });
  }
  return lines;
}

function discountOf(spec: CouponSpec, left: Owed['amount']): Owed['amount'] {
  if (spec.percent !== undefined) return roundAmount(multiply(multiply(left, decimal(spec.percent)), PERCENT));
  return spec.amount === undefined ? ZERO : smaller(decimal(spec.amount), left);
}

function isInForce({ spec, firstPeriod }: Coupon, number: number): boolean {
  if (number < firstPeriod) return false;
  switch (spec.duration.type) {
    case 'once':
      return number === firstPeriod;
    case 'repeating':
      return number < firstPeriod + spec.duration.periods;
    case 'forever':
      return true;
  }
}
