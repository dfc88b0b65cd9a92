import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { checkLedger } from '../audit/check-ledger.ts';
import { Differences } from '../audit/differences.ts';
import { startTestApp, type TestApp } from '../http/test-app.test-support.ts';
import { watchWallets } from './index.ts';

let server: TestApp;
beforeAll(async () => {
  server = await startTestApp();
  const card = {
    currency: 'USD',
    prices: [{ meter: 'output_tokens', charge_model: { type: 'per_unit', unit_amount: '1' } }],
  };
  const put = await server.call('PUT', '/v1/rate_cards/default', { body: card });
  if (put.status !== 200) throw new Error(put.text);
});
afterAll(async () => {
  await server.stop();
});
afterEach(async () => {
  server.clock.offsetMs = 0;
  await expectTrueBooks();
});

const MINUTE_MS = 60_000;
const pathOf = (customer: string) => `/v1/customers/${customer}/wallets/default`;

async function call(method: string, path: string, body?: unknown, status = 200) {
  const answer = await server.call(method, path, body === undefined ? {} : { body });
  expect(answer.status, answer.text).toBe(status);
  return answer.body;
}

/** A wallet with a grant of an amount and a rule. */
async function wallet(customer: string, amount: string, rule?: Readonly<Record<string, unknown>>): Promise<string> {
  const path = pathOf(customer);
  await call('POST', `${path}/grants`, { amount, currency: 'USD' }, 201);
  if (rule !== undefined) await call('PUT', `${path}/auto_top_up`, { amount: '50', cooldown_seconds: 60, ...rule });
  return path;
}

let sent = 0;
async function spend(customer: string, tokens: number): Promise<void> {
  sent += 1;
  const event = {
    ...{ specversion: '1.0', id: `e${sent}`, source: 't', type: 'llm.call', subject: customer },
    data: { model: 'm', status: 'ok', tokens: { output: tokens } },
  };
  expect(await call('POST', '/v1/events', event)).toMatchObject({ accepted: 1 });
}

const watch = () => watchWallets(server.database, server.services.now());

async function topUps(path: string): Promise<{ id: string; status: string; trigger: string; amount: string }[]> {
  return (await call('GET', `${path}/top_ups`)).data;
}

async function told(customer: string): Promise<{ type: string; data: Record<string, unknown> }[]> {
  const result = await server.database.pool.query<{ type: string; data: Record<string, unknown> }>(
    'select type, data from outbox_event where customer = $1 order by id',
    [customer],
  );
  return result.rows;
}

async function expectTrueBooks(): Promise<void> {
  const differences = new Differences();
  await server.database.transaction((client) => checkLedger(client, 1, differences));
  expect(differences.listed).toEqual([]);
}

test('a wallet below its threshold asks for one payment; paid, it is spendable once; books and audit agree', async () => {
  const path = await wallet('low', '20', { threshold: '10' });
  await watch();
  expect(await topUps(path)).toEqual([]);
  await spend('low', 15);
  await watch();
  await watch();
  const [pending, ...more] = await topUps(path);
  expect(more).toEqual([]);
  expect(pending).toMatchObject({ status: 'pending', trigger: 'threshold', amount: '50', pay_amount: '50' });
  expect(await call('GET', path)).toMatchObject({ posted: '5', available: '5', incoming: '50' });
  const paidPath = `${path}/top_ups/${pending?.id}/paid`;
  const paid = await call('POST', paidPath, { reference: 'pay_1' });
  expect(paid).toMatchObject({ status: 'paid', reference: 'pay_1' });
  expect(await call('POST', paidPath, { reference: 'pay_2' }), 'told twice').toEqual(paid);
  expect(await call('GET', path)).toMatchObject({ posted: '55', available: '55', incoming: '0' });
  expect(await call('GET', `${path}/grants/${paid.grant}`)).toMatchObject({
    ...{ top_up: pending?.id, kind: 'paid', cost_basis: { amount: '50', currency: 'USD' } },
  });
  await call('POST', `${path}/top_ups/${pending?.id}/failed`, {}, 409);
  expect((await told('low')).map(({ type }) => type)).toEqual(['wallet.top_up_paid']);
});

