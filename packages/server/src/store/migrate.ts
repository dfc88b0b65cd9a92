import { readdirSync, readFileSync } from 'node:fs';
import type pg from 'pg';

/** Any fixed number: replicas that start together take turns on it. */
const MIGRATION_LOCK = 4_600_000_001;

const directory = new URL('./migrations/', import.meta.url);

type Migration = { readonly number: number; readonly name: string; readonly sql: string };

function migrations(): Migration[] {
  return readdirSync(directory)
    .filter((name) => /^\d{4}_[a-z0-9_]+\.sql$/.test(name))
    .sort()
    .map((name) => ({ number: Number(name.slice(0, 4)), name, sql: readFileSync(new URL(name, directory), 'utf8') }));
}

/** The number of the newest migration this build knows. */
export function latestMigration(): number {
  return Math.max(0, ...migrations().map((migration) => migration.number));
}

/**
 * Brings the schema up to this build: forward only, each migration in its own transaction, one replica at a time.
 *
 * @returns the names of the migrations applied by this call.
 * @throws when the database is newer than this build.
 */
export async function migrate(client: pg.ClientBase): Promise<string[]> {
  await client.query('select pg_advisory_lock($1)', [MIGRATION_LOCK]);
  try {
    await client.query(
      'create table if not exists schema_migration (number integer primary key, name text not null, applied_at timestamptz not null default now())',
    );
    const result = await client.query<{ number: number }>('select number from schema_migration');
    const applied = new Set(result.rows.map((row) => row.number));
    const known = migrations();
    const unknown = [...applied].filter((number) => !known.some((migration) => migration.number === number));
    if (unknown.length > 0) {
      throw new Error(
        `the database has migration ${Math.max(...unknown)}, which this build does not know: run a newer Ergon`,
      );
    }
    const names: string[] = [];
    for (const migration of known) {
      if (applied.has(migration.number)) continue;
      await client.query('begin');
      try {
        await client.query(migration.sql);
        await client.query('insert into schema_migration (number, name) values ($1, $2)', [
          migration.number,
          migration.name,
        ]);
        await client.query('commit');
      } catch (error) {
        await client.query('rollback');
        throw new Error(`migration ${migration.name} failed`, { cause: error });
      }
      names.push(migration.name);
    }
    if (names.length > 0) await keepSequences(client);
    return names;
  } finally {
    await client.query('select pg_advisory_unlock($1)', [MIGRATION_LOCK]);
  }
}

/**
 * With `wal_level` minimal, a sequence that is made and used in one transaction is logged as it stands, though it claims that 32
 * values more are logged: after a crash PostgreSQL would give them out again. After a checkpoint it logs the next value anew.
 */
async function keepSequences(client: pg.ClientBase): Promise<void> {
  const result = await client.query<{ needed: boolean }>(
    `select current_setting('wal_level') = 'minimal' and pg_has_role('pg_checkpoint', 'usage') as needed`,
  );
  if (result.rows[0]?.needed === true) await client.query('checkpoint');
}
