import { availableParallelism } from 'node:os';
import { add, type Decimal, decimal, ZERO } from '@ergon/exact';
import type { Bucket, CompiledPrice, CompiledRateCard } from '@ergon/rating';
import type { Aggregation } from '../../catalog/custom-meter.ts';
import { matchBucket } from '../../record/match-price.ts';
import { BucketFold } from './bucket-fold.ts';
import type { FoldAnswer, FoldBlock, FoldBucket, FoldedBlock, FoldResult, FoldSetup } from './fold-messages.ts';
import { FoldThread } from './fold-thread.ts';
import { addOrdered, OrderedCharges, type Running } from './ordered-charges.ts';

/** More threads than this would take the machine from ingest. */
const THREADS_MAX = Math.min(4, availableParallelism());
/** Blocks waiting at one thread: enough that it is never idle, few enough to bound memory. */
const BLOCKS_IN_FLIGHT = 3;

export type PricedEvents = {
  /** Events that the simulation was about. */
  readonly events: number;
  readonly charges: ReadonlyMap<number, Decimal>;
  readonly unrated: ReadonlyMap<string, Decimal>;
};

export type PricedEventsOutcome =
  | ({ readonly ok: true } & PricedEvents)
  | { readonly ok: false; readonly tooMany: string };

type Placed = { readonly price: CompiledPrice; readonly bucket: Bucket };

/**
 * Prices the events of blocks on threads of their own. Totals whose order does not matter are kept by each thread and merged at
 * the end; the events of a price that asks what came before come back and are charged here, in the order of the blocks.
 *
 * @param onBlock told after each block how many events were read.
 * @throws the signal's reason when it is aborted.
 */
export async function priceEvents(
  blocks: AsyncIterable<{ readonly block: FoldBlock; readonly eventCount: number }>,
  setup: FoldSetup,
  card: CompiledRateCard,
  signal: AbortSignal,
  onBlock: (events: number) => void,
): Promise<PricedEventsOutcome> {
  const threads: FoldThread[] = [];
  // A small month is priced by one thread before a second has loaded its code.
  const leastBusy = (): FoldThread => {
    const least = threads.toSorted((a, b) => a.inFlight - b.inFlight)[0];
    if (least !== undefined && (least.inFlight < BLOCKS_IN_FLIGHT || threads.length >= THREADS_MAX)) return least;
    const started = new FoldThread(setup);
    threads.push(started);
    return started;
  };
  const stop = (): void => {
    for (const thread of threads) void thread.stop(new Error('the simulation was stopped'));
  };
  signal.addEventListener('abort', stop, { once: true });
  const pricing = new EventPricing(card, setup);
  try {
    const pending = new Set<Promise<void>>();
    for await (const { block, eventCount } of blocks) {
      signal.throwIfAborted();
      const thread = leastBusy();
      if (thread.inFlight >= BLOCKS_IN_FLIGHT) await Promise.race(pending);
      if (pricing.tooMany !== undefined) break;
      const folded: Promise<void> = thread.fold(block).then((answer) => {
        pricing.take(thread, answer);
        onBlock(eventCount);
        pending.delete(folded);
      });
      // Awaited below; until then a thread that fails must not be an unhandled rejection.
      folded.catch(() => undefined);
      pending.add(folded);
    }
    await Promise.all(pending);
    for (const thread of threads) if (pricing.tooMany === undefined) pricing.take(thread, await thread.finish());
    return pricing.outcome();
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
    stop();
  }
}

/** What the threads' answers add up to. */
class EventPricing {
  readonly #prices: ReadonlyMap<string, CompiledPrice>;
  readonly #aggregations: ReadonlyMap<string, Aggregation>;
  readonly #buckets = new Map<FoldThread, Placed[]>();
  readonly #ordered: OrderedCharges;
  readonly #orderedPlaces = new Map<FoldThread, Running[]>();
  readonly #totals = new Map<string, Map<Bucket, BucketFold>>();
  readonly #unrated = new Map<string, Decimal>();
  /** Blocks that came back before an earlier one did. */
  readonly #early = new Map<number, { thread: FoldThread; folded: FoldedBlock }>();
  #next = 0;
  #events = 0;
  tooMany: string | undefined;

