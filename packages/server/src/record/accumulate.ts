import { add, type Decimal, decimal, divide, larger, multiply, ONE, scaled, smaller, toText, ZERO } from '@ergon/exact';
import type { Aggregation } from '../catalog/custom-meter.ts';
import { type LedgerUnits, ledgerDecimal, ledgerUnits } from '../ledger/burn.ts';

/**
 * The running state behind one accumulator: f, the aggregated quantity, what was charged for it so far, and what the
 * aggregation needs beside f to take the next event in any order.
 */
export type AccumulatorState = {
  /** f. */
  quantity: Decimal;
  /** R(f) so far, the sum of the marginal charges, in ledger units. */
  charged: LedgerUnits;
  /** avg: sum of the values. */
  total: Decimal | undefined;
  /** avg: count of values. max, min: 1 once there is a value. */
  count: number;
  /** latest: order key of the value held. */
  order: string | undefined;
};

/** An accumulator as it is stored: short names, because every customer's row carries many. */
export type StoredAccumulator = {
  readonly q: string;
  readonly a: string;
  readonly s?: string;
  readonly n?: number;
  readonly o?: string;
};

export function emptyAccumulator(): AccumulatorState {
  return { quantity: ZERO, charged: 0n, total: undefined, count: 0, order: undefined };
}

export function readAccumulator(stored: StoredAccumulator): AccumulatorState {
  return {
    quantity: decimal(stored.q),
    charged: ledgerUnits(decimal(stored.a)),
    total: stored.s === undefined ? undefined : decimal(stored.s),
    count: stored.n ?? 0,
    order: stored.o,
  };
}

export function writeAccumulator(state: AccumulatorState): StoredAccumulator {
  return {
    q: toText(state.quantity),
    a: toText(ledgerDecimal(state.charged)),
    ...(state.total !== undefined && { s: toText(state.total) }),
    ...(state.count > 0 && { n: state.count }),
    ...(state.order !== undefined && { o: state.order }),
  };
}

/** Quantities carry up to 18 decimals (DESIGN section 5); an average is the only one that needs rounding. */
const QUANTITY_ROUNDING = { places: 18, mode: 'half-away-from-zero' } as const;

export type Increment = {
  readonly aggregation: Aggregation;
  readonly value: Decimal | undefined;
  /** Sortable text of (time, source, id): decides which value is the latest, whatever the order of arrival. */
  readonly order: string;
  /** weighted_sum: seconds from the event to the end of its period. */
  readonly secondsHeld: Decimal;
  /** unique: whether this value is new to the accumulator. */
  readonly isNewValue: boolean;
};

/**
 * Takes one more event into the state and returns the new f. For a set of events the final f does not depend on their
 * order (invariant 1).
 */
export function accumulate(state: AccumulatorState, increment: Increment): Decimal {
  state.quantity = next(state, increment, increment.value ?? ZERO);
  return state.quantity;
}

function next(state: AccumulatorState, increment: Increment, value: Decimal): Decimal {
  switch (increment.aggregation) {
    case 'sum':
    // Its values are needed one by one at the close (billing/percentiles.ts); their sum tells when one comes late.
    case 'percentile':
      return add(state.quantity, value);
    case 'count':
      return add(state.quantity, ONE);
    case 'unique':
      return increment.isNewValue ? add(state.quantity, ONE) : state.quantity;
    case 'weighted_sum':
      return add(state.quantity, multiply(value, increment.secondsHeld));
    case 'max':
    case 'min': {
      const isFirst = state.count === 0;
      state.count = 1;
      if (isFirst) return value;
      return increment.aggregation === 'max' ? larger(state.quantity, value) : smaller(state.quantity, value);
    }
    case 'latest':
      if (state.order !== undefined && !isLater(increment.order, state.order)) return state.quantity;
      state.order = increment.order;
      return value;
    case 'avg':
      state.total = add(state.total ?? ZERO, value);
      state.count += 1;
      return divide(state.total, decimal(state.count), QUANTITY_ROUNDING);
  }
}

/**
 * Takes into a state what another holds of the same aggregation: the state of all events of both. For `unique` the caller says
 * how many values are new.
 */
export function mergeAccumulator(
  state: AccumulatorState,
  other: AccumulatorState,
  aggregation: Exclude<Aggregation, 'unique'>,
): void {
  switch (aggregation) {
    case 'sum':
    case 'count':
    case 'weighted_sum':
    case 'percentile':
      state.quantity = add(state.quantity, other.quantity);
      return;
    case 'max':
    case 'min':
      if (other.count === 0) return;
      if (state.count === 0) state.quantity = other.quantity;
      else if (aggregation === 'max') state.quantity = larger(state.quantity, other.quantity);
      else state.quantity = smaller(state.quantity, other.quantity);
      state.count = 1;
      return;
    case 'latest':
      if (other.order === undefined || (state.order !== undefined && !isLater(other.order, state.order))) return;
      state.order = other.order;
      state.quantity = other.quantity;
      return;
    case 'avg':
      if (other.count === 0) return;
      state.total = add(state.total ?? ZERO, other.total ?? ZERO);
      state.count += other.count;
      state.quantity = divide(state.total, decimal(state.count), QUANTITY_ROUNDING);
  }
}

/**
 * Whether an order key comes after another by code points, as the database compares them. `<` compares UTF-16 units, by which
 * an emoji comes before a full-width letter.
 */
export function isLater(order: string, than: string): boolean {
  const length = Math.min(order.length, than.length);
  for (let index = 0; index < length; index++) {
    const unit = order.charCodeAt(index);
    const other = than.charCodeAt(index);
    if (unit !== other) return isSurrogate(unit) === isSurrogate(other) ? unit > other : isSurrogate(unit);
  }
  return order.length > than.length;
}

/** Half of a code point above every one that a single unit holds. */
function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdfff;
}

/** Seconds between two instants in microseconds, exactly. */
export function secondsBetween(fromMicros: number, toMicros: number): Decimal {
  return scaled(BigInt(toMicros - fromMicros), 6);
}
