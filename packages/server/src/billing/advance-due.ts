import { loadSnapshot } from '../catalog/snapshot.ts';
import { formatInstant } from '../event/instant.ts';
import type { Client, Database } from '../store/database.ts';
import { clockOf } from '../store/environment-clock.ts';
import { adjustEnded, type AdvanceContext, advanceSubscription } from './advance.ts';

type DueRow = { environment_id: number; id: bigint; now: string | null };

/** Subscriptions looked at in one go of the job. */
const BATCH = 200;
/** One: a close takes totals before accounts, as ingest does, and a second one would take totals after accounts. */
const STEPS_PER_TRANSACTION = 1;

/**
 * Opens and closes what is due in every environment, one subscription a transaction. Safe on several replicas at once and to
 * repeat: a subscription that another holds is waited for, and then nothing of it is due.
 *
 * @param now microseconds since 1970; a sandbox that stopped its clock has its own.
 * @returns periods closed.
 */
export async function advanceDue(
  database: Database,
  now: number,
  onFailure: (error: unknown) => void,
): Promise<number> {
  let closed = 0;
  let after: [number, bigint] = [0, 0n];
  for (;;) {
    const due = await database.pool.query<DueRow>(
      `select s.environment_id, s.id, e.clock_at as now from subscription s join environment e on e.id = s.environment_id
       where s.due_at <= coalesce(e.clock_at, $1) and (s.environment_id, s.id) > ($2, $3)
       order by s.environment_id, s.id limit $4`,
      [formatInstant(now), after[0], after[1], BATCH],
    );
    for (const row of due.rows) {
      after = [row.environment_id, row.id];
      try {
        closed += await advanceOne(database, row.environment_id, row.id, now);
      } catch (error) {
        // One that cannot be closed must not keep the others from it; it is tried again at the next turn.
        onFailure(error);
      }
    }
    if (due.rows.length < BATCH) return closed;
  }
}

async function advanceOne(database: Database, environmentId: number, id: bigint, now: number): Promise<number> {
  let closed = 0;
  for (;;) {
    const count = await database.transaction(async (client) =>
      advanceSubscription(await openShared(client, environmentId, now), id, STEPS_PER_TRANSACTION),
    );
    closed += count;
    if (count === 0) return closed;
  }
}

/** Ended this long ago, a subscription is looked at no more: events so late need a scope of their own. */
const ADJUSTED_MICROS = 100 * 86_400_000_000;

/** Lines for what came after a subscription's last close, in every environment. */
export async function adjustAllEnded(database: Database, now: number): Promise<number> {
  let closed = 0;
  const ended = await database.pool.query<{ environment_id: number; id: bigint }>(
    `select s.environment_id, s.id from subscription s join environment e on e.id = s.environment_id
     where s.due_at is null and s.ends_at between coalesce(e.clock_at, $1) - $2::interval and coalesce(e.clock_at, $1)
     order by s.ends_at desc limit 10000`,
    [formatInstant(now), `${ADJUSTED_MICROS / 1_000_000} seconds`],
  );
  for (const { environment_id: environmentId, id } of ended.rows) {
    closed += await database.transaction(async (client) =>
      adjustEnded(await openShared(client, environmentId, now), id),
    );
  }
  return closed;
}

/** Shared with ingest, against whoever changes the catalog; the clock is read under it. */
async function openShared(client: Client, environmentId: number, now: number): Promise<AdvanceContext> {
  await client.query('select from ergon_open($1, false)', [environmentId]);
  const catalog = await loadSnapshot(client, environmentId);
  return { client, environmentId, catalog, now: await clockOf(client, environmentId, now) };
}
