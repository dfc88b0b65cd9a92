import { decimal } from '@ergon/exact';
import { LOCAL_TIME_DIMENSION } from '@ergon/rating';
import { localMinute } from '../catalog/billing-month.ts';
import { takeHolds, type TakenHold } from '../govern/take-holds.ts';
import { ledgerUnits, type OpenGrant } from '../ledger/burn.ts';
import type { CardVersion } from '../catalog/snapshot.ts';
import {
  type AccumulatorKey,
  ensureAccumulators,
  ensureReceivables,
  lockAccumulators,
  type StoredTotals,
} from './account-store.ts';
import type { AccumulatorState } from './accumulate.ts';
import { allSettledOrThrow } from './all-settled.ts';
import { type LockedAccounts, lockAccounts } from './lock-accounts.ts';
import { loadMissing, noFacts, type ReadFacts } from './missing-state.ts';
import type { RatedRow } from './postings.ts';
import type { AccumulatorRow } from './bucket-work.ts';
import { GroupRating, type RatedEvent, unratedEvent } from './rate-group.ts';
import type { Attributed } from './attributed.ts';
import { keepValues, replayBucket } from './replay.ts';
import type { BlockContext } from './write-block.ts';

export type RatedBlock = {
  readonly rows: RatedRow[];
  readonly rated: readonly (RatedEvent | null)[];
  /** Holds that events of the block settle, by id. */
  readonly holds: ReadonlyMap<string, TakenHold>;
};

/** A charge falls, and grants that are used up may get something back: they have to be locked with the others, from the start. */
export class SpentGrantsNeededError extends Error {
  constructor() {
    super('grants that are used up have to be locked too');
  }
}

const NO_HOLDS: ReadonlyMap<string, TakenHold> = new Map();

type RowKey = AccumulatorKey & { readonly version: CardVersion };

const KNOWN_ROWS_MAX = 500_000;

/** Locks the totals and balances that the events touch, then rates until no fact is missing. */
export async function rateBlock(context: BlockContext, events: readonly (Attributed | null)[]): Promise<RatedBlock> {
  const keys = rowKeys(events);
  const wanted = holdsWanted(events);
  if (keys.size === 0) {
    const holds =
      wanted.length === 0 ? NO_HOLDS : await takeHolds(context.client, context.environmentId, wanted, context.now);
    return { rows: [], rated: events.map((one) => one && unratedReason(one)), holds };
  }
  await ensureRows(context, keys);
  const owners = [...keys.values(), ...wanted].flatMap(({ customerId }) => customerId ?? []);
  const customerIds = [...new Set(owners)];
  const lock = (withSpent: boolean) =>
    lockAccounts(context.client, context.environmentId, customerIds, withSpent, context.services.grantFacts);
  // All that is known to be needed at once, so that no account is locked after one that comes later in the order.
  const isVoiding = events.some((one) => one?.reverses !== undefined || one?.adjusts !== undefined);
  // A void that waited for an event of this very transaction, whose accounts are locked without those.
  if (isVoiding && context.withSpent === false) throw new SpentGrantsNeededError();
  const withSpent = context.withSpent === true || isVoiding || wanted.length > 0;
  const [locked, open] = await Promise.all([
    lockAccumulators(context.client, context.environmentId, [...keys.values()]),
    lock(withSpent),
  ]);
  const totals = new Map<string, StoredTotals>();
  for (const row of locked) totals.set(keyOf(row), row.totals);
  const facts = noFacts();
  // The accounts are locked already.
  const holds =
    wanted.length === 0 ? NO_HOLDS : await takeHolds(context.client, context.environmentId, wanted, context.now);
  let accounts = withFreedFunds(open, holds, context.now);
  for (;;) {
    const attempt = rateOnce(events, keys, totals, accounts, facts, context.now);
    const { missing } = attempt.rating;
    if (missing.debits.length + missing.values.length + missing.replays.length === 0) return { ...attempt, holds };
    if (missing.debits.length > 0 && !withSpent) {
      if (context.withSpent === false) throw new SpentGrantsNeededError();
      accounts = await lock(true);
    }
    await loadMissing(context.client, context.environmentId, missing, facts, (row, bucket) =>
      replayWithoutVoided(context, events, row, bucket),
    );
  }
}

/** Holds that events name, each once: the first event of a hold settles it. */
function holdsWanted(events: readonly (Attributed | null)[]): { id: string; customerId: number | null }[] {
  const wanted = new Map<string, { id: string; customerId: number | null }>();
  for (const one of events) {
    const id = one?.prepared.event.data.hold_id;
    if (one?.reverses !== undefined || typeof id !== 'string' || wanted.has(id)) continue;
    wanted.set(id, { id, customerId: one?.customer?.id ?? null });
  }
  return [...wanted.values()];
}

/**
 * What holds had set aside, and what they were settled at, is free again. Both survive their grant's expiry: they still pay for
 * the call that they were set aside for, and nothing more.
 */
