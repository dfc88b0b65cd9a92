import { formatInstant } from '../event/instant.ts';
import type { Queryable } from '../store/database.ts';
import { textArray } from '../store/pg-arrays.ts';
import type { LeasedCall } from './lease.ts';

/** PostgreSQL's channel on which leases are asked back. */
export const LEASE_CHANNEL = 'ergon_leases';

/** Records calls that are over and shrinks the lease to `keep`. @returns whether the lease is still open. */
export async function flushLease(
  db: Queryable,
  environmentId: number,
  lease: string,
  { calls, keep, at }: { calls: readonly LeasedCall[]; keep: Readonly<Record<string, string>> | null; at: number },
): Promise<boolean> {
  const result = await db.query<{ is_open: boolean }>({
    name: 'flush_lease',
    text: 'select ergon_flush_lease($1, $2, $3, $4::jsonb, $5::jsonb) as is_open',
    values: [
      environmentId,
      formatInstant(at),
      lease,
      JSON.stringify(calls.map((call) => ({ ...call, at: formatInstant(call.at) }))),
      keep === null ? null : JSON.stringify(keep),
    ],
  });
  return result.rows[0]?.is_open === true;
}

/** Leases, of any process, that hold what is asked for; all of the environment's when nothing is named. */
export async function leasesOf(
  db: Queryable,
  environmentId: number,
  wanted: LeasesWanted | undefined,
): Promise<string[]> {
  const result = await db.query<{ id: string }>({
    name: 'leases_of',
    text: 'select ergon_leases_of($1, $2::jsonb, $3::int8) as id',
    values: [environmentId, wanted === undefined ? null : JSON.stringify(wanted.counters), wanted?.customerId ?? null],
  });
  return result.rows.map(({ id }) => id);
}

export type LeasesWanted = {
  /** Budgets and their members. */
  readonly counters: readonly { readonly b: number; readonly m: string }[];
  /** Whose wallet. */
  readonly customerId: number | null;
};

/** Asks whoever holds them to give back what they can; each gives what it does not need for calls in flight. */
export async function askBack(db: Queryable, ids: readonly string[]): Promise<void> {
  for (let from = 0; from < ids.length; from += IDS_A_MESSAGE) {
    const payload = JSON.stringify({ leases: ids.slice(from, from + IDS_A_MESSAGE) });
    await db.query('select pg_notify($1, $2)', [LEASE_CHANNEL, payload]);
  }
}

/** PostgreSQL takes 8,000 bytes a message; an id has 42. */
const IDS_A_MESSAGE = 150;

/** Nobody waits for these again: their holder does not hear. They end by themselves. */
export async function giveUpOn(db: Queryable, environmentId: number, ids: readonly string[]): Promise<void> {
  await db.query('update hold set is_recalled = true where environment_id = $1 and id = any($2::text[])', [
    environmentId,
    textArray(ids),
  ]);
}
