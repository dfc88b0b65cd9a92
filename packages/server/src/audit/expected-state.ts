import { add, type Decimal, decimal, negate, ZERO } from '@ergon/exact';
import { ROLLUP_METERS } from '../catalog/built-in-meters.ts';
import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import { type CapturedEvent, VOID_TYPE } from '../event/event.ts';
import { type AccumulatorState, accumulate, emptyAccumulator, secondsBetween } from '../record/accumulate.ts';
import { billingMonth } from '../catalog/billing-month.ts';
import { DimensionSets } from '../record/dimension-sets.ts';
import { type PreparedEvent, prepareEvent } from '../record/prepare.ts';
import { orderKey } from '../record/rate-group.ts';
import type { StoredEvent } from '../record/read-events.ts';
import { minuteOf } from '../record/rollups.ts';
import type { EventRating } from '../record/types.ts';
import { valueHash } from '../record/value-hash.ts';

/** What one row of meter_rollup must hold. */
export type MeterSums = {
  count: number;
  total: Decimal | undefined;
  least: Decimal | undefined;
  greatest: Decimal | undefined;
  latest: Decimal | undefined;
  latestOrder: string | undefined;
  readonly values: Set<string>;
};

export type BucketSums = { quantity: Decimal; charged: Decimal; readonly replayed: AccumulatorState | undefined };

const RUN_METERS: ReadonlySet<string> = new Set(['requests', 'errors', 'retries', 'tool_calls']);
const NOBODY = 0;

/** What the fold needs beside the events. */
export type AuditFacts = {
  readonly catalog: CatalogSnapshot;
  /** Identities of events that an applied void names. */
  readonly voided: ReadonlySet<string>;
  /** By customer, where it is not UTC. */
  readonly timeZones: ReadonlyMap<number, string>;
  /** Receivable accounts. */
  readonly receivables: ReadonlySet<number>;
};

/**
 * What the tables must hold, folded from the events and their ratings alone. Its size is that of the tables it checks, not of
 * the events.
 */
export class ExpectedState {
  events = 0;
  /** customer | minute | dimension set, then column: the sums of usage_rollup. */
  readonly usage = new Map<string, Map<string, Decimal>>();
  /** meter id | customer | minute | dimension set. */
  readonly meters = new Map<string, MeterSums>();
  /** customer | card version | period | bucket. */
  readonly buckets = new Map<string, BucketSums>();
  /** customer | card version | period | bucket | account (0: the receivable): what its events' shares sum to. */
  readonly shares = new Map<string, Decimal>();
  /** run | column. */
  readonly runs = new Map<string, Decimal>();
  readonly #catalog: CatalogSnapshot;
  readonly #voided: ReadonlySet<string>;
  readonly #timeZones: ReadonlyMap<number, string>;
  readonly #receivables: ReadonlySet<number>;
  readonly #sets = new DimensionSets();
  readonly #bucketValues = new Map<string, Set<string>>();

  constructor(facts: AuditFacts) {
    const { catalog, voided, timeZones, receivables } = facts;
    this.#receivables = receivables;
    this.#catalog = catalog;
    this.#voided = voided;
    this.#timeZones = timeZones;
  }

  /** Adds one event. `target` is what a void took back; its usage leaves the target's own minute and dimensions. */
  add(stored: StoredEvent, target: StoredEvent | undefined): void {
    this.events += 1;
    const { rating, event } = stored;
    const isVoid = event.type === VOID_TYPE;
    const subject = isVoid ? target : stored;
    if (subject !== undefined) {
      const prepared = prepareEvent(subject.event, this.#catalog);
      this.#addUsage(rating, prepared);
      this.#addRun(rating, subject.event);
      if (!isVoid && !this.#voided.has(event.identity)) this.#addContributions(rating, prepared);
    }
    this.#addLines(stored);
  }

  #addUsage(rating: EventRating, prepared: PreparedEvent): void {
    if (rating.quantities.length === 0 && rating.lines.length === 0) return;
    const set = this.#sets.usage(prepared.dimensions, rating.currency ?? undefined);
    const key = `${rating.customer ?? NOBODY}|${minuteOf(prepared.event.occurredAt)}|${set.id}`;
    const builtIn = rating.quantities.filter(([meter]) => ROLLUP_METERS.some((one) => one.key === meter));
    if (builtIn.length === 0 && rating.lines.length === 0) return;
    let row = this.usage.get(key);
    if (row === undefined) {
      row = new Map();
      this.usage.set(key, row);
    }
    for (const [meter, quantity] of builtIn) addTo(row, meter, decimal(quantity));
    for (const line of rating.lines) addTo(row, 'charge', decimal(line.amount));
    if (rating.cost !== null) addTo(row, 'provider_cost', decimal(rating.cost[0]));
  }

  #addRun(rating: EventRating, event: CapturedEvent): void {
    const run = event.data.run_id;
    if (typeof run !== 'string') return;
    for (const [meter, quantity] of rating.quantities) {
      if (RUN_METERS.has(meter)) addTo(this.runs, `${run}|${meter}`, decimal(quantity));
    }
    for (const line of rating.lines) addTo(this.runs, `${run}|charge`, decimal(line.amount));
    if (rating.cost !== null) addTo(this.runs, `${run}|provider_cost`, decimal(rating.cost[0]));
  }

