import { type Decimal, multiply, subtract, ZERO } from '@ergon/exact';
import type { ExactRate } from './exact-rate.ts';

/** Every unit costs `unitAmount`: per-unit, cost-plus (1 + markup) and dynamic (multiplier) alike. */
export function linearRate(unitAmount: Decimal): ExactRate {
  return {
    charge: (quantity) => multiply(quantity, unitAmount),
    lines: (before, after) => {
      const quantity = subtract(after, before);
      return [{ quantity, unitAmount, amount: multiply(quantity, unitAmount) }];
    },
  };
}

/** Costs nothing, with no lines. */
export const FREE_RATE: ExactRate = { charge: () => ZERO, lines: () => [] };

/** Costs `amount` at any quantity, zero included: no usage adds to it. */
export function fixedRate(amount: Decimal): ExactRate {
  return { charge: () => amount, lines: () => [] };
}
