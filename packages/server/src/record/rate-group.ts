import {
  absolute,
  add,
  compare,
  type Decimal,
  decimal,
  larger,
  negate,
  ONE,
  subtract,
  toText,
  ZERO,
} from '@ergon/exact';
import type { Bucket, CompiledPrice } from '@ergon/rating';
import type { BillingMonth } from '../catalog/billing-month.ts';
import type { Contribution } from '../catalog/custom-meter.ts';
import { type CardVersion, pricesProviderCost } from '../catalog/snapshot.ts';
import { burn, type LedgerUnits, ledgerDecimal, ledgerUnits, type Share } from '../ledger/burn.ts';
import { type AccumulatorState, accumulate, type Increment, secondsBetween } from './accumulate.ts';
import { type AccumulatorRow, type BucketWork, type Debit, drain, nameOf, post, workOf } from './bucket-work.ts';
import { changeOfEvents, isBelowZero } from './change-of-events.ts';
import { type LineParts, writeLine } from './encode-rating.ts';
import { ByteWriter } from '../event/byte-writer.ts';
import type { CapturedEvent } from '../event/event.ts';
import { matchBucket, matchPrice } from './match-price.ts';
import type { PreparedEvent } from './prepare.ts';
import { changeOfCharge, isChargedAtClose, LINEAR, recordedBucket } from './recorded-bucket.ts';
import { reversedCharge } from './reversed-charge.ts';
import type { RatedLine } from './types.ts';

/** Facts that most groups need none of, so they are read only when a rating asks for them. */
export type RatingFacts = {
  /** Debits of a bucket still standing, oldest first; `undefined` when they have not been read. */
  debits(row: AccumulatorRow, bucket: string): readonly Debit[] | undefined;
  /** unique: whether the value is new to the bucket; `undefined` when nobody has looked. */
  isNewValue(row: AccumulatorRow, bucket: string, distinct: string): boolean | undefined;
  /** The bucket's state without the events that this group voids; `undefined` when it has not been recomputed. */
  replayed(row: AccumulatorRow, bucket: string): AccumulatorState | undefined;
};

/** What a rating found missing: the caller reads it and rates the group again from the start, which is pure and cheap. */
export type MissingFacts = {
  readonly debits: { readonly row: AccumulatorRow; readonly bucket: string }[];
  readonly values: { readonly row: AccumulatorRow; readonly bucket: string; readonly distinct: string }[];
  readonly replays: { readonly row: AccumulatorRow; readonly bucket: string }[];
};

/** What rating one event gave. `lines` are its lines as they are stored (encode-rating.ts). */
export type RatedEvent = { lines: Uint8Array; unrated: [string, string, string][]; charge: LedgerUnits };

const PROVIDER_COST = 'provider_cost';
const NO_LINES = new Uint8Array(0);

type Line = {
  readonly meter: string;
  readonly price: CompiledPrice;
  readonly cell: Bucket;
  readonly quantity: Decimal;
};

/**
 * Rates events one after another against running totals, burning grants as it goes. Pure: it holds no connection, and what
 * it decides stands in the rows it was given, unless {@link missing} says that the group must be rated again.
 */
export class GroupRating {
  readonly missing: MissingFacts = { debits: [], values: [], replays: [] };
  readonly #facts: RatingFacts;
  /** When it is posted, microseconds since 1970. */
  readonly #now: number;
  readonly #valuesSeen = new Set<string>();
  readonly #writer = new ByteWriter(128 * 1024);

  constructor(facts: RatingFacts, now: number) {
    this.#facts = facts;
    this.#now = now;
  }

  rate(event: PreparedEvent, row: AccumulatorRow, version: CardVersion, month: BillingMonth): RatedEvent {
    const rated: RatedEvent = { lines: NO_LINES, unrated: [], charge: 0n };
    this.#rateBuiltIn(event, row, version, rated);
    for (const contribution of event.contributions)
      this.#rateContribution(event, contribution, row, version, month, rated);
    rated.lines = this.#writer.take();
    return rated;
  }

