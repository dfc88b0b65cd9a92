import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestApp, type TestApp } from '../http/test-app.test-support.ts';
import { expireGrants } from './index.ts';

let server: TestApp;
beforeAll(async () => {
  server = await startTestApp();
});
afterAll(async () => {
  await server.stop();
});

const DAY_MS = 86_400_000;
const inDays = (days: number) => new Date(Date.now() + days * DAY_MS).toISOString();

async function grant(path: string, body: Readonly<Record<string, unknown>>) {
  const answer = await server.call('POST', `${path}/grants`, { body: { currency: 'USD', ...body } });
  expect(answer.status, answer.text).toBe(201);
  return answer.body;
}

/** Every account's balance is the fold of its postings, and all of them together are zero. */
async function expectBooksToBalance(): Promise<void> {
  const result = await server.database.pool.query<{ id: bigint; balance: string; fold: string }>(
    `select a.id, a.balance, coalesce((select sum(case when p.credit_account_id = a.id then p.amount else -p.amount end)
       from posting p where a.id in (p.credit_account_id, p.debit_account_id)), 0)::numeric(38,12) as fold
     from account a where a.balance is not null`,
  );
  for (const row of result.rows) expect(row.fold, `account ${row.id}`).toBe(row.balance);
}

test('a grant creates customer and wallet, and is exact to 12 decimals', async () => {
  const path = '/v1/customers/exact/wallets/default';
  const body = await grant(path, { amount: '100.000000000001', priority: 10, expires_at: inDays(30) });
  expect(body).toMatchObject({
    amount: '100.000000000001',
    balance: '100.000000000001',
    kind: 'paid',
    status: 'active',
  });
  await grant(path, { amount: 0.1, kind: 'promotional', eligibility: { features: ['chat'] } });
  const wallet = await server.call('GET', path);
  expect(wallet.body).toMatchObject({
    currency: 'USD',
    posted: '100.100000000001',
    held: '0',
    available: '100.100000000001',
    receivable: '0',
    customer_credit: '0',
  });
  expect(wallet.body.grants.map((one: { priority: number }) => one.priority)).toEqual([10, null]);
  expect((await server.call('GET', '/v1/customers/exact')).body.provisional).toBe(false);
  expect((await server.call('GET', `${path}/grants/${body.id}`)).body).toEqual(body);
  await expectBooksToBalance();
});

test('scheduled and expired grants are listed and not available', async () => {
  const path = '/v1/customers/times/wallets/default';
  await grant(path, { amount: '1', effective_at: inDays(1) });
  await grant(path, { amount: '2', expires_at: inDays(2) });
  await grant(path, { amount: '4' });
  server.clock.offsetMs = 3 * DAY_MS;
  try {
    const wallet = await server.call('GET', path);
    expect(wallet.body).toMatchObject({ posted: '7', available: '5' });
    const status = Object.fromEntries(
      wallet.body.grants.map((one: { amount: string; status: string }) => [one.amount, one.status]),
    );
    expect(status).toEqual({ 1: 'active', 2: 'expired', 4: 'active' });
  } finally {
    server.clock.offsetMs = 0;
  }
  const wallet = await server.call('GET', path);
  expect(wallet.body).toMatchObject({ posted: '7', available: '6' });
});

test('expiry posts what is left as breakage, once, however many replicas do it', async () => {
  const path = '/v1/customers/breakage/wallets/default';
  for (let index = 0; index < 5; index++) await grant(path, { amount: '3', expires_at: inDays(1) });
  const later = (Date.now() + 2 * DAY_MS) * 1000;
  expect(await expireGrants(server.database, Date.now() * 1000)).toBe(0);
  const runs = await Promise.all([1, 2, 3].map(() => expireGrants(server.database, later)));
  const rest = await expireGrants(server.database, later);
  // Other tests' grants may expire with them; these five end exactly once.
  expect(runs.reduce((sum, count) => sum + count, rest)).toBeGreaterThanOrEqual(5);
  const entries = await server.call('GET', `${path}/entries`);
  const kinds = entries.body.data.map((entry: { kind: string }) => entry.kind);
  expect(kinds.filter((kind: string) => kind === 'expiry')).toHaveLength(5);
  expect((await server.call('GET', path)).body).toMatchObject({ posted: '0', available: '0' });
  expect(entries.body.data[0]).toMatchObject({
    debit_account: expect.stringMatching(/^grant:/),
    credit_account: expect.stringMatching(/^breakage:/),
    amount: '3',
  });
  await expectBooksToBalance();
});

