import { add, type Decimal, isZero, roundAmount, subtract, sum, ZERO } from '@ergon/exact';
import type { Charge, ChargeLine, CumulativeRate } from './contract.ts';
import type { ExactRate } from './exact-rate.ts';

/** R(q): the exact rate rounded to 12 decimals, half away from zero. Differences of R telescope, so marginals are exact. */
export function cumulativeRate(exact: ExactRate): CumulativeRate {
  const total = (quantity: Decimal): Decimal => roundAmount(exact.charge(quantity));
  const marginal = (before: Decimal, after: Decimal): Decimal => subtract(total(after), total(before));
  return {
    total,
    marginal,
    explain: (before, after) => settledLines(exact.lines(before, after), marginal(before, after)),
  };
}

/** The charge of `amount` with lines that sum to it: what rounding added or took is a line of its own. */
export function settledLines(lines: readonly ChargeLine[], amount: Decimal): Charge {
  const rest = subtract(amount, sum(lines.map((line) => line.amount)));
  if (isZero(rest)) return { amount, lines };
  return { amount, lines: [...lines, adjustment('rounding', rest)] };
}

/** A line that changes the amount without units of its own. */
export function adjustment(description: string, amount: Decimal): ChargeLine {
  return { description, quantity: ZERO, amount };
}

/** Charges one after the other. */
export function joinCharges(charges: readonly Charge[]): Charge {
  return {
    amount: charges.reduce((total, charge) => add(total, charge.amount), ZERO),
    lines: charges.flatMap((charge) => charge.lines),
  };
}
