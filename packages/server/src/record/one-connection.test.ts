import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestApp, type TestApp } from '../http/test-app.test-support.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.stop());

test('what is recorded and held for the first time needs one connection: a second might be waited for by all who have one', async () => {
  const key = await app.environment('new');
  const call = (method: string, path: string, body: unknown) => app.call(method, path, { key, body });
  await call('PUT', '/v1/rate_cards/default', {
    currency: 'EUR',
    prices: [{ meter: 'output_tokens', charge_model: { type: 'per_unit', unit_amount: '1' } }],
  });
  await call('POST', '/v1/customers/held/wallets/main/grants', { amount: '9', currency: 'EUR', kind: 'paid' });
  const { pool } = app.database;
  const taken = await Promise.all(Array.from({ length: pool.options.max - 1 }, () => pool.connect()));
  try {
    const data = { model: 'm', tokens: { output: 2 } };
    const sent = await call('POST', '/v1/events', { id: 'e', type: 'llm.call', subject: 'first', data });
    expect(sent.body).toMatchObject({ accepted: 1 });
    const hold = { id: 'h', customer: 'held', amount: '1', currency: 'EUR' };
    expect((await call('POST', '/v1/holds', hold)).status).toBe(201);
    expect((await call('POST', '/v1/holds/h/settle', { amount: '1' })).status).toBe(200);
  } finally {
    for (const client of taken) client.release();
  }
  expect(app.errors).toEqual([]);
});
