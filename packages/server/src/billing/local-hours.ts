import type { WindowHour } from '@ergon/rating';
import { localMinute } from '../catalog/billing-month.ts';
import { dayAfter, localDay, startOfDay } from '../catalog/billing-period.ts';

/** An hour of local time; `at` is its first minute with its offset, `from` and `to` are microseconds since 1970. */
type LocalHour = { readonly at: string; readonly from: number; readonly to: number };

/** Microseconds since 1970, `to` not included. */
export type Stretch = { readonly from: number; readonly to: number };

const MINUTE_MICROS = 60_000_000;

/**
 * Every hour of the local days that a stretch touches. Where clocks change within an hour, what is left of it is an hour of its
 * own, as the hours are in which usage is counted.
 */
function localHours({ from, to }: Stretch, timeZone: string): readonly LocalHour[] {
  const hours: LocalHour[] = [];
  const end = startOfDay(dayAfter(to, timeZone), timeZone);
  for (let start = startOfDay(localDay(from, timeZone), timeZone); start < end; ) {
    const at = localMinute(start, timeZone);
    const next = start + (60 - Number(at.slice(14, 16))) * MINUTE_MICROS;
    hours.push({ at, from: start, to: next });
    start = next;
  }
  return hours;
}

/** The hours of the days of a period, each with what of it lies in one of the stretches. */
export function servedHours(period: Stretch, stretches: readonly Stretch[], timeZone: string): WindowHour[] {
  return localHours(period, timeZone).map(({ at, from, to }) => {
    const served = stretches.reduce(
      (sum, one) => sum + Math.max(0, Math.min(to, one.to) - Math.max(from, one.from)),
      0,
    );
    return { at, served: BigInt(served), length: BigInt(to - from) };
  });
}
