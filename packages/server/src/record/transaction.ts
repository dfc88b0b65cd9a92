import { type Currency, type Decimal, toText } from '@ergon/exact';
import { hash } from 'node:crypto';
import type { CapturedEvent } from '../capture/event.ts';
import { type BillingMonth, billingMonth } from '../catalog/billing-month.ts';
import { type BilledCustomer, type CustomerCache, resolveCustomers } from '../catalog/customers.ts';
import { type CardVersion, type CatalogSnapshot, DEFAULT_CARD, loadSnapshot, versionAt } from '../catalog/snapshot.ts';
import type { LedgerUnits } from '../ledger/burn.ts';
import type { Client } from '../store/database.ts';
import { instantArray, int8Array, textArray, uuidArray } from '../store/pg-arrays.ts';
import {
  type AccumulatorKey,
  changeBalances,
  ensureAccumulators,
  ensureReceivables,
  type LockedAccounts,
  lockAccounts,
  lockAccumulators,
  openRow,
  type StoredTotals,
  writeAccumulators,
  writePostings,
} from './account-store.ts';
import { encodeRating, packLines } from './blocks.ts';
import type { DimensionSets } from './dimension-sets.ts';
import { type PreparedEvent, prepareEvent } from './prepare.ts';
import { type AccumulatorRow, GroupRating, orderKey, type RatedEvent } from './rate-group.ts';
import { loadMissing, type MissingFacts, noFacts } from './missing-state.ts';
import { newPostings } from './postings.ts';
import { RollupSums } from './rollups.ts';
import { RunSums } from './runs.ts';
import type { EventRating, PendingRequest } from './types.ts';

/** What the provider charges for a call, as far as its price is known. */
export type CostSource = (event: PreparedEvent) => { readonly amount: Decimal; readonly source: string } | undefined;

export type RecordServices = {
  readonly customers: CustomerCache;
  readonly dimensionSets: DimensionSets;
  /** Rows known to exist, so that they need no insert: "environment|..." */
  readonly knownRows: Set<string>;
  readonly costOf: CostSource;
  /** Account that usage revenue is credited to, by environment and currency. */
  revenueAccount(environmentId: number, currency: Currency): Promise<number>;
  catalog(environmentId: number): Promise<CatalogSnapshot>;
  rememberCatalog(snapshot: CatalogSnapshot): void;
};

type Candidate = { readonly request: number; readonly position: number; readonly event: CapturedEvent };

type Attributed = {
  readonly prepared: PreparedEvent;
  readonly customer: BilledCustomer | undefined;
  readonly version: CardVersion | undefined;
  readonly month: BillingMonth;
};

/** Customer of the usage that names none: kept and metered, never rated. */
export const NOBODY = 0;

/** Actions to run once the transaction has committed: what the caches may believe only then. */
export type AfterCommit = (() => void)[];

/**
 * The one transaction of DESIGN section 2 for the events of several requests of one environment: claim, attribute, meter,
 * rate, debit, append. Fills the fates of the requests; the caller has begun, and commits.
 */
export async function recordGroup(
  client: Client,
  services: RecordServices,
  environmentId: number,
  requests: readonly PendingRequest[],
  now: number,
  isExclusive: boolean,
): Promise<AfterCommit> {
  const afterCommit: AfterCommit = [];
  const { candidates, repeated } = distinct(requests);
  let catalog = await services.catalog(environmentId);
  let prepared = candidates.map(({ event }) => prepareEvent(event, catalog));
  const claim = await claimIdentities(client, environmentId, isExclusive, candidates);
  if (claim.revision !== catalog.revision) {
    catalog = await loadSnapshot(client, environmentId);
    const loaded = catalog;
    afterCommit.push(() => services.rememberCatalog(loaded));
    prepared = candidates.map(({ event }) => prepareEvent(event, loaded));
  }
  const fates = await settleFates(client, requests, candidates, repeated, claim);
  const fresh = fates.map((isFresh, index) => (isFresh ? (prepared[index] ?? null) : null));
  await logConflicts(client, environmentId, requests);
  if (fresh.every((event) => event === null)) return afterCommit;
  const attributed = await attribute(client, services, environmentId, catalog, fresh, afterCommit);
  await new GroupWriter(client, services, environmentId, claim.blockId, now, afterCommit).write(attributed);
  return afterCommit;
}

type Repeat = { readonly request: number; readonly position: number; readonly isSameBody: boolean };

