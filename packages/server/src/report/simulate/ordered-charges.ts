import { add, type Decimal, decimal, larger, negate, ZERO } from '@ergon/exact';
import { type Bucket, type EventState, FIRST_EVENT } from '@ergon/rating';

/** What was charged of a bucket by now. */
export type Running = { readonly bucket: Bucket; state: EventState; charged: Decimal };

/** Running totals of prices that ask for a customer's events one after another, in the order in which they came. */
export class OrderedCharges {
  readonly #totals = new Map<string, Map<Bucket, Running>>();
  readonly #totalsMax: number;
  #count = 0;

  constructor(totalsMax: number) {
    this.#totalsMax = totalsMax;
  }

  /** The running total of a place: one for all threads. */
  place(customer: number, period: string, bucket: Bucket): Running {
    const key = `${customer} ${period}`;
    let buckets = this.#totals.get(key);
    if (buckets === undefined) {
      buckets = new Map();
      this.#totals.set(key, buckets);
    }
    let running = buckets.get(bucket);
    if (running === undefined) {
      running = { bucket, state: FIRST_EVENT, charged: ZERO };
      buckets.set(bucket, running);
      this.#count += 1;
    }
    return running;
  }

  /** Whether there was room for all of them. */
  get isWithin(): boolean {
    return this.#count <= this.#totalsMax;
  }

  *charges(): Generator<{ readonly customer: number; readonly charged: Decimal }> {
    for (const [key, buckets] of this.#totals) {
      const customer = Number(key.slice(0, key.indexOf(' ')));
      for (const { charged } of buckets.values()) yield { customer, charged };
    }
  }
}

/** The next event of a place. */
export function addOrdered(running: Running, quantity: string): void {
  const next = running.bucket.perEvent?.next(running.state, decimal(quantity));
  if (next === undefined) throw new Error('a price that is not charged by event was given one');
  running.state = next.state;
  // What was charged is the most that can be given back (record/rate-group.ts).
  running.charged = add(running.charged, larger(next.charge.amount, negate(running.charged)));
}
