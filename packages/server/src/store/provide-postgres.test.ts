import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { expect, test } from 'vitest';
import { providePostgres } from './provide-postgres.ts';

const silent = { info: (): void => undefined, warn: (): void => undefined, error: (): void => undefined };

test('a second service on a data directory is refused by name, and does not disturb the first', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'ergon-provide-'));
  const options = { databaseUrl: undefined, dataDir, log: silent, onLost: () => undefined };
  const first = await providePostgres(options);
  try {
    first.announce('http://127.0.0.1:4600');
    await expect(providePostgres(options)).rejects.toThrow(
      `another Ergon (pid ${process.pid}, http://127.0.0.1:4600) is already using ${dataDir}`,
    );
    const client = new pg.Client(first.connection);
    await client.connect();
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    await client.end();
  } finally {
    await first.stop();
    rmSync(dataDir, { recursive: true, force: true });
    rmSync(String(first.connection.host), { recursive: true, force: true });
  }
});

test("the operator's own server is used as it is", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'ergon-provide-'));
  const url = 'postgres://somewhere/ergon';
  const provided = await providePostgres({ databaseUrl: url, dataDir, log: silent, onLost: () => undefined });
  expect(provided.connection).toEqual({ connectionString: url });
  await provided.stop();
  rmSync(dataDir, { recursive: true });
});
