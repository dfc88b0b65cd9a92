import { afterAll, beforeAll, expect, test } from 'vitest';
import { apiCalls, openSandbox, type Sandbox, startTestApp, type TestApp } from './sandbox.test-support.ts';

let app: TestApp;
let box: Sandbox;

beforeAll(async () => {
  app = await startTestApp();
  box = await openSandbox(app, '2026-01-01T00:00:00Z');
  await box.card({ type: 'per_unit', unit_amount: '0.5', minimum: '10' });
  await box.plan('pro', { rate_card: 'usage', fees: [{ key: 'base', amount: '20' }] });
  await box.call('PUT', '/v1/coupons/c', { percent: '10' });
  await box.subscribe({ key: 's', customer: 'acme', plan: 'pro', coupons: ['c'] });
  await box.send(apiCalls('2026-01-01T00:00:00Z', 4));
  await box.moveTo('2026-02-01T00:00:00Z');
});
afterAll(() => app.stop());

const damages: [name: string, statement: string][] = [
  ['a line is off', `update subscription_line set amount = amount + 1 where kind = 'fee' and number = 1`],
  ['a line is gone', `delete from subscription_line where kind = 'close'`],
  ['a line lost its posting', `update subscription_line set posting_id = null where kind = 'coupon'`],
  ['a total is off', `update subscription_period set total = total + 0.000000000001 where number = 1`],
  ['terms are not what the subscription says', `update customer set terms = null where external_id = 'acme'`],
  ['a posting is off', `update posting set amount = amount + 1 where kind = 'subscription_credit'`],
  ['a posting is of another kind', `update posting set kind = 'subscription_credit' where kind = 'subscription'`],
];

test.each(damages)('the audit finds that %s', async (_, statement) => {
  expect(await box.audit()).toBe(0);
  const client = await app.database.pool.connect();
  const tables = ['subscription_line', 'subscription_period', 'posting', 'customer'];
  try {
    // Triggers refuse such changes, so they are set aside; what was there before is put back afterwards.
    await client.query(`set session_replication_role = replica`);
    for (const table of tables) await client.query(`create temp table kept_${table} as table ${table}`);
    const changed = await client.query(statement);
    expect(changed.rowCount).toBeGreaterThan(0);
    expect(await box.audit()).toBeGreaterThan(0);
    for (const table of tables) {
      await client.query(`delete from ${table}`);
      await client.query(`insert into ${table} overriding system value select * from kept_${table}`);
      await client.query(`drop table kept_${table}`);
    }
  } finally {
    client.release(true);
  }
});