test('a failed payment leaves flight, is told, and is asked for again only after the cool-down', async () => {
  const path = await wallet('declined', '1', { threshold: '10', connector: 'webhook' });
  await watch();
  const [first] = await topUps(path);
  await call('POST', `${path}/top_ups/${first?.id}/failed`, { reason: 'card declined' });
  await watch();
  expect(await topUps(path)).toHaveLength(1);
  server.clock.offsetMs = MINUTE_MS;
  await watch();
  expect((await topUps(path)).map(({ status }) => status)).toEqual(['pending', 'failed']);
  const types = (await told('declined')).map(({ type }) => type);
  expect(types).toEqual(['wallet.top_up_requested', 'wallet.top_up_failed', 'wallet.top_up_requested']);
  expect((await told('declined'))[0]?.data).toMatchObject({
    ...{ pay_amount: '50', pay_currency: 'USD', idempotency_key: `ergon-top-up-1-${first?.id}` },
  });
});

test('a payment nobody answers fails in time, and the money that comes late is still taken', async () => {
  const path = await wallet('silent', '1', { threshold: '10', answer_hours: 1, cap: { per: 'month', count: 1 } });
  await watch();
  server.clock.offsetMs = 61 * MINUTE_MS;
  await watch();
  const [gone] = await topUps(path);
  expect(gone).toMatchObject({ status: 'failed', failure: 'no answer in time' });
  expect(await call('POST', `${path}/top_ups/${gone?.id}/paid`, {})).toMatchObject({ status: 'paid' });
  expect(await call('GET', path)).toMatchObject({ available: '51', incoming: '0' });
});

test('a cap by count and by amount holds, and is told once a period', async () => {
  for (const [customer, cap] of [
    ['capped-count', { per: 'day', count: 2 }],
    ['capped-amount', { per: 'day', amount: '149.99' }],
  ] as const) {
    // At noon, so that no day ends while it runs.
    server.clock.offsetMs = 36 * 60 * MINUTE_MS - (Date.now() % (24 * 60 * MINUTE_MS));
    const path = await wallet(customer, '1', { threshold: '1000', cap });
    for (let round = 0; round < 5; round++) {
      await watch();
      const [newest] = await topUps(path);
      if (newest?.status === 'pending') await call('POST', `${path}/top_ups/${newest.id}/paid`, {});
      server.clock.offsetMs += 2 * MINUTE_MS;
    }
    expect(await topUps(path)).toHaveLength(2);
    expect((await told(customer)).filter(({ type }) => type === 'wallet.top_up_capped')).toHaveLength(1);
    server.clock.offsetMs = 0;
  }
});

test('a schedule tops up at each instant once, and after a stop only for the latest', async () => {
  const anchor = new Date(Date.now() + MINUTE_MS).toISOString();
  const path = await wallet('scheduled', '5', { schedule: { every: 'day', anchor_at: anchor } });
  await watch();
  expect(await topUps(path)).toEqual([]);
  for (const days of [0, 0, 1, 7]) {
    server.clock.offsetMs = 2 * MINUTE_MS + days * 24 * 60 * MINUTE_MS;
    await watch();
  }
  expect((await topUps(path)).map(({ trigger }) => trigger)).toEqual(['schedule', 'schedule', 'schedule']);
});

test('three processes and a burst of usage top up once', { timeout: 30_000 }, async () => {
  const paths = await Promise.all(
    Array.from({ length: 5 }, (_, index) => wallet(`burst-${index}`, '100', { threshold: '90' })),
  );
  const script = fileURLToPath(new URL('watch-once.test-support.ts', import.meta.url));
  const { options } = server.database.pool;
  const connection = JSON.stringify({
    host: options.host,
    port: options.port,
    user: options.user,
    database: options.database,
    connectionString: options.connectionString,
  });
  const children = Array.from({ length: 3 }, () =>
    spawn(process.execPath, [script, connection, String(server.services.now())], {
      stdio: ['pipe', 'pipe', 'inherit'],
    }),
  );
  await Promise.all(children.map((child) => new Promise((resolve) => child.stdout.once('data', resolve))));
  const ended = children.map((child) => new Promise<number | null>((resolve) => child.once('exit', resolve)));
  for (const child of children) child.stdin.write('go\n');
  await Promise.all(paths.flatMap((_, index) => Array.from({ length: 10 }, () => spend(`burst-${index}`, 5))));
  expect(await Promise.all(ended)).toEqual([0, 0, 0]);
  await Promise.all(Array.from({ length: 5 }, watch));
  for (const path of paths) expect(await topUps(path)).toHaveLength(1);
});

