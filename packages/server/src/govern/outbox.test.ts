import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestApp, type TestApp } from '../http/test-app.test-support.ts';
import { expireHolds } from './expire-holds.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.stop());

const card = {
  currency: 'USD',
  prices: [{ meter: 'output_tokens', charge_model: { type: 'per_unit', unit_amount: '0.01' } }],
};

async function world(name: string, budget: object) {
  const key = await app.environment(name);
  const call = (method: string, path: string, body?: unknown) =>
    app.call(method, path, { key, ...(body !== undefined && { body }) });
  await call('PUT', '/v1/rate_cards/default', card);
  const made = await call('POST', '/v1/budgets', { key: 'b', unit: 'USD', window: 'day', limit: '1', ...budget });
  expect(made.status).toBe(200);
  let sent = 0;
  const spend = async (output: number, user = 'ann') => {
    sent += 1;
    const data = { model: 'm', user, tokens: { output } };
    await call('POST', '/v1/events', { id: `e${sent}`, type: 'llm.call', subject: 'acme', data });
  };
  const told = async () => {
    const { rows } = await app.database.pool.query<{ type: string; customer: string | null; data: Told }>(
      'select o.type, o.customer, o.data from outbox_event o join environment e on e.id = o.environment_id where e.key = $1 order by o.id',
      [name],
    );
    return rows;
  };
  return { call, spend, told };
}
type Told = { readonly threshold?: string; readonly member: Readonly<Record<string, string>> };

test('a threshold is told once a window, in order, whichever event crosses it and however often it is passed', async () => {
  const { spend, told } = await world('told', { scope: { customer: 'acme' } });
  for (const output of [40, 20, 5, 30, 4]) await spend(output);
  expect((await told()).map(({ type, customer, data }) => [type, customer, data.threshold])).toEqual([
    ['budget.threshold_crossed', 'acme', '0.5'],
    ['budget.threshold_crossed', 'acme', '0.8'],
  ]);
  await spend(50);
  await spend(50);
  const [, , third, passed, ...more] = await told();
  expect(third?.data.threshold).toBe('1');
  expect(passed).toMatchObject({
    type: 'budget.exceeded',
    data: { budget: 'b', unit: 'USD', limit: '1', overage: '0.49', cause: 'unheld', member: {} },
  });
  expect(more).toEqual([]);
  app.clock.offsetMs += 86_400_000;
  await spend(60);
  expect((await told()).at(-1)?.data.threshold).toBe('0.5');
});

test('of a budget per user, each user crosses for himself and is named', async () => {
  const { spend, told } = await world('told-each', { per: ['user'], thresholds: ['0.5'], mode: 'warn' });
  await spend(60, 'ann');
  await spend(30, 'bob');
  await spend(30, 'bob');
  expect((await told()).map(({ data }) => data.member)).toEqual([{ user: 'ann' }, { user: 'bob' }]);
});

test('a rolling window that stays above a threshold says so once; from below, again', async () => {
  const { spend, told } = await world('told-rolling', { window: 'rolling:1h', thresholds: ['0.5'], mode: 'shadow' });
  await spend(60);
  app.clock.offsetMs += 600_000;
  await spend(10);
  app.clock.offsetMs += 600_000;
  await spend(10);
  expect(await told()).toHaveLength(1);
  app.clock.offsetMs += 3_600_000 * 2;
  await spend(60);
  expect(await told()).toHaveLength(2);
});

test('a hold that expires is told; one that is released is not', async () => {
  const { call, told } = await world('told-holds', {});
  for (const id of ['h1', 'h2'])
    await call('POST', '/v1/holds', { id, amount: '0.1', currency: 'USD', expires_in_seconds: 5 });
  await call('POST', '/v1/holds/h2/release');
  app.clock.offsetMs += 6_000;
  await expireHolds(app.database, app.services.holds, app.services.now());
  expect(await told()).toMatchObject([{ type: 'hold.expired', customer: null, data: { hold: 'h1' } }]);
  expect(app.errors).toEqual([]);
});
