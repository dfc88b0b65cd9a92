import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { startTestErgon, type TestErgon } from '../../../../tests/support/ergon.ts';
import { llmCall, newTenant, type Tenant } from '../report/report.test-support.ts';
import { finished } from './rerate.test-support.ts';

let ergon: TestErgon;
let tenant: Tenant;
beforeAll(async () => {
  ergon = await startTestErgon();
});
afterAll(() => ergon.stop());
beforeEach(async () => {
  tenant = await newTenant(ergon, ['acme']);
});

const TIME = '2026-11-20T10:00:00Z';
const card = (unit_amount: string, more: Readonly<Record<string, unknown>> = {}) => ({
  currency: 'USD',
  prices: [{ key: 'out', meter: 'output_tokens', charge_model: { type: 'per_unit', unit_amount } }],
  ...more,
});

/** Publishes another price for everything since 20 November, and waits until it is re-rated. */
async function correct(unitAmount: string): Promise<void> {
  const body = card(unitAmount, { effective_from: '2026-11-20T00:00:00Z', rerate: true });
  const { status, text } = await tenant.tryPut('/v1/rate_cards/default', body);
  if (status !== 200) throw new Error(text);
  await finished(tenant, JSON.parse(text).rerate);
}

async function available(): Promise<string> {
  return (await tenant.read<{ available: string }>('/v1/customers/acme/wallets/default')).available;
}

async function owed(): Promise<string> {
  const result = await ergon.sql.query<{ owed: string }>(
    `select trim_scale(-balance)::text as owed from account where environment_id = $1 and kind = 'receivable'`,
    [tenant.id],
  );
  return result.rows[0]?.owed ?? '';
}

test('a correction moves grants and receivable as if the price had been right', async () => {
  await tenant.put('/v1/rate_cards/default', card('1'));
  const grant = { amount: '8', currency: 'USD', kind: 'paid' };
  await tenant.post('/v1/customers/acme/wallets/default/grants', grant);
  await tenant.send([llmCall('a', TIME, { tokens: { output: 5 } }), llmCall('b', TIME, { tokens: { output: 5 } })]);
  expect([await available(), await owed()]).toEqual(['0', '2']);
  await correct('0.5');
  expect([await available(), await owed()]).toEqual(['3', '0']);
  await correct('2');
  expect([await available(), await owed()]).toEqual(['0', '12']);
  const undo = { id: 'v', source: 'test', type: 'event.void', data: { source: 'test', id: 'a' } };
  await tenant.send([undo, { ...undo, id: 'v2', data: { source: 'test', id: 'b' } }]);
  expect([await available(), await owed()]).toEqual(['8', '0']);
  expect(await tenant.audit()).toEqual([]);
});

test('budgets of the charge follow a correction, budgets of tokens do not', async () => {
  await tenant.put('/v1/rate_cards/default', card('1'));
  const budget = { scope: { customer: 'acme' }, window: 'month', limit: '1000', mode: 'warn' };
  await tenant.post('/v1/budgets', { key: 'money', unit: 'USD', ...budget });
  await tenant.post('/v1/budgets', { key: 'tokens', unit: 'tokens', ...budget });
  const committed = async (key: string) => {
    const { counters } = await tenant.read<{ counters: { committed: string }[] }>(`/v1/budgets/${key}`);
    return counters.map((counter) => counter.committed);
  };
  await tenant.send([llmCall('a', TIME, { tokens: { output: 5 } })]);
  expect([await committed('money'), await committed('tokens')]).toEqual([['5'], ['5']]);
  await correct('3');
  expect([await committed('money'), await committed('tokens')]).toEqual([['15'], ['5']]);
  await tenant.send([{ id: 'v', source: 'test', type: 'event.void', data: { source: 'test', id: 'a' } }]);
  expect([await committed('money'), await committed('tokens')]).toEqual([['0'], ['0']]);
});

test('the lookup of an event shows its adjustments; its own lines stay', async () => {
  await tenant.put('/v1/rate_cards/default', card('1'));
  await tenant.send([llmCall('a', TIME, { tokens: { output: 5 } })]);
  await correct('3');
  const explained = await tenant.read<Record<string, unknown>>('/v1/events/lookup?source=test&id=a');
  expect(explained).toMatchObject({
    lines: [{ amount: '5', price: { version: 1 } }],
    adjustments: [
      { kind: 'take_back', amount: '-5', lines: [{ quantity: '-5', price: { version: 1 } }] },
      { kind: 'rating', amount: '15', lines: [{ quantity: '5', price: { version: 2 }, unit_amount: '3' }] },
    ],
    unrated: [],
  });
});

test.each([
  ['a row is gone', 'delete from event_adjustment where takes_back is null'],
  ['a take-back is gone', 'delete from event_adjustment where takes_back is not null'],
  ['a rating says that it takes back', 'update event_adjustment set takes_back = record where takes_back is null'],
  ['a posting is gone', `delete from posting where kind = 'reversal'`],
])('the audit finds that %s', async (_, damage) => {
  await tenant.put('/v1/rate_cards/default', card('1'));
  await tenant.send([llmCall('a', TIME, { tokens: { output: 5 } })]);
  await correct('3');
  expect(await tenant.audit()).toEqual([]);
  await ergon.sql.query(`set session_replication_role = replica`);
  const changed = await ergon.sql.query(`${damage} and environment_id = ${tenant.id}`);
  await ergon.sql.query(`set session_replication_role = origin`);
  expect(changed.rowCount).toBeGreaterThan(0);
  expect((await tenant.audit()).length).toBeGreaterThan(0);
});
