import { afterAll, beforeAll, expect, test } from 'vitest';
import { apiCalls, openSandbox, type Sandbox, takeBack } from '../billing/sandbox.test-support.ts';
import { until } from '../rerate/rerate.test-support.ts';
import { startTestApp, type TestApp } from '../http/test-app.test-support.ts';

/** Whatever becomes of the event of a hold later, it counts where it was counted: at the counters of its hold. */
let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.stop());

const ADMITTED = '2026-03-10T12:00:00Z';
const NEXT_DAY = '2026-03-11T12:00:00Z';
const perCall = (unit_amount: string) => [{ meter: 'api_calls', charge_model: { type: 'per_unit', unit_amount } }];

async function open(unit: string): Promise<Sandbox & { counters(key: string): Promise<unknown> }> {
  const box = await openSandbox(app, ADMITTED);
  await box.call('PUT', '/v1/budgets/daily', { unit, window: 'day', limit: '100' });
  const tagged = { unit, window: 'lifetime', limit: '100', scope: { tags: { plan: 'pro' } } };
  await box.call('PUT', '/v1/budgets/tagged', tagged);
  const hold = { id: 'h', customer: 'acme', amounts: { charge: '40', tokens: 40 }, currency: 'USD' };
  await box.call('POST', '/v1/holds', { ...hold, tags: { plan: 'pro' } }, 201);
  const counters = async (key: string) =>
    (await box.call('GET', `/v1/budgets/${key}`)).counters.map((one: { committed: string }) => one.committed);
  return { ...box, counters };
}

test.each([
  ['USD', '30'],
  // Nobody knows them: what was set aside stands for them, and goes with its event.
  ['tokens', '40'],
])('a void of an event that settled a hold on the day before: %s', async (unit, counted) => {
  const box = await open(unit);
  await box.call('PUT', '/v1/rate_cards/default', { currency: 'USD', prices: perCall('1') });
  await box.moveTo(NEXT_DAY);
  const event = apiCalls(NEXT_DAY, 30, { data: { count: 30, hold_id: 'h' } });
  await box.send(event);
  expect([await box.counters('daily'), await box.counters('tagged')]).toEqual([[], [counted]]);
  await box.send(takeBack(event, NEXT_DAY));
  expect([await box.counters('daily'), await box.counters('tagged')]).toEqual([[], ['0']]);
  await box.call('POST', '/v1/holds', { id: 'more', amounts: { charge: '101', tokens: 101 }, currency: 'USD' }, 402);
  expect(await box.audit()).toBe(0);
});

test('an event and its void in one request', async () => {
  const box = await open('USD');
  await box.call('PUT', '/v1/rate_cards/default', { currency: 'USD', prices: perCall('1') });
  await box.moveTo(NEXT_DAY);
  const event = apiCalls(NEXT_DAY, 30, { data: { count: 30, hold_id: 'h' } });
  await box.send(event, takeBack(event, NEXT_DAY));
  expect([await box.counters('daily'), await box.counters('tagged')]).toEqual([[], ['0']]);
});

async function rerated(box: Sandbox, unit_amount: string): Promise<void> {
  const card = { currency: 'USD', prices: perCall(unit_amount), effective_from: '2026-03-01T00:00:00Z', rerate: true };
  await box.call('PUT', '/v1/rate_cards/default', card);
  const span = { from: '2026-03-01T00:00:00Z', to: '2026-04-01T00:00:00Z' };
  await box.call('POST', '/v1/rerate', { ...span, only: 'all' }, 201);
  await until(
    () => box.call('GET', '/v1/rerates'),
    ({ data }) => data.every((one: { status: string }) => one.status === 'finished'),
  );
}

test('an event without a price counts nothing of the charge, and its price once there is one', async () => {
  const box = await open('USD');
  await box.send(apiCalls(ADMITTED, 30, { data: { count: 30, hold_id: 'h' } }));
  expect([await box.counters('daily'), await box.counters('tagged')]).toEqual([['0'], ['0']]);
  await rerated(box, '1');
  expect([await box.counters('daily'), await box.counters('tagged')]).toEqual([['30'], ['30']]);
  expect(await box.audit()).toBe(0);
});

test('a correction of the price counts there too, and is taken back with its event', async () => {
  const box = await open('USD');
  await box.call('PUT', '/v1/rate_cards/default', {
    ...{ currency: 'USD', prices: perCall('1'), effective_from: '2026-03-01T00:00:00Z' },
  });
  await box.moveTo(NEXT_DAY);
  const event = apiCalls(NEXT_DAY, 30, { data: { count: 30, hold_id: 'h' } });
  await box.send(event);
  await rerated(box, '0.5');
  expect([await box.counters('daily'), await box.counters('tagged')]).toEqual([[], ['15']]);
  await box.send(takeBack(event, NEXT_DAY));
  expect([await box.counters('daily'), await box.counters('tagged')]).toEqual([[], ['0']]);
  expect(await box.audit()).toBe(0);
});
