import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { HttpConnection } from '../../packages/server/bench/support/http-client.ts';
import { seedKey } from '../../packages/server/bench/support/seed.ts';
import {
  embeddedServer,
  type ServiceProcess,
  startService,
} from '../../packages/server/bench/support/service-process.ts';

/**
 * DESIGN section 7, invariant 4: a service that shares its database with another is killed at a random moment between holds and
 * settlements, `HOLD_CRASHES` times. The limit is never passed, and what the dead left held is free again after its expiry.
 */
const CRASHES = Number(process.env['HOLD_CRASHES'] ?? 50);
const SEED = Number(process.env['CRASH_SEED'] ?? Date.now() % 1_000_000);
const CLIENTS = 8;
// Little more than what one death leaves held, so that the limit refuses again and again.
const LIMIT = 10;

let directory: string;
let keeper: ServiceProcess;
let sql: pg.Client;
let key: string;
let databaseUrl: string;
let socketDir: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'ergon-holds-crash-'));
  const dataDir = join(directory, 'data');
  keeper = await startService({ dataDir, logLevel: 'fatal' });
  const database = embeddedServer(dataDir);
  ({ url: databaseUrl, socketDir } = database);
  sql = new pg.Client(database.connection);
  await sql.connect();
  key = await seedKey(sql, 1);
});
afterAll(async () => {
  await sql.end();
  await keeper.stop();
  rmSync(directory, { recursive: true, force: true });
  rmSync(socketDir, { recursive: true, force: true });
});

let state = SEED;
/** Park and Miller. */
function random(): number {
  state = (state * 48_271 + 11) % 2_147_483_647;
  return state / 2_147_483_647;
}

const headers = () => [`authorization: Bearer ${key}`, 'content-type: application/json'];

async function post(path: string, body: unknown): Promise<number> {
  const connection = await HttpConnection.open(keeper.url, path, headers());
  const { status } = await connection.post(Buffer.from(JSON.stringify(body)));
  connection.close();
  return status;
}

let holds = 0;
const statuses: Record<string, number> = {};
/** Holds and settles until the service is dead. */
async function client(service: ServiceProcess, onAnswer: () => void): Promise<void> {
  try {
    const connection = await HttpConnection.open(service.url, '/v1/holds', headers());
    for (;;) {
      const id = `h${holds++}`;
      const body = { id, customer: 'acme', amount: '1', currency: 'USD', expires_in_seconds: 2 };
      const held = await connection.post(Buffer.from(JSON.stringify(body)));
      onAnswer();
      statuses[held.status] = (statuses[held.status] ?? 0) + 1;
      if (held.status !== 201) {
        await sleep(5);
        continue;
      }
      await sleep(random() * 20);
      const amount = random() < 0.5 ? '0' : '0.001';
      await connection.post(Buffer.from(JSON.stringify({ amount })), `/v1/holds/${id}/settle`);
    }
  } catch {
    // The connection died with the service.
  }
}

async function counted(): Promise<{ committed: number; held: number }> {
  const { rows } = await sql.query<{ committed: number; held: number }>(
    'select coalesce(sum(committed), 0)::float8 as committed, coalesce(sum(held), 0)::float8 as held from budget_counter',
  );
  return rows[0] ?? { committed: 0, held: 0 };
}

test(`${CRASHES} crashes between hold and settlement pass no limit and leave nothing held`, async () => {
  console.log(`seed ${SEED}`);
  expect(await post('/v1/budgets', { key: 'b', unit: 'USD', window: 'lifetime', limit: String(LIMIT) })).toBe(200);
  expect(await post('/v1/customers/acme/wallets/main/grants', { amount: '1000', currency: 'USD', kind: 'paid' })).toBe(
    201,
  );
  let leftHeld = 0;
  for (let crash = 0; crash < CRASHES; crash++) {
    const dataDir = join(directory, `replica-${crash}`);
    const service = await startService({ dataDir, databaseUrl, logLevel: 'fatal' });
    const answered = Promise.withResolvers<void>();
    const clients = Array.from({ length: CLIENTS }, () => client(service, answered.resolve));
    // The blow falls on a service that is at work, however slowly it started.
    await answered.promise;
    await sleep(random() * 200);
    service.child.kill('SIGKILL');
    await service.ended;
    await Promise.all(clients);
    const { committed, held } = await counted();
    expect(committed + held).toBeLessThanOrEqual(LIMIT);
    if (held > 0) leftHeld += 1;
  }
  expect(leftHeld).toBeGreaterThan(0);
  expect(statuses[402]).toBeGreaterThan(0);
  for (let tries = 0; (await counted()).held > 0 && tries < 120; tries++) await sleep(500);
  expect((await counted()).held).toBe(0);
  const open = await sql.query("select id from hold where status in ('pending', 'dispatched')");
  expect(open.rows).toEqual([]);
  const books = await fetch(`${keeper.url}/v1/audit`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: '{}',
  });
  expect(await books.json()).toMatchObject({ differences: [] });
  console.log(
    `${holds} holds, answers ${JSON.stringify(statuses)}; after ${leftHeld} of ${CRASHES} crashes something was held`,
  );
});
