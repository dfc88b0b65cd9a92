import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestApp, type TestApp } from '../http/test-app.test-support.ts';
import { servedHours } from './local-hours.ts';
import { apiCalls, openSandbox, type Sandbox } from './sandbox.test-support.ts';

const MINUTE = 60_000_000;
const at = (text: string) => Date.parse(text) * 1000;

describe('hours of local days', () => {
  test.each([
    ['an ordinary day', 'Europe/Athens', '2026-01-05T10:00:00+02:00', 24, '2026-01-05T00:00+02:00'],
    ['clocks go forward', 'Europe/Athens', '2026-03-29T10:00:00+03:00', 23, '2026-03-29T00:00+02:00'],
    ['clocks go back', 'Europe/Athens', '2026-10-25T10:00:00+02:00', 25, '2026-10-25T00:00+03:00'],
    ['a day without midnight', 'Africa/Cairo', '2026-04-24T10:00:00+03:00', 23, '2026-04-24T01:00+03:00'],
    ['a zone of quarters', 'Asia/Kathmandu', '2026-01-05T10:00:00+05:45', 24, '2026-01-05T00:00+05:45'],
  ])('%s', (_name, zone, instant, count, first) => {
    const hour = { from: at(instant), to: at(instant) + 60 * MINUTE };
    const hours = servedHours(hour, [hour], zone);
    expect(hours).toHaveLength(count);
    expect(hours[0]?.at).toBe(first);
    expect(hours.every(({ length }) => length === BigInt(60 * MINUTE))).toBe(true);
    expect(hours.filter(({ served }) => served > 0n)).toMatchObject([{ served: BigInt(60 * MINUTE) }]);
  });

  test('half an hour that clocks repeat is one of its own', () => {
    const day = { from: at('2026-04-05T00:00:00+11:00'), to: at('2026-04-05T12:00:00+10:30') };
    const hours = servedHours(day, [], 'Australia/Lord_Howe').slice(0, 4);
    expect(hours.map((one) => [one.at.slice(11), Number(one.length) / MINUTE])).toEqual([
      ['00:00+11:00', 60],
      ['01:00+11:00', 60],
      ['01:30+10:30', 30],
      ['02:00+10:30', 60],
    ]);
  });

  test('stretches of a day share its hours', () => {
    const day = { from: at('2026-01-05T00:00:00Z'), to: at('2026-01-06T00:00:00Z') };
    const cut = at('2026-01-05T09:20:00Z');
    const [before, after] = [
      { from: day.from, to: cut },
      { from: cut, to: day.to },
    ].map((one) => servedHours(day, [one], 'UTC'));
    const minutes = (hours: typeof before) => hours?.map(({ served }) => Number(served) / MINUTE);
    expect(minutes(before)?.slice(8, 11)).toEqual([60, 20, 0]);
    expect(minutes(after)?.slice(8, 11)).toEqual([0, 40, 60]);
  });
});

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.stop());

const daily = (unit: string, amount: string) => ({
  type: 'per_unit',
  unit_amount: unit,
  window: 'day',
  commitment: { amount },
});

async function subscribed(from: string): Promise<Sandbox> {
  const box = await openSandbox(app, from);
  await box.card(daily('1', '3'));
  await box.plan('pro', { rate_card: 'usage' });
  await box.subscribe({ key: 's', customer: 'acme', plan: 'pro', anchor_on: '2026-01-01' });
  return box;
}

describe('a commitment of each day', () => {
  test('is owed for the days that were served, and for all of each', async () => {
    const box = await subscribed('2026-01-16T00:00:00Z');
    await box.moveTo('2026-01-20T00:00:00Z');
    await box.send(apiCalls('2026-01-17T12:00:00Z', 2));
    await box.moveTo('2026-02-01T00:00:00Z');
    // Sixteen days at 3, of which two are in the usage.
    expect(await box.lines(1)).toEqual([
      ['usage:calls', '2', null],
      ['close:calls', '46', null],
    ]);
    expect(await box.audit()).toBe(0);
  });

  test('of a day in part, and of a day that two versions of the card share', async () => {
    const box = await subscribed('2026-01-30T12:00:00Z');
    await box.moveTo('2026-01-31T18:00:00Z');
    await box.card(daily('1', '8'));
    await box.moveTo('2026-01-31T23:00:00Z');
    await box.send(apiCalls('2026-01-31T20:00:00Z', 1), apiCalls('2026-01-31T12:00:00Z', 1));
    await box.moveTo('2026-02-01T00:00:00Z');
    // Half a day at 3, then three quarters at 3, less one; a quarter at 8, less one.
    expect(await box.lines(1)).toEqual([
      ['usage:calls', '1', null],
      ['close:calls', '2.75', null],
      ['usage:calls', '1', null],
      ['close:calls', '1', null],
    ]);
    expect(await box.audit()).toBe(0);
  });
});
