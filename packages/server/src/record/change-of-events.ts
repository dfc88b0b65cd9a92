import { type Decimal, isNegative, larger, subtract, ZERO } from '@ergon/exact';
import type { EventState, EventsTogether } from '@ergon/rating';

/**
 * What the charge of single events whose order decides nothing changes by from one state to another. Below zero usage costs
 * nothing, as in every running total; so a correction that comes before what it corrects is not lost.
 */
export function changeOfEvents({ total }: EventsTogether, before: EventState, after: EventState): Decimal {
  return subtract(larger(total(after), ZERO), larger(total(before), ZERO));
}

/** Whether a state lies below zero: then the next event's own charge is not what it changes the charge by. */
export function isBelowZero({ quantity, amount }: EventState): boolean {
  return isNegative(quantity) || isNegative(amount);
}
