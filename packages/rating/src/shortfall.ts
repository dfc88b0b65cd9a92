import { type Decimal, isPositive, multiply, roundAmount, subtract, ZERO } from '@ergon/exact';
import type { Charge } from './contract.ts';
import { adjustment } from './cumulative-rate.ts';

export const NO_CHARGE: Charge = { amount: ZERO, lines: [] };

/** What is missing from `charged` to the owed amount of a period served to the part `share`; never below zero. */
export function shortfall(description: string, owed: Decimal | undefined, share: Decimal, charged: Decimal): Charge {
  if (owed === undefined) return NO_CHARGE;
  const missing = subtract(roundAmount(multiply(owed, share)), charged);
  return isPositive(missing) ? { amount: missing, lines: [adjustment(description, missing)] } : NO_CHARGE;
}
