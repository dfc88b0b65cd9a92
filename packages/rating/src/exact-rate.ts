import type { Decimal } from '@ergon/exact';
import type { ChargeLine } from './contract.ts';

/** A charge model of one running quantity before limits and rounding: exact, a function of its arguments alone. */
export interface ExactRate {
  /** The charge of a running quantity. May be above zero at zero (a fixed amount due without usage). */
  charge(quantity: Decimal): Decimal;
  /** Lines whose amounts sum to `charge(after) - charge(before)`. */
  lines(before: Decimal, after: Decimal): readonly ChargeLine[];
}
