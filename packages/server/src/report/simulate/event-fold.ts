import { decimal, ONE, toText, ZERO } from '@ergon/exact';
import {
  type Bucket,
  type CompiledPrice,
  type CompiledRateCard,
  compileRateCard,
  LOCAL_TIME_DIMENSION,
} from '@ergon/rating';
import { billingMonth, type BillingMonth, localMinute } from '../../catalog/billing-month.ts';
import { subscribedPeriod } from '../../catalog/billing-terms.ts';
import { ROLLUP_POSITION, TOKEN_METERS } from '../../catalog/built-in-meters.ts';
import {
  type Aggregation,
  type CompiledMeter,
  compileMeter,
  type Contribution,
  meterSchema,
} from '../../catalog/custom-meter.ts';
import { VOID_TYPE } from '../../event/event.ts';
import { secondsBetween } from '../../record/accumulate.ts';
import { isAdjusting } from '../../record/adjusting-event.ts';
import { unpackLines } from '../../record/blocks.ts';
import { matchBucket, matchPrice } from '../../record/match-price.ts';
import { isChargedAtClose } from '../../record/recorded-bucket.ts';
import { isBeyondMoney, orderKey, whyAbsorbed } from '../../record/rate-group.ts';
import { valueHash } from '../../record/value-hash.ts';
import { BucketFold } from './bucket-fold.ts';
import { EventDimensions } from './event-dimensions.ts';
import type {
  FoldBlock,
  FoldBucket,
  FoldCustomer,
  FoldedBlock,
  FoldedTotal,
  FoldResult,
  FoldSetup,
  OrderedPlace,
} from './fold-messages.ts';
import { dimensionsAsked } from './simulated-total.ts';
import { type EventView, PLAIN_EVENT, StoredEvent } from './stored-event.ts';
import { type RatingHead, ratingHead } from './stored-lines.ts';
import { WholeSum } from './whole-sum.ts';

type Dimensions = Record<string, string | undefined>;
type CustomerFold = { readonly customer: number; readonly period: string; readonly buckets: Map<Bucket, BucketFold> };
/** Where a quantity goes: one event's customer and period, and the position of its block. */
type Place = { readonly fold: CustomerFold; readonly event: EventView; readonly dimensions: Dimensions };

const TOKEN_CLASS_OF: ReadonlyMap<string, string> = new Map(TOKEN_METERS.map((meter) => [meter.key, meter.tokenClass]));

/** Thrown when a simulation would need more memory than it may have. */
export class TooManyError extends Error {}

/**
 * Prices recorded events under a card that needs single ones. Pure but for the memory it keeps: a running total for each
 * customer, period and bucket, whatever the number of events. It must go the way of record/rate-group.ts.
 */
export class EventFold {
  readonly #setup: FoldSetup;
  readonly #card: CompiledRateCard;
  readonly #meters: readonly CompiledMeter[];
  readonly #customers: ReadonlyMap<number, FoldCustomer>;
  readonly #dimensions: EventDimensions;
  readonly #asksLocalTime: boolean;
  readonly #isExact: boolean;
  /** Whether the card asks nothing but what stands in the ratings. */
  readonly #isPlain: boolean;
  /** Built-in meters that the card may price, by themselves, their fallback or a total. */
  readonly #asked: ReadonlySet<string>;
  readonly #pricesTotal: boolean;
  readonly #prefix: string;
  readonly #onlyPrefix: string | undefined;
  readonly #folds = new Map<number, CustomerFold[]>();
  readonly #positions = new Map<Bucket, number>();
  readonly #unrated = new Map<string, WholeSum>();
  readonly #orderedPlaces = new WeakMap<CustomerFold, Map<Bucket, number>>();
  #orderedCount = 0;
  #newBuckets: FoldBucket[] = [];
  #newPlaces: OrderedPlace[] = [];
  #places: number[] = [];
  #quantities: string[] = [];
  #totals = 0;
  #values = 0;

