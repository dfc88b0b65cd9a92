import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { expect, test } from 'vitest';
import { signalPostgres } from '../../../../tests/support/postgres-outage.ts';
import { startEmbeddedPostgres } from './embedded/index.ts';
import { migrate } from './migrate.ts';

const silent = { info: (): void => undefined, warn: (): void => undefined, error: (): void => undefined };

test('a database that is killed soon after its first start gives out no id twice', async () => {
  const home = mkdtempSync(join(tmpdir(), 'ergon-migrate-'));
  let server = await startEmbeddedPostgres({ dataDir: home, log: silent, isSynced: false });
  const withClient = async <T>(work: (client: pg.Client) => Promise<T>): Promise<T> => {
    const client = new pg.Client(server.connection);
    await client.connect();
    try {
      return await work(client);
    } finally {
      await client.end();
    }
  };
  const add = (key: string) =>
    withClient(async (client) => {
      const result = await client.query<{ id: number }>(
        'insert into environment (key, name) values ($1, $1) returning id',
        [key],
      );
      return result.rows[0]?.id ?? 0;
    });
  try {
    expect(await withClient(migrate)).not.toEqual([]);
    const before = await add('before');
    const pid = server.pid() ?? 0;
    server.release();
    signalPostgres(pid, 'SIGKILL');
    server = await startEmbeddedPostgres({ dataDir: home, log: silent, isSynced: false });
    expect(await add('after')).toBeGreaterThan(before);
  } finally {
    await server.stop();
    rmSync(server.connection.host, { recursive: true, force: true });
    rmSync(home, { recursive: true, force: true });
  }
}, 60_000);
