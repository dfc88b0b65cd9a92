import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { loadConfig } from '../../packages/server/src/config.ts';
import { type RunningErgon, startErgon } from '../../packages/server/src/start-ergon.ts';
import { createTestDatabase } from './test-database.ts';

export type TestErgon = {
  /** Several services on one database, as replicas are. */
  readonly replicas: readonly RunningErgon[];
  /** A connection of the test's own to the same database. */
  readonly sql: pg.Client;
  /** For processes of the test's own. */
  readonly databaseUrl: string;
  stop(): Promise<void>;
};

/** Starts the service, once or several times, without a socket, on a database of its own. */
export async function startTestErgon(replicas = 1): Promise<TestErgon> {
  const database = await createTestDatabase();
  const dataDir = mkdtempSync(join(tmpdir(), 'ergon-test-app-'));
  const databaseUrl = connectionUrl(database.connection);
  const config = loadConfig({
    DATABASE_URL: databaseUrl,
    ERGON_DATA_DIR: dataDir,
    ERGON_PORT: '0',
    ERGON_LOG_LEVEL: 'fatal',
  });
  const running = await Promise.all(Array.from({ length: replicas }, () => startErgon(config, { listen: false })));
  const sql = new pg.Client(database.connection);
  await sql.connect();
  return {
    replicas: running,
    sql,
    databaseUrl,
    async stop() {
      await sql.end();
      await Promise.all(running.map((one) => one.stop()));
      await database.drop();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

export function connectionUrl(connection: pg.ClientConfig): string {
  if (connection.connectionString !== undefined) return connection.connectionString;
  const url = new URL('postgresql://localhost');
  url.username = connection.user ?? '';
  url.pathname = `/${connection.database ?? ''}`;
  url.searchParams.set('host', connection.host ?? '');
  url.searchParams.set('port', String(connection.port ?? 5432));
  return url.href;
}

export type IngestAnswer = {
  readonly accepted: number;
  readonly duplicates: number;
  readonly conflicts: number;
  readonly rejected: number;
  readonly results: readonly { readonly index: number; readonly status: string; readonly error?: { code: string } }[];
};

/** Sends events as one JSON array; anything but 200 is an error. */
export async function sendEvents(ergon: RunningErgon, key: string, events: readonly unknown[]): Promise<IngestAnswer> {
  const response = await ergon.fetch(
    new Request('http://test/v1/events', {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify(events),
    }),
  );
  const text = await response.text();
  if (response.status !== 200) throw new Error(`POST /v1/events answered ${response.status}: ${text}`);
  return JSON.parse(text) as IngestAnswer;
}