  constructor(setup: FoldSetup) {
    const compiled = compileRateCard(setup.card);
    if (!compiled.ok) throw new Error(`the simulated card does not compile: ${compiled.errors[0]?.detail ?? ''}`);
    this.#setup = setup;
    this.#card = compiled.value;
    this.#meters = setup.meters.map(({ id, key, spec }) => compileMeter(id, key, meterSchema.parse(spec)));
    this.#customers = new Map(setup.customers.map((customer) => [customer.id, customer]));
    const asked = dimensionsAsked(setup.card);
    this.#dimensions = new EventDimensions(asked);
    this.#asksLocalTime = asked.has(LOCAL_TIME_DIMENSION);
    const hasPolicies = this.#card.prices.some(
      ({ failedCalls, retries }) => failedCalls === 'absorb' || retries === 'absorb',
    );
    this.#isPlain =
      this.#dimensions.isNothingAsked && !this.#asksLocalTime && !hasPolicies && this.#meters.length === 0;
    this.#isExact = this.#meters.length > 0 || this.#dimensions.hasProperties;
    this.#asked = new Set([...this.#card.prices.map((price) => price.meter), ...TOKEN_CLASS_OF.keys()]);
    this.#pricesTotal = this.#card.prices.some((price) => price.meter === 'total_tokens');
    this.#prefix = `${setup.month}-`;
    this.#onlyPrefix = setup.only === undefined ? undefined : `{"c":${setup.only},`;
  }

  /** Takes a block's events into the totals. */
  fold({ sequence, receivedAt, events, ratings, voided }: FoldBlock): FoldedBlock {
    let bodies: readonly string[] | undefined;
    const isVoided = new Set(voided);
    let count = 0;
    for (const [position, rating] of unpackLines(ratings).entries()) {
      if (rating === '' || isVoided.has(position)) continue;
      const head = this.#headOf(rating);
      if (head === undefined) continue;
      let event = PLAIN_EVENT;
      if (!this.#isPlain || !isPlainUsage(head)) {
        // Unpacked when first needed: under a plain card, for few blocks.
        bodies ??= unpackLines(events);
        event = new StoredEvent(bodies[position] ?? '', head.t ?? receivedAt, this.#isExact);
      }
      if (this.#addEvent(event, head, rating)) count += 1;
    }
    return { sequence, events: count, ...this.#takeNew() };
  }

  #takeNew(): Omit<FoldedBlock, 'sequence' | 'events'> {
    const ordered = { places: Uint32Array.from(this.#places), quantities: this.#quantities.join(' ') };
    const taken = { ordered, buckets: this.#newBuckets, orderedPlaces: this.#newPlaces };
    this.#places = [];
    this.#quantities = [];
    this.#newBuckets = [];
    this.#newPlaces = [];
    return taken;
  }

  finish(): FoldResult {
    const totals: FoldedTotal[] = [];
    for (const folds of this.#folds.values()) {
      for (const { customer, period, buckets } of folds) {
        for (const [bucket, fold] of buckets) {
          const place = { customer, period, bucket: this.#positions.get(bucket) ?? -1, meter: fold.price.meter };
          totals.push(fold.folded(place));
        }
      }
    }
    return { totals, unrated: [...this.#unrated].map(([meter, sum]) => [meter, toText(sum.total())]) };
  }

  /** The beginning of a rating; undefined where it tells already that the simulation is not about the event. */
  #headOf(rating: string): RatingHead | undefined {
    if (this.#onlyPrefix !== undefined && !rating.startsWith(this.#onlyPrefix)) return undefined;
    const head = ratingHead(rating);
    if (head.c === null || head.c === 0) return undefined;
    return head.p !== undefined && !head.p.startsWith(this.#prefix) ? undefined : head;
  }

  /** @returns whether the event belongs to the simulated month. */
  #addEvent(event: EventView, head: RatingHead, rating: string): boolean {
    // Their lines correct charges; the usage is that of the events they are about.
    if (event.type === VOID_TYPE || isAdjusting(event)) return false;
    // Usage that no card priced has no period of its own.
    const customer = head.c ?? 0;
    const period = head.p ?? this.#periodAt(customer, event.occurredAt).period;
    if (!period.startsWith(this.#prefix)) return false;
    const dimensions = this.#dimensions.of(event, head, rating);
    if (this.#asksLocalTime) dimensions[LOCAL_TIME_DIMENSION] = this.#localTime(customer, event.occurredAt);
    const place = { fold: this.#foldOf(customer, period), event, dimensions };
    this.#addBuiltIn(place, this.#asked.has('provider_cost') ? withCost(head, rating) : head);
    for (const meter of this.#meters) {
      const contribution = meter.read(event);
      if (contribution !== undefined && contribution !== 'no_value') this.#addContribution(place, contribution);
    }
    return true;
  }

  #addBuiltIn(place: Place, head: RatingHead): void {
    const { dimensions, event } = place;
    for (const [meter, quantity] of head.q) {
      if (!this.#asked.has(meter) || !(ROLLUP_POSITION.has(meter) || meter === 'total_tokens')) continue;
      const tokenClass = TOKEN_CLASS_OF.get(meter);
      dimensions.token_class = tokenClass;
      const price = matchPrice(this.#card, meter, dimensions);
      if (price === undefined) {
        if (tokenClass !== undefined && !this.#isInTotal(dimensions)) this.#noteUnrated(meter, quantity);
        continue;
      }
      if (price.isFree || price.timing === 'at_close') continue;
      const bucket = matchBucket(price, dimensions);
      if (bucket === undefined || isTooDear(bucket, quantity)) this.#noteUnrated(meter, quantity);
      else if (whyAbsorbed({ event }, price) === undefined) this.#addQuantity(place, price, bucket, quantity);
    }
    dimensions.token_class = undefined;
  }

  #isInTotal(dimensions: Dimensions): boolean {
    return this.#pricesTotal && matchPrice(this.#card, 'total_tokens', dimensions) !== undefined;
  }

  #addContribution({ fold, event, dimensions: own }: Place, contribution: Contribution): void {
    const dimensions = { ...own, ...contribution.group };
    const { meter, value, distinct } = contribution;
    const quantity = value ?? ONE;
    const price = matchPrice(this.#card, meter.key, dimensions);
    if (price === undefined || price.isFree || price.timing === 'at_close') return;
    const bucket = matchBucket(price, dimensions);
    if (bucket === undefined || isBeyondMoney(bucket, quantity)) {
      this.#noteUnrated(meter.key, toText(quantity));
      return;
    }
    if (whyAbsorbed({ event }, price) !== undefined) return;
    const place = { fold, event, dimensions };
    if (isOrdered(price, bucket) && !isChargedAtClose(meter.aggregation)) {
      this.#addQuantity(place, price, bucket, toText(quantity));
      return;
    }
    const increment = {
      aggregation: meter.aggregation,
      value,
      order: meter.aggregation === 'latest' ? orderKey({ event }) : '',
      secondsHeld:
        meter.aggregation === 'weighted_sum'
          ? secondsBetween(event.occurredAt, this.#periodAt(fold.customer, event.occurredAt).to)
          : ZERO,
    };
    const total = this.#total(place, price, bucket, meter.aggregation);
    const hash = distinct === undefined ? undefined : valueHash(distinct);
    if (!total.contribute(increment, hash, toText(quantity))) return;
    this.#values += 1;
    if (this.#values > this.#setup.valuesMax) throw new TooManyError('distinct values');
  }

  #addQuantity(place: Place, price: CompiledPrice, bucket: Bucket, quantity: string): void {
    if (!isOrdered(price, bucket)) {
      this.#total(place, price, bucket, 'sum').add(quantity);
      return;
    }
    this.#places.push(this.#orderedPlace(place, price, bucket));
    this.#quantities.push(quantity);
  }

  #orderedPlace({ fold, dimensions }: Place, price: CompiledPrice, bucket: Bucket): number {
    let places = this.#orderedPlaces.get(fold);
    if (places === undefined) {
      places = new Map();
      this.#orderedPlaces.set(fold, places);
    }
    const known = places.get(bucket);
    if (known !== undefined) return known;
    const position = this.#orderedCount;
    this.#orderedCount += 1;
    places.set(bucket, position);
    const { customer, period } = fold;
    this.#newPlaces.push({ customer, period, bucket: this.#position(price, bucket, dimensions) });
    return position;
  }

  #total({ fold, dimensions }: Place, price: CompiledPrice, bucket: Bucket, aggregation: Aggregation): BucketFold {
    const known = fold.buckets.get(bucket);
    if (known !== undefined) return known;
    this.#position(price, bucket, dimensions);
    this.#totals += 1;
    if (this.#totals > this.#setup.totalsMax) throw new TooManyError('running totals');
    const made = new BucketFold(price, bucket, aggregation);
    fold.buckets.set(bucket, made);
    return made;
  }

  #position(price: CompiledPrice, bucket: Bucket, dimensions: Dimensions): number {
    const known = this.#positions.get(bucket);
    if (known !== undefined) return known;
    const position = this.#positions.size;
    this.#positions.set(bucket, position);
    this.#newBuckets.push({ price: price.key, dimensions: { ...dimensions } });
    return position;
  }

  #foldOf(customer: number, period: string): CustomerFold {
    let folds = this.#folds.get(customer);
    if (folds === undefined) {
      folds = [];
      this.#folds.set(customer, folds);
    }
    for (const fold of folds) if (fold.period === period) return fold;
    const made: CustomerFold = { customer, period, buckets: new Map() };
    folds.push(made);
    return made;
  }

  #noteUnrated(meter: string, quantity: string): void {
    let sum = this.#unrated.get(meter);
    if (sum === undefined) {
      sum = new WholeSum();
      this.#unrated.set(meter, sum);
    }
    sum.add(quantity);
  }

  #periodAt(customer: number, micros: number): BillingMonth {
    const known = this.#customers.get(customer);
    const subscription = known?.subscriptions.find(({ from, to }) => from <= micros && (to === null || micros < to));
    return subscription === undefined
      ? billingMonth(micros, known?.timeZone ?? 'UTC')
      : subscribedPeriod(subscription, micros);
  }

  #localTime(customer: number, micros: number): string {
    return localMinuteOf(micros, this.#customers.get(customer)?.timeZone ?? 'UTC');
  }
}

const MINUS = 0x2d;
const ZERO_DIGIT = 0x30;

/**
 * Whether the rating alone tells that the event is usage of a period that is known: a void's quantities are below zero or zero, an
 * adjusting record has none.
 */
function isPlainUsage({ p: period, q: quantities }: RatingHead): boolean {
  if (period === undefined) return false;
  for (const [, quantity] of quantities) {
    const first = quantity.charCodeAt(0);
    if (first !== MINUS && first !== ZERO_DIGIT) return true;
  }
  return false;
}

/** What the provider charged stands beside the quantities. */
function withCost(head: RatingHead, rating: string): RatingHead {
  const { o: cost } = JSON.parse(rating) as { readonly o?: readonly [string, string] };
  return cost === undefined ? head : { ...head, q: [...head.q, ['provider_cost', cost[0]]] };
}

/** Whether a price asks for the events one after another: an allowance of the first so many. */
function isOrdered(price: CompiledPrice, bucket: Bucket): boolean {
  return price.timing === 'per_event' && bucket.perEvent?.together === undefined;
}

/** Few quantities are long enough to be looked at. */
function isTooDear(bucket: Bucket, quantity: string): boolean {
  return quantity.length > 12 && isBeyondMoney(bucket, decimal(quantity));
}

const MINUTE_MICROS = 60_000_000;
const MINUTES_REMEMBERED_MAX = 100_000;
const minutes = new Map<string, Map<number, string>>();

/** `localMinute`, computed once for each minute of a zone. */
function localMinuteOf(micros: number, timeZone: string): string {
  let known = minutes.get(timeZone);
  if (known === undefined) {
    if (minutes.size > 100) minutes.clear();
    known = new Map();
    minutes.set(timeZone, known);
  }
  const minute = Math.floor(micros / MINUTE_MICROS);
  let text = known.get(minute);
  if (text === undefined) {
    if (known.size >= MINUTES_REMEMBERED_MAX) known.clear();
    text = localMinute(micros, timeZone);
    known.set(minute, text);
  }
  return text;
}
