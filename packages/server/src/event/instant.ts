/** Instants as microseconds since 1970 in a safe integer (good until the year 2255). */

const RFC3339 = /^(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,12}))?([Zz]|[+-]\d{2}:\d{2})$/;

/** Earliest instant accepted: events of AI products, not of history. */
const EARLIEST_MICROS = Date.UTC(2000, 0, 1) * 1000;
const LATEST_MICROS = Date.UTC(2200, 0, 1) * 1000;

const DAYS_IN_MONTH = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** Parses an RFC 3339 date-time with offset; digits beyond microseconds are dropped. `undefined` when it is none. */
export function parseInstant(text: string): number | undefined {
  return parseUtc(text) ?? parseAny(text);
}

/** The minute last parsed by {@link parseUtc}: events arrive in the order of their time, many in one minute. */
let lastMinute = { text: '', micros: 0 };

/** The common notation, `2026-11-21T10:00:00[.123[456]]Z`, without a regular expression; `undefined` for any other. */
function parseUtc(text: string): number | undefined {
  const { length } = text;
  if ((length !== 20 && length !== 24 && length !== 27) || text.charCodeAt(length - 1) !== UPPER_Z) return undefined;
  const minute = text.slice(0, 17);
  if (minute !== lastMinute.text) {
    const micros = parseAny(`${minute}00Z`);
    if (micros === undefined || text.charCodeAt(10) !== UPPER_T) return undefined;
    lastMinute = { text: minute, micros };
  }
  const seconds = digits(text, 17, 19);
  if (seconds < 0 || seconds > 59) return undefined;
  if (length === 20) return lastMinute.micros + seconds * 1_000_000;
  const fraction = text.charCodeAt(19) === POINT ? digits(text, 20, length - 1) : -1;
  if (fraction < 0) return undefined;
  return lastMinute.micros + seconds * 1_000_000 + (length === 24 ? fraction * 1000 : fraction);
}

const UPPER_T = 0x54;
const UPPER_Z = 0x5a;
const POINT = 0x2e;

/** The number written by the digits in `[from, to)`, or -1. */
function digits(text: string, from: number, to: number): number {
  let value = 0;
  for (let index = from; index < to; index++) {
    const digit = text.charCodeAt(index) - 48;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

function parseAny(text: string): number | undefined {
  const micros = parseAnyYear(text);
  return micros !== undefined && micros >= EARLIEST_MICROS && micros < LATEST_MICROS ? micros : undefined;
}

function parseAnyYear(text: string): number | undefined {
  const match = RFC3339.exec(text);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second, fraction, zone] = match;
  const y = Number(year);
  const mo = Number(month);
  const d = Number(day);
  const h = Number(hour);
  const mi = Number(minute);
  const s = Number(second);
  if (mo < 1 || mo > 12 || d < 1 || d > (DAYS_IN_MONTH[mo - 1] ?? 0) || h > 23 || mi > 59 || s > 60) return undefined;
  if (mo === 2 && d === 29 && !(y % 4 === 0 && (y % 100 !== 0 || y % 400 === 0))) return undefined;
  const offset = offsetMinutes(zone ?? 'Z');
  if (offset === undefined) return undefined;
  const millis = Date.UTC(y, mo - 1, d, h, mi, s) - offset * 60_000;
  return millis * 1000 + (fraction === undefined ? 0 : Number(fraction.slice(0, 6).padEnd(6, '0')));
}

function offsetMinutes(zone: string): number | undefined {
  if (zone === 'Z' || zone === 'z') return 0;
  const hours = Number(zone.slice(1, 3));
  const minutes = Number(zone.slice(4, 6));
  if (hours > 23 || minutes > 59) return undefined;
  return (zone.startsWith('-') ? -1 : 1) * (hours * 60 + minutes);
}

/** `2026-11-21T10:00:00Z`, or with exactly six decimals where there are microseconds. */
export function formatInstant(micros: number): string {
  const minute = Math.floor(micros / 60_000_000);
  if (minute !== lastFormatted.minute) {
    lastFormatted = { minute, text: new Date(minute * 60_000).toISOString().slice(0, 17) };
  }
  const rest = micros - minute * 60_000_000;
  const seconds = Math.floor(rest / 1_000_000);
  const fraction = rest - seconds * 1_000_000;
  const whole = `${lastFormatted.text}${seconds < 10 ? '0' : ''}${seconds}`;
  return fraction === 0 ? `${whole}Z` : `${whole}.${String(fraction).padStart(6, '0')}Z`;
}

let lastFormatted = { minute: Number.NaN, text: '' };

/**
 * Microseconds of an instant as PostgreSQL prints a timestamptz in UTC: `2026-11-21 10:00:00.123456+00`. Days and months
 * that hold the earliest events began before them, and the window of a lifetime budget in 1970.
 */
export function microsFromPostgres(text: string): number {
  const micros = parseAnyYear(text.replace(/\+00$/, 'Z'));
  if (micros === undefined) throw new RangeError(`not a timestamptz in UTC: ${text}`);
  return micros;
}