function withFreedFunds(
  locked: Map<number, LockedAccounts>,
  holds: ReadonlyMap<string, TakenHold>,
  now: number,
): Map<number, LockedAccounts> {
  if (holds.size === 0) return locked;
  const freed = new Map<number, bigint>();
  for (const { status, funds } of holds.values()) {
    if (status === 'released' || status === 'expired') continue;
    for (const [account, amount] of funds)
      freed.set(account, (freed.get(account) ?? 0n) + ledgerUnits(decimal(amount)));
  }
  return new Map(
    [...locked].map(([customer, { grants, receivables }]) => {
      const kept = grants.map((grant): OpenGrant => {
        const funds = freed.get(grant.accountId) ?? 0n;
        const isExpired = grant.expiresAt !== null && grant.expiresAt <= now;
        if (isExpired && funds > 0n) return { ...grant, expiresAt: null, available: funds, hasEnded: true };
        return { ...grant, available: grant.available + funds };
      });
      return [customer, { grants: kept, receivables }];
    }),
  );
}

function keyOf(key: AccumulatorKey): string {
  return `${key.customerId}|${key.cardVersionId}|${key.period}`;
}

function rowKeys(events: readonly (Attributed | null)[]): Map<string, RowKey> {
  const keys = new Map<string, RowKey>();
  for (const one of events) {
    if (one?.customer === undefined || one.version === undefined) continue;
    const key = {
      customerId: one.customer.id,
      cardVersionId: one.version.id,
      period: one.month.period,
      version: one.version,
    };
    const text = keyOf(key);
    if (!keys.has(text)) keys.set(text, key);
  }
  return keys;
}

function rateOnce(
  events: readonly (Attributed | null)[],
  keys: ReadonlyMap<string, RowKey>,
  totals: ReadonlyMap<string, StoredTotals>,
  accounts: ReadonlyMap<number, LockedAccounts>,
  facts: ReadFacts,
  now: number,
): Omit<RatedBlock, 'holds'> & { rating: GroupRating } {
  const grantsOf = new Map<number, OpenGrant[]>();
  const rows = new Map<string, RatedRow>();
  for (const [text, key] of keys) {
    const locked = accounts.get(key.customerId);
    let grants = grantsOf.get(key.customerId);
    if (grants === undefined) {
      grants = (locked?.grants ?? []).map((grant) => ({ ...grant }));
      grantsOf.set(key.customerId, grants);
    }
    const { currency } = key.version.card;
    const receivableId = locked?.receivables.get(currency);
    if (receivableId === undefined)
      throw new Error(`customer ${key.customerId} has no receivable account in ${currency}`);
    const row: AccumulatorRow = { ...key, currency, stored: totals.get(text) ?? {}, work: new Map(), grants };
    rows.set(text, { row, receivableId });
  }
  const rating = new GroupRating(facts, now);
  const rated = events.map((one) => {
    if (one === null) return null;
    const { customer, version, month, reverses, adjusts } = one;
    if (customer === undefined || version === undefined) return unratedReason(one);
    const row = rows.get(`${customer.id}|${version.id}|${month.period}`)?.row;
    if (row === undefined) return unratedReason(one);
    if (version.needsLocalTime) {
      const at = reverses?.prepared ?? adjusts?.prepared ?? one.prepared;
      at.dimensions[LOCAL_TIME_DIMENSION] = localMinute(at.event.occurredAt, customer.timeZone);
    }
    if (reverses !== undefined) return rating.reverse(reverses.prepared, reverses.lines, row, version);
    if (adjusts?.takesBack !== undefined)
      return rating.reverse(adjusts.prepared, adjusts.takesBack.rating.lines, row, version);
    return rating.rate(adjusts?.prepared ?? one.prepared, row, version, month);
  });
  return { rating, rows: [...rows.values()], rated };
}

async function replayWithoutVoided(
  context: BlockContext,
  events: readonly (Attributed | null)[],
  row: AccumulatorRow,
  bucket: string,
): Promise<AccumulatorState> {
  const { client, environmentId, catalog } = context;
  const takenBack = new Set(
    events.flatMap((one) => (one?.reverses?.stored ?? one?.adjusts?.takesBack)?.event.identity ?? []),
  );
  const { state, values } = await replayBucket(client, environmentId, catalog, row, bucket, takenBack);
  await keepValues(client, environmentId, row, bucket, values);
  return state;
}

function unratedReason(one: Attributed): RatedEvent {
  return unratedEvent(
    one.adjusts?.prepared ?? one.prepared,
    one.customer === undefined ? 'no_customer' : 'no_rate_card',
  );
}

/** Makes sure that the rows to be locked exist; remembered after the commit, so that it is asked once a process. */
async function ensureRows(context: BlockContext, keys: ReadonlyMap<string, RowKey>): Promise<void> {
  const { client, environmentId, services, afterCommit } = context;
  const { knownRows } = services;
  const newKeys: RowKey[] = [];
  const owners = new Map<string, { id: number; currency: string }>();
  const names: string[] = [];
  for (const [text, key] of keys) {
    const { currency } = key.version.card;
    const row = `${environmentId}|a|${text}`;
    const owner = `${environmentId}|r|${key.customerId}|${currency}`;
    if (!knownRows.has(row)) {
      newKeys.push(key);
      names.push(row);
    }
    if (!knownRows.has(owner)) {
      owners.set(owner, { id: key.customerId, currency });
      names.push(owner);
    }
  }
  if (names.length === 0) return;
  const writes: Promise<unknown>[] = [];
  if (newKeys.length > 0) writes.push(ensureAccumulators(client, environmentId, newKeys));
  if (owners.size > 0) writes.push(ensureReceivables(client, environmentId, [...owners.values()]));
  await allSettledOrThrow(writes);
  afterCommit.push(() => {
    if (knownRows.size > KNOWN_ROWS_MAX) knownRows.clear();
    for (const name of names) knownRows.add(name);
  });
}
