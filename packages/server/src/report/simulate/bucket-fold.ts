import { add, type Decimal, decimal, isNegative, toText, ZERO } from '@ergon/exact';
import type { Bucket, CompiledPrice } from '@ergon/rating';
import type { Aggregation } from '../../catalog/custom-meter.ts';
import {
  type AccumulatorState,
  accumulate,
  emptyAccumulator,
  type Increment,
  mergeAccumulator,
  readAccumulator,
  writeAccumulator,
} from '../../record/accumulate.ts';
import { isChargedAtClose } from '../../record/recorded-bucket.ts';
import type { FoldedTotal } from './fold-messages.ts';
import { WholeSum } from './whole-sum.ts';

/** Prices of single quantities that are remembered for a bucket: equal events are priced once. */
const LISTED_REMEMBERED_MAX = 20_000;
const listedOf = new WeakMap<Bucket, Map<string, Decimal>>();

/** The running total of one customer, period and bucket while events are read. Totals of parts of the events can be merged. */
export class BucketFold {
  readonly #state: AccumulatorState = emptyAccumulator();
  readonly #aggregation: Aggregation;
  readonly #listedTexts: Map<string, Decimal> | undefined;
  readonly price: CompiledPrice;
  readonly bucket: Bucket;
  #values: Set<string> | undefined;
  #events = 0;
  #added = new WholeSum();
  #listed = ZERO;

  constructor(price: CompiledPrice, bucket: Bucket, aggregation: Aggregation) {
    this.price = price;
    this.bucket = bucket;
    this.#aggregation = aggregation;
    this.#listedTexts =
      price.timing === 'per_event' && bucket.perEvent?.together !== undefined ? listedTexts(bucket) : undefined;
  }

  /** A quantity of an event under a price whose order does not matter. */
  add(text: string): void {
    this.#events += 1;
    this.#added.add(text);
    this.#list(text);
  }

  /** The counts of events into the state that meters keep. */
  #takeAdded(): void {
    this.#state.quantity = add(this.#state.quantity, this.#added.total());
    this.#added = new WholeSum();
  }

  /** What an event gave to a custom meter. @returns whether it was a value not seen before, of a unique meter. */
  contribute(increment: Omit<Increment, 'isNewValue'>, distinct: string | undefined, text: string): boolean {
    this.#events += 1;
    const isNewValue = distinct !== undefined && this.#isNew(distinct);
    accumulate(this.#state, { ...increment, isNewValue });
    this.#list(text);
    return isNewValue;
  }

  #list(text: string): void {
    const known = this.#listedTexts;
    if (known === undefined) return;
    let listed = known.get(text);
    if (listed === undefined) {
      listed = this.bucket.perEvent?.together?.listed(decimal(text)) ?? ZERO;
      if (known.size >= LISTED_REMEMBERED_MAX) known.clear();
      known.set(text, listed);
    }
    this.#listed = add(this.#listed, listed);
  }

  #isNew(value: string): boolean {
    this.#values ??= new Set();
    const before = this.#values.size;
    return this.#values.add(value).size > before;
  }

  merge(other: FoldedTotal): void {
    this.#events += other.events;
    this.#listed = add(this.#listed, decimal(other.listed));
    const aggregation = this.#aggregation;
    if (aggregation !== 'unique') {
      mergeAccumulator(this.#state, readAccumulator(other.state), aggregation);
      return;
    }
    for (const value of other.values ?? []) this.#isNew(value);
    this.#state.quantity = decimal(this.#values?.size ?? 0);
  }

  /** What the bucket would have been charged while its period ran. Below zero usage costs nothing. */
  charge(): Decimal {
    this.#takeAdded();
    const { quantity } = this.#state;
    if (this.price.timing === 'at_close' || isChargedAtClose(this.#aggregation)) return ZERO;
    if (this.price.timing === 'cumulative')
      return notBelowZero(this.bucket.rate.marginal(ZERO, notBelowZero(quantity)));
    const state = { events: BigInt(this.#events), quantity: notBelowZero(quantity), amount: this.#listed };
    return notBelowZero(this.bucket.perEvent?.together?.total(state) ?? ZERO);
  }

  folded(place: Pick<FoldedTotal, 'customer' | 'period' | 'bucket' | 'meter'>): FoldedTotal {
    this.#takeAdded();
    return {
      ...place,
      events: this.#events,
      listed: toText(this.#listed),
      state: writeAccumulator(this.#state),
      values: this.#values === undefined ? undefined : [...this.#values],
    };
  }
}

function listedTexts(bucket: Bucket): Map<string, Decimal> {
  let known = listedOf.get(bucket);
  if (known === undefined) {
    known = new Map();
    listedOf.set(bucket, known);
  }
  return known;
}

function notBelowZero(value: Decimal): Decimal {
  return isNegative(value) ? ZERO : value;
}
