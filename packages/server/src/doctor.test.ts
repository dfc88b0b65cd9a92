import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createTestDatabase } from '../../../tests/support/test-database.ts';
import { diagnose } from './doctor.ts';

let dataDir: string;

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'ergon-doctor-'));
});

afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

test('a fresh set-up has nothing that fails', async () => {
  const checks = await diagnose({ host: '127.0.0.1', port: 0, dataDir: join(dataDir, 'new'), databaseUrl: undefined });
  expect(checks.filter((check) => check.status === 'fail')).toEqual([]);
  expect(checks.map((check) => check.name)).toEqual([
    ...['Node', 'clock', 'data directory', 'PostgreSQL binaries', 'free space', 'disk flush', 'port', 'database'],
  ]);
});

test('names a taken port and an unreachable database, with remedies', async () => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  const address = other.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const checks = await diagnose({ host: '127.0.0.1', port, dataDir, databaseUrl: 'postgres://127.0.0.1:1/none' });
  other.close();
  const failed = checks.filter((check) => check.status === 'fail');
  expect(failed.map((check) => check.name)).toEqual(['port', 'database']);
  expect(failed.every((check) => check.remedy !== undefined)).toBe(true);
});

test('sees a migrated, durable database', async () => {
  const database = await createTestDatabase();
  const { connectionString, host, port } = database.connection;
  const url =
    connectionString ?? `postgres://ergon@localhost:${port}/${database.name}?host=${encodeURIComponent(host ?? '')}`;
  const checks = await diagnose({ host: '127.0.0.1', port: 0, dataDir, databaseUrl: url });
  expect(checks.at(-1)).toMatchObject({
    name: 'database',
    status: 'ok',
    detail: expect.stringMatching(/fsync on, migration/),
  });
  await database.drop();
});
