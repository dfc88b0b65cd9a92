import { afterAll, beforeAll, expect, test } from 'vitest';
import { apiCalls, openSandbox, startTestApp, takeBack, type TestApp } from '../billing/sandbox.test-support.ts';
import { until } from './rerate.test-support.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.stop());

test('a closed period stays as it is; what a re-rating changes of its usage is a line of the next one', async () => {
  const box = await openSandbox(app, '2026-01-01T00:00:00Z');
  await box.card({ type: 'per_unit', unit_amount: '1' });
  await box.plan('pro', { rate_card: 'usage', fees: [{ key: 'base', amount: '20' }] });
  await box.subscribe({ key: 's', customer: 'acme', plan: 'pro' });
  await box.moveTo('2026-01-25T00:00:00Z');
  const early = apiCalls('2026-01-10T00:00:00Z', 4);
  await box.send(early, apiCalls('2026-01-20T00:00:00Z', 6));
  await box.moveTo('2026-02-05T00:00:00Z');
  await box.send(apiCalls('2026-02-02T00:00:00Z', 3));
  const closed = await box.lines(1);
  expect(await box.totals()).toMatchObject({ 1: '30', 2: null });
  // A correction of January's price, from the 15th on; it waits until a re-rating is asked for, or the next turn of the job.
  await box.call('PUT', '/v1/rate_cards/usage', {
    currency: 'USD',
    effective_from: '2026-01-15T00:00:00Z',
    rerate: true,
    prices: [{ key: 'calls', meter: 'api_calls', charge_model: { type: 'per_unit', unit_amount: '0.5' } }],
  });
  const span = { from: '2026-01-01T00:00:00Z', to: '2026-03-01T00:00:00Z' };
  await box.call('POST', '/v1/rerate', { ...span, only: 'all' }, 201);
  const rerates = await until(
    () => box.call('GET', '/v1/rerates'),
    ({ data }) => data.every((one: { status: string }) => one.status === 'finished'),
  );
  expect(rerates.data.at(-1)).toMatchObject({
    events_adjusted: '2',
    totals: [{ old: '9', new: '4.5', difference: '-4.5' }],
  });
  expect(await box.lines(1)).toEqual(closed);
  expect(await box.audit()).toBe(0);
  await box.moveTo('2026-03-05T00:00:00Z');
  expect(await box.lines(1)).toEqual(closed);
  // January: 6 calls at 1.0 given back, charged anew at 0.5; February: 3 calls at 0.5.
  expect(await box.lines(2)).toEqual(
    expect.arrayContaining([
      ['usage:calls', '-6', 1],
      ['usage:calls', '3', 1],
      ['usage:calls', '1.5', null],
    ]),
  );
  expect(await box.audit()).toBe(0);
  // A void of a re-rated event gives back what it costs now.
  await box.send(takeBack(early, '2026-03-05T00:00:00Z'));
  expect(await box.audit()).toBe(0);
});
