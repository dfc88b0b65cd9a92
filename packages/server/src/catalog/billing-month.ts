import { Temporal } from 'temporal-polyfill';

/** One calendar month of a time zone: `[from, to)` in microseconds since 1970, named by its first day there. */
export type BillingMonth = { readonly period: string; readonly from: number; readonly to: number };

const MONTHS_CACHED_MAX = 5_000;
const cache = new Map<string, BillingMonth[]>();

/**
 * The calendar month that holds an instant, in the customer's zone: daylight changes move its ends, so it is computed by
 * Temporal and remembered.
 *
 * @throws RangeError for a zone IANA does not know.
 */
export function billingMonth(micros: number, timeZone: string): BillingMonth {
  let months = cache.get(timeZone);
  if (months === undefined) {
    if (cache.size > MONTHS_CACHED_MAX) cache.clear();
    months = [];
    cache.set(timeZone, months);
  }
  for (const month of months) if (micros >= month.from && micros < month.to) return month;
  const local = Temporal.Instant.fromEpochMilliseconds(Math.floor(micros / 1000)).toZonedDateTimeISO(timeZone);
  const first = local.toPlainDate().with({ day: 1 });
  const month: BillingMonth = {
    period: first.toString(),
    from: startOfDay(first, timeZone),
    to: startOfDay(first.add({ months: 1 }), timeZone),
  };
  if (months.length >= 64) months.shift();
  months.push(month);
  return month;
}

function startOfDay(date: Temporal.PlainDate, timeZone: string): number {
  return date.toZonedDateTime(timeZone).startOfDay().epochMilliseconds * 1000;
}

/** The minute of an instant in a time zone with its offset, `YYYY-MM-DDTHH:MM+HH:MM`: what time-of-day prices look at. */
export function localMinute(micros: number, timeZone: string): string {
  const local = Temporal.Instant.fromEpochMilliseconds(Math.floor(micros / 1000)).toZonedDateTimeISO(timeZone);
  return local.toString({ smallestUnit: 'minute', timeZoneName: 'never' });
}

/** A zone that billing periods can be cut in. Offsets such as +02:00 are none: they have no daylight saving to follow. */
export function isTimeZone(text: string): boolean {
  if (!/^[A-Za-z][A-Za-z0-9_+/-]*$/.test(text)) return false;
  try {
    billingMonth(0, text);
    return true;
  } catch {
    return false;
  }
}
