/**
 * What the rest of Ergon relies on from `rating`. The record module holds totals and asks what a change of them costs; it
 * never looks inside a charge model.
 */
import type { Currency, Decimal } from '@ergon/exact';

/**
 * Dimensions of one event or one aggregate: `model`, `provider`, `token_class`, `region`, `service_tier`, any property; and
 * two that the caller derives where a price asks for them: `prompt_tokens` (the request's whole prompt) and `local_time`
 * (`YYYY-MM-DDTHH:MM` in the customer's zone, its offset after it where hours must stay apart when clocks change).
 */
export type Dimensions = Readonly<Record<string, string | undefined>>;

/** When the charge is known: with each event, with each change of a running total, or only when the period closes. */
export type ChargeTiming = 'per_event' | 'cumulative' | 'at_close';

/** One line of an explanation: which tier, which units, which rate. Everything a person needs to redo the sum. */
export type ChargeLine = {
  readonly description?: string;
  /** 1-based tier number, where the model has tiers. */
  readonly tier?: number;
  readonly quantity: Decimal;
  readonly unitAmount?: Decimal;
  readonly flatAmount?: Decimal;
  readonly amount: Decimal;
};

export type Charge = { readonly amount: Decimal; readonly lines: readonly ChargeLine[] };

/** A running total's price: R(q), with marginals that telescope (DESIGN section 5). */
export interface CumulativeRate {
  /** R(total), rounded to 12 decimals half away from zero. */
  total(quantity: Decimal): Decimal;
  /** R(after) - R(before): exact, and the sum over any path from a to b is R(b) - R(a). */
  marginal(before: Decimal, after: Decimal): Decimal;
  /** The same, with its lines. */
  explain(before: Decimal, after: Decimal): Charge;
}

/** What came before an event in a bucket whose price is `per_event`; all zero at the start. */
export type EventState = {
  /** Events rated so far. */
  readonly events: bigint;
  /** Sum of their quantities. */
  readonly quantity: Decimal;
  /** Sum of their amounts before discount, commitment and maximum. */
  readonly amount: Decimal;
};

/** The price of single events, for a model whose charge is not a function of a running quantity alone. */
export interface EventRate {
  /** The charge of the next event, and the state after it. The caller stores the state; nothing is kept here. */
  next(state: EventState, quantity: Decimal): { readonly charge: Charge; readonly state: EventState };
  /** For events whose order decides nothing; absent where it does (an allowance of the first so many events). */
  readonly together?: EventsTogether;
}

/** The price of many events at once: their list prices are summed in any order, and the sum is charged. */
export interface EventsTogether {
  /** List price of one event, before discount, commitment and maximum: what it adds to {@link EventState.amount}. */
  listed(quantity: Decimal): Decimal;
  /** What all events cost that add up to a state: the sum of their charges by {@link EventRate.next}. */
  total(state: EventState): Decimal;
}

/**
 * A running total and its rate. `perEvent` is there when the price's timing is `per_event`; then the caller uses it, and
 * `rate` prices one lone event.
 */
export type Bucket = { readonly key: string; readonly rate: CumulativeRate; readonly perEvent?: EventRate };

/** What one bucket held when its period closed. */
export type BucketUsage = {
  readonly key: string;
  /** Everything charged to the bucket while the period ran (the sum of marginals). */
  readonly charged: Decimal;
};

/** `part` of `whole`, 0 <= part <= whole, whole > 0, in one unit: days, seconds or microseconds. */
export type PeriodShare = { readonly part: bigint; readonly whole: bigint };

/**
 * An hour of local time, or what clocks left of it, and for how much of it the price was in force: in one unit,
 * 0 <= served <= length, length > 0. `at` is its `local_time`.
 */
export type WindowHour = { readonly at: string; readonly served: bigint; readonly length: bigint };

export type PeriodClose = {
  readonly usage: readonly BucketUsage[];
  /**
   * How much of a full period was served, in days or any other unit; fixed amounts, minimum and commitment are owed in this
   * part, those of commitment windows in that of `hours`. Default: all of it.
   */
  readonly share?: PeriodShare;
  /**
   * Every hour of the days that the period touches. A commitment window of an hour or a day owes the part of it that was served,
   * also without usage; one that is not among them owes nothing. Left out: those with usage owe what the period owes.
   */
  readonly hours?: readonly WindowHour[];
};

/** One price of a published rate card version. */
export interface CompiledPrice {
  /** Stable within the card version; names the accumulator together with {@link bucket}'s key. */
  readonly key: string;
  readonly meter: string;
  readonly timing: ChargeTiming;
  readonly isFree: boolean;
  /** When a fixed amount of the period falls due; only `flat` prices are ever `in_advance`. */
  readonly pay: 'in_advance' | 'in_arrears';
  /** Who pays for a call that was final and failed. Default `bill`. */
  readonly failedCalls: 'bill' | 'absorb';
  /** Who pays for an attempt that was not final. Default `bill`. */
  readonly retries: 'bill' | 'absorb';
  /**
   * The running total that a quantity with these dimensions adds to, and its rate: a matrix price has one bucket per cell,
   * most models have one bucket in all. `undefined`: no cell matches (the quantity is then unrated). Of one price, the same
   * key is the same object for as long as anyone holds it, so it may be the key of a map.
   */
  bucket(dimensions: Dimensions): Bucket | undefined;
  /** The bucket of a key that {@link bucket} once gave; `undefined` for any other text. */
  bucketOf(key: string): Bucket | undefined;
  /**
   * What falls due only when the period closes: fixed amounts due without usage, true-ups of commitments, minimum spend.
   * Charge it once a period; no lines and zero for a price that has none of them. A price paid `in_advance` owes its fixed
   * amount at the opening instead: call it then, without usage.
   */
  close(period: PeriodClose): Charge;
}

export interface CompiledRateCard {
  readonly currency: Currency;
  readonly prices: readonly CompiledPrice[];
  /**
   * The one price that wins for a meter and dimensions: most exact match keys, then the longest literal prefix. A token
   * class without a price falls back as DESIGN section 8's table says (then `price.meter` names the class it fell back to).
   */
  priceFor(meter: string, dimensions: Dimensions): CompiledPrice | undefined;
}

/** A field at fault: JSON pointer, what is wrong, what to do. */
export type SpecError = { readonly pointer: string; readonly detail: string; readonly remedy: string };

export type Compiled<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly errors: readonly SpecError[] };
