import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { seedKey } from '../packages/server/bench/support/seed.ts';
import type { RunningErgon } from '../packages/server/src/start-ergon.ts';
import { startTestErgon, type TestErgon } from './support/ergon.ts';

/**
 * DESIGN section 7, invariant 4: exactly as many holds are admitted as fit, over every mix of scopes, by one service and by three
 * that share a database; after their release exactly as many again.
 */
const HOLDS = 1_000;

let ergon: TestErgon;
let environments = 0;
beforeAll(async () => {
  ergon = await startTestErgon(3);
});
afterAll(() => ergon.stop());

async function environment(): Promise<{ id: number; key: string }> {
  environments += 1;
  const result = await ergon.sql.query<{ id: number }>(
    'insert into environment (key, name) values ($1, $1) returning id',
    [`holds-${environments}`],
  );
  const id = result.rows[0]?.id ?? 0;
  return { id, key: await seedKey(ergon.sql, id) };
}

async function call(service: RunningErgon, key: string, method: string, path: string, body?: unknown): Promise<number> {
  const response = await service.fetch(
    new Request(`http://test${path}`, {
      method,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    }),
  );
  await response.text();
  return response.status;
}

const SCOPES: readonly (readonly [string, object, object])[] = [
  ['the customer', { scope: { customer: 'acme' } }, {}],
  ['a model by prefix', { scope: { model: 'gpt-5*' } }, {}],
  ['team and feature', { scope: { team: 'red', feature: 'chat' } }, {}],
  ['each user', { scope: {}, per: ['user'] }, { user: 'one' }],
  ['a run with its subtree', { scope: { run: 'root' } }, { run_id: 'leaf', parent_run_id: 'root' }],
  ['a work item and a tag', { scope: { work_item: 'BUG-1', tags: { region: 'eu-*' } } }, {}],
  ['a rolling window', { scope: {}, window: 'rolling:24h' }, {}],
  ['the whole environment, for ever', { scope: {}, window: 'lifetime' }, {}],
];

describe.each([1, 3])('%i services', (services) => {
  test.each(SCOPES)('a budget on %s that fits 37 admits exactly 37', async (_, budget, more) => {
    const { key } = await environment();
    const on = (index: number): RunningErgon => {
      const service = ergon.replicas[index % services];
      if (service === undefined) throw new Error('no service');
      return service;
    };
    const body = { key: 'limit', unit: 'USD', window: 'day', limit: '3.75', ...budget };
    expect(await call(on(0), key, 'POST', '/v1/budgets', body)).toBe(200);
    const ask = async (round: number): Promise<string[]> => {
      const admitted: string[] = [];
      await Promise.all(
        Array.from({ length: HOLDS / 2 }, async (__, index) => {
          const id = `h${round}_${index}`;
          const status = await call(on(index), key, 'POST', '/v1/holds', {
            id,
            customer: 'acme',
            team: 'red',
            feature: 'chat',
            model: 'gpt-5-mini',
            work_item: 'BUG-1',
            tags: { region: 'eu-west-1' },
            amount: '0.1',
            currency: 'USD',
            ...more,
          });
          if (status === 201) admitted.push(id);
          else expect(status).toBe(402);
        }),
      );
      return admitted;
    };
    const first = await ask(1);
    expect(first).toHaveLength(37);
    await Promise.all(first.map((id, index) => call(on(index + 1), key, 'POST', `/v1/holds/${id}/release`)));
    expect(await ask(2)).toHaveLength(37);
  });
});

test('a wallet that fits 25 admits exactly 25 of 1,000, and settlements leave it at zero', async () => {
  const { id, key } = await environment();
  const [service] = ergon.replicas;
  if (service === undefined) throw new Error('no service');
  await call(service, key, 'POST', '/v1/customers/acme/wallets/main/grants', {
    amount: '1.5',
    currency: 'USD',
    kind: 'promotional',
  });
  await call(service, key, 'POST', '/v1/customers/acme/wallets/main/grants', {
    amount: '1',
    currency: 'USD',
    kind: 'paid',
  });
  const admitted: string[] = [];
  await Promise.all(
    Array.from({ length: HOLDS }, async (_, index) => {
      const on = ergon.replicas[index % 3] ?? service;
      const body = { id: `w${index}`, customer: 'acme', amount: '0.1', currency: 'USD' };
      if ((await call(on, key, 'POST', '/v1/holds', body)) === 201) admitted.push(body.id);
    }),
  );
  expect(admitted).toHaveLength(25);
  await Promise.all(admitted.map((one) => call(service, key, 'POST', `/v1/holds/${one}/settle`, { amount: '0.1' })));
  const left = await ergon.sql.query<{ sum: string }>(
    "select trim_scale(sum(balance))::text as sum from account where environment_id = $1 and kind in ('grant', 'held', 'receivable')",
    [id],
  );
  expect(left.rows[0]?.sum).toBe('0');
});
