import { Temporal } from 'temporal-polyfill';
import { type CadenceUnit, periodAt } from '../catalog/billing-period.ts';

/** Where a counter stands: its own window or slice, and from where on slices add up to the window. Microseconds since 1970. */
export type CounterWindow = { readonly start: number; readonly from: number };

const SLICES = 60;
const MINUTE = 60_000_000;
const UNIT_MICROS: Readonly<Record<string, number>> = { m: MINUTE, h: 60 * MINUTE, d: 1440 * MINUTE };
const WINDOWS_CACHED_MAX = 10_000;
const cache = new Map<string, { readonly start: number; readonly end: number }>();

/**
 * The window of a budget that holds an instant. Calendar windows begin where the time zone's calendar says, whatever daylight
 * saving does to their length; `every:1month@2026-01-15` follows a subscription's periods; a rolling window is 60 slices, and a slice leaves when it is wholly outside; a lifetime is one.
 */
export function windowAt(window: string, timeZone: string, micros: number): CounterWindow {
  if (window === 'lifetime') return { start: 0, from: 0 };
  const rolling = /^rolling:(\d+)([mhd])$/.exec(window);
  if (rolling !== null) {
    const length = Number(rolling[1]) * (UNIT_MICROS[rolling[2] ?? 'm'] ?? MINUTE);
    const slice = length / SLICES;
    return { start: Math.floor(micros / slice) * slice, from: Math.floor((micros - length) / slice) * slice };
  }
  const anchored = ANCHORED.exec(window);
  if (anchored !== null) {
    const [, count = '1', unit = 'month', anchorOn = ''] = anchored;
    const { from } = periodAt({ timeZone, anchorOn, unit: unitOf(unit), count: Number(count) }, micros);
    return { start: from, from };
  }
  const key = `${window}|${timeZone}`;
  const known = cache.get(key);
  if (known !== undefined && micros >= known.start && micros < known.end)
    return { start: known.start, from: known.start };
  const found = calendarWindow(window, timeZone, micros);
  if (cache.size > WINDOWS_CACHED_MAX) cache.clear();
  cache.set(key, found);
  return { start: found.start, from: found.start };
}

const ANCHORED = /^every:(\d+)(day|week|month|year)@(\d{4}-\d{2}-\d{2})$/;
const UNITS: readonly CadenceUnit[] = ['day', 'week', 'month', 'year'];

function unitOf(text: string): CadenceUnit {
  return UNITS.find((unit) => unit === text) ?? 'month';
}

function calendarWindow(window: string, timeZone: string, micros: number): { start: number; end: number } {
  const local = Temporal.Instant.fromEpochMilliseconds(Math.floor(micros / 1000)).toZonedDateTimeISO(timeZone);
  if (window === 'minute' || window === 'hour') {
    // By elapsed time, so that the hour that a clock repeats in autumn is two windows.
    const start = local.round({ smallestUnit: window, roundingMode: 'floor' });
    return { start: start.epochMilliseconds * 1000, end: start.add({ [`${window}s`]: 1 }).epochMilliseconds * 1000 };
  }
  const date = local.toPlainDate();
  const [first, next] = firstDays(window, date);
  const day = (one: Temporal.PlainDate): number => one.toZonedDateTime(timeZone).startOfDay().epochMilliseconds * 1000;
  return { start: day(first), end: day(next) };
}

function firstDays(window: string, date: Temporal.PlainDate): readonly [Temporal.PlainDate, Temporal.PlainDate] {
  switch (window) {
    case 'week': {
      const monday = date.subtract({ days: date.dayOfWeek - 1 });
      return [monday, monday.add({ days: 7 })];
    }
    case 'month': {
      const first = date.with({ day: 1 });
      return [first, first.add({ months: 1 })];
    }
    case 'quarter': {
      const first = date.with({ day: 1, month: date.month - ((date.month - 1) % 3) });
      return [first, first.add({ months: 3 })];
    }
    case 'year': {
      const first = date.with({ day: 1, month: 1 });
      return [first, first.add({ years: 1 })];
    }
    default:
      return [date, date.add({ days: 1 })];
  }
}
