import { Temporal } from 'temporal-polyfill';

export const WINDOWS = ['minute', 'hour', 'day', 'month'] as const;
export type UsageWindow = (typeof WINDOWS)[number];

const MINUTE_MICROS = 60_000_000;
const HOUR_MICROS = 60 * MINUTE_MICROS;

/**
 * Starts of the windows that cover `[from, to)`, ascending, in microseconds since 1970; the first may lie before `from`.
 * Days and months are cut in the time zone, so that a day may have 23 or 25 hours. At most `max + 1` of them: one too many
 * says that there are more.
 */
export function windowStarts(
  window: UsageWindow,
  timeZone: string,
  from: number,
  to: number,
  max: number,
): readonly number[] {
  const starts: number[] = [];
  if (window === 'minute' || window === 'hour') {
    const step = window === 'minute' ? MINUTE_MICROS : HOUR_MICROS;
    for (let start = Math.floor(from / step) * step; start < to && starts.length <= max; start += step) {
      starts.push(start);
    }
    return starts;
  }
  const local = Temporal.Instant.fromEpochMilliseconds(from / 1000).toZonedDateTimeISO(timeZone);
  const step = window === 'day' ? { days: 1 } : { months: 1 };
  let date = window === 'day' ? local.toPlainDate() : local.toPlainDate().with({ day: 1 });
  while (starts.length <= max) {
    const start = date.toZonedDateTime(timeZone).epochMilliseconds * 1000;
    if (start >= to) return starts;
    starts.push(start);
    date = date.add(step);
  }
  return starts;
}
