import { afterAll, beforeAll, expect, test } from 'vitest';
import { openSandbox, startTestApp, type TestApp } from './sandbox.test-support.ts';

let app: TestApp;

beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.stop());

let events = 0;
const llmCall = (at: string, tokens: number) => {
  events += 1;
  const data = { provider: 'openai', model: 'gpt-5', tokens: { input: tokens } };
  return { id: `llm-${events}`, source: 'test', type: 'llm.call', subject: 'acme', time: at, data };
};

test('boolean, static and metered; add-ons raise a limit; nothing without a subscription', async () => {
  const box = await openSandbox(app, '2026-01-15T00:00:00Z');
  for (const key of ['sso', 'support', 'tokens']) {
    await box.call('PUT', `/v1/features/${key}`, key === 'tokens' ? { meter: 'total_tokens' } : {});
  }
  await box.plan('pro', {
    entitlements: [
      { type: 'boolean', feature: 'sso' },
      { type: 'static', feature: 'support', value: 'gold' },
      { type: 'metered', feature: 'tokens', limit: '1000' },
    ],
  });
  const more = [{ type: 'metered', feature: 'tokens', limit: '500' }];
  await box.call('PUT', '/v1/add_ons/more', { currency: 'USD', entitlements: more });
  await box.call('PUT', '/v1/customers/acme', {});
  const entitled = (feature: string) => box.call('GET', `/v1/customers/acme/entitlements/${feature}`);
  expect(await entitled('sso')).toEqual({ feature: 'sso', has_access: false, type: null, subscription: null });
  await box.subscribe({ key: 's', customer: 'acme', plan: 'pro' });
  expect(await entitled('sso')).toMatchObject({ has_access: true, type: 'boolean' });
  expect(await entitled('support')).toMatchObject({ has_access: true, value: 'gold' });
  expect(await entitled('other')).toMatchObject({ has_access: false, type: null });
  await box.send(llmCall('2026-01-15T00:00:00Z', 1000));
  expect(await entitled('tokens')).toMatchObject({
    has_access: false,
    limit: '1000',
    used: '1000',
    left: '0',
    resets_at: '2026-02-15T00:00:00Z',
  });
  await box.call('POST', '/v1/subscriptions/s/add_ons', { key: 'more', quantity: 2 });
  expect(await entitled('tokens')).toMatchObject({ has_access: true, limit: '2000', left: '1000' });
  await box.moveTo('2026-02-15T00:00:00Z');
  expect(await entitled('tokens')).toMatchObject({ used: '0', left: '2000' });
});

test('a metered one is a budget of the subscription: holds are refused at its limit, until its period ends', async () => {
  const box = await openSandbox(app, '2026-01-15T00:00:00Z');
  await box.call('PUT', '/v1/features/tokens', { meter: 'total_tokens' });
  await box.plan('pro', { entitlements: [{ type: 'metered', feature: 'tokens', limit: '1000' }] });
  await box.plan('max', { entitlements: [{ type: 'metered', feature: 'tokens', limit: '3000' }] });
  await box.subscribe({ key: 's', customer: 'acme', plan: 'pro' });
  const hold = (id: string, tokens: number, status: number) =>
    box.call('POST', '/v1/holds', { id, customer: 'acme', amounts: { tokens }, expires_in_seconds: 300 }, status);
  const { budget } = await box.call('GET', '/v1/customers/acme/entitlements/tokens');
  const { limit, window } = await box.call('GET', `/v1/budgets/${budget}`);
  expect([limit, window]).toEqual(['1000', 'every:1month@2026-01-15']);
  await box.send(llmCall('2026-01-15T00:00:00Z', 900));
  expect(await hold('a', 200, 402)).toMatchObject({ scope: { key: budget } });
  await box.call('POST', '/v1/subscriptions/s/change', { plan: 'max', at: 'period_end' });
  await hold('b', 200, 402);
  // The next period begins: a new window of the same budget, with the limit of the plan that holds from here on.
  await box.moveTo('2026-02-15T00:00:00Z');
  await hold('c', 2900, 201);
  await hold('d', 200, 402);
  await box.call('POST', '/v1/subscriptions/s/cancel', { at: 'now' });
  await box.call('GET', `/v1/budgets/${budget}`, undefined, 404);
});

