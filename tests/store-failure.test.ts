import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { seedEnvironment, seedKey } from '../packages/server/bench/support/seed.ts';
import { type ServiceProcess, startService } from '../packages/server/bench/support/service-process.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../packages/server/src/store/embedded/index.ts';
import { connectionUrl } from './support/ergon.ts';
import { signalPostgres } from './support/postgres-outage.ts';

/** JSON of an answer: tests read members without declaring them. */
type Json = ReturnType<typeof JSON.parse>;

const silent = { info: (): void => undefined, warn: (): void => undefined, error: (): void => undefined };
const home = mkdtempSync(join(tmpdir(), 'ergon-store-failure-'));
const serviceDir = join(home, 'service');
let postgres: EmbeddedPostgres;
let service: ServiceProcess;

const startPostgres = () => startEmbeddedPostgres({ dataDir: join(home, 'database'), log: silent, isSynced: false });
const start = () =>
  startService({ dataDir: serviceDir, databaseUrl: connectionUrl(postgres.connection), logLevel: 'warn' });

beforeAll(async () => {
  postgres = await startPostgres();
  service = await start();
});

afterAll(async () => {
  await service.stop();
  await postgres.stop();
  rmSync(postgres.connection.host, { recursive: true, force: true });
  rmSync(home, { recursive: true, force: true });
});

async function connected<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client(postgres.connection);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

type World = {
  call(method: string, path: string, body?: unknown): Promise<{ status: number; body: Json }>;
  hold(customer: string, id: string, more?: object): Promise<{ status: number; body: Json }>;
};

