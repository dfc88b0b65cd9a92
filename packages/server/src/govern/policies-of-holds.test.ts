import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestApp, type TestApp } from '../http/test-app.test-support.ts';
import { expireGrants } from '../ledger/index.ts';

let server: TestApp;
beforeAll(async () => {
  server = await startTestApp();
});
afterAll(async () => {
  await server.stop();
});

async function call(method: string, path: string, body?: unknown, status = 200) {
  const answer = await server.call(method, path, body === undefined ? {} : { body });
  expect(answer.status, answer.text).toBe(status);
  return answer.body;
}

const hold = (id: string, charge: string, status = 201, more: Readonly<Record<string, unknown>> = {}) =>
  call('POST', '/v1/holds', { id, model: 'gpt-5', amounts: { charge }, currency: 'USD', ...more }, status);
const policy = (ladder: readonly unknown[]) => ({
  mode: 'enforce',
  scope: { model: 'gpt-5*' },
  metric: 'charge',
  ladder,
});

test('a hold asks the policies: refused on the record, a repeat is no second question of admission, a publish counts at once', async () => {
  await hold('before', '9');
  await call('PUT', '/v1/policies/dear', policy([{ at_least: '5', action: 'refuse', reason: 'too dear' }]));
  const refused = await hold('after', '9', 403);
  expect(refused).toMatchObject({
    ...{ code: 'policy_refused', action: 'refuse', detail: 'the policy dear says refuse: too dear' },
    scope: { kind: 'policy', key: 'dear', version: 1 },
  });
  expect((await call('GET', `/v1/decisions/${refused.decision}`)).inputs).toMatchObject({ metrics: { charge: '9' } });
  await call('GET', '/v1/holds/after', undefined, 404);
  expect(await hold('before', '9', 201), 'held before the policy').toMatchObject({ id: 'before' });
  expect(await hold('small', '1')).toMatchObject({ flags: [] });
});

test('a cap of the output lowers the bound, and what is set aside with it; a warning is a flag', async () => {
  await call('PUT', '/v1/policies/cap', policy([{ at_least: '2', action: 'cap_output', max_output_tokens: 100 }]));
  await call('PUT', '/v1/policies/warn', { ...policy([{ at_least: '2', action: 'refuse' }]), mode: 'warn' });
  const output = { max_tokens: 300, per_token: { charge: '0.01' } };
  expect(await hold('capped', '4', 201, { output })).toMatchObject({
    ...{ clamped: true, max_output_tokens: 100, amounts: { charge: '2' } },
    flags: ['policy:cap:cap_output', 'policy:warn:warn:refuse'],
  });
});

test('held funds survive their grant: used by the settlement, and breakage once released', async () => {
  const path = '/v1/customers/expiring/wallets/default';
  const expires = new Date(Date.now() + 60_000).toISOString();
  await call('POST', `${path}/grants`, { amount: '10', currency: 'USD', expires_at: expires }, 201);
  await hold('used', '3', 201, { customer: 'expiring', expires_in_seconds: 3_600 });
  await hold('given-back', '1', 201, { customer: 'expiring', expires_in_seconds: 3_600 });
  server.clock.offsetMs = 120_000;
  await expireGrants(server.database, server.services.now());
  expect(await call('GET', path)).toMatchObject({ available: '0', held: '4', posted: '4' });
  await call('POST', '/v1/holds/used/settle', { amount: '3' });
  await call('POST', '/v1/holds/given-back/release');
  await expireGrants(server.database, server.services.now());
  expect(await call('GET', path)).toMatchObject({ available: '0', held: '0', posted: '0', receivable: '0' });
  const kinds = await server.database.pool.query<{ kind: string; sum: string }>(
    `select kind, sum(amount)::numeric(20, 2) as sum from posting where kind in ('expiry', 'settlement', 'release') group by 1 order by 1`,
  );
  expect(kinds.rows).toMatchObject([
    { kind: 'expiry', sum: '7.00' },
    { kind: expect.any(String) },
    { kind: expect.any(String) },
  ]);
  server.clock.offsetMs = 0;
});

test('a budget tells its thresholds and the first spending beyond its limit, once a window', async () => {
  await call('POST', '/v1/budgets', { key: 'told', scope: { team: 'told' }, unit: 'USD', window: 'day', limit: '10' });
  for (const [id, charge] of [
    ['t1', '6'],
    ['t2', '3'],
    ['t3', '1'],
  ] as const) {
    await hold(id, charge, 201, { team: 'told', model: 'other' });
    await call('POST', `/v1/holds/${id}/settle`, { amount: id === 't3' ? '2' : charge });
  }
  const told = await server.database.pool.query<{ type: string; data: { threshold?: string; cause?: string } }>(
    `select type, data from outbox_event where data ->> 'budget' = 'told' order by id`,
  );
  const lines = told.rows.map(({ type, data }) => `${type} ${data.threshold ?? data.cause ?? ''}`).sort();
  expect(lines).toEqual([
    ...['budget.exceeded above_hold', 'budget.threshold_crossed 10'],
    ...['budget.threshold_crossed 5', 'budget.threshold_crossed 8'],
  ]);
});