/** Each identity once: the first event of the group to bear it; the others follow its fate. */
function distinct(requests: readonly PendingRequest[]): { candidates: Candidate[]; repeated: Repeat[] } {
  const candidates: Candidate[] = [];
  const repeated: Repeat[] = [];
  const byIdentity = new Map<string, number>();
  requests.forEach((request, requestIndex) => {
    request.events.forEach((event, position) => {
      const first = byIdentity.get(event.identity);
      if (first === undefined) {
        byIdentity.set(event.identity, candidates.length);
        candidates.push({ request: requestIndex, position, event });
      } else {
        const isSameBody = candidates[first]?.event.bodyHash === event.bodyHash;
        repeated.push({ request: requestIndex, position, isSameBody });
      }
    });
  });
  return { candidates, repeated };
}

type Claim = { readonly revision: bigint; readonly blockId: bigint; readonly fresh: number };

async function claimIdentities(
  client: Client,
  environmentId: number,
  isExclusive: boolean,
  candidates: readonly Candidate[],
): Promise<Claim> {
  const result = await client.query<{ catalog_revision: bigint; block_id: bigint; fresh: number }>({
    name: 'claim',
    text: 'select catalog_revision, block_id, fresh from ergon_claim($1, $2, $3::uuid[], $4::uuid[])',
    values: [
      environmentId,
      isExclusive,
      uuidArray(candidates.map(({ event }) => event.identity)),
      uuidArray(candidates.map(({ event }) => event.bodyHash)),
    ],
  });
  const row = result.rows[0];
  if (row === undefined) throw new Error('ergon_claim returned no row');
  return { revision: row.catalog_revision, blockId: row.block_id, fresh: row.fresh };
}

/** Which candidates are fresh; tells every event of every request its fate. */
async function settleFates(
  client: Client,
  requests: readonly PendingRequest[],
  candidates: readonly Candidate[],
  repeated: readonly Repeat[],
  claim: Claim,
): Promise<boolean[]> {
  const bodies = new Map<string, string>();
  if (claim.fresh < candidates.length) {
    const result = await client.query<{ key: string; body: string }>({
      name: 'others',
      text: 'select key, body from identity where key = any($1::uuid[]) and block_id <> $2::int8',
      values: [uuidArray(candidates.map(({ event }) => event.identity)), claim.blockId.toString()],
    });
    for (const row of result.rows) bodies.set(row.key.replaceAll('-', ''), row.body.replaceAll('-', ''));
  }
  const isFresh = candidates.map(({ request, position, event }) => {
    const body = bodies.get(event.identity);
    const fates = requests[request]?.fates;
    if (fates !== undefined)
      fates[position] = body === undefined ? 'accepted' : body === event.bodyHash ? 'duplicate' : 'conflict';
    return body === undefined;
  });
  for (const { request, position, isSameBody } of repeated) {
    const fates = requests[request]?.fates;
    const event = requests[request]?.events[position];
    const stored = bodies.get(event?.identity ?? '');
    const isDuplicate = stored === undefined ? isSameBody : stored === event?.bodyHash;
    if (fates !== undefined) fates[position] = isDuplicate ? 'duplicate' : 'conflict';
  }
  return isFresh;
}

async function logConflicts(client: Client, environmentId: number, requests: readonly PendingRequest[]): Promise<void> {
  const conflicts = requests
    .flatMap((request) => request.events.filter((_, position) => request.fates[position] === 'conflict'))
    .slice(0, 100);
  if (conflicts.length === 0) return;
  await client.query({
    name: 'conflicts',
    text: 'insert into conflict (environment_id, source, event_id, body) select $1, s, i, b from unnest($2::text[], $3::text[], $4::text[]) as k(s, i, b)',
    values: [
      environmentId,
      textArray(conflicts.map((event) => event.source)),
      textArray(conflicts.map((event) => event.id)),
      textArray(conflicts.map((event) => event.canonical.slice(0, 4096))),
    ],
  });
}

/** Customer, card version and billing month of each fresh event; `null` where the candidate is not fresh. */
async function attribute(
  client: Client,
  services: RecordServices,
  environmentId: number,
  catalog: CatalogSnapshot,
  fresh: readonly (PreparedEvent | null)[],
  afterCommit: AfterCommit,
): Promise<(Attributed | null)[]> {
  const cached = services.customers.of(environmentId, catalog.revision);
  const unknown = new Set<string>();
  for (const prepared of fresh) {
    const subject = prepared?.event.subject;
    if (subject !== undefined && !cached.has(subject)) unknown.add(subject);
  }
  const found = new Map<string, BilledCustomer>();
  if (unknown.size > 0) {
    for (const customer of await resolveCustomers(client, environmentId, [...unknown]))
      found.set(customer.externalId, customer);
    afterCommit.push(() => {
      for (const customer of found.values()) cached.set(customer.externalId, customer);
    });
  }
  return fresh.map((prepared) => {
    if (prepared === null) return null;
    const { subject, occurredAt } = prepared.event;
    const customer = subject === undefined ? undefined : (cached.get(subject) ?? found.get(subject));
    return {
      prepared,
      customer,
      version: customer === undefined ? undefined : versionAt(catalog, customer.rateCard ?? DEFAULT_CARD, occurredAt),
      month: billingMonth(occurredAt, customer?.timeZone ?? 'UTC'),
    };
  });
}

