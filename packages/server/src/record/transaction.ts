import { type CapturedEvent, VOID_TYPE } from '../event/event.ts';
import { billingMonth } from '../catalog/billing-month.ts';
import { applyTerms } from '../catalog/billing-terms.ts';
import { type BilledCustomer, resolveCustomers } from '../catalog/customers.ts';
import { type CatalogSnapshot, loadSnapshot, pricesProviderCost } from '../catalog/snapshot.ts';
import { type Claim, claimIdentities } from '../identity/index.ts';
import { LIMITS } from '../limits.ts';
import { type CheckedEvent, findMistakes, type QualityFinding, writeFindings } from '../quality/index.ts';
import { recordAction } from '../store/audit-log.ts';
import type { Client } from '../store/database.ts';
import { textArray } from '../store/pg-arrays.ts';
import { takeBackAdjustments } from './adjust.ts';
import type { Attributed } from './attributed.ts';
import { type PreparedEvent, prepareEvent } from './prepare.ts';
import { recomputeMeterRollups } from './recompute-rollups.ts';
import type { AfterCommit, RecordServices } from './record-services.ts';
import type { EventFate, IngestWarning, PendingRequest } from './types.ts';
import { attributeVoid, forgetVoidsOf, registerVoid, voidRequest, waitingVoids } from './void.ts';
import { writeBlock } from './write-block.ts';

type Candidate = { readonly request: number; readonly position: number; readonly event: CapturedEvent };

/** One transaction of one environment. */
export type GroupContext = {
  readonly client: Client;
  readonly services: RecordServices;
  readonly environmentId: number;
  /** When it is posted, microseconds since 1970. */
  readonly now: number;
  readonly isExclusive: boolean;
  readonly withSpent: boolean;
  readonly afterCommit: AfterCommit;
};

/**
 * The one transaction of DESIGN section 2 for the events of several requests of one environment: claim, attribute, meter,
 * rate, debit, append. Fills the fates of the requests; the caller has begun, and commits.
 *
 * Voids come after the other events of their requests, in a block of their own, so that a void may name an event sent with it.
 */
export async function recordGroup(context: GroupContext, requests: readonly PendingRequest[]): Promise<void> {
  if (!requests.some((request) => request.hasVoid)) return recordEvents(context, requests);
  const usage = requests.map((request) => part(request, (event) => event.type !== VOID_TYPE));
  const voids = requests.map((request) => part(request, (event) => event.type === VOID_TYPE));
  await recordEvents(context, usage);
  await recordVoids(context, voids);
  requests.forEach((request, index) => {
    const fates = new Map<number, EventFate>();
    for (const one of [usage[index], voids[index]]) {
      one?.events.forEach((event, position) => fates.set(event.index, one.fates[position] ?? 'accepted'));
    }
    request.events.forEach((event, position) => {
      request.fates[position] = fates.get(event.index) ?? 'accepted';
    });
  });
}

function part(request: PendingRequest, belongs: (event: CapturedEvent) => boolean): PendingRequest {
  return { ...request, events: request.events.filter(belongs), fates: [], hasVoid: false };
}

async function recordEvents(context: GroupContext, requests: readonly PendingRequest[]): Promise<void> {
  const { candidates, repeated } = distinct(requests);
  if (candidates.length === 0) return;
  const claimed = await claimAll(context, requests, candidates, repeated);
  const fresh = claimed.isFresh.map((isFresh, index) => (isFresh ? (claimed.prepared[index] ?? null) : null));
  if (fresh.every((event) => event === null)) return;
  const actors = candidates.map(({ request }) => requests[request]?.actor ?? 'system');
  const attributed = await attribute(context, claimed.catalog, fresh, actors);
  const findings = checkQuality(context, requests, candidates, attributed);
  await writeBlock({ ...context, catalog: claimed.catalog, blockId: claimed.claim.blockId }, attributed);
  if (claimed.claim.voidsWaiting) await applyWaitingVoids(context, fresh);
  // Last, after every row that others wait for.
  if (findings.length > 0) await writeFindings(context.client, context.environmentId, findings, context.now);
}

/** Carries out the voids that came before these events. */
async function applyWaitingVoids(context: GroupContext, fresh: readonly (PreparedEvent | null)[]): Promise<void> {
  const identities = fresh.flatMap((event) => event?.event.identity ?? []);
  const voids = await waitingVoids(context.client, context.environmentId, identities, context.now);
  if (voids.length === 0) return;
  const own: PendingRequest = {
    events: voids.map((one) => one.event),
    fates: [],
    warnings: [],
    actor: 'system',
    hasVoid: false,
  };
  await recordVoids(context, [own]);
}

/** Warns the senders of what their fresh events show to be sent wrongly. */
function checkQuality(
  { services }: GroupContext,
  requests: readonly PendingRequest[],
  candidates: readonly Candidate[],
  attributed: readonly (Attributed | null)[],
): readonly QualityFinding[] {
  const checked: CheckedEvent[] = [];
  const origins: Candidate[] = [];
  attributed.forEach((one, index) => {
    const candidate = candidates[index];
    if (one?.prepared.usage === undefined || candidate === undefined) return;
    checked.push({ event: candidate.event, usage: one.prepared.usage, customerId: one.customer?.id });
    origins.push(candidate);
  });
  if (checked.length === 0) return [];
  const findings = findMistakes(checked, services.watch);
  for (const { position, kind, detail, isOfEvent } of findings) {
    const origin = origins[position];
    const warnings = origin === undefined ? undefined : requests[origin.request]?.warnings;
    if (origin !== undefined) warn(warnings, { ...(isOfEvent && { index: origin.event.index }), code: kind, detail });
  }
  return findings;
}