test('the same request for a top-up under one Idempotency-Key is one; all of them together may be paid once', async () => {
  const path = await wallet('by-hand', '1');
  const ask = () =>
    server.call('POST', `${path}/top_ups`, {
      body: { amount: '25', expires_after_days: 30, priority: 3 },
      headers: { 'idempotency-key': 'top-up-by-hand' },
    });
  const answers = await Promise.all(Array.from({ length: 6 }, ask));
  expect(new Set(answers.filter(({ status }) => status === 201).map(({ body }) => body.id)).size).toBe(1);
  const [one] = await topUps(path);
  await Promise.all(
    Array.from({ length: 6 }, () => server.call('POST', `${path}/top_ups/${one?.id}/paid`, { body: {} })),
  );
  const now = await call('GET', path);
  expect(now).toMatchObject({ available: '26' });
  expect(now.grants[0]).toMatchObject({ amount: '25', priority: 3, expires_at: expect.any(String) });
});

test('G1 Flexprice: 100 credits at a rate of 2, 0.5 and 1.123456 are worth 200, 50 and 112.3456', async () => {
  const path = '/v1/customers/credits/wallets/tokens';
  await call(
    'POST',
    `${path}/grants`,
    { amount: '100', currency: 'credit:tokens', cost_basis: { amount: '80', currency: 'EUR' } },
    201,
  );
  expect(await call('GET', path)).toMatchObject({ value: null });
  await call('POST', `${path}/top_ups`, { amount: '1' }, 409);
  for (const [rate, worth] of [
    ['2', '200'],
    ['0.5', '50'],
    ['1.123456', '112.3456'],
  ]) {
    await call('PUT', '/v1/credit_units/credit:tokens', { currency: 'USD', rate });
    expect(await call('GET', path)).toMatchObject({ value: { available: worth, currency: 'USD', rate } });
  }
  const topUp = await call('POST', `${path}/top_ups`, { amount: '10' }, 201);
  expect(topUp).toMatchObject({ amount: '10', currency: 'credit:tokens', pay_amount: '11.23456', pay_currency: 'USD' });
  const paid = await call('POST', `${path}/top_ups/${topUp.id}/paid`, {});
  expect(await call('GET', `${path}/grants/${paid.grant}`)).toMatchObject({
    cost_basis: { amount: '11.23456', currency: 'USD' },
  });
});

test('a top-up without a price is refused when it is asked for, and holds up no other wallet when its rate falls to nothing', async () => {
  const rule = { amount: '0.1', threshold: '10' };
  const path = '/v1/customers/no-price/wallets/default';
  await call('POST', `${path}/grants`, { amount: '1', currency: 'credit:tiny' }, 201);
  await call('PUT', `${path}/auto_top_up`, rule, 409);
  await call('PUT', '/v1/credit_units/credit:tiny', { currency: 'USD', rate: '0.000000000001' });
  await call('PUT', `${path}/auto_top_up`, rule, 409);
  await call('POST', `${path}/top_ups`, { amount: '0.1' }, 409);
  await call('PUT', '/v1/credit_units/credit:tiny', { currency: 'USD', rate: '0.01' });
  await call('PUT', `${path}/auto_top_up`, rule);
  await call('PUT', '/v1/credit_units/credit:tiny', { currency: 'USD', rate: '0.000000000001' });
  const later = await wallet('after-no-price', '1', { threshold: '10' });
  await expect(watch()).rejects.toThrow('worth nothing');
  expect(await topUps(later)).toMatchObject([{ status: 'pending', amount: '50' }]);
  await call('DELETE', `${path}/auto_top_up`, undefined, 204);
});

test('G9 OpenMeter: a grant voided in the middle: 50 before, 50 after; balance 0, 50 owed', async () => {
  const path = await wallet('voided', '100');
  await spend('voided', 50);
  const [grant] = (await call('GET', path)).grants;
  await call('DELETE', `${path}/grants/${grant.id}`);
  await spend('voided', 50);
  expect(await call('GET', path)).toMatchObject({ posted: '0', available: '0', receivable: '50' });
});

