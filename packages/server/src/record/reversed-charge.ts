import { type Decimal, decimal, larger, negate, subtract, ZERO } from '@ergon/exact';
import type { Bucket, CompiledPrice, EventState } from '@ergon/rating';
import { ledgerDecimal } from '../ledger/burn.ts';
import type { AccumulatorState } from './accumulate.ts';
import { changeOfEvents } from './change-of-events.ts';
import { changeOfCharge } from './recorded-bucket.ts';
import type { RatedLine } from './types.ts';

/**
 * What the charge of a running total changes by when a recorded event is taken out of it: R(total - q) - R(total). Takes the
 * event out of what the state counts of single events; `before` and `after` are the quantities with it and without it.
 *
 * Single events add up to a list amount, which a maximum or a commitment acts on, so they too give back the difference that
 * they make. Only where their order decides what is free is there none: such an event gives back what it cost, but never more
 * than stands, and its place among the first so many.
 */
export function reversedCharge(
  { price, cell }: { readonly price: CompiledPrice; readonly cell: Bucket },
  recorded: RatedLine,
  state: AccumulatorState,
  { before, after }: { readonly before: Decimal; readonly after: Decimal },
): Decimal {
  if (price.timing !== 'per_event') return changeOfCharge(price, cell, before, after);
  const charged = ledgerDecimal(state.charged);
  const together = cell.perEvent?.together;
  if (together === undefined) {
    // Without events nothing is owed, and none of the first so many has been had.
    state.count = Math.max(0, state.count - 1);
    if (state.count === 0) state.total = ZERO;
    return state.count === 0 ? negate(charged) : larger(negate(decimal(recorded.amount)), negate(charged));
  }
  const listed = together.listed(decimal(recorded.quantity));
  const standing: EventState = { events: BigInt(state.count), quantity: before, amount: state.total ?? ZERO };
  const left: EventState = { ...standing, quantity: after, amount: subtract(standing.amount, listed) };
  state.count = Math.max(0, state.count - 1);
  state.total = left.amount;
  return larger(changeOfEvents(together, standing, left), negate(charged));
}