test('a void takes the rest back, ends the grant, and is logged', async () => {
  const path = '/v1/customers/voids/wallets/default';
  const paid = await grant(path, { amount: '12.5', expires_at: inDays(9) });
  const later = await grant(path, { amount: '1', kind: 'promotional', effective_at: inDays(5) });
  const answer = await server.call('DELETE', `${path}/grants/${paid.id}`);
  expect(answer.status, answer.text).toBe(200);
  expect(answer.body).toMatchObject({ status: 'voided', balance: '0', amount: '12.5' });
  expect((await server.call('DELETE', `${path}/grants/${paid.id}`)).status).toBe(409);
  expect((await server.call('DELETE', `${path}/grants/${later.id}`)).body).toMatchObject({ status: 'voided' });
  expect((await server.call('GET', path)).body).toMatchObject({ posted: '0', available: '0' });
  const log = await server.call('GET', '/v1/audit_log?limit=2');
  expect(log.body.data[1]).toMatchObject({ action: 'grant.void', target: `${path}/grants/${paid.id}` });
  const entries = await server.call('GET', `${path}/entries?limit=3`);
  expect(entries.body.data.map((entry: { kind: string }) => entry.kind)).toEqual(['void_grant', 'void_grant', 'grant']);
  const rest = await server.call('GET', `${path}/entries?limit=3&cursor=${entries.body.next_cursor}`);
  expect(rest.body).toMatchObject({ data: [{ kind: 'grant', grant: paid.id }], next_cursor: null });
  await expectBooksToBalance();
});

test.each([
  ['paid', 'paid_in'],
  ['promotional', 'promotion'],
])('what a hold gives back to a voided grant that was %s goes to %s, as the rest did', async (kind, source) => {
  const path = `/v1/customers/void-held-${kind}/wallets/default`;
  const made = await grant(path, { amount: '10', kind });
  const hold = { id: kind, customer: `void-held-${kind}`, amount: '4', currency: 'USD' };
  expect((await server.call('POST', '/v1/holds', { body: hold })).status).toBe(201);
  await server.call('DELETE', `${path}/grants/${made.id}`);
  await server.call('POST', `/v1/holds/${kind}/settle`, { body: { amount: '1' } });
  await expireGrants(server.database, server.services.now());
  const { rows } = await server.database.pool.query<{ kind: string; source: string; amount: string }>(
    `select p.kind, c.kind as source, trim_scale(p.amount)::text as amount from posting p
     join account c on c.environment_id = p.environment_id and c.id = p.credit_account_id where p.debit_account_id = $1 order by p.id`,
    [made.id],
  );
  expect(rows.filter((row) => row.kind !== 'hold')).toEqual([
    { kind: 'void_grant', source, amount: '6' },
    { kind: 'void_grant', source, amount: '3' },
  ]);
  expect((await server.call('GET', path)).body).toMatchObject({ posted: '0', held: '0' });
  await expectBooksToBalance();
});

test('a wallet keeps its currency', async () => {
  const path = '/v1/customers/coin/wallets/euro';
  expect((await server.call('PUT', path, { body: { currency: 'EUR' } })).body).toMatchObject({
    currency: 'EUR',
    grants: [],
  });
  expect((await server.call('PUT', path, { body: { currency: 'EUR' } })).status).toBe(200);
  expect((await server.call('PUT', path, { body: { currency: 'USD' } })).status).toBe(409);
  const refused = await server.call('POST', `${path}/grants`, { body: { amount: '1', currency: 'USD' } });
  expect(refused.body).toMatchObject({ status: 409, errors: [{ pointer: '/currency' }] });
  await grant('/v1/customers/coin/wallets/tokens', { amount: '5', currency: 'credit:tokens' });
  const list = await server.call('GET', '/v1/customers/coin/wallets');
  expect(list.body.data.map((wallet: { key: string }) => wallet.key)).toEqual(['euro', 'tokens']);
});

test('entries of one wallet do not show in another', async () => {
  await grant('/v1/customers/two/wallets/a', { amount: '1' });
  await grant('/v1/customers/two/wallets/b', { amount: '2' });
  const entries = await server.call('GET', '/v1/customers/two/wallets/a/entries');
  expect(entries.body.data.map((entry: { amount: string }) => entry.amount)).toEqual(['1']);
});

test('an Idempotency-Key grants once: replayed, refused for another body, and kept in a race', async () => {
  const path = '/v1/customers/once/wallets/default/grants';
  const key = randomUUID();
  const send = (amount: string) =>
    server.call('POST', path, { body: { amount, currency: 'USD' }, headers: { 'idempotency-key': key } });
  const answers = await Promise.all([send('5'), send('5'), send('5'), send('5')]);
  expect(answers.map((answer) => answer.status)).toEqual([201, 201, 201, 201]);
  expect(new Set(answers.map((answer) => answer.text)).size).toBe(1);
  expect(answers.filter((answer) => answer.headers.get('idempotent-replayed') === 'true')).toHaveLength(3);
  expect(await send('6')).toMatchObject({ status: 409, body: { errors: [{ header: 'Idempotency-Key' }] } });
  expect((await server.call('GET', '/v1/customers/once/wallets/default')).body.posted).toBe('5');
  // Answers are forgotten; the grant is not.
  await server.database.pool.query('delete from idempotency_key where key = $1', [key]);
  expect((await send('5')).status).toBe(409);
});