test('an alert is told once a crossing, by amount and by forecast hours, and armed again when the balance rises', async () => {
  const path = await wallet('alerted', '100');
  const body = { amounts: ['50', '20'], hours_left: ['24'] };
  expect((await call('PUT', `${path}/alerts`, body)).data).toHaveLength(3);
  await watch();
  expect(await told('alerted')).toEqual([]);
  await spend('alerted', 60);
  await Promise.all(Array.from({ length: 4 }, watch));
  // 60 in the hour since the wallet was made, 40 left: two thirds of an hour.
  const wallets = await call('GET', path);
  expect(wallets.forecast).toMatchObject({ burn_per_hour: '60', observed_hours: '1', hours_left: '0.67' });
  const first = await told('alerted');
  expect(first.map(({ data }) => `${String(data.kind)} ${String(data.level)}`).sort()).toEqual([
    'amount 50',
    'hours_left 24',
  ]);
  await call('PUT', `${path}/alerts`, body);
  await watch();
  expect(await told('alerted'), 'set again').toHaveLength(2);
  await call('POST', `${path}/grants`, { amount: '5000', currency: 'USD' }, 201);
  await watch();
  expect((await call('GET', `${path}/alerts`)).data.every((one: { is_below: boolean }) => !one.is_below)).toBe(true);
  await spend('alerted', 4_995);
  await watch();
  const kinds = (await told('alerted')).slice(2).map(({ data }) => `${String(data.kind)} ${String(data.level)}`);
  expect(kinds.sort()).toEqual(['amount 50', 'hours_left 24']);
});

test.each([
  [{ amount: '50' }, '/threshold'],
  [{ amount: '50', threshold: '-1' }, '/threshold'],
  [{ amount: '50', threshold: '1', cap: { per: 'day' } }, '/cap'],
  [{ amount: '50', threshold: '1', cooldown_seconds: 0 }, '/cooldown_seconds'],
  [{ amount: '50', schedule: { every: 'year', anchor_at: '2026-01-01T00:00:00Z' } }, '/schedule/every'],
  [{ amount: '50', threshold: '1', connector: 'paypal' }, '/connector'],
])('the rule %j is refused at %s', async (rule, pointer) => {
  const path = await wallet('rules', '1');
  const answer = await server.call('PUT', `${path}/auto_top_up`, { body: rule });
  expect(answer.status).toBe(400);
  expect(answer.body.errors).toMatchObject([{ pointer }]);
});

/** Attempts to break the ledger by SQL: each must fail in the database itself. */
test.each([
  [`update account set balance = balance - 1000 where kind = 'grant'`, /grant_floor/],
  [`update account set balance = 1 where kind = 'receivable'`, /receivable_ceiling/],
  [`update account set balance = -1 where kind = 'customer_credit'`, /customer_credit_floor/],
  [`update account set balance = -1 where kind = 'top_up'`, /top_up_floor/],
  [`update account set customer_id = null where kind = 'grant'`, /owner_known|balance_kept/],
  [`update posting set amount = amount * 2`, /append-only/],
  [`delete from posting`, /append-only/],
  [`truncate posting`, /append-only/],
  [`update top_up set status = 'paid'`, /check constraint/],
  [
    `insert into credit_grant (environment_id, account_id, customer_id, wallet, currency, amount, kind, effective_at, top_up_id)
    select environment_id, account_id + 1000000, customer_id, wallet, currency, amount, kind, effective_at, top_up_id
    from credit_grant where top_up_id is not null`,
    /credit_grant_top_up/,
  ],
  [
    `insert into top_up (environment_id, customer_id, wallet, currency, amount, pay_amount, pay_currency, trigger, connector, status, terms, requested_at, answer_by)
    select environment_id, customer_id, wallet, currency, amount, pay_amount, pay_currency, 'threshold', connector, 'pending', terms, requested_at, answer_by
    from top_up cross join generate_series(1, 2)`,
    /top_up_one_in_flight/,
  ],
])('the database refuses %s', async (statement, error) => {
  await spend('sql', 1);
  const path = await wallet('sql', '1');
  const paid = await call('POST', `${path}/top_ups`, { amount: '1' }, 201);
  await call('POST', `${path}/top_ups/${paid.id}/paid`, {});
  await server.database.pool.query(
    `insert into account (environment_id, kind, customer_id, currency, balance)
     select environment_id, 'customer_credit', customer_id, currency, 0 from credit_grant limit 1 on conflict do nothing`,
  );
  await expect(server.database.pool.query(statement)).rejects.toThrow(error);
});
