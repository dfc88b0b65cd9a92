import { AMOUNT_PLACES, type Decimal, isPositive, subtract, ZERO } from '@ergon/exact';
import type { Charge, PeriodShare } from './contract.ts';
import { adjustment } from './cumulative-rate.ts';
import { prorate } from './prorate.ts';

export const NO_CHARGE: Charge = { amount: ZERO, lines: [] };

/** What is missing from `charged` to the owed amount of a period served in part; never below zero. */
export function shortfall(
  description: string,
  owed: Decimal | undefined,
  share: PeriodShare,
  charged: Decimal,
): Charge {
  if (owed === undefined) return NO_CHARGE;
  const missing = subtract(prorate(owed, share, AMOUNT_PLACES), charged);
  return isPositive(missing) ? { amount: missing, lines: [adjustment(description, missing)] } : NO_CHARGE;
}