  /**
   * Takes a recorded event back: R(total - q) - R(total) on the event's own buckets (DESIGN section 9). `prepared` is the
   * recorded event; the lines carry negative quantities and amounts.
   */
  reverse(prepared: PreparedEvent, lines: readonly RatedLine[], row: AccumulatorRow, version: CardVersion): RatedEvent {
    const rated: RatedEvent = { lines: NO_LINES, unrated: [], charge: 0n };
    for (const line of lines) {
      if (line.absorbed === undefined) this.#reverseLine(prepared, line, row, version, rated);
    }
    rated.lines = this.#writer.take();
    return rated;
  }

  #reverseLine(
    prepared: PreparedEvent,
    recorded: RatedLine,
    row: AccumulatorRow,
    version: CardVersion,
    rated: RatedEvent,
  ): void {
    const contribution = prepared.contributions.find((one) => one.meter.key === recorded.meter);
    const { price, cell } = recordedBucket(prepared, contribution, recorded, version);
    const quantity = decimal(recorded.quantity);
    const work = workOf(row, price, cell);
    const { state } = work;
    const before = state.quantity;
    const isLinear = contribution === undefined || LINEAR.has(contribution.meter.aggregation);
    let units: LedgerUnits;
    if (isLinear) {
      state.quantity = subtract(before, subtract(decimal(recorded.after), decimal(recorded.before)));
      const amount = reversedCharge({ price, cell }, recorded, state, { before, after: state.quantity });
      units = isChargedAtClose(contribution?.meter.aggregation) ? 0n : ledgerUnits(amount);
    } else {
      const replayed = this.#facts.replayed(row, work.name);
      if (replayed === undefined) {
        this.missing.replays.push({ row, bucket: work.name });
        return;
      }
      Object.assign(state, { ...replayed, charged: state.charged });
      units = ledgerUnits(changeOfCharge(price, cell, before, state.quantity));
    }
    state.charged += units;
    rated.charge += units;
    const shares = units < 0n ? this.#takeBack(row, work, -units) : this.#burn(prepared, recorded.meter, units, row);
    this.#keep(work, shares);
    this.#write({
      meter: recorded.meter,
      bucket: work.name,
      quantity: negate(quantity),
      before,
      after: state.quantity,
      units,
      shares,
      absorbed: undefined,
    });
  }

  /** A grant that got something back may pay again at once; the share of one that has ended is the customer's credit. */
  #restore(row: AccumulatorRow, shares: readonly Share[]): void {
    for (const { accountId, units } of shares) {
      const grant = row.grants.find((one) => one.accountId === accountId);
      if (grant === undefined || grant.hasEnded === true) continue;
      if (grant.expiresAt === null || grant.expiresAt > this.#now) grant.available -= units;
    }
  }

  #burn(prepared: PreparedEvent, meter: string, units: LedgerUnits, row: AccumulatorRow): readonly Share[] {
    const { feature, model } = prepared.dimensions;
    return burn(row.grants, units, { currency: row.currency, meter, feature, model }, this.#now);
  }

  #rateBuiltIn(event: PreparedEvent, row: AccumulatorRow, version: CardVersion, rated: RatedEvent): void {
    const { dimensions } = event;
    for (const { meter, quantity, tokenClass } of event.quantities) {
      dimensions.token_class = tokenClass;
      const price = matchPrice(version.card, meter, dimensions);
      if (price === undefined) {
        if (tokenClass !== undefined && matchPrice(version.card, 'total_tokens', dimensions) === undefined) {
          rated.unrated.push([meter, toText(quantity), 'no_price']);
        }
        continue;
      }
      this.#rateQuantity(event, { meter, price, quantity }, row, rated);
    }
    dimensions.token_class = undefined;
    if (pricesProviderCost(version.card)) this.#rateProviderCost(event, row, version, rated);
  }

  /** What the provider charges is a quantity as any other; where it is not known there is nothing to put a markup on. */
  #rateProviderCost(event: PreparedEvent, row: AccumulatorRow, version: CardVersion, rated: RatedEvent): void {
    const { dimensions, providerCost: quantity } = event;
    const price = matchPrice(version.card, PROVIDER_COST, dimensions);
    if (price === undefined) return;
    if (quantity !== undefined) this.#rateQuantity(event, { meter: PROVIDER_COST, price, quantity }, row, rated);
    else if (event.usage !== undefined) rated.unrated.push([PROVIDER_COST, '0', 'no_provider_price']);
  }

  #rateQuantity(
    event: PreparedEvent,
    { meter, price, quantity }: Omit<Line, 'cell'>,
    row: AccumulatorRow,
    rated: RatedEvent,
  ): void {
    if (price.isFree) return;
    const cell = matchBucket(price, event.dimensions);
    if (cell === undefined) rated.unrated.push([meter, toText(quantity), 'no_matching_cell']);
    else if (isBeyondMoney(cell, quantity)) rated.unrated.push([meter, toText(quantity), 'amount_too_large']);
    else this.#charge(event, { meter, price, cell, quantity }, undefined, row, rated);
  }

  #rateContribution(
    event: PreparedEvent,
    contribution: Contribution,
    row: AccumulatorRow,
    version: CardVersion,
    month: BillingMonth,
    rated: RatedEvent,
  ): void {
    const dimensions = { ...event.dimensions, ...contribution.group };
    const meter = contribution.meter.key;
    const quantity = contribution.value ?? ONE;
    const price = matchPrice(version.card, meter, dimensions);
    if (price === undefined) {
      rated.unrated.push([meter, toText(quantity), 'no_price']);
      return;
    }
    if (price.isFree) return;
    const cell = matchBucket(price, dimensions);
    if (cell === undefined) {
      rated.unrated.push([meter, toText(quantity), 'no_matching_cell']);
      return;
    }
    if (isBeyondMoney(cell, quantity)) {
      rated.unrated.push([meter, toText(quantity), 'amount_too_large']);
      return;
    }
    const { distinct } = contribution;
    const increment: Increment = {
      aggregation: contribution.meter.aggregation,
      value: contribution.value,
      order: orderKey(event),
      secondsHeld: secondsBetween(event.event.occurredAt, month.to),
      isNewValue:
        distinct !== undefined &&
        whyAbsorbed(event, price) === undefined &&
        this.#isNewValue(row, nameOf(price, cell), distinct),
    };
    this.#charge(event, { meter, price, cell, quantity }, increment, row, rated);
  }

  #isNewValue(row: AccumulatorRow, bucket: string, distinct: string): boolean {
    const key = `${row.customerId}|${row.cardVersionId}|${row.period}|${bucket}|${distinct}`;
    if (this.#valuesSeen.has(key)) return false;
    this.#valuesSeen.add(key);
    const isNew = this.#facts.isNewValue(row, bucket, distinct);
    if (isNew === undefined) this.missing.values.push({ row, bucket, distinct });
    return isNew ?? true;
  }

  /** One quantity into its bucket: f, R(f), the burn. Without an increment the quantity is added. */
  #charge(
    event: PreparedEvent,
    line: Line,
    increment: Increment | undefined,
    row: AccumulatorRow,
    rated: RatedEvent,
  ): void {
    const work = workOf(row, line.price, line.cell);
    const { state } = work;
    const before = state.quantity;
    const absorbed = whyAbsorbed(event, line.price);
    if (absorbed !== undefined) {
      this.#write({
        meter: line.meter,
        bucket: work.name,
        quantity: line.quantity,
        before,
        after: before,
        units: 0n,
        shares: [],
        absorbed,
      });
      return;
    }
    const after = increment === undefined ? add(before, line.quantity) : accumulate(state, increment);
    const units = isChargedAtClose(increment?.aggregation) ? 0n : ledgerUnits(amountOf(line, state, before, after));
    state.quantity = after;
    state.charged += units;
    rated.charge += units;
    const shares = units < 0n ? this.#takeBack(row, work, -units) : this.#burn(event, line.meter, units, row);
    this.#keep(work, shares);
    this.#write({
      meter: line.meter,
      bucket: work.name,
      quantity: line.quantity,
      before,
      after,
      units,
      shares,
      absorbed,
    });
  }

  /** Notes what is to be posted, and what a later fall of the charge can take back. */
  #keep(work: BucketWork, shares: readonly Share[]): void {
    for (const share of shares) {
      post(work, share);
      if (share.units > 0n) work.debits.push({ accountId: share.accountId, units: share.units });
    }
  }

  #write(line: LineParts): void {
    if (this.#writer.length > 0) this.#writer.ascii(',');
    writeLine(this.#writer, line);
  }

  /** Reverses the latest debits of the bucket, newest first, to the same accounts (DESIGN section 9). */
  #takeBack(row: AccumulatorRow, work: BucketWork, units: LedgerUnits): Share[] {
    const shares: Share[] = [];
    let left = drain(work.debits, units, shares);
    if (left === 0n) {
      this.#restore(row, shares);
      return shares;
    }
    const standing = work.hasStandingDebits ? [] : this.#facts.debits(row, work.name);
    if (standing === undefined) {
      this.missing.debits.push({ row, bucket: work.name });
      return shares;
    }
    work.hasStandingDebits = true;
    for (const debit of standing) work.debits.push({ ...debit });
    left = drain(work.debits, left, shares);
    if (left > 0n) throw new Error(`a charge fell by more than was ever debited for ${work.name}`);
    this.#restore(row, shares);
    return shares;
  }
}

