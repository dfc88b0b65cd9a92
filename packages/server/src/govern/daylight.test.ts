import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openSandbox, type Sandbox } from '../billing/sandbox.test-support.ts';
import { startTestApp, type TestApp } from '../http/test-app.test-support.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.stop());

const MINUTE = 60_000;
const text = (millis: number): string => new Date(millis).toISOString().replace('.000Z', 'Z');

/**
 * Windows in which the clocks change, in UTC, from where a local calendar says they begin to where they end; and how long each is.
 * Athens and New York change by an hour, Lord Howe by half of one. 2026.
 */
const WINDOWS: readonly (readonly [zone: string, window: string, from: string, to: string, hours: number])[] = [
  ['Europe/Athens', 'day', '2026-03-28T22:00:00Z', '2026-03-29T21:00:00Z', 23],
  ['Europe/Athens', 'day', '2026-10-24T21:00:00Z', '2026-10-25T22:00:00Z', 25],
  ['Europe/Athens', 'week', '2026-03-22T22:00:00Z', '2026-03-29T21:00:00Z', 167],
  ['Europe/Athens', 'month', '2026-02-28T22:00:00Z', '2026-03-31T21:00:00Z', 743],
  ['Europe/Athens', 'month', '2026-09-30T21:00:00Z', '2026-10-31T22:00:00Z', 745],
  ['Europe/Athens', 'every:1day@2026-01-01', '2026-10-24T21:00:00Z', '2026-10-25T22:00:00Z', 25],
  // An hour that a clock shows twice is two windows; one that it leaves out is none.
  ['Europe/Athens', 'hour', '2026-10-25T00:00:00Z', '2026-10-25T01:00:00Z', 1],
  ['Europe/Athens', 'hour', '2026-10-25T01:00:00Z', '2026-10-25T02:00:00Z', 1],
  ['Europe/Athens', 'hour', '2026-03-29T00:00:00Z', '2026-03-29T01:00:00Z', 1],
  ['America/New_York', 'day', '2026-03-08T05:00:00Z', '2026-03-09T04:00:00Z', 23],
  ['America/New_York', 'day', '2026-11-01T04:00:00Z', '2026-11-02T05:00:00Z', 25],
  ['America/New_York', 'month', '2026-11-01T04:00:00Z', '2026-12-01T05:00:00Z', 721],
  ['America/New_York', 'quarter', '2026-01-01T05:00:00Z', '2026-04-01T04:00:00Z', 2159],
  ['America/New_York', 'year', '2026-01-01T05:00:00Z', '2027-01-01T05:00:00Z', 8760],
  ['Australia/Lord_Howe', 'day', '2026-04-04T13:00:00Z', '2026-04-05T13:30:00Z', 24.5],
  ['Australia/Lord_Howe', 'day', '2026-10-03T13:30:00Z', '2026-10-04T13:00:00Z', 23.5],
  ['Australia/Lord_Howe', 'week', '2026-09-27T13:30:00Z', '2026-10-04T13:00:00Z', 167.5],
  // By elapsed time, whatever the clocks do.
  ['Europe/Athens', 'minute', '2026-10-25T00:59:00Z', '2026-10-25T01:00:00Z', 1 / 60],
];

async function sandbox(at: string, window: string, zone: string): Promise<Sandbox> {
  const box = await openSandbox(app, at);
  const budget = { unit: 'tokens', limit: '10', window, time_zone: zone };
  await box.call('PUT', '/v1/budgets/b', budget);
  return box;
}

let holds = 0;
async function holdAll(box: Sandbox, status: number): Promise<void> {
  const body = { id: `h${(holds += 1)}`, amounts: { tokens: 10 } };
  await box.call('POST', '/v1/holds', body, status);
  if (status === 201) await box.call('POST', `/v1/holds/${body.id}/settle`, { amounts: { tokens: 10 } });
}

async function windowStart(box: Sandbox): Promise<string | undefined> {
  const { counters } = await box.call('GET', '/v1/budgets/b');
  return counters[0]?.window_start;
}

describe('a window resets by the local calendar, whatever daylight saving does to its length', () => {
  test.each(WINDOWS)('%s %s from %s to %s: %d hours', async (zone, window, from, to, hours) => {
    const [start, end] = [Date.parse(from), Date.parse(to)];
    expect((end - start) / (60 * MINUTE)).toBeCloseTo(hours, 9);
    const box = await sandbox(text(start - 1000), window, zone);
    await holdAll(box, 201);
    await holdAll(box, 402);
    await box.moveTo(from);
    await holdAll(box, 201);
    expect(await windowStart(box)).toBe(from);
    // In the middle, and in its last second, it is still the same window.
    await box.moveTo(text(start + Math.floor((end - start) / 2000) * 1000));
    await holdAll(box, 402);
    await box.moveTo(text(end - 1000));
    await holdAll(box, 402);
    await box.moveTo(to);
    await holdAll(box, 201);
    expect(await windowStart(box)).toBe(to);
    expect(await box.audit()).toBe(0);
  });
});

test('both half past ones of an autumn night count in one day, each in its own hour', async () => {
  // 01:30 in New York, in summer time and an hour later in winter time.
  const box = await sandbox('2026-11-01T05:30:00Z', 'day', 'America/New_York');
  await box.call('PUT', '/v1/budgets/hourly', {
    ...{ unit: 'tokens', limit: '10', window: 'hour', time_zone: 'America/New_York', mode: 'shadow' },
  });
  const hour = async () => (await box.call('GET', '/v1/budgets/hourly')).counters;
  await holdAll(box, 201);
  expect(await hour()).toMatchObject([{ window_start: '2026-11-01T05:00:00Z', committed: '10' }]);
  await box.moveTo('2026-11-01T06:30:00Z');
  await holdAll(box, 402);
  expect(await hour()).toMatchObject([{ window_start: '2026-11-01T06:00:00Z', committed: '0' }]);
});

test('a rolling day is 24 hours of time, across a change as ever', async () => {
  const box = await sandbox('2026-10-24T12:00:00Z', 'rolling:24h', 'Europe/Athens');
  await holdAll(box, 201);
  await box.moveTo('2026-10-25T12:00:00Z');
  // Its slice, 24 minutes, is not wholly outside yet.
  await holdAll(box, 402);
  await box.moveTo('2026-10-25T12:24:00Z');
  await holdAll(box, 201);
});

test('events count in the local window of their receipt, holds in that of their admission', async () => {
  const box = await sandbox('2026-03-29T20:59:59Z', 'day', 'Europe/Athens');
  await box.call('POST', '/v1/holds', { id: 'over-midnight', amounts: { tokens: 4 } }, 201);
  await box.moveTo('2026-03-29T21:00:00Z');
  await box.send({ id: 'e', source: 't', type: 'llm.call', data: { tokens: { input: 3 } } });
  await box.call('POST', '/v1/holds/over-midnight/settle', { amounts: { tokens: 6 } });
  expect((await box.call('GET', '/v1/budgets/b')).counters).toMatchObject([
    { window_start: '2026-03-29T21:00:00Z', committed: '3', held: '0' },
  ]);
});
