import { type Currency, type Decimal, ONE, toText, ZERO } from '@ergon/exact';
import type { Bucket, CompiledPrice } from '@ergon/rating';
import type { BillingMonth } from '../catalog/billing-month.ts';
import type { Contribution } from '../catalog/custom-meter.ts';
import type { CardVersion } from '../catalog/snapshot.ts';
import { burn, type LedgerUnits, ledgerDecimal, ledgerUnits, type OpenGrant, type Share } from '../ledger/burn.ts';
import { type AccumulatorState, accumulate, emptyAccumulator, type Increment, secondsBetween } from './accumulate.ts';
import type { PreparedEvent } from './prepare.ts';
import type { RatedLine } from './types.ts';

/** One customer's running totals under one card version in one period, held under its lock. */
export type AccumulatorRow = {
  readonly customerId: number;
  readonly cardVersionId: number;
  readonly period: string;
  readonly buckets: Map<string, AccumulatorState>;
  isChanged: boolean;
};

/** A customer's money, held under its lock. */
export type CustomerAccounts = {
  /** In burn order, every currency. */
  readonly grants: readonly OpenGrant[];
  /** Receivable account by currency. */
  readonly receivables: ReadonlyMap<Currency, number>;
};

/** An earlier debit that can be taken back. */
export type Debit = { readonly accountId: number | null; units: LedgerUnits };

export type RatingContext = {
  readonly now: number;
  accumulators(customerId: number, version: CardVersion, month: BillingMonth): AccumulatorRow;
  accounts(customerId: number): CustomerAccounts;
  /** Debits of a bucket still standing, oldest first; `undefined` when they have not been read yet. */
  standingDebits(row: AccumulatorRow, bucket: string): readonly Debit[] | undefined;
  /** unique: whether the value is new to the bucket; `undefined` when nobody has looked yet. */
  isNewValue(row: AccumulatorRow, bucket: string, distinct: string): boolean | undefined;
};

/**
 * What a rating found missing. Most groups need none of it, so it is not read in advance: the caller reads it and rates the
 * group again from the start, which is pure and cheap.
 */
export type MissingState = {
  readonly debits: { readonly row: AccumulatorRow; readonly bucket: string }[];
  readonly values: { readonly row: AccumulatorRow; readonly bucket: string; readonly distinct: string }[];
};

/** A sum to post between a customer's account and revenue: positive takes from the account, negative gives back to it. */
export type PendingPosting = {
  readonly row: AccumulatorRow;
  readonly bucket: string;
  readonly accountId: number | null;
  readonly currency: Currency;
  units: LedgerUnits;
  readonly isReversal: boolean;
};

export type RatedEvent = {
  readonly lines: RatedLine[];
  readonly unrated: [string, string, string][];
  charge: LedgerUnits;
};

type Line = {
  readonly meter: string;
  readonly price: CompiledPrice;
  readonly bucket: string;
  readonly cell: Bucket;
  readonly quantity: Decimal;
};

/**
 * Rates events one after another against running totals, burning grants as it goes. Pure: totals and balances come from the
 * context, and the postings it collects are written by the caller, unless {@link missing} says that it must rate again.
 */
export class GroupRating {
  readonly postings = new Map<string, PendingPosting>();
  readonly missing: MissingState = { debits: [], values: [] };
  readonly #context: RatingContext;
  /** Debits of each bucket, newest last: what a falling charge takes back first. */
  readonly #debits = new Map<string, Debit[]>();
  readonly #standingRead = new Set<string>();
  readonly #valuesSeen = new Set<string>();

  constructor(context: RatingContext) {
    this.#context = context;
  }

  rate(event: PreparedEvent, customerId: number, version: CardVersion | undefined, month: BillingMonth): RatedEvent {
    const rated: RatedEvent = { lines: [], unrated: [], charge: 0n };
    if (version === undefined) {
      for (const { meter, quantity } of event.quantities) {
        if (meter !== 'total_tokens') rated.unrated.push([meter, toText(quantity), 'no_rate_card']);
      }
      return rated;
    }
    const row = this.#context.accumulators(customerId, version, month);
    this.#rateBuiltIn(event, row, version, rated);
    for (const contribution of event.contributions)
      this.#rateContribution(event, contribution, row, version, month, rated);
    return rated;
  }

