import { CursorReader } from './block-cursor.ts';
import { compareBuckets } from './compare-buckets.ts';
import { compareLedger } from './compare-ledger.ts';
import { compareMeters, compareRuns, compareUsage } from './compare-rollups.ts';
import { type Difference, Differences } from './differences.ts';
import { ExpectedState } from './expected-state.ts';
import { loadSnapshot } from '../catalog/snapshot.ts';
import { eventIdentity } from '../event/capture-event.ts';
import { VOID_TYPE } from '../event/event.ts';
import { findStoredEvent, type StoredEvent } from '../record/read-events.ts';
import type { Client, Database } from '../store/database.ts';
import { uuidArray } from '../store/pg-arrays.ts';

export type AuditReport = {
  readonly events: number;
  readonly blocks: number;
  readonly accumulators: number;
  readonly postings: number;
  readonly rollups: number;
  readonly difference_count: number;
  readonly differences: readonly Difference[];
  readonly duration_ms: number;
};

/**
 * Recomputes everything that is derived from events (identities, rollups, accumulators, postings, balances, runs) from the
 * stored events and their ratings, in one snapshot, and reports every difference. It takes no lock that ingest needs.
 */
export async function auditEnvironment(
  database: Database,
  environmentId: number,
  onProgress: (events: number) => void = () => undefined,
): Promise<AuditReport> {
  const startedAt = performance.now();
  return database.transaction(async (client) => {
    await client.query('set transaction isolation level repeatable read, read only');
    await client.query("set local statement_timeout = '10min'");
    await client.query('set local idle_in_transaction_session_timeout = 0');
    const differences = new Differences();
    const catalog = await loadSnapshot(client, environmentId);
    const expected = new ExpectedState({
      catalog,
      voided: await voidedIdentities(client, environmentId),
      timeZones: await timeZones(client, environmentId),
      receivables: await receivables(client, environmentId),
    });
    const cursor = new CursorReader(client, environmentId);
    for await (const block of cursor.blocks(differences)) {
      await checkIdentities(client, block, differences);
      for (const stored of block) expected.add(stored, await targetOf(client, environmentId, stored));
      onProgress(expected.events);
    }
    const rollups =
      (await compareUsage(client, environmentId, expected, differences)) +
      (await compareMeters(client, environmentId, catalog, expected, differences));
    await compareRuns(client, environmentId, expected, differences);
    const accumulators = await compareBuckets(client, environmentId, catalog, expected, differences);
    const postings = await compareLedger(client, environmentId, expected, differences);
    return {
      events: expected.events,
      blocks: cursor.count,
      accumulators,
      postings,
      rollups,
      difference_count: differences.count,
      differences: differences.list,
      duration_ms: Math.round(performance.now() - startedAt),
    };
  });
}

async function voidedIdentities(client: Client, environmentId: number): Promise<Set<string>> {
  const result = await client.query<{ target: string }>(
    'select target from event_void where environment_id = $1 and applied_at is not null',
    [environmentId],
  );
  return new Set(result.rows.map((row) => row.target.replaceAll('-', '')));
}

async function timeZones(client: Client, environmentId: number): Promise<Map<number, string>> {
  const result = await client.query<{ id: bigint; time_zone: string }>(
    `select id, time_zone from customer where environment_id = $1 and time_zone <> 'UTC'`,
    [environmentId],
  );
  return new Map(result.rows.map((row) => [Number(row.id), row.time_zone]));
}

async function receivables(client: Client, environmentId: number): Promise<Set<number>> {
  const result = await client.query<{ id: bigint }>(
    `select id from account where environment_id = $1 and kind = 'receivable'`,
    [environmentId],
  );
  return new Set(result.rows.map((row) => Number(row.id)));
}

async function targetOf(client: Client, environmentId: number, stored: StoredEvent): Promise<StoredEvent | undefined> {
  const { event, rating } = stored;
  if (event.type !== VOID_TYPE || (rating.quantities.length === 0 && rating.lines.length === 0)) return undefined;
  return findStoredEvent(
    client,
    environmentId,
    eventIdentity(environmentId, String(event.data.source), String(event.data.id)),
  );
}

type IdentityRow = { key: string; body: string; block_id: bigint; position: number };

/** Every event has its identity, with its body's hash, and it names the place where the event is. */
async function checkIdentities(
  client: Client,
  events: readonly StoredEvent[],
  differences: Differences,
): Promise<void> {
  const result = await client.query<IdentityRow>({
    name: 'audit_identities',
    text: `select encode(uuid_send(key), 'hex') as key, encode(uuid_send(body), 'hex') as body, block_id, position
      from identity where key = any($1::uuid[])`,
    values: [uuidArray(events.map(({ event }) => event.identity))],
  });
  const rows = new Map(result.rows.map((row) => [row.key, row]));
  for (const { event, blockId, position } of events) {
    const name = `${event.source}/${event.id}`;
    const row = rows.get(event.identity);
    const expected = `body ${event.bodyHash} at ${blockId}/${position}`;
    const found = row === undefined ? 'none' : `body ${row.body} at ${row.block_id}/${row.position}`;
    if (expected !== found) differences.add('identity', name, expected, found);
  }
}
