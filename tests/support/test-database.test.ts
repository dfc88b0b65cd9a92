import pg from 'pg';
import { expect, test } from 'vitest';
import { latestMigration } from '../../packages/server/src/store/migrate.ts';
import { createTestDatabase } from './test-database.ts';

test('two test databases are migrated, apart, durable, and gone after drop', async () => {
  const [first, second] = await Promise.all([createTestDatabase(), createTestDatabase()]);
  const client = new pg.Client(first.connection);
  await client.connect();
  const migrated = await client.query<{ latest: number }>('select max(number) as latest from schema_migration');
  expect(migrated.rows[0]?.latest).toBe(latestMigration());
  const fsync = await client.query<{ fsync: string }>('show fsync');
  expect(fsync.rows[0]?.fsync).toBe('on');
  expect(first.name).not.toBe(second.name);
  await client.end();
  await Promise.all([first.drop(), second.drop()]);
  const gone = new pg.Client(first.connection);
  await expect(gone.connect()).rejects.toThrow(/does not exist/);
});