/**
 * What this quantity costs, given what came before it in its bucket. Below zero usage costs nothing, so what was charged is
 * the most that can be given back: a period's total never falls below zero (a correction is a void).
 */
function amountOf(line: Line, state: AccumulatorState, before: Decimal, after: Decimal): Decimal {
  const { perEvent } = line.cell;
  if (line.price.timing !== 'per_event') return changeOfCharge(line.price, line.cell, before, after);
  if (perEvent === undefined) return notBelow(line.cell.rate.marginal(ZERO, line.quantity), state.charged);
  const earlier = { events: BigInt(state.count), quantity: before, amount: state.total ?? ZERO };
  const next = perEvent.next(earlier, line.quantity);
  state.count = Number(next.state.events);
  state.total = next.state.amount;
  const { together } = perEvent;
  const isPlain = together === undefined || !(isBelowZero(earlier) || isBelowZero(next.state));
  return notBelow(isPlain ? next.charge.amount : changeOfEvents(together, earlier, next.state), state.charged);
}

function notBelow(amount: Decimal, charged: LedgerUnits): Decimal {
  return larger(amount, ledgerDecimal(-charged));
}

/** Who pays for a call that failed or was retried is the price's policy, decided on the event alone (DESIGN section 9). */
export function whyAbsorbed(
  { event }: { readonly event: Pick<CapturedEvent, 'isFinal' | 'status'> },
  price: CompiledPrice,
): 'failed_call' | 'retry' | undefined {
  if (price.retries !== 'absorb' && price.failedCalls !== 'absorb') return undefined;
  if (!event.isFinal) return price.retries === 'absorb' ? 'retry' : undefined;
  return event.status !== 'ok' && price.failedCalls === 'absorb' ? 'failed_call' : undefined;
}

