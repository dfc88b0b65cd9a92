import { Temporal } from 'temporal-polyfill';

export type CadenceUnit = 'day' | 'week' | 'month' | 'year';

/** How a subscription cuts time: every `count` units from a day of its time zone, in both directions. */
export type Schedule = {
  readonly timeZone: string;
  /** A local day, `2026-01-31`. */
  readonly anchorOn: string;
  readonly unit: CadenceUnit;
  readonly count: number;
};

/** One whole period of a schedule: `[from, to)` in microseconds since 1970, and the local days on which they fall. */
export type ScheduledPeriod = {
  readonly from: number;
  readonly to: number;
  readonly fromOn: string;
  readonly toOn: string;
};

const SCHEDULES_CACHED_MAX = 20_000;
const PERIODS_CACHED_MAX = 16;
const cache = new Map<string, ScheduledPeriod[]>();

/**
 * The period that holds an instant. Each boundary is counted from the anchor itself, so a month after 31 January is the last
 * day of February and the one after it 31 March; a boundary is the first instant of its day where daylight changes.
 */
export function periodAt(schedule: Schedule, micros: number): ScheduledPeriod {
  const key = `${schedule.timeZone}|${schedule.anchorOn}|${schedule.unit}|${schedule.count}`;
  let known = cache.get(key);
  if (known === undefined) {
    if (cache.size > SCHEDULES_CACHED_MAX) cache.clear();
    known = [];
    cache.set(key, known);
  }
  for (const period of known) if (micros >= period.from && micros < period.to) return period;
  const period = computePeriod(schedule, micros);
  if (known.length >= PERIODS_CACHED_MAX) known.shift();
  known.push(period);
  return period;
}

function computePeriod(schedule: Schedule, micros: number): ScheduledPeriod {
  const anchor = Temporal.PlainDate.from(schedule.anchorOn);
  const day = Temporal.PlainDate.from(localDay(micros, schedule.timeZone));
  const plural = `${schedule.unit}s` as const;
  let index = Math.floor(anchor.until(day, { largestUnit: plural })[plural] / schedule.count);
  const boundary = (at: number): Temporal.PlainDate => anchor.add({ [plural]: at * schedule.count });
  const startOf = (at: number): number => startOfDay(boundary(at).toString(), schedule.timeZone);
  while (startOf(index) > micros) index -= 1;
  while (startOf(index + 1) <= micros) index += 1;
  return {
    from: startOf(index),
    to: startOf(index + 1),
    fromOn: boundary(index).toString(),
    toOn: boundary(index + 1).toString(),
  };
}

/** The local day of an instant, `2026-11-21`. */
export function localDay(micros: number, timeZone: string): string {
  return Temporal.Instant.fromEpochMilliseconds(Math.floor(micros / 1000))
    .toZonedDateTimeISO(timeZone)
    .toPlainDate()
    .toString();
}

/** The first instant of a local day. */
export function startOfDay(day: string, timeZone: string): number {
  return Temporal.PlainDate.from(day).toZonedDateTime(timeZone).startOfDay().epochMilliseconds * 1000;
}

/** The local day on which nothing of a service that ends at `micros` is left: the next one, unless it ends as a day begins. */
export function dayAfter(micros: number, timeZone: string): string {
  const day = localDay(micros, timeZone);
  return startOfDay(day, timeZone) === micros ? day : addDays(day, 1);
}

export function addDays(day: string, days: number): string {
  return Temporal.PlainDate.from(day).add({ days }).toString();
}
