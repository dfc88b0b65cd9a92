import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dayAfter, localDay, periodAt, type Schedule, startOfDay } from './billing-period.ts';

const micros = (text: string): number => Date.parse(text) * 1000;
const text = (at: number): string => new Date(at / 1000).toISOString().replace('.000Z', 'Z');

type Case = readonly [
  name: string,
  zone: string,
  anchor: string,
  unit: Schedule['unit'],
  count: number,
  at: string,
  from: string,
  to: string,
];

// Calendar arithmetic by hand; daylight saving by the tables of IANA.
const CASES: readonly Case[] = [
  ['a month', 'UTC', '2026-01-15', 'month', 1, '2026-02-14T23:59:59Z', '2026-01-15T00:00:00Z', '2026-02-15T00:00:00Z'],
  [
    'a boundary begins the next',
    'UTC',
    '2026-01-15',
    'month',
    1,
    '2026-02-15T00:00:00Z',
    '2026-02-15T00:00:00Z',
    '2026-03-15T00:00:00Z',
  ],
  [
    'after 31 January comes the last of February',
    'UTC',
    '2026-01-31',
    'month',
    1,
    '2026-02-28T00:00:00Z',
    '2026-02-28T00:00:00Z',
    '2026-03-31T00:00:00Z',
  ],
  [
    'in a leap year the 29th',
    'UTC',
    '2024-01-31',
    'month',
    1,
    '2024-02-29T12:00:00Z',
    '2024-02-29T00:00:00Z',
    '2024-03-31T00:00:00Z',
  ],
  [
    'before the anchor',
    'UTC',
    '2026-03-31',
    'month',
    1,
    '2026-02-10T00:00:00Z',
    '2026-01-31T00:00:00Z',
    '2026-02-28T00:00:00Z',
  ],
  [
    'a quarter',
    'UTC',
    '2026-11-30',
    'month',
    3,
    '2027-02-28T00:00:00Z',
    '2027-02-28T00:00:00Z',
    '2027-05-30T00:00:00Z',
  ],
  ['a week', 'UTC', '2026-11-16', 'week', 1, '2026-11-30T01:00:00Z', '2026-11-30T00:00:00Z', '2026-12-07T00:00:00Z'],
  [
    'a year from a leap day',
    'UTC',
    '2024-02-29',
    'year',
    1,
    '2027-03-01T00:00:00Z',
    '2027-02-28T00:00:00Z',
    '2028-02-29T00:00:00Z',
  ],
  [
    'the day of 25 hours',
    'Europe/Athens',
    '2026-01-01',
    'day',
    1,
    '2026-10-25T12:00:00Z',
    '2026-10-24T21:00:00Z',
    '2026-10-25T22:00:00Z',
  ],
  [
    'the day of 23 hours',
    'America/New_York',
    '2026-01-01',
    'day',
    1,
    '2026-03-08T12:00:00Z',
    '2026-03-08T05:00:00Z',
    '2026-03-09T04:00:00Z',
  ],
  [
    'a day without midnight',
    'America/Santiago',
    '2026-01-01',
    'day',
    1,
    '2026-09-06T12:00:00Z',
    '2026-09-06T04:00:00Z',
    '2026-09-07T03:00:00Z',
  ],
  [
    'half an hour off',
    'Asia/Kolkata',
    '2026-01-01',
    'month',
    1,
    '2026-01-31T18:30:00Z',
    '2026-01-31T18:30:00Z',
    '2026-02-28T18:30:00Z',
  ],
];

describe('periodAt', () => {
  test.each(CASES)('%s', (_, timeZone, anchorOn, unit, count, at, from, to) => {
    const period = periodAt({ timeZone, anchorOn, unit, count }, micros(at));
    expect([text(period.from), text(period.to)]).toEqual([from, to]);
  });

  test('every instant is in one period, and the next begins where it ends', () => {
    const zones = ['UTC', 'Europe/Athens', 'America/New_York', 'Asia/Kolkata', 'Pacific/Auckland', 'America/Santiago'];
    fc.assert(
      fc.property(
        fc.record({
          timeZone: fc.constantFrom(...zones),
          anchorOn: fc
            .integer({ min: 0, max: 9000 })
            .map((day) => new Date(day * 86_400_000 + 1e12).toISOString().slice(0, 10)),
          unit: fc.constantFrom('day', 'week', 'month', 'year'),
          count: fc.integer({ min: 1, max: 12 }),
        }),
        fc.integer({ min: 946_684_800, max: 2_524_608_000 }),
        (schedule, seconds) => {
          const at = seconds * 1_000_000;
          const period = periodAt(schedule, at);
          expect(period.from).toBeLessThanOrEqual(at);
          expect(period.to).toBeGreaterThan(at);
          expect(periodAt(schedule, period.to).from).toBe(period.to);
          expect(periodAt(schedule, period.from - 1).to).toBe(period.from);
          expect(localDay(period.from, schedule.timeZone)).toBe(period.fromOn);
        },
      ),
      { numRuns: 300 },
    );
  });
});

test('the day after an end is that day itself where it ends as a day begins', () => {
  const midnight = startOfDay('2026-11-21', 'Europe/Athens');
  expect(dayAfter(midnight, 'Europe/Athens')).toBe('2026-11-21');
  expect(dayAfter(midnight + 1, 'Europe/Athens')).toBe('2026-11-22');
});
