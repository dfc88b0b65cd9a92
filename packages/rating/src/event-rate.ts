import {
  add,
  compare,
  type Decimal,
  decimal,
  isNegative,
  isPositive,
  isZero,
  multiply,
  ONE,
  roundAmount,
  smaller,
  subtract,
  sum,
  ZERO,
} from '@ergon/exact';
import { type AmountStep, applySteps, stepLines } from './amount-rule.ts';
import type { UsageModelSpec } from './charge-model-schema.ts';
import type { ChargeLine, CumulativeRate, EventRate, EventState } from './contract.ts';
import { adjustment, settledLines } from './cumulative-rate.ts';
import { toDecimal, type WireDecimal } from './wire-decimal.ts';

/** Nothing rated yet. */
export const FIRST_EVENT: EventState = { events: 0n, quantity: ZERO, amount: ZERO };

/** Lines of one event's list price, before discount, commitment and maximum. */
type LinesOf = (state: EventState, quantity: Decimal) => readonly ChargeLine[];

type EventLines = {
  readonly of: LinesOf;
  /** Whether an event's price depends on the events before it. */
  readonly isOrdered: boolean;
};

/** The price of single events for the models that need it; `undefined` for those that a running quantity decides. */
export function eventLines(spec: UsageModelSpec): EventLines | undefined {
  if (spec.type === 'cost_plus' && spec.markup_amount !== undefined) {
    const factor = add(ONE, optional(spec.markup) ?? ZERO);
    const fixed = toDecimal(spec.markup_amount);
    return {
      isOrdered: false,
      of: (_state, quantity) => [unitLine(quantity, factor), ...fixedLine(quantity, fixed)],
    };
  }
  if (spec.type !== 'percentage' || !isPerEvent(spec)) return undefined;
  return {
    isOrdered: spec.free_events !== undefined || spec.free_units !== undefined,
    of: percentageLines(spec),
  };
}

type PercentageSpec = Extract<UsageModelSpec, { readonly type: 'percentage' }>;

function isPerEvent(spec: PercentageSpec): boolean {
  const { fixed_amount: fixed, free_events: events, transaction_minimum: least, transaction_maximum: most } = spec;
  return [fixed, events, least, most].some((member) => member !== undefined);
}

function percentageLines(spec: PercentageSpec): LinesOf {
  const rate = toDecimal(spec.rate);
  const fixed = optional(spec.fixed_amount) ?? ZERO;
  const [least, most] = [optional(spec.transaction_minimum), optional(spec.transaction_maximum)];
  const free = freePart(spec);
  return (state, quantity) => {
    const freeUnits = free(state, quantity);
    const paid = freeUnits === undefined ? quantity : subtract(quantity, freeUnits);
    const taken =
      freeUnits === undefined || isZero(freeUnits) ? [] : [{ ...adjustment('free', ZERO), quantity: freeUnits }];
    // An event inside the allowance costs nothing at all: no fixed amount and no minimum.
    if (freeUnits !== undefined && isZero(paid)) return taken;
    const lines = [...taken, unitLine(paid, rate), ...fixedLine(quantity, fixed)];
    const amount = sum(lines.map((line) => line.amount));
    if (isNegative(quantity)) return lines;
    if (least !== undefined && compare(amount, least) < 0) {
      return [...lines, adjustment('transaction minimum', subtract(least, amount))];
    }
    if (most !== undefined && compare(amount, most) > 0) {
      return [...lines, adjustment('transaction maximum', subtract(most, amount))];
    }
    return lines;
  };
}

/**
 * What of an event is free; `undefined` when it lies outside the allowance. The allowance ends after `free_events` events
 * or `free_units` units, whichever comes first (Lago's rule), so it depends on the order of events.
 */
function freePart(spec: PercentageSpec): (state: EventState, quantity: Decimal) => Decimal | undefined {
  const units = optional(spec.free_units);
  const events = spec.free_events === undefined ? undefined : BigInt(spec.free_events);
  if (units === undefined && events === undefined) return () => undefined;
  return (state, quantity) => {
    if (events !== undefined && state.events >= events) return undefined;
    if (units === undefined) return quantity;
    const left = subtract(units, state.quantity);
    return isPositive(left) ? smaller(quantity, left) : undefined;
  };
}

/** An event's price as a function of the state before it, with limits on the running amount. */
export function eventRate(lines: EventLines, steps: readonly AmountStep[]): EventRate {
  return {
    next: (state, quantity) => {
      const own = lines.of(state, quantity);
      const listed = settledLines(own, listedAmount(own));
      const reached = add(state.amount, listed.amount);
      const charged = subtract(roundAmount(applySteps(steps, reached)), roundAmount(applySteps(steps, state.amount)));
      return {
        charge: settledLines([...listed.lines, ...stepLines(steps, state.amount, reached)], charged),
        state: { events: state.events + 1n, quantity: add(state.quantity, quantity), amount: reached },
      };
    },
    ...(!lines.isOrdered && {
      together: {
        listed: (quantity: Decimal) => listedAmount(lines.of(FIRST_EVENT, quantity)),
        total: ({ amount }: EventState) => roundAmount(applySteps(steps, amount)),
      },
    }),
  };
}

function listedAmount(lines: readonly ChargeLine[]): Decimal {
  return roundAmount(sum(lines.map((line) => line.amount)));
}

/** A running total's rate offered event by event, so that one price may hold models of both kinds. */
export function perEvent(rate: CumulativeRate): EventRate {
  return {
    next: (state, quantity) => {
      const reached = add(state.quantity, quantity);
      const charge = rate.explain(state.quantity, reached);
      return {
        charge,
        state: { events: state.events + 1n, quantity: reached, amount: add(state.amount, charge.amount) },
      };
    },
    together: { listed: () => ZERO, total: ({ quantity }) => rate.marginal(ZERO, quantity) },
  };
}

function unitLine(quantity: Decimal, unitAmount: Decimal): ChargeLine {
  return { quantity, unitAmount, amount: multiply(quantity, unitAmount) };
}

/** A fixed amount for each event; a correction (a negative quantity) is no event of its own. */
function fixedLine(quantity: Decimal, fixed: Decimal): readonly ChargeLine[] {
  if (isZero(fixed) || isNegative(quantity)) return [];
  return [{ description: 'fixed amount', quantity: decimal(1), unitAmount: fixed, amount: fixed }];
}

function optional(value: WireDecimal | undefined): Decimal | undefined {
  return value === undefined ? undefined : toDecimal(value);
}
