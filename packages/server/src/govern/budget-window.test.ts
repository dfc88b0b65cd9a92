import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { windowAt } from './budget-window.ts';

const at = (text: string): number => Date.parse(text) * 1000;
const text = (micros: number): string => new Date(micros / 1000).toISOString();

describe('windows', () => {
  test.each([
    ['minute', 'UTC', '2026-11-21T10:20:30Z', '2026-11-21T10:20:00.000Z'],
    ['hour', 'Asia/Kolkata', '2026-11-21T10:20:30Z', '2026-11-21T09:30:00.000Z'],
    ['day', 'Europe/Athens', '2026-11-21T23:00:00Z', '2026-11-21T22:00:00.000Z'],
    ['week', 'UTC', '2026-11-21T10:00:00Z', '2026-11-16T00:00:00.000Z'],
    ['month', 'America/New_York', '2026-11-01T03:00:00Z', '2026-10-01T04:00:00.000Z'],
    ['quarter', 'UTC', '2026-11-21T10:00:00Z', '2026-10-01T00:00:00.000Z'],
    ['year', 'Pacific/Auckland', '2026-12-31T12:00:00Z', '2026-12-31T11:00:00.000Z'],
    ['every:1month@2026-01-31', 'America/New_York', '2026-03-01T04:59:00Z', '2026-02-28T05:00:00.000Z'],
    ['every:3month@2026-01-15', 'UTC', '2026-11-21T10:00:00Z', '2026-10-15T00:00:00.000Z'],
    ['every:1week@2026-11-18', 'Europe/Athens', '2026-11-24T23:00:00Z', '2026-11-24T22:00:00.000Z'],
    ['lifetime', 'UTC', '2026-11-21T10:00:00Z', '1970-01-01T00:00:00.000Z'],
  ])('%s in %s at %s begins %s', (window, zone, instant, start) => {
    expect(text(windowAt(window, zone, at(instant)).start)).toBe(start);
  });

  test('a day across a daylight change is 23 or 25 hours, and resets at local midnight', () => {
    // Athens: clocks go forward on 2026-03-29 and back on 2026-10-25.
    const spring = windowAt('day', 'Europe/Athens', at('2026-03-29T12:00:00Z')).start;
    const afterSpring = windowAt('day', 'Europe/Athens', at('2026-03-30T12:00:00Z')).start;
    expect((afterSpring - spring) / 3_600_000_000).toBe(23);
    const autumn = windowAt('day', 'Europe/Athens', at('2026-10-25T12:00:00Z')).start;
    const afterAutumn = windowAt('day', 'Europe/Athens', at('2026-10-26T12:00:00Z')).start;
    expect((afterAutumn - autumn) / 3_600_000_000).toBe(25);
    expect(windowAt('day', 'Europe/Athens', afterAutumn - 1).start).toBe(autumn);
  });

  test('the hour that a clock repeats is two windows', () => {
    const first = windowAt('hour', 'Europe/Athens', at('2026-10-25T00:30:00Z')).start;
    const second = windowAt('hour', 'Europe/Athens', at('2026-10-25T01:30:00Z')).start;
    expect(second - first).toBe(3_600_000_000);
  });

  test('every instant lies in its window, and a window begins in itself', () => {
    const zones = fc.constantFrom('UTC', 'Europe/Athens', 'America/St_Johns', 'Australia/Lord_Howe', 'Asia/Kathmandu');
    const windows = fc.constantFrom(
      'minute',
      'hour',
      'day',
      'week',
      'month',
      'quarter',
      'year',
      'lifetime',
      'rolling:90m',
      'rolling:30d',
    );
    fc.assert(
      fc.property(windows, zones, fc.integer({ min: 0, max: at('2040-01-01T00:00:00Z') }), (window, zone, micros) => {
        const { start, from } = windowAt(window, zone, micros);
        expect(from).toBeLessThanOrEqual(start);
        expect(start).toBeLessThanOrEqual(micros);
        expect(windowAt(window, zone, start).start).toBe(start);
      }),
    );
  });

  test('a rolling window is sixty slices and the one that is leaving', () => {
    const now = at('2026-11-21T10:00:30Z');
    const { start, from } = windowAt('rolling:1h', 'UTC', now);
    expect(text(start)).toBe('2026-11-21T10:00:00.000Z');
    // The slice from 09:00 still reaches into the last hour; the one before is wholly outside.
    expect(text(from)).toBe('2026-11-21T09:00:00.000Z');
  });
});