  /** The receivable account of a customer whose usage this group rated. */
  receivableAccount(customerId: number, currency: Currency): number {
    const id = this.#context.accounts(customerId).receivables.get(currency);
    if (id === undefined) throw new Error(`customer ${customerId} has no receivable account in ${currency}`);
    return id;
  }

  #rateBuiltIn(event: PreparedEvent, row: AccumulatorRow, version: CardVersion, rated: RatedEvent): void {
    for (const { meter, quantity, tokenClass } of event.quantities) {
      event.dimensions.token_class = tokenClass;
      const price = version.card.priceFor(meter, event.dimensions);
      if (price === undefined) {
        if (tokenClass !== undefined && !pricesTotal(version, event))
          rated.unrated.push([meter, toText(quantity), 'no_price']);
        continue;
      }
      if (price.isFree) continue;
      const cell = price.bucket(event.dimensions);
      if (cell === undefined) {
        rated.unrated.push([meter, toText(quantity), 'no_matching_cell']);
        continue;
      }
      const line: Line = { meter, price, bucket: `${price.key}/${cell.key}`, cell, quantity };
      const increment: Increment = {
        aggregation: 'sum',
        value: quantity,
        order: '',
        secondsHeld: ZERO,
        isNewValue: false,
      };
      this.#charge(event, line, increment, row, version, rated);
    }
    event.dimensions.token_class = undefined;
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
    const price = version.card.priceFor(meter, dimensions);
    if (price === undefined || price.isFree) return;
    const cell = price.bucket(dimensions);
    if (cell === undefined) {
      rated.unrated.push([meter, toText(quantity), 'no_matching_cell']);
      return;
    }
    const bucket = `${price.key}/${cell.key}`;
    const increment: Increment = {
      aggregation: contribution.meter.aggregation,
      value: contribution.value,
      order: orderKey(event),
      secondsHeld: secondsBetween(event.event.occurredAt, month.to),
      isNewValue:
        contribution.distinct !== undefined &&
        isAbsorbed(event, price) === undefined &&
        this.#isNewValue(row, bucket, contribution.distinct),
    };
    this.#charge(event, { meter, price, bucket, cell, quantity }, increment, row, version, rated);
  }

  #isNewValue(row: AccumulatorRow, bucket: string, distinct: string): boolean {
    const key = `${bucketKey(row, bucket)}|${distinct}`;
    if (this.#valuesSeen.has(key)) return false;
    this.#valuesSeen.add(key);
    const isNew = this.#context.isNewValue(row, bucket, distinct);
    if (isNew === undefined) this.missing.values.push({ row, bucket, distinct });
    return isNew ?? true;
  }

  /** One quantity into its bucket: f, R(f), the burn. */
  #charge(
    event: PreparedEvent,
    line: Line,
    increment: Increment,
    row: AccumulatorRow,
    version: CardVersion,
    rated: RatedEvent,
  ): void {
    const absorbed = isAbsorbed(event, line.price);
    const state = row.buckets.get(line.bucket) ?? emptyAccumulator();
    const before = state.quantity;
    if (absorbed !== undefined) {
      rated.lines.push({ ...unchanged(line, before), absorbed });
      return;
    }
    row.buckets.set(line.bucket, state);
    row.isChanged = true;
    const after = accumulate(state, increment);
    const amount = price(line, state, before, after);
    state.charged = addAmount(state.charged, amount);
    const units = ledgerUnits(amount);
    rated.charge += units;
    const shares =
      units > 0n
        ? this.#burn(event, line, units, row, version)
        : units < 0n
          ? this.#takeBack(row, line.bucket, -units)
          : [];
    for (const share of shares) this.#post(row, line.bucket, version.card.currency, share);
    rated.lines.push({
      meter: line.meter,
      bucket: line.bucket,
      quantity: toText(line.quantity),
      before: toText(before),
      after: toText(after),
      amount: toText(amount),
      shares: shares.map((share) => [share.accountId, toText(ledgerDecimal(share.units))] as const),
    });
  }

  #burn(
    event: PreparedEvent,
    line: Line,
    units: LedgerUnits,
    row: AccumulatorRow,
    version: CardVersion,
  ): readonly Share[] {
    const { grants } = this.#context.accounts(row.customerId);
    const { currency } = version.card;
    const { feature, model } = event.dimensions;
    const own = grants.length === 0 ? grants : grants.filter((grant) => grant.currency === currency);
    const shares = burn(own, units, { meter: line.meter, feature, model }, this.#context.now);
    const debits = this.#debitsOf(row, line.bucket);
    for (const share of shares) debits.push({ ...share });
    return shares;
  }

  /** Reverses the latest debits of the bucket, newest first, to the same accounts (DESIGN section 9). */
  #takeBack(row: AccumulatorRow, bucket: string, units: LedgerUnits): Share[] {
    const shares: Share[] = [];
    const debits = this.#debitsOf(row, bucket);
    let left = drain(debits, units, shares);
    if (left === 0n) return shares;
    const key = bucketKey(row, bucket);
    const standing = this.#standingRead.has(key) ? [] : this.#context.standingDebits(row, bucket);
    if (standing === undefined) {
      this.missing.debits.push({ row, bucket });
      return shares;
    }
    this.#standingRead.add(key);
    debits.push(...standing.map((debit) => ({ ...debit })));
    left = drain(debits, left, shares);
    if (left > 0n) throw new Error(`a charge fell by more than was ever debited for ${key}`);
    return shares;
  }

  #debitsOf(row: AccumulatorRow, bucket: string): Debit[] {
    const key = bucketKey(row, bucket);
    let debits = this.#debits.get(key);
    if (debits === undefined) {
      debits = [];
      this.#debits.set(key, debits);
    }
    return debits;
  }

  #post(row: AccumulatorRow, bucket: string, currency: Currency, share: Share): void {
    const isReversal = share.units < 0n;
    const key = `${bucketKey(row, bucket)}|${share.accountId}|${isReversal}`;
    const posting = this.postings.get(key);
    if (posting === undefined) {
      this.postings.set(key, { row, bucket, accountId: share.accountId, currency, units: share.units, isReversal });
    } else {
      posting.units += share.units;
    }
  }
}

