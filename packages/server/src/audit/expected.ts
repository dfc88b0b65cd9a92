import type { Decimal } from '@ergon/exact';
import type { Bucket, CompiledPrice } from '@ergon/rating';
import type { Aggregation } from '../catalog/custom-meter.ts';
import type { AccumulatorState } from '../record/accumulate.ts';

/** Sums of a usage_rollup row, by position of its meter; absent is zero. */
export type UsageSums = (Decimal | undefined)[];

export type MeterSums = {
  count: number;
  total: Decimal | undefined;
  least: Decimal | undefined;
  greatest: Decimal | undefined;
  latest: Decimal | undefined;
  order: string | undefined;
  moment: Decimal | undefined;
};

export type BucketSums = {
  /** `undefined` for a built-in meter, which only adds up. */
  readonly aggregation: Aggregation | undefined;
  /** Linear meters: sum of the lines' quantities. */
  quantity: Decimal;
  /** Sum of after - before over the lines. */
  moved: Decimal;
  /** Sum of the lines' amounts. */
  charged: Decimal;
  /** Other meters: the aggregation run again over the events that were not voided. */
  readonly state: AccumulatorState;
  readonly values: Set<string>;
  /** Undefined where the card's bucket cannot be told from the event alone (prices by local time). */
  readonly priced: { readonly price: CompiledPrice; readonly cell: Bucket } | undefined;
};

export type UnratedSum = { events: number; quantity: Decimal };

/** By the name of their column; absent is zero. */
export type RunSums = Map<string, Decimal>;

/** What the tables should hold, by the text of their keys, as far as one pass looks. */
export type Expected = {
  /** customer|minute|dimension set */
  readonly usage: Map<string, UsageSums>;
  /** meter|customer|minute|dimension set */
  readonly meters: Map<string, MeterSums>;
  /** meter|customer|minute|dimension set|value */
  readonly values: Set<string>;
  /** customer|minute: where a void had custom meters counted anew. */
  readonly voidedCells: Set<string>;
  /** customer|card version|period|bucket */
  readonly buckets: Map<string, BucketSums>;
  /** customer|card version|period|bucket|account or "receivable" */
  readonly shares: Map<string, Decimal>;
  readonly runs: Map<string, RunSums>;
  /** customer|meter|reason|model|minute */
  readonly unrated: Map<string, UnratedSum>;
};

export function emptyExpected(): Expected {
  return {
    usage: new Map(),
    meters: new Map(),
    values: new Set(),
    voidedCells: new Set(),
    buckets: new Map(),
    shares: new Map(),
    runs: new Map(),
    unrated: new Map(),
  };
}

export function entryOf<Value>(map: Map<string, Value>, key: string, make: () => Value): Value {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}