  #addContributions(rating: EventRating, prepared: PreparedEvent): void {
    for (const contribution of prepared.contributions) {
      const { meter, value, distinct, group } = contribution;
      // A meter made after the event has nothing of it.
      if (!rating.quantities.some(([key]) => key === meter.key)) continue;
      const set = this.#sets.group(group);
      const key = `${meter.id}|${rating.customer ?? NOBODY}|${minuteOf(prepared.event.occurredAt)}|${set.id}`;
      let row = this.meters.get(key);
      if (row === undefined) {
        row = {
          count: 0,
          total: undefined,
          least: undefined,
          greatest: undefined,
          latest: undefined,
          latestOrder: undefined,
          values: new Set(),
        };
        this.meters.set(key, row);
      }
      addContribution(row, value, distinct, orderKey(prepared));
    }
  }

  #addLines({ event, rating }: StoredEvent): void {
    const owner = `${rating.customer}|${rating.version}|${rating.period}`;
    const prepared = rating.lines.length === 0 ? undefined : prepareEvent(event, this.#catalog);
    for (const line of rating.lines) {
      if (line.absorbed !== undefined) continue;
      const key = `${owner}|${line.bucket}`;
      const contribution = prepared?.contributions.find((one) => one.meter.key === line.meter);
      let bucket = this.buckets.get(key);
      if (bucket === undefined) {
        const meter = this.#catalog.meters.find((one) => one.key === line.meter);
        const isReplayed = meter !== undefined && meter.aggregation !== 'sum' && meter.aggregation !== 'count';
        bucket = { quantity: ZERO, charged: ZERO, replayed: isReplayed ? emptyAccumulator() : undefined };
        this.buckets.set(key, bucket);
      }
      bucket.quantity = add(bucket.quantity, decimal(line.quantity));
      bucket.charged = add(bucket.charged, decimal(line.amount));
      if (
        bucket.replayed !== undefined &&
        contribution !== undefined &&
        prepared !== undefined &&
        !this.#voided.has(event.identity)
      ) {
        const values = this.#bucketValues.get(key) ?? new Set<string>();
        this.#bucketValues.set(key, values);
        const hash = contribution.distinct === undefined ? undefined : valueHash(contribution.distinct);
        const zone = this.#timeZones.get(rating.customer ?? NOBODY) ?? 'UTC';
        accumulate(bucket.replayed, {
          aggregation: contribution.meter.aggregation,
          value: contribution.value,
          order: orderKey(prepared),
          secondsHeld: secondsBetween(event.occurredAt, billingMonth(event.occurredAt, zone).to),
          isNewValue: hash !== undefined && !values.has(hash),
        });
        if (hash !== undefined) values.add(hash);
      }
      for (const [account, amount] of line.shares) {
        // A reversal names the receivable that an earlier debit was posted to.
        const bearer = account === null || this.#receivables.has(account) ? 0 : account;
        addTo(this.shares, `${key}|${bearer}`, decimal(amount));
      }
      const unshared = line.shares.reduce(
        (rest, [, amount]) => add(rest, negate(decimal(amount))),
        decimal(line.amount),
      );
      if (unshared.coefficient !== 0n) addTo(this.shares, `${key}|unshared`, unshared);
    }
  }
}

function addContribution(
  row: MeterSums,
  value: Decimal | undefined,
  distinct: string | undefined,
  order: string,
): void {
  row.count += 1;
  if (distinct !== undefined) row.values.add(valueHash(distinct));
  if (value === undefined) return;
  row.total = add(row.total ?? ZERO, value);
  if (row.least === undefined || isBelow(value, row.least)) row.least = value;
  if (row.greatest === undefined || isBelow(row.greatest, value)) row.greatest = value;
  if (row.latestOrder === undefined || row.latestOrder < order) {
    row.latest = value;
    row.latestOrder = order;
  }
}

function isBelow(a: Decimal, b: Decimal): boolean {
  return add(a, negate(b)).coefficient < 0n;
}

function addTo(sums: Map<string, Decimal>, key: string, value: Decimal): void {
  sums.set(key, add(sums.get(key) ?? ZERO, value));
}