  constructor(card: CompiledRateCard, setup: FoldSetup) {
    this.#prices = new Map(card.prices.map((price) => [price.key, price]));
    this.#aggregations = new Map(
      setup.meters.map(({ key, spec }) => [key, (spec as { readonly aggregation: Aggregation }).aggregation]),
    );
    this.#ordered = new OrderedCharges(setup.totalsMax);
  }

  take(thread: FoldThread, answer: FoldAnswer): void {
    switch (answer.type) {
      case 'too_many':
        this.tooMany ??= answer.what;
        return;
      case 'result':
        this.#merge(thread, answer.result);
        return;
      case 'folded':
        this.#place(thread, answer.folded.buckets);
        this.#events += answer.folded.events;
        this.#early.set(answer.folded.sequence, { thread, folded: answer.folded });
        this.#takeOrdered();
    }
  }

  outcome(): PricedEventsOutcome {
    if (this.tooMany !== undefined) return { ok: false, tooMany: this.tooMany };
    const charges = new Map<number, Decimal>();
    const charge = (customer: number, amount: Decimal): void => {
      charges.set(customer, add(charges.get(customer) ?? ZERO, amount));
    };
    for (const [key, buckets] of this.#totals) {
      const customer = Number(key.slice(0, key.indexOf(' ')));
      for (const total of buckets.values()) charge(customer, total.charge());
    }
    for (const { customer, charged } of this.#ordered.charges()) charge(customer, charged);
    return { ok: true, events: this.#events, charges, unrated: this.#unrated };
  }

  #place(thread: FoldThread, added: readonly FoldBucket[]): void {
    const placed = this.#buckets.get(thread) ?? [];
    this.#buckets.set(thread, placed);
    for (const { price: key, dimensions } of added) {
      const price = this.#prices.get(key);
      const bucket = price === undefined ? undefined : matchBucket(price, { ...dimensions });
      if (price === undefined || bucket === undefined) throw new Error(`the simulated card has no bucket for ${key}`);
      placed.push({ price, bucket });
    }
  }

  #placed(thread: FoldThread, position: number): Placed {
    const placed = this.#buckets.get(thread)?.[position];
    if (placed === undefined) throw new Error('a thread named a bucket it has not told of');
    return placed;
  }

  #takeOrdered(): void {
    for (;;) {
      const early = this.#early.get(this.#next);
      if (early === undefined) return;
      this.#early.delete(this.#next);
      this.#next += 1;
      this.#charge(early.thread, early.folded);
    }
  }

  #charge(thread: FoldThread, { ordered, orderedPlaces }: FoldedBlock): void {
    const known = this.#orderedPlaces.get(thread) ?? [];
    this.#orderedPlaces.set(thread, known);
    for (const { customer, period, bucket } of orderedPlaces)
      known.push(this.#ordered.place(customer, period, this.#placed(thread, bucket).bucket));
    if (!this.#ordered.isWithin) this.tooMany ??= 'running totals';
    const quantities = ordered.quantities.split(' ');
    for (const [index, position] of ordered.places.entries()) {
      const running = known[position];
      if (running === undefined) throw new Error('a thread named a place it has not told of');
      addOrdered(running, quantities[index] ?? '');
    }
  }

  #merge(thread: FoldThread, { totals, unrated }: FoldResult): void {
    for (const total of totals) {
      const { price, bucket } = this.#placed(thread, total.bucket);
      const key = `${total.customer} ${total.period}`;
      let buckets = this.#totals.get(key);
      if (buckets === undefined) {
        buckets = new Map();
        this.#totals.set(key, buckets);
      }
      let fold = buckets.get(bucket);
      if (fold === undefined) {
        fold = new BucketFold(price, bucket, this.#aggregations.get(total.meter) ?? 'sum');
        buckets.set(bucket, fold);
      }
      fold.merge(total);
    }
    for (const [meter, quantity] of unrated)
      this.#unrated.set(meter, add(this.#unrated.get(meter) ?? ZERO, decimal(quantity)));
  }
}
