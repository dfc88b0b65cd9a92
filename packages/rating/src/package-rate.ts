import { type Decimal, divide, multiply, subtract } from '@ergon/exact';
import type { ExactRate } from './exact-rate.ts';
import { beyond } from './quantity-rule.ts';

type Packages = {
  readonly size: Decimal;
  readonly amount: Decimal;
  readonly freeUnits: Decimal;
  /** `up`: a started package counts whole. */
  readonly rounding: 'up' | 'down';
};

/** Units sold in packages, counted on the running total; a line counts packages. */
export function packageRate({ size, amount, freeUnits, rounding }: Packages): ExactRate {
  const mode = rounding === 'up' ? 'ceiling' : 'floor';
  const paid = beyond(freeUnits);
  const count = (quantity: Decimal): Decimal => divide(paid(quantity), size, { places: 0, mode });
  return {
    charge: (quantity) => multiply(count(quantity), amount),
    lines: (before, after) => {
      const quantity = subtract(count(after), count(before));
      return [{ description: 'packages', quantity, unitAmount: amount, amount: multiply(quantity, amount) }];
    },
  };
}