const MORE_WARNINGS: IngestWarning = Object.freeze({
  code: 'more_warnings',
  detail: `only the first ${LIMITS.warningsMax} are listed; GET /v1/customers/{id}/data_quality counts them all`,
});

function warn(warnings: IngestWarning[] | undefined, warning: IngestWarning): void {
  if (warnings === undefined || warnings.length > LIMITS.warningsMax) return;
  warnings.push(warnings.length === LIMITS.warningsMax ? MORE_WARNINGS : warning);
}

/** Voids as events of their own: their lines take back what their targets were charged. */
async function recordVoids(context: GroupContext, requests: readonly PendingRequest[]): Promise<void> {
  const { client, environmentId, now } = context;
  const { candidates, repeated } = distinct(requests);
  if (candidates.length === 0) return;
  const { claim, catalog, isFresh } = await claimAll(context, requests, candidates, repeated);
  if (!isFresh.some((one) => one)) return;
  const attributed: (Attributed | null)[] = [];
  for (const [index, { event, request }] of candidates.entries()) {
    if (isFresh[index] !== true) {
      attributed.push(null);
      continue;
    }
    const warnings = requests[request]?.warnings ?? [];
    const voiding = voidRequest(environmentId, event);
    const { isNew } = await registerVoid(client, environmentId, voiding, now);
    await recordAction(client, {
      environmentId,
      actor: requests[request]?.actor ?? 'system',
      action: 'event.void',
      target: `${String(event.data.source)}/${String(event.data.id)}`,
      detail: { source: event.source, id: event.id },
    });
    attributed.push(await attributeVoid(client, environmentId, catalog, voiding, isNew, warnings));
  }
  await writeBlock({ ...context, catalog, blockId: claim.blockId }, attributed);
  await takeBackAdjustments({ ...context, catalog, rerateId: null }, attributed);
  await recomputeMeterRollups(client, environmentId, catalog, attributed);
  await forgetVoidsOf(
    client,
    environmentId,
    candidates.map(({ event }) => event.identity),
  );
}

type Claimed = {
  readonly claim: Claim;
  readonly catalog: CatalogSnapshot;
  readonly prepared: readonly PreparedEvent[];
  readonly isFresh: readonly boolean[];
};

/** Claims the identities, settles the fates, and meters by the catalog revision that holds until the commit. */
async function claimAll(
  context: GroupContext,
  requests: readonly PendingRequest[],
  candidates: readonly Candidate[],
  repeated: readonly Repeat[],
): Promise<Claimed> {
  const { client, services, environmentId, isExclusive, afterCommit } = context;
  // Of the transaction's own connection: another one might be waited for by all who have one.
  const known = services.knownCatalog(environmentId);
  let catalog = known ?? (await loadSnapshot(client, environmentId));
  let prepared = candidates.map(({ event }) => prepareEvent(event, catalog));
  const claims = candidates.map(({ event }) => event);
  const claim = await claimIdentities(client, services.generations, environmentId, isExclusive, claims);
  if (claim.revision !== catalog.revision) {
    const loaded = await loadSnapshot(client, environmentId);
    catalog = loaded;
    prepared = candidates.map(({ event }) => prepareEvent(event, loaded));
  }
  if (catalog !== known) {
    const loaded = catalog;
    afterCommit.push(() => services.rememberCatalog(loaded));
  }
  const isFresh = settleFates(requests, candidates, repeated, claim.taken);
  await logConflicts(client, environmentId, requests);
  return { claim, catalog, prepared, isFresh };
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

/** Which candidates are fresh; tells every event of every request its fate. */
function settleFates(
  requests: readonly PendingRequest[],
  candidates: readonly Candidate[],
  repeated: readonly Repeat[],
  taken: ReadonlyMap<string, string>,
): boolean[] {
  const isFresh = candidates.map(({ request, position, event }) => {
    const body = taken.get(event.identity);
    const fates = requests[request]?.fates;
    if (fates !== undefined) {
      fates[position] = body === undefined ? 'accepted' : body === event.bodyHash ? 'duplicate' : 'conflict';
    }
    return body === undefined;
  });
  for (const { request, position, isSameBody } of repeated) {
    const event = requests[request]?.events[position];
    const fates = requests[request]?.fates;
    const body = taken.get(event?.identity ?? '');
    const isDuplicate = body === undefined ? isSameBody : body === event?.bodyHash;
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
  context: GroupContext,
  catalog: CatalogSnapshot,
  fresh: readonly (PreparedEvent | null)[],
  actors: readonly string[],
): Promise<(Attributed | null)[]> {
  const { client, services, environmentId, afterCommit } = context;
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
  return fresh.map((prepared, index) => {
    if (prepared === null) return null;
    const { subject, occurredAt } = prepared.event;
    const customer = subject === undefined ? undefined : (cached.get(subject) ?? found.get(subject));
    const actor = actors[index] ?? 'system';
    if (customer === undefined) {
      return { prepared, customer, version: undefined, month: billingMonth(occurredAt, 'UTC'), actor };
    }
    const terms = applyTerms(catalog, customer, occurredAt);
    if (terms.version === undefined || !pricesProviderCost(terms.version.card))
      return { prepared, customer, ...terms, actor };
    const providerCost = services.costOf(prepared, catalog)?.amount;
    return { prepared: { ...prepared, providerCost }, customer, ...terms, actor };
  });
}