function bucketKey(row: AccumulatorRow, bucket: string): string {
  return `${row.customerId}|${row.cardVersionId}|${row.period}|${bucket}`;
}

function drain(debits: Debit[], units: LedgerUnits, shares: Share[]): LedgerUnits {
  let left = units;
  while (left > 0n) {
    const newest = debits.at(-1);
    if (newest === undefined) return left;
    const taken = newest.units < left ? newest.units : left;
    newest.units -= taken;
    left -= taken;
    if (newest.units === 0n) debits.pop();
    if (taken > 0n) shares.push({ accountId: newest.accountId, units: -taken });
  }
  return left;
}

/** What this quantity costs, given what came before it in its bucket. */
function price(line: Line, state: AccumulatorState, before: Decimal, after: Decimal): Decimal {
  const { timing } = line.price;
  const { rate, perEvent } = line.cell;
  if (timing === 'at_close') return ZERO;
  if (timing === 'cumulative') return rate.marginal(before, after);
  if (perEvent === undefined) return rate.marginal(ZERO, line.quantity);
  const next = perEvent.next(
    { events: BigInt(state.count), quantity: before, amount: state.total ?? ZERO },
    line.quantity,
  );
  state.count = Number(next.state.events);
  state.total = next.state.amount;
  return next.charge.amount;
}

function addAmount(a: Decimal, b: Decimal): Decimal {
  return ledgerDecimal(ledgerUnits(a) + ledgerUnits(b));
}

/** Who pays for a call that failed or was retried is the price's policy, decided on the event alone (DESIGN section 9). */
function isAbsorbed(event: PreparedEvent, price: CompiledPrice): 'failed_call' | 'retry' | undefined {
  const { isFinal, status } = event.event;
  if (!isFinal) return price.retries === 'absorb' ? 'retry' : undefined;
  return status !== 'ok' && price.failedCalls === 'absorb' ? 'failed_call' : undefined;
}

function unchanged(line: Line, before: Decimal): RatedLine {
  const held = toText(before);
  return {
    meter: line.meter,
    bucket: line.bucket,
    quantity: toText(line.quantity),
    before: held,
    after: held,
    amount: '0',
    shares: [],
  };
}

function pricesTotal(version: CardVersion, event: PreparedEvent): boolean {
  return version.card.priceFor('total_tokens', event.dimensions) !== undefined;
}

/** Sortable text of (time, source, id). */
export function orderKey(event: PreparedEvent): string {
  const { occurredAt, source, id } = event.event;
  return `${String(occurredAt).padStart(16, '0')}\u0001${source}\u0001${id}`;
}
