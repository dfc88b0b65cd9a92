import { afterAll, beforeAll, expect, test } from 'vitest';
import { openSandbox } from '../billing/sandbox.test-support.ts';
import { LLAMA } from '../deployments/deployments.test-support.ts';
import { startTestApp, type TestApp } from '../http/test-app.test-support.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.stop());

test("in a sandbox a call is estimated at its clock's period and running totals", async () => {
  const box = await openSandbox(app, '2031-03-10T00:00:00Z');
  const tiers = [
    { up_to: '1000', unit_amount: '0' },
    { up_to: null, unit_amount: '1' },
  ];
  const prices = [{ meter: 'input_tokens', charge_model: { type: 'graduated', tiers } }];
  await box.call('PUT', '/v1/rate_cards/default', { currency: 'USD', prices });
  const call = { model: 'gpt-5-mini', provider: 'openai', tokens: { input: 1000, output: 0 } };
  const event = { source: 'test', type: 'llm.call', subject: 'acme' };
  await box.send({ ...event, id: 'free', time: '2031-03-09T00:00:00Z', data: call });
  const estimate = await box.call('POST', '/v1/estimate', { customer: 'acme', ...call });
  expect(estimate.cost.charge).toMatchObject({ expected: '1000', currency: 'USD' });
});

test('in a sandbox a provider price is looked up at its clock', async () => {
  const box = await openSandbox(app, '2031-03-10T00:00:00Z');
  const price = { provider: 'openai', model: 'our-own', per_million_tokens: { input: '7' }, source: 'contract' };
  await box.call('PUT', '/v1/provider_price_overrides/own', { ...price, effective_from: '2031-01-01T00:00:00Z' });
  const found = await box.call('GET', '/v1/provider_prices?model=our-own&provider=openai');
  expect(found.price).toMatchObject({ source: 'contract' });
});

test('in a sandbox a deployment comes into force by its clock: at once is now, its past is over', async () => {
  const box = await openSandbox(app, '2031-03-10T00:00:00Z');
  await box.call('PUT', '/v1/deployments/own', LLAMA);
  const grown = await box.call('PUT', '/v1/deployments/own', { ...LLAMA, accelerator_count: 8 });
  expect(grown).toMatchObject({ version: 2, effective_from: '2031-03-10T00:00:00Z' });
  const late = { ...LLAMA, accelerator_count: 12, effective_from: '2031-03-09T00:00:00Z' };
  const refused = await box.call('PUT', '/v1/deployments/own', late, 400);
  expect(refused.errors[0].pointer).toBe('/effective_from');
});
