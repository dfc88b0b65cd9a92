import type { Currency, Decimal } from '@ergon/exact';
import type { CapturedEvent } from '../capture/event.ts';
import { type BillingMonth, billingMonth } from '../catalog/billing-month.ts';
import { type BilledCustomer, type CustomerCache, resolveCustomers } from '../catalog/customers.ts';
import { type CardVersion, type CatalogSnapshot, DEFAULT_CARD, loadSnapshot, versionAt } from '../catalog/snapshot.ts';
import type { Client } from '../store/database.ts';
import { textArray, uuidArray } from '../store/pg-arrays.ts';
import type { DimensionSets } from './dimension-sets.ts';
import type { GrantFacts } from './lock-accounts.ts';
import { type PreparedEvent, prepareEvent } from './prepare.ts';
import type { PendingRequest } from './types.ts';
import { writeBlock } from './write-block.ts';

/** What the provider charges for a call, as far as its price is known. */
export type CostSource = (event: PreparedEvent) => { readonly amount: Decimal; readonly source: string } | undefined;

export type RecordServices = {
  readonly customers: CustomerCache;
  readonly dimensionSets: DimensionSets;
  /** Rows known to exist, so that they need no insert: "environment|..." */
  readonly knownRows: Set<string>;
  /** By account: environments share no account id. */
  readonly grantFacts: Map<number, GrantFacts>;
  readonly costOf: CostSource;
  /** Account that usage revenue is credited to, by environment and currency. */
  revenueAccount(environmentId: number, currency: Currency): Promise<number>;
  catalog(environmentId: number): Promise<CatalogSnapshot>;
  rememberCatalog(snapshot: CatalogSnapshot): void;
};

type Candidate = { readonly request: number; readonly position: number; readonly event: CapturedEvent };

export type Attributed = {
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
  await writeBlock({ client, services, environmentId, blockId: claim.blockId, now, afterCommit }, attributed);
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
      textArray(conflicts.map((event) => event.canonical.toString('utf8', 0, 4096))),
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
