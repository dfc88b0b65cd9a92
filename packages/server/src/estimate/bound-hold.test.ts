import { afterAll, beforeAll, expect, test } from 'vitest';
import { openSandbox, type Sandbox } from '../billing/sandbox.test-support.ts';
import { startTestApp, type TestApp } from '../http/test-app.test-support.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.stop());

const ESTIMATE = {
  model: 'llama-3.1-8b',
  accelerator: 'h100-sxm',
  tokens: { input: 500, cache_read: 1500 },
  max_output_tokens: 500,
};

/** A card whose output costs more from the hundredth token on: what is left does not divide evenly into tokens. */
async function sandbox(): Promise<Sandbox> {
  const box = await openSandbox(app, '2026-03-10T12:00:00Z');
  const tiers = [
    { up_to: '100', unit_amount: '0.01' },
    { up_to: null, unit_amount: '0.03' },
  ];
  const prices = [
    { meter: 'input_tokens', match: { model: 'llama*' }, charge_model: { type: 'per_unit', unit_amount: '0.001' } },
    { meter: 'output_tokens', match: { model: 'llama*' }, charge_model: { type: 'graduated', tiers } },
  ];
  await box.call('PUT', '/v1/rate_cards/default', { currency: 'EUR', prices });
  return box;
}

const hold = (box: Sandbox, id: string, more: object, status = 201) =>
  box.call('POST', '/v1/holds', { id, ...more }, status);
const limit = (box: Sandbox, key: string, spec: object) =>
  box.call('PUT', `/v1/budgets/${key}`, { window: 'day', ...spec });

test('a hold that brings an estimate holds the high end of every interval', async () => {
  const box = await sandbox();
  await limit(box, 'all', { unit: 'EUR', limit: '100' });
  const estimate = await box.call('POST', '/v1/estimate', { ...ESTIMATE, customer: 'acme' });
  const held = await hold(box, 'a', { customer: 'acme', estimate: ESTIMATE });
  expect(held).toMatchObject({ currency: 'EUR', max_output_tokens: 500, clamped: false });
  expect(held.amounts).toEqual({
    charge: estimate.cost.charge.high,
    flops: estimate.compute.flops.high,
    accelerator_seconds: estimate.compute.billable_accelerator_seconds.high,
    compute_units: estimate.compute.compute_units.high,
    requests: '1',
    tokens: '2500',
  });
  // 2,000 prompt tokens at 0.001 (a cached one falls back to the price of input), 100 at 0.01 and 400 at 0.03.
  expect(held.amounts.charge).toBe('15');
  expect((await box.call('GET', '/v1/budgets/all')).counters).toMatchObject([{ held: '15' }]);
});

test('a volume tier that more output reaches: the interval is in order, and no hold is below zero', async () => {
  const box = await openSandbox(app, '2026-03-10T12:00:00Z');
  const tiers = [
    { up_to: '100', unit_amount: '1' },
    { up_to: null, unit_amount: '0.1' },
  ];
  const prices = [
    { meter: 'input_tokens', charge_model: { type: 'free' } },
    { meter: 'output_tokens', charge_model: { type: 'volume', tiers } },
  ];
  await box.call('PUT', '/v1/rate_cards/default', { currency: 'EUR', prices });
  await limit(box, 'all', { unit: 'EUR', limit: '1000' });
  const used = { source: 'test', type: 'llm.call', data: { model: 'llama-3.1-8b', tokens: { input: 1, output: 100 } } };
  await box.send({ ...used, id: 'full', subject: 'full', time: '2026-03-10T11:00:00Z' });
  const estimate = async (customer: string) =>
    (await box.call('POST', '/v1/estimate', { ...ESTIMATE, customer, expected_output_tokens: 100 })).cost.charge;
  expect(await estimate('new')).toEqual({ low: '1', expected: '100', high: '100', currency: 'EUR' });
  // The hundred and first token makes the hundred before it cheaper: 10.1 to 60 in all, where 100 is charged already.
  expect(await estimate('full')).toEqual({ low: '-89.9', expected: '-80', high: '-40', currency: 'EUR' });
  const held = await hold(box, 'full', { customer: 'full', estimate: ESTIMATE });
  expect(held.amounts.charge).toBe('0');
});

