import { afterAll, beforeAll, expect, test } from 'vitest';
import { openSandbox } from '../billing/sandbox.test-support.ts';
import { startTestApp, type TestApp } from '../http/test-app.test-support.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.stop());

test('an estimate says whether the call would be admitted, and which limit is the tightest', async () => {
  const key = await app.environment('would-admit');
  const call = (method: string, path: string, body?: unknown) =>
    app.call(method, path, { key, ...(body !== undefined && { body }) });
  const admission = async (max_output_tokens: number, more: object = {}) => {
    const body = { customer: 'acme', model: 'own-model', tokens: { input: 100 }, max_output_tokens, ...more };
    const answer = await call('POST', '/v1/estimate', body);
    expect(answer.status).toBe(200);
    return answer.body.admission;
  };
  await call('PUT', '/v1/rate_cards/default', {
    currency: 'USD',
    prices: [{ meter: 'output_tokens', charge_model: { type: 'per_unit', unit_amount: '0.01' } }],
  });
  expect(await admission(100)).toEqual({ would_admit: true, tightest: null });
  await call('POST', '/v1/customers/acme/wallets/main/grants', { amount: '20', currency: 'USD', kind: 'paid' });
  await call('POST', '/v1/budgets', { key: 'day', unit: 'USD', window: 'day', limit: '5' });
  await call('POST', '/v1/budgets', { key: 'tokens', unit: 'tokens', window: 'rolling:1h', limit: '100000' });
  await call('POST', '/v1/budgets', { key: 'shadow', unit: 'tokens', window: 'day', limit: '1', mode: 'shadow' });
  const day = { kind: 'budget', key: 'day', measure: 'charge' };
  expect(await admission(100)).toEqual({ would_admit: true, tightest: { ...day, available: '5' } });
  await call('POST', '/v1/holds', {
    id: 'h',
    customer: 'acme',
    amount: '4.5',
    currency: 'USD',
    amounts: { tokens: '1' },
  });
  // What it says is what a hold is told.
  for (const [output, fits] of [
    [50, true],
    [51, false],
  ] as const) {
    expect(await admission(output)).toEqual({ would_admit: fits, tightest: { ...day, available: '0.5' } });
    const amounts = { charge: String(output / 100), tokens: String(100 + output) };
    const held = await call('POST', '/v1/holds', { id: `h${output}`, customer: 'acme', currency: 'USD', amounts });
    expect(held.status).toBe(fits ? 201 : 402);
    await call('POST', `/v1/holds/h${output}/release`);
  }
  await call('DELETE', '/v1/budgets/day');
  expect(await admission(1_600)).toEqual({
    would_admit: false,
    tightest: { kind: 'wallet', key: 'acme/USD', measure: 'charge', available: '15.5' },
  });
  await call('POST', '/v1/budgets', { key: 'work', unit: 'flops', window: 'day', limit: '1' });
  expect(await admission(1)).toEqual({
    would_admit: false,
    tightest: { kind: 'budget', key: 'work', measure: 'flops', available: null },
  });
  expect(app.errors).toEqual([]);
});

test('a grant counts by the clock of its environment', async () => {
  const box = await openSandbox(app, '2030-03-10T12:00:00Z');
  const prices = [{ meter: 'output_tokens', charge_model: { type: 'per_unit', unit_amount: '0.01' } }];
  await box.call('PUT', '/v1/rate_cards/default', { currency: 'USD', prices });
  const grant = { amount: '20', currency: 'USD', kind: 'paid', expires_at: '2030-03-11T00:00:00Z' };
  await box.call('POST', '/v1/customers/acme/wallets/main/grants', grant, 201);
  const admission = async () => {
    const body = { customer: 'acme', model: 'own-model', tokens: { input: 100 }, max_output_tokens: 100 };
    return (await box.call('POST', '/v1/estimate', body)).admission;
  };
  const wallet = { kind: 'wallet', key: 'acme/USD', measure: 'charge' };
  expect(await admission()).toEqual({ would_admit: true, tightest: { ...wallet, available: '20' } });
  await box.moveTo('2030-03-11T00:00:00Z');
  expect(await admission()).toEqual({ would_admit: false, tightest: { ...wallet, available: '0' } });
});