/** Quantities below this are never too dear at any price a card may hold; only the others are looked at. */
const PLAIN_QUANTITY = decimal(10n ** 13n);
/** One event may cost this much of a currency, in ledger units: far beyond any call, far below what the ledger's columns hold. */
const EVENT_AMOUNT_MAX: LedgerUnits = 10n ** 12n * 10n ** 12n;

export function isBeyondMoney(cell: Bucket, quantity: Decimal): boolean {
  const size = absolute(quantity);
  return compare(size, PLAIN_QUANTITY) >= 0 && ledgerUnits(cell.rate.marginal(ZERO, size)) > EVENT_AMOUNT_MAX;
}

/** Usage that no card prices: what it was, and why. */
export function unratedEvent(event: PreparedEvent, reason: 'no_customer' | 'no_rate_card'): RatedEvent {
  const unrated = event.quantities
    .filter(({ meter }) => meter !== 'total_tokens')
    .map(({ meter, quantity }): [string, string, string] => [meter, toText(quantity), reason]);
  for (const { meter, value } of event.contributions) unrated.push([meter.key, toText(value ?? ONE), reason]);
  return { lines: NO_LINES, unrated, charge: 0n };
}

/** Sortable text of (time, source, id). */
export function orderKey({
  event: { occurredAt, source, id },
}: {
  readonly event: Pick<CapturedEvent, 'occurredAt' | 'source' | 'id'>;
}): string {
  return `${String(occurredAt).padStart(16, '0')}\u0001${source}\u0001${id}`;
}
