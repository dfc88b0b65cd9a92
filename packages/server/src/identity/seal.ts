import type { Client, Database } from '../store/database.ts';
import { addKey, emptyFilter, keyBits } from './bloom-filter.ts';

/** Size at which the open generation is sealed: about three million identities, whose index stays in shared buffers. */
export const GENERATION_BYTES_MAX = 220 * 1024 * 1024;

/** Any fixed number: replicas take turns at maintenance. */
const MAINTENANCE_LOCK = 4_600_000_002;

const KEYS_PER_FETCH = 5_000;

/**
 * Seals the open generation when it has grown to `bytesMax`, and builds the filters that sealed ones lack. Safe on every
 * replica at any time: one at a time does the work.
 *
 * @returns whether anything changed.
 */
export async function maintainGenerations(database: Database, bytesMax = GENERATION_BYTES_MAX): Promise<boolean> {
  const client = await database.pool.connect();
  try {
    const lock = await client.query<{ taken: boolean }>('select pg_try_advisory_lock($1) as taken', [MAINTENANCE_LOCK]);
    if (lock.rows[0]?.taken !== true) return false;
    try {
      const isSealed = await sealIfLarge(client, bytesMax);
      const isBuilt = await buildFilters(client);
      return isSealed || isBuilt;
    } finally {
      await client.query('select pg_advisory_unlock($1)', [MAINTENANCE_LOCK]);
    }
  } finally {
    client.release();
  }
}

async function sealIfLarge(client: Client, bytesMax: number): Promise<boolean> {
  const open = await client.query<{ id: number; bytes: bigint }>(
    `select id, pg_relation_size(format('identity_%s', id)::regclass) as bytes from identity_generation where sealed_at is null`,
  );
  const row = open.rows[0];
  if (row === undefined || row.bytes < BigInt(bytesMax)) return false;
  const next = row.id + 1;
  await client.query('begin');
  try {
    // The table is made before the lock is taken: ingest waits only for the switch itself.
    await client.query(`create table identity_${next} (like identity)`);
    await client.query(`create unique index identity_${next}_key on identity_${next} (key)`);
    await client.query('select pg_advisory_xact_lock(4601, 0)');
    await client.query(`alter table identity attach partition identity_${next} for values in (${next})`);
    await client.query('update identity_generation set sealed_at = now() where id = $1', [row.id]);
    await client.query('insert into identity_generation (id) values ($1)', [next]);
    await client.query('commit');
  } catch (error) {
    await client.query('rollback');
    throw error;
  }
  return true;
}

async function buildFilters(client: Client): Promise<boolean> {
  const lacking = await client.query<{ id: number }>(
    'select id from identity_generation where sealed_at is not null and filter is null order by id',
  );
  for (const { id } of lacking.rows) await buildFilter(client, id);
  return lacking.rows.length > 0;
}

/** Reads every key of a sealed generation once, in pieces, leaving the event loop free between them. */
async function buildFilter(client: Client, id: number): Promise<void> {
  const count = await client.query<{ count: bigint }>(`select count(*) as count from identity_${id}`);
  const filter = emptyFilter(Number(count.rows[0]?.count ?? 0n));
  await client.query('begin read only');
  await client.query(
    `declare keys no scroll cursor for select encode(uuid_send(key), 'hex') as key from identity_${id}`,
  );
  for (;;) {
    const piece = await client.query<[string]>({ text: `fetch ${KEYS_PER_FETCH} from keys`, rowMode: 'array' });
    for (const [key] of piece.rows) addKey(filter, keyBits(key));
    if (piece.rows.length < KEYS_PER_FETCH) break;
  }
  await client.query('commit');
  await client.query('update identity_generation set filter = $2 where id = $1', [id, filter]);
}
