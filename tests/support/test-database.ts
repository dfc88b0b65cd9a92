import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';

export type TestDatabase = {
  /** For `new pg.Client(...)`, a pool, or `openDatabase({ connection, ... })`. */
  readonly connection: pg.ClientConfig;
  readonly name: string;
  /** Drops the database, whoever is still connected. */
  drop(): Promise<void>;
};

/**
 * A migrated database of the caller's own: one per test file, in `beforeAll`; `drop` it in `afterAll`.
 *
 * @example
 * const database = await createTestDatabase();
 * const pool = new pg.Pool(database.connection);
 */
export async function createTestDatabase(): Promise<TestDatabase> {
  const { config, template } = inject('testPostgres');
  const name = `ergon_test_${randomBytes(6).toString('hex')}`;
  await onServer(config, async (admin) => {
    await admin.query(`create database ${name} template ${template}`);
  });
  return {
    name,
    connection: connectionTo(config, name),
    drop: () =>
      onServer(config, async (admin) => {
        await admin.query(`drop database if exists ${name} with (force)`);
      }),
  };
}

async function onServer(config: pg.ClientConfig, work: (admin: pg.Client) => Promise<void>): Promise<void> {
  const admin = new pg.Client(config);
  await admin.connect();
  try {
    await work(admin);
  } finally {
    await admin.end();
  }
}

function connectionTo(config: pg.ClientConfig, database: string): pg.ClientConfig {
  if (config.connectionString === undefined) return { ...config, database };
  const url = new URL(config.connectionString);
  url.pathname = `/${database}`;
  return { connectionString: url.href };
}