test('one that names what is not there is refused, with the member at fault', async () => {
  const box = await openSandbox(app, '2026-01-15T00:00:00Z');
  await box.call('PUT', '/v1/features/plain', {});
  const entitlements = [
    { type: 'boolean', feature: 'nope' },
    { type: 'metered', feature: 'plain', limit: '1' },
  ];
  const refused = await box.call('PUT', '/v1/plans/pro', { currency: 'USD', rate_card: 'none', entitlements }, 400);
  expect(refused.errors.map((error: { pointer: string }) => error.pointer)).toEqual([
    '/rate_card',
    '/entitlements/0/feature',
    '/entitlements/1/feature',
  ]);
});

test("a metered one of one's own meter is a budget too, by holds and by events; a maximum is only reported", async () => {
  const box = await openSandbox(app, '2026-01-15T00:00:00Z');
  const image = { event_types: ['image.made'], aggregation: 'sum', value: 'data.images' };
  await box.call('PUT', '/v1/meters/images', image);
  await box.call('PUT', '/v1/meters/widest', { ...image, aggregation: 'max' });
  await box.call('PUT', '/v1/features/images', { meter: 'images' });
  await box.call('PUT', '/v1/features/widest', { meter: 'widest' });
  await box.call('PUT', '/v1/features/searches', { meter: 'web_searches' });
  const metered = (feature: string, limit: string) => ({ type: 'metered', feature, limit });
  await box.plan('pro', { entitlements: [metered('images', '10'), metered('widest', '5'), metered('searches', '3')] });
  await box.subscribe({ key: 's', customer: 'acme', plan: 'pro' });
  const hold = (id: string, amounts: object, status: number) =>
    box.call('POST', '/v1/holds', { id, customer: 'acme', amounts }, status);
  const made = (id: string, images: number, data = {}) => ({
    specversion: '1.0',
    id,
    source: 't',
    type: 'image.made',
    subject: 'acme',
    data: { images, ...data },
  });
  const { budget } = await box.call('GET', '/v1/customers/acme/entitlements/images');
  expect(await box.call('GET', `/v1/budgets/${budget}`)).toMatchObject({ unit: 'meter:images', limit: '10' });
  expect(await box.call('GET', '/v1/customers/acme/entitlements/widest')).toMatchObject({ budget: null });
  expect(await box.call('GET', '/v1/customers/acme/entitlements/searches')).toMatchObject({
    budget: expect.stringMatching(/^ent\.\d+\.searches$/),
  });

  await box.send(made('e1', 6));
  expect(await hold('h1', { 'meter:images': 5 }, 402)).toMatchObject({ scope: { key: budget }, available: '4' });
  expect(await hold('h2', { 'meter:images': '4' }, 201)).toMatchObject({ flags: [] });
  // A call that says nothing of images takes none of them, and is not flagged for it.
  expect(await hold('chat', { tokens: 10 }, 201)).toMatchObject({ flags: [] });
  await box.send(made('e2', 1, { hold_id: 'h2' }));
  const left = async () => (await box.call('GET', `/v1/budgets/${budget}`)).counters;
  expect(await left()).toMatchObject([{ committed: '7', held: '0', available: '3' }]);
  // The chat's event makes no image: what its hold took of them, nothing, is settled.
  await box.send({ ...made('e3', 0), type: 'llm.call', data: { hold_id: 'chat', tokens: { input: 5 } } });
  expect(await left()).toMatchObject([{ committed: '7', held: '0' }]);
  await box.send({ ...made('v1', 0), type: 'event.void', data: { source: 't', id: 'e1' } });
  expect(await left()).toMatchObject([{ committed: '1', available: '9' }]);
  expect(await box.call('DELETE', '/v1/meters/images', undefined, 409)).toMatchObject({
    detail: expect.stringContaining(budget),
  });
});
