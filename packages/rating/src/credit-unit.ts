import {
  AMOUNT_PLACES,
  compare,
  type Currency,
  type Decimal,
  divide,
  isNegative,
  isPositive,
  type Money,
  money,
  multiply,
  type RoundingMode,
  roundAmount,
  subtract,
} from '@ergon/exact';

/** A custom unit of credit and what one is worth in money. */
export type CreditUnit = {
  readonly unit: Currency;
  /** Money for one credit, above zero. */
  readonly rate: Decimal;
  readonly currency: Currency;
};

/** The money that `credits` are worth, to 12 decimals. @throws RangeError for another unit. */
export function creditsToMoney(unit: CreditUnit, credits: Money): Money {
  requireCurrency(credits, unit.unit);
  return money(roundAmount(multiply(credits.amount, unit.rate)), unit.currency);
}

/** The credits that `amount` buys, to 12 decimals; the caller says who keeps the rest. @throws RangeError for another currency. */
export function moneyToCredits(unit: CreditUnit, amount: Money, mode: RoundingMode): Money {
  requireCurrency(amount, unit.currency);
  if (!isPositive(unit.rate)) throw new RangeError('a credit must be worth more than nothing');
  return money(divide(amount.amount, unit.rate, { places: AMOUNT_PLACES, mode }), unit.unit);
}

/** Credits bought together and what was paid for them; promotional credits cost nothing. */
export type CreditLot = { readonly credits: Decimal; readonly cost: Decimal };

/**
 * The cost basis of the credits of a lot used from `before` to `after` of it: a difference of one rounded running cost, so
 * that the parts sum to the lot's cost however it is used up.
 *
 * @throws RangeError outside the lot.
 */
export function costBasis(lot: CreditLot, before: Decimal, after: Decimal): Decimal {
  if (isNegative(before) || compare(before, after) > 0 || compare(after, lot.credits) > 0) {
    throw new RangeError('used credits must lie within their lot, and not shrink');
  }
  return subtract(costOf(lot, after), costOf(lot, before));
}

function costOf(lot: CreditLot, used: Decimal): Decimal {
  return divide(multiply(lot.cost, used), lot.credits, { places: AMOUNT_PLACES, mode: 'half-away-from-zero' });
}

function requireCurrency(amount: Money, expected: Currency): void {
  if (amount.currency !== expected) throw new RangeError(`expected ${expected}, got ${amount.currency}`);
}