/** Everything after attribution, for one block. */
class GroupWriter {
  readonly #client: Client;
  readonly #services: RecordServices;
  readonly #environmentId: number;
  readonly #blockId: bigint;
  readonly #now: number;
  readonly #afterCommit: AfterCommit;

  constructor(
    client: Client,
    services: RecordServices,
    environmentId: number,
    blockId: bigint,
    now: number,
    afterCommit: AfterCommit,
  ) {
    this.#client = client;
    this.#services = services;
    this.#environmentId = environmentId;
    this.#blockId = blockId;
    this.#now = now;
    this.#afterCommit = afterCommit;
  }

  async write(events: readonly (Attributed | null)[]): Promise<void> {
    // Compressed before any hot row is locked: a lock is held for work that needs it.
    const raw = packLines(events.map((one) => one?.prepared.event.canonical ?? ''));
    const { rating, rows, rated } = await this.#rate(events);
    const rollups = new RollupSums();
    const runs = new RunSums();
    const dimensionSets = new Map<string, string>();
    const lines: string[] = [];
    const blocks = new Map<number, { from: number; to: number }>();
    events.forEach((one, index) => {
      if (one === null) {
        lines.push('');
        return;
      }
      const result = rated[index];
      lines.push(this.#sum(one, result ?? NOT_RATED, rollups, runs, dimensionSets));
      const customerId = one.customer?.id ?? NOBODY;
      const { occurredAt } = one.prepared.event;
      const span = blocks.get(customerId);
      if (span === undefined) blocks.set(customerId, { from: occurredAt, to: occurredAt });
      else {
        span.from = Math.min(span.from, occurredAt);
        span.to = Math.max(span.to, occurredAt);
      }
    });
    const { postings, balances } = await newPostings(
      this.#client,
      this.#services,
      this.#environmentId,
      this.#blockId,
      rating,
    );
    const changed = rows.filter((row) => row.isChanged);
    const writes: Promise<unknown>[] = [];
    if (changed.length > 0) writes.push(writeAccumulators(this.#client, this.#environmentId, changed));
    writes.push(changeBalances(this.#client, this.#environmentId, balances));
    writes.push(writePostings(this.#client, this.#environmentId, postings));
    if (dimensionSets.size > 0) writes.push(this.#writeDimensionSets(dimensionSets));
    writes.push(...rollups.write(this.#client, this.#environmentId));
    if (!runs.isEmpty) writes.push(runs.write(this.#client, this.#environmentId));
    writes.push(this.#writeBlock(events, raw, packLines(lines)), this.#writeCustomerBlocks(blocks));
    await allSettledOrThrow(writes);
  }

  /** Locks totals and balances, then rates until nothing is missing. */
  async #rate(
    events: readonly (Attributed | null)[],
  ): Promise<{ rating: GroupRating; rows: AccumulatorRow[]; rated: RatedEvent[] }> {
    const keys = new Map<string, AccumulatorKey>();
    const owners = new Map<string, { id: number; currency: string }>();
    for (const one of events) {
      if (one?.customer === undefined || one.version === undefined) continue;
      const { id } = one.customer;
      keys.set(`${id}|${one.version.id}|${one.month.period}`, {
        customerId: id,
        cardVersionId: one.version.id,
        period: one.month.period,
      });
      owners.set(`${id}|${one.version.card.currency}`, { id, currency: one.version.card.currency });
    }
    const totals = new Map<string, StoredTotals>();
    let accounts = new Map<number, LockedAccounts>();
    if (keys.size > 0) {
      await this.#ensureRows(keys, owners);
      const customerIds = [...new Set([...owners.values()].map((owner) => owner.id))];
      const [locked, held] = await Promise.all([
        lockAccumulators(this.#client, this.#environmentId, [...keys.values()]),
        lockAccounts(this.#client, this.#environmentId, customerIds, false, this.#now),
      ]);
      for (const row of locked) totals.set(`${row.customerId}|${row.cardVersionId}|${row.period}`, row.totals);
      accounts = held;
    }
    const facts = noFacts();
    for (;;) {
      const attempt = this.#attempt(events, totals, accounts, facts);
      const { missing } = attempt.rating;
      if (missing.debits.length === 0 && missing.values.length === 0) return attempt;
      await loadMissing(this.#client, this.#environmentId, missing, facts);
    }
  }

  #attempt(
    events: readonly (Attributed | null)[],
    totals: ReadonlyMap<string, StoredTotals>,
    accounts: ReadonlyMap<number, LockedAccounts>,
    facts: MissingFacts,
  ): { rating: GroupRating; rows: AccumulatorRow[]; rated: RatedEvent[] } {
    const rows = new Map<string, AccumulatorRow>();
    const open = new Map<
      number,
      {
        grants: { -readonly [K in keyof LockedAccounts['grants'][number]]: LockedAccounts['grants'][number][K] }[];
        receivables: LockedAccounts['receivables'];
      }
    >();
    const rating = new GroupRating({
      now: this.#now,
      accumulators(customerId, version, month) {
        const key = `${customerId}|${version.id}|${month.period}`;
        let row = rows.get(key);
        if (row === undefined) {
          row = openRow({ customerId, cardVersionId: version.id, period: month.period }, totals.get(key) ?? {});
          rows.set(key, row);
        }
        return row;
      },
      accounts(customerId) {
        let one = open.get(customerId);
        if (one === undefined) {
          const locked = accounts.get(customerId);
          one = {
            grants: (locked?.grants ?? []).map((grant) => ({ ...grant })),
            receivables: locked?.receivables ?? new Map(),
          };
          open.set(customerId, one);
        }
        return one;
      },
      standingDebits: (row, bucket) => facts.debits(row, bucket),
      isNewValue: (row, bucket, value) => facts.isNewValue(row, bucket, value),
    });
    const rated = events.map((one) =>
      one === null
        ? NOT_RATED
        : one.customer === undefined
          ? nobodysUsage(one.prepared)
          : rating.rate(one.prepared, one.customer.id, one.version, one.month),
    );
    return { rating, rows: [...rows.values()], rated };
  }

  async #ensureRows(
    keys: ReadonlyMap<string, AccumulatorKey>,
    owners: ReadonlyMap<string, { id: number; currency: string }>,
  ): Promise<void> {
    const { knownRows } = this.#services;
    const prefix = `${this.#environmentId}|`;
    const newKeys = [...keys].filter(([key]) => !knownRows.has(`${prefix}a|${key}`));
    const newOwners = [...owners].filter(([key]) => !knownRows.has(`${prefix}r|${key}`));
    const writes: Promise<unknown>[] = [];
    if (newKeys.length > 0)
      writes.push(
        ensureAccumulators(
          this.#client,
          this.#environmentId,
          newKeys.map(([, key]) => key),
        ),
      );
    if (newOwners.length > 0)
      writes.push(
        ensureReceivables(
          this.#client,
          this.#environmentId,
          newOwners.map(([, owner]) => owner),
        ),
      );
    if (writes.length === 0) return;
    await allSettledOrThrow(writes);
    this.#afterCommit.push(() => {
      if (knownRows.size > KNOWN_ROWS_MAX) knownRows.clear();
      for (const [key] of newKeys) knownRows.add(`${prefix}a|${key}`);
      for (const [key] of newOwners) knownRows.add(`${prefix}r|${key}`);
    });
  }

  /** Adds one event to the sums and returns its rating as it is stored. */
  #sum(
    one: Attributed,
    rated: RatedEvent,
    rollups: RollupSums,
    runs: RunSums,
    dimensionSets: Map<string, string>,
  ): string {
    const { prepared, customer, version, month } = one;
    const customerId = customer?.id ?? NOBODY;
    const cost = this.#services.costOf(prepared);
    const currency = rated.lines.length > 0 ? version?.card.currency : undefined;
    const sets = this.#services.dimensionSets;
    const set = sets.usage(prepared.dimensions, currency);
    if (prepared.quantities.length > 0 || rated.lines.length > 0) {
      this.#use(set, dimensionSets);
      rollups.addUsage(prepared, customerId, set.id, {
        charge: rated.lines.length > 0 ? rated.charge : null,
        providerCost: cost?.amount ?? null,
      });
    }
    for (const contribution of prepared.contributions) {
      const group = sets.group(contribution.group);
      this.#use(group, dimensionSets);
      const value = contribution.distinct === undefined ? undefined : valueHash(contribution.distinct);
      rollups.addContribution(contribution, customerId, prepared.event.occurredAt, orderKey(prepared), group.id, value);
    }
    runs.add(prepared, customerId, rated.charge, currency, cost?.amount ?? null);
    const rating: EventRating = {
      customer: customer?.id ?? null,
      quantities: quantitiesOf(prepared),
      quality: prepared.usage?.quality ?? null,
      version: rated.lines.length > 0 ? (version?.id ?? null) : null,
      period: rated.lines.length > 0 ? month.period : null,
      currency: currency ?? null,
      lines: rated.lines,
      cost: cost === undefined ? null : [toText(cost.amount), cost.source],
      unrated: rated.unrated,
      flags: prepared.flags,
    };
    return encodeRating(rating);
  }

  #use(set: { id: string; json: string }, dimensionSets: Map<string, string>): void {
    if (!this.#services.dimensionSets.isStored(this.#environmentId, set.id)) dimensionSets.set(set.id, set.json);
  }

  #writeDimensionSets(sets: ReadonlyMap<string, string>): Promise<unknown> {
    const rows = [...sets].sort(([a], [b]) => (a < b ? -1 : 1));
    this.#afterCommit.push(() => this.#services.dimensionSets.markStored(this.#environmentId, sets.keys()));
    return this.#client.query({
      name: 'dimension_sets',
      text: `insert into dimension_set (environment_id, id, dimensions)
        select $1, i, d::jsonb from unnest($2::uuid[], $3::text[]) as s(i, d) order by i on conflict do nothing`,
      values: [this.#environmentId, uuidArray(rows.map(([id]) => id)), textArray(rows.map(([, json]) => json))],
    });
  }

  #writeBlock(events: readonly (Attributed | null)[], raw: Buffer, ratings: Buffer): Promise<unknown> {
    let from = Number.POSITIVE_INFINITY;
    let to = Number.NEGATIVE_INFINITY;
    let count = 0;
    for (const one of events) {
      if (one === null) continue;
      count += 1;
      from = Math.min(from, one.prepared.event.occurredAt);
      to = Math.max(to, one.prepared.event.occurredAt);
    }
    return this.#client.query({
      name: 'event_block',
      text: `insert into event_block (environment_id, id, received_at, time_from, time_to, event_count, events, ratings)
        values ($1, $2, ($3::timestamptz[])[1], ($3::timestamptz[])[2], ($3::timestamptz[])[3], $4, $5, $6)`,
      values: [this.#environmentId, this.#blockId.toString(), instantArray([this.#now, from, to]), count, raw, ratings],
    });
  }

  #writeCustomerBlocks(spans: ReadonlyMap<number, { from: number; to: number }>): Promise<unknown> {
    const rows = [...spans].sort(([a], [b]) => a - b);
    return this.#client.query({
      name: 'customer_block',
      text: `insert into customer_block (environment_id, customer_id, block_id, time_from, time_to)
        select $1, c, $2::int8, f, t from unnest($3::int8[], $4::timestamptz[], $5::timestamptz[]) as s(c, f, t) order by c`,
      values: [
        this.#environmentId,
        this.#blockId.toString(),
        int8Array(rows.map(([id]) => id)),
        instantArray(rows.map(([, span]) => span.from)),
        instantArray(rows.map(([, span]) => span.to)),
      ],
    });
  }
}

const KNOWN_ROWS_MAX = 500_000;
const NOT_RATED: RatedEvent = { lines: [], unrated: [], charge: 0n };

export function valueHash(value: string): string {
  return hash('sha256', value, 'hex').slice(0, 32);
}

function nobodysUsage(prepared: PreparedEvent): RatedEvent {
  const unrated = prepared.quantities
    .filter(({ meter }) => meter !== 'total_tokens')
    .map(({ meter, quantity }): [string, string, string] => [meter, toText(quantity), 'no_customer']);
  return { lines: [], unrated, charge: 0n };
}

function quantitiesOf(prepared: PreparedEvent): [string, string][] {
  const quantities = prepared.quantities.map(({ meter, quantity }): [string, string] => [meter, toText(quantity)]);
  for (const { meter, value, distinct } of prepared.contributions) {
    quantities.push([
      meter.key,
      value === undefined ? (distinct === undefined ? '1' : distinct.slice(0, 256)) : toText(value),
    ]);
  }
  return quantities;
}

/** Awaits all of a pipeline's statements, so that none is left unheard, then throws the first failure. */
async function allSettledOrThrow(writes: readonly Promise<unknown>[]): Promise<void> {
  const results = await Promise.allSettled(writes);
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}
