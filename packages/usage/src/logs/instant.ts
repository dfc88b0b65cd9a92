const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/;

/** The value where it is an RFC 3339 instant of the calendar, else `undefined`. */
export function instant(value: unknown): string | undefined {
  return typeof value === 'string' && INSTANT.test(value) && !Number.isNaN(Date.parse(value)) ? value : undefined;
}

/** The last millisecond an RFC 3339 instant of four-digit years can name. */
const MILLISECONDS_MAX = 253_402_300_799_999;

/** An instant from milliseconds since 1970, or `undefined` where they name none. */
export function instantOfMilliseconds(value: unknown): string | undefined {
  const isInstant = typeof value === 'number' && Number.isFinite(value) && value > 0 && value <= MILLISECONDS_MAX;
  return isInstant ? new Date(value).toISOString() : undefined;
}
