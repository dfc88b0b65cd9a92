import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../../../../tests/support/test-database.ts';

let database: TestDatabase;
const opened: pg.Client[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(async () => {
  await Promise.all(opened.map((client) => client.end()));
  await database.drop();
});

async function connect(): Promise<pg.Client> {
  const client = new pg.Client(database.connection);
  await client.connect();
  opened.push(client);
  return client;
}

/** Until so many wait for a lock: what each of them has locked before is then settled. */
async function untilWaiting(observer: pg.Client, count: number): Promise<void> {
  for (;;) {
    const { rows } = await observer.query(
      `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    );
    if (rows.length >= count) return;
    await sleep(5);
  }
}

const LOCK = `select ergon_lock_counters(1, '{1,2}', '{"",""}', array[$1, $1]::timestamptz[], array[$1, $1]::timestamptz[])`;
const INSERT = `insert into budget_counter (environment_id, budget_id, member, window_start) values (1, $1, '', $2)`;

async function lockBoth(client: pg.Client, window: string): Promise<void> {
  await client.query('begin');
  try {
    await client.query(LOCK, [window]);
  } finally {
    await client.query('commit');
  }
}

test('counters that a window begins with are made before any is locked, so that those who make them cannot wait in a circle', async () => {
  const [maker, early, late, observer] = await Promise.all([connect(), connect(), connect(), connect()]);
  for (let hour = 0; hour < 8; hour++) {
    const window = new Date(Date.UTC(2026, 0, 1, hour)).toISOString();
    await maker.query('begin');
    await maker.query(INSERT, [1, window]);
    // Finds neither counter, and waits for the one that is being made.
    const first = lockBoth(early, window);
    await untilWaiting(observer, 1);
    await observer.query(INSERT, [2, window]);
    // Finds the second one, and waits for the first as well.
    const second = lockBoth(late, window);
    await untilWaiting(observer, 2);
    await maker.query('rollback');
    await expect(Promise.all([first, second]), window).resolves.toBeDefined();
  }
});

test('an event that settles a hold leaves its counters to be locked with all others', async () => {
  const [ingest, other] = await Promise.all([connect(), connect()]);
  const window = '2026-02-01T00:00:00.000Z';
  await other.query(INSERT, [7, window]);
  const counters = [{ b: 7, m: '', u: 'requests', w: window, from: window, limit: '10', enforce: true, t: [], x: '1' }];
  await other.query(
    `insert into hold (environment_id, id, body_hash, status, amounts, dimensions, above, funds, counters, created_at, expires_at)
     values (1, 'h', 'x', 'pending', '{"requests": "1"}', '{}', 'overage', '[]', $1, now(), now() + '1 hour')`,
    [JSON.stringify(counters)],
  );
  await ingest.query('begin');
  const { rows } = await ingest.query(`select ergon_take_holds(1, '[{"id": "h", "customer": null}]', now()) as taken`);
  expect(rows).toMatchObject([{ taken: [{ id: 'h', status: 'pending' }] }]);
  // Locked by nobody; the hold itself is.
  await expect(
    other.query('select from budget_counter where environment_id = 1 and budget_id = 7 for update nowait'),
  ).resolves.toMatchObject({ rowCount: 1 });
  await expect(other.query(`select from hold where id = 'h' for update nowait`)).rejects.toMatchObject({
    code: '55P03',
  });
  await ingest.query('rollback');
});