test.each([
  // 15 would be 500 tokens; 2 are the prompt's, 1 the first hundred's.
  ['6', 200],
  ['6.02', 200],
  ['3', 100],
  ['2.5', 50],
])('of %s that is left a clamped estimate gets %i tokens of output', async (left, tokens) => {
  const box = await sandbox();
  await limit(box, 'all', { unit: 'EUR', limit: left, on_exceed: 'clamp' });
  const held = await hold(box, 'a', { customer: 'acme', estimate: ESTIMATE });
  expect(held).toMatchObject({ clamped: true });
  const bound = held.max_output_tokens;
  const estimate = await box.call('POST', '/v1/estimate', { ...ESTIMATE, customer: 'acme', max_output_tokens: bound });
  expect(held.amounts.charge).toBe(estimate.cost.charge.high);
  expect(bound).toBeLessThanOrEqual(tokens);
  // The line between one token and the bound lies above a price that rises: some of what is left may stay so, never the reverse.
  expect(bound).toBeGreaterThanOrEqual(tokens / 4);
});

test('what a refusal says would fit, fits', async () => {
  const box = await sandbox();
  await limit(box, 'all', { unit: 'EUR', limit: '6' });
  const refused = await hold(box, 'a', { customer: 'acme', estimate: ESTIMATE }, 402);
  const { max_output_tokens } = refused.fits;
  await hold(box, 'b', { customer: 'acme', estimate: { ...ESTIMATE, max_output_tokens } });
});

test('a price that is not known is no price of zero: the budget says what becomes of it', async () => {
  const box = await sandbox();
  await limit(box, 'all', { unit: 'EUR', limit: '100' });
  const estimate = { ...ESTIMATE, model: 'qwen3-8b' };
  const refused = await hold(box, 'a', { customer: 'acme', estimate }, 402);
  expect(refused).toMatchObject({ reason: 'unknown_quantity', scope: { key: 'all' } });
  await limit(box, 'all', { unit: 'EUR', limit: '100', unknown_quantity: 'fallback', fallback_quantity: '7' });
  const held = await hold(box, 'b', { customer: 'acme', estimate });
  expect(held).toMatchObject({ flags: ['fallback_quantity:all'], currency: null });
  expect(held.amounts.charge).toBeUndefined();
  expect((await box.call('GET', '/v1/budgets/all')).counters).toMatchObject([{ held: '7' }]);
});

test('an output without a bound is refused where it is missing', async () => {
  const box = await sandbox();
  const { max_output_tokens: _, ...unbounded } = ESTIMATE;
  const refused = await hold(box, 'a', { estimate: unbounded }, 400);
  expect(refused.errors[0].pointer).toBe('/estimate/max_output_tokens');
});

test.each([
  [{ amounts: { tokens: 5 } }, '/amounts'],
  [{ amount: '5' }, '/amount'],
  [{ model: 'gpt-5' }, '/estimate/model'],
])('%j beside the estimate is refused', async (more, pointer) => {
  const box = await sandbox();
  const refused = await hold(box, 'a', { ...more, estimate: ESTIMATE }, 400);
  expect(refused.errors[0].pointer).toBe(pointer);
});

test('the same estimate again is the same hold, whatever prices have become; another one is a conflict', async () => {
  const box = await sandbox();
  const first = await hold(box, 'a', { customer: 'acme', estimate: ESTIMATE });
  const prices = [{ meter: 'input_tokens', charge_model: { type: 'per_unit', unit_amount: '9' } }];
  await box.call('PUT', '/v1/rate_cards/default', { currency: 'EUR', prices });
  const again = await hold(box, 'a', { customer: 'acme', estimate: ESTIMATE });
  expect(again.amounts).toEqual(first.amounts);
  await hold(box, 'a', { customer: 'acme', estimate: { ...ESTIMATE, max_output_tokens: 499 } }, 409);
});