test.each([
  [{ amount: '0' }, '/amount'],
  [{ amount: '-1' }, '/amount'],
  [{ amount: '1e400' }, '/amount'],
  [{ amount: '0.0000000000001' }, '/amount'],
  [{ amount: 0.1234567890123456 }, '/amount'],
  [{ amount: 12345678901234567890 }, '/amount'],
  [{ amount: '123456789012345678901234567' }, '/amount'],
  [{ amount: '٣' }, '/amount'],
  [{ amount: null }, '/amount'],
  [{ currency: 'usd' }, '/currency'],
  [{ currency: 'credit:UPPER' }, '/currency'],
  [{ kind: 'free' }, '/kind'],
  [{ priority: 1.5 }, '/priority'],
  [{ expires_at: 'tomorrow' }, '/expires_at'],
  [{ expires_at: '2026-02-30T00:00:00Z' }, '/expires_at'],
  [{ expires_at: '2020-01-01T00:00:00Z' }, '/expires_at'],
  [{ effective_at: '2100-01-01T00:00:00Z', expires_at: '2099-01-01T00:00:00Z' }, '/expires_at'],
  [{ eligibility: { feature: ['x'] } }, '/eligibility/feature'],
  [{ eligibility: { features: [] } }, '/eligibility/features'],
  [{ eligibility: { features: ['a\u0000'] } }, '/eligibility/features/0'],
])('a grant of %j is refused at %s', async (body, pointer) => {
  const answer = await server.call('POST', '/v1/customers/refused/wallets/default/grants', {
    body: { amount: '1', currency: 'USD', ...body },
  });
  expect(answer.status, answer.text).toBe(400);
  expect(answer.body.errors[0].pointer).toBe(pointer);
  expect((await server.call('GET', '/v1/customers/refused')).status).toBe(404);
});

test('usage debits grants first, then the receivable; entries name meter, grant and block', async () => {
  const prices = [
    { meter: 'output_tokens', match: { model: 'm*' }, charge_model: { type: 'per_unit', unit_amount: '0.01' } },
    { key: 'calls', meter: 'requests', charge_model: { type: 'per_unit', unit_amount: '1' } },
  ];
  const card = await server.call('PUT', '/v1/rate_cards/default', { body: { currency: 'USD', prices } });
  expect(card.status, card.text).toBe(200);
  const path = '/v1/customers/spender/wallets/default';
  const spent = await grant(path, { amount: '2' });
  const event = { id: 'u1', type: 'llm.call', subject: 'spender', data: { model: 'm1', tokens: { output: 300 } } };
  const sent = await server.call('POST', '/v1/events', { body: event });
  expect(sent.body, sent.text).toMatchObject({ accepted: 1 });
  const wallet = await server.call('GET', path);
  expect(wallet.body).toMatchObject({ posted: '0', available: '0', receivable: '2', customer_credit: '0' });
  expect(wallet.body.grants[0]).toMatchObject({ id: spent.id, status: 'spent', balance: '0' });
  const entries = await server.call('GET', `${path}/entries`);
  const usage = entries.body.data.filter((entry: { kind: string }) => entry.kind === 'usage');
  expect(new Set(usage.map((entry: { meter: string }) => entry.meter))).toEqual(new Set(['output_tokens', 'requests']));
  for (const entry of usage) {
    expect(entry).toMatchObject({ currency: 'USD', block: expect.stringMatching(/^\d+$/) });
    expect(entry.credit_account).toMatch(/^revenue:/);
    expect(entry.grant === undefined).toBe(entry.debit_account.startsWith('receivable:'));
  }
  await expectBooksToBalance();
});

test('what is not there is 404', async () => {
  for (const path of ['/v1/customers/nobody/wallets', '/v1/customers/exact/wallets/none']) {
    expect((await server.call('GET', path)).status, path).toBe(404);
  }
  expect((await server.call('GET', '/v1/customers/exact/wallets/none/entries')).status).toBe(404);
  expect((await server.call('GET', '/v1/customers/exact/wallets/default/grants/999999')).status).toBe(404);
  expect((await server.call('DELETE', '/v1/customers/exact/wallets/default/grants/999999')).status).toBe(404);
});

test('nothing went wrong unseen', () => {
  expect(server.errors).toEqual([]);
});