/** An environment in which each customer has a budget of another policy, and this process has met all of them. */
async function world(name: string): Promise<World> {
  const key = await connected(async (client) => seedKey(client, await seedEnvironment(client, name)));
  const call: World['call'] = async (method, path, body) => {
    const response = await fetch(`${service.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: text === '' ? null : JSON.parse(text) };
  };
  const hold: World['hold'] = (customer, id, more = {}) =>
    call('POST', '/v1/holds', { id, customer, amounts: { tokens: 10, charge: '1' }, currency: 'USD', ...more });
  const budget = (customer: string, more: object) =>
    call('POST', '/v1/budgets', {
      ...{ key: `of-${customer}`, scope: { customer }, unit: 'tokens', window: 'lifetime', limit: '35' },
      ...more,
    });
  await budget('opened', { on_store_failure: 'open' });
  await budget('limited', { on_store_failure: 'fallback', fallback_allowance: '20' });
  await budget('closed', {});
  await budget('prepaid', { on_store_failure: 'open' });
  await call('POST', '/v1/customers/prepaid/wallets/main/grants', { amount: '100', currency: 'USD', kind: 'paid' });
  for (const customer of ['opened', 'limited', 'closed', 'prepaid']) {
    expect((await hold(customer, `${customer}-before`)).status).toBe(201);
  }
  return { call, hold };
}

/** What each policy does while the database is away. Nothing here may ask it. */
async function holdMeanwhile({ call, hold }: World): Promise<void> {
  const first = await hold('opened', 'o1');
  expect(first).toMatchObject({ status: 201, body: { status: 'pending', flags: ['store_failure:of-opened'] } });
  expect((await hold('opened', 'o1')).body).toEqual(first.body);
  expect((await hold('opened', 'o1', { amounts: { tokens: 11 } })).body.code).toBe('conflict');
  for (const id of ['o2', 'o3', 'o4']) expect((await hold('opened', id)).status).toBe(201);
  expect((await call('POST', '/v1/holds/o1/settle', { amounts: { tokens: 12, charge: '2' } })).body).toMatchObject({
    status: 'settled',
    settled: { tokens: '12', charge: '2', requests: '1' },
  });
  expect((await call('POST', '/v1/holds/o1/settle', { amounts: { tokens: 13 } })).status).toBe(409);
  expect((await call('POST', '/v1/holds/o2/release')).body.status).toBe('released');
  expect((await call('POST', '/v1/holds/o2/release')).status).toBe(200);
  expect((await call('GET', '/v1/holds/o3')).body.status).toBe('pending');
  expect((await hold('limited', 'l1')).status).toBe(201);
  expect((await hold('limited', 'l2')).status).toBe(201);
  const used = await hold('limited', 'l3');
  expect(used).toMatchObject({ status: 503, body: { code: 'unavailable', retryable: true } });
  expect(used.body.detail).toContain('the budget of-limited allows 20 then');
  expect((await hold('closed', 'c1')).body).toMatchObject({ code: 'unavailable', status: 503 });
  expect((await hold('prepaid', 'p1')).body).toMatchObject({ code: 'unavailable', status: 503 });
  expect((await hold('nobody', 'n1')).body).toMatchObject({ code: 'unavailable', status: 503 });
}

/** The books after everything is posted, which is once no file of remembered steps is left. */
async function checkBooks({ call, hold }: World): Promise<void> {
  await posted();
  expect(existsSync(join(serviceDir, 'store-failure-rejected.jsonl'))).toBe(false);
  // Held: opened-before, o3, o4; committed 12 of o1. Admitted in their order: 20, 30, 40 (5 above 35), 50 (10 more).
  expect((await call('GET', '/v1/budgets/of-opened')).body.counters).toMatchObject([
    { committed: '12', held: '30', overage: '17', available: '-7' },
  ]);
  const { data } = (await call('GET', '/v1/budgets/of-opened/overages')).body;
  expect(data.map((one: Json) => `${one.hold} ${one.cause} ${one.amount}`).toSorted()).toEqual([
    'o1 above_hold 2',
    'o3 store_failure 5',
    'o4 store_failure 10',
  ]);
  expect((await call('GET', '/v1/budgets/of-limited')).body.counters).toMatchObject([{ committed: '0', held: '30' }]);
  expect((await call('GET', '/v1/holds/o1')).body).toMatchObject({
    status: 'settled',
    settled: { tokens: '12' },
    late: false,
  });
  expect((await call('GET', '/v1/holds/o2')).body.status).toBe('released');
  expect((await call('POST', '/v1/holds/o3/release')).body.status).toBe('released');
  expect((await hold('opened', 'o1')).body).toMatchObject({ id: 'o1', status: 'settled' });
  expect((await hold('opened', 'o5')).status).toBe(402);
  expect((await call('POST', '/v1/audit')).body).toMatchObject({ difference_count: 0 });
}

async function posted(): Promise<void> {
  for (const until = performance.now() + 30_000; journals().length > 0; await sleep(50)) {
    if (performance.now() > until) throw new Error(`nothing was posted: ${service.output()}`);
  }
}

const journals = (): string[] => readdirSync(serviceDir).filter((name) => /^store-failure-\d/.test(name));

test('PostgreSQL stands still, and goes on', async () => {
  const away = await world('still');
  const pid = postgres.pid() ?? 0;
  signalPostgres(pid, 'SIGSTOP');
  try {
    await holdMeanwhile(away);
    expect(journals()).toHaveLength(1);
    const ready = await fetch(`${service.url}/readyz`, { signal: AbortSignal.timeout(10_000) });
    expect(ready.status).toBe(503);
    expect(await ready.json()).toMatchObject({
      status: 'not_ready',
      reason: expect.stringContaining('does not answer'),
    });
    expect((await fetch(`${service.url}/healthz`)).status).toBe(200);
  } finally {
    signalPostgres(pid, 'SIGCONT');
  }
  await checkBooks(away);
}, 90_000);

test('PostgreSQL is killed, then the service, and both come back', async () => {
  const away = await world('killed');
  const pid = postgres.pid() ?? 0;
  postgres.release();
  signalPostgres(pid, 'SIGKILL');
  await holdMeanwhile(away);
  service.child.kill('SIGKILL');
  await service.ended;
  expect(journals()).toHaveLength(1);
  postgres = await startPostgres();
  service = await start();
  await checkBooks(away);
}, 90_000);

test('an id that another process has given away meanwhile is posted under a name of its own', async () => {
  const away = await world('renamed');
  const pid = postgres.pid() ?? 0;
  signalPostgres(pid, 'SIGSTOP');
  try {
    expect((await away.hold('opened', 'opened-before', { amounts: { tokens: 7 } })).status).toBe(201);
    expect((await away.call('POST', '/v1/holds/opened-before/settle', { amounts: { tokens: 6 } })).status).toBe(200);
  } finally {
    signalPostgres(pid, 'SIGCONT');
  }
  await posted();
  const { rows } = await connected((client) =>
    client.query<{ id: string; status: string }>(
      `select h.id, h.status from hold h join environment e on e.id = h.environment_id
       where e.key = 'renamed' and h.id like 'opened-before%' order by h.id`,
    ),
  );
  expect(rows.map(({ id, status }) => `${id.slice(0, 27)} ${status}`)).toEqual([
    'opened-before pending',
    'opened-before~store-failure settled',
  ]);
  expect((await away.call('GET', '/v1/budgets/of-opened')).body.counters).toMatchObject([
    { committed: '6', held: '10' },
  ]);
  expect((await away.call('POST', '/v1/audit')).body).toMatchObject({ difference_count: 0 });
}, 90_000);
