import { describe, expect, test } from 'vitest';
import { periodAt, priceSchedule } from './price-schedule.ts';

const micros = (text: string) => Date.parse(text) * 1000;

const daytime = (start_time: string, end_time: string) =>
  priceSchedule([
    { prices: { input_mtok: 1 } },
    { prices: { input_mtok: 2 }, constraint: { type: 'time_of_date', start_time, end_time } },
  ]);

describe('a time of day is a half-open window', () => {
  test.each([
    ['00:30:00Z', '16:30:00Z', '2026-01-05T00:29:59.999Z', 0],
    ['00:30:00Z', '16:30:00Z', '2026-01-05T00:30:00Z', 1],
    ['00:30:00Z', '16:30:00Z', '2026-01-05T16:29:59.999Z', 1],
    ['00:30:00Z', '16:30:00Z', '2026-01-05T16:30:00Z', 0],
    ['16:30:00Z', '00:30:00Z', '2026-01-05T16:29:59.999Z', 0],
    ['16:30:00Z', '00:30:00Z', '2026-01-05T23:00:00Z', 1],
    ['16:30:00Z', '00:30:00Z', '2026-01-05T00:29:59.999Z', 1],
    ['16:30:00Z', '00:30:00Z', '2026-01-05T00:30:00Z', 0],
    ['08:00:00+08:00', '16:00:00+08:00', '2026-01-05T00:00:00Z', 1],
    ['08:00:00+08:00', '16:00:00+08:00', '2026-01-05T08:00:00Z', 0],
    ['20:00:00-05:00', '22:00:00-05:00', '2026-01-05T01:00:00Z', 1],
    ['16:30:00Z', '00:30:00Z', '1969-12-31T23:00:00Z', 1],
    ['noon', '16:30:00Z', '2026-01-05T13:00:00Z', 0],
  ])('%s to %s at %s', (from, to, at, index) => {
    expect(periodAt(daytime(from, to), micros(at))).toBe(index);
  });
});

test('the last entry that holds wins, the first stands when none does', () => {
  const dated = priceSchedule([
    { prices: {}, constraint: { type: 'start_date', start_date: '2025-05-22' } },
    { prices: {}, constraint: { type: 'start_date', start_date: '2025-12-18' } },
    { prices: {}, constraint: { type: 'start_date', start_date: '2026-06-23' } },
  ]);
  const at = ['2020-01-01', '2025-05-22', '2025-12-17', '2025-12-18', '2026-06-22', '2026-06-23', '2030-01-01'];
  expect(at.map((day) => periodAt(dated, micros(`${day}T00:00:00Z`)))).toEqual([0, 0, 0, 1, 1, 2, 2]);
});

test('a model without dates has one period, and one without any entry has empty figures', () => {
  expect(priceSchedule({ input_mtok: 1 })).toMatchObject([{ figures: { input_mtok: 1 } }]);
  expect(priceSchedule([])).toMatchObject([{ figures: {} }]);
});
