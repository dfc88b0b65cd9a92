/** How the time column is written. `auto` reads ISO 8601 shapes and Unix times told apart by their size. */
export type TimeFormat = 'auto' | 'unix' | 'unix-ms' | 'unix-us' | 'unix-ns' | { readonly pattern: string };

export type TimestampOptions = {
  readonly format: TimeFormat;
  /** For times without a zone: minutes east of UTC. */
  readonly zoneOffsetMinutes: number;
};

export type ParsedTimestamp =
  | {
      readonly ok: true;
      /** RFC 3339 in UTC, at most six fractional digits. */
      readonly time: string;
      /** Digits that are not zero stood beyond the microseconds and were cut off. */
      readonly isCut: boolean;
    }
  | { readonly ok: false; readonly detail: string };

type Fields = { year: string; month: string; day: string; hour: string; minute: string; second: string };

const ISO =
  /^(?<year>\d{4})[-/](?<month>\d{1,2})[-/](?<day>\d{1,2})(?:[T\s]\s*(?<hour>\d{1,2}):(?<minute>\d{2})(?::(?<second>\d{2})(?:[.,](?<fraction>\d+))?)?)?\s*(?<zone>Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?$/i;
const UNIX = /^(?<whole>\d{1,19})(?:\.(?<fraction>\d+))?$/;

/** Reads one time. Never guesses the order of day and month: such a text needs a pattern. */
export function parseTimestamp(text: string, options: TimestampOptions): ParsedTimestamp {
  const trimmed = text.trim();
  const { format } = options;
  if (typeof format === 'object') return parsePattern(trimmed, format.pattern, options);
  const unix = UNIX.exec(trimmed);
  if (format !== 'auto') {
    if (unix === null) return { ok: false, detail: `${quote(trimmed)} is not a ${format} time, a number was expected` };
    return parseUnix(unix, UNIX_DIGITS[format]);
  }
  if (unix !== null) {
    const digits = AUTO_DIGITS[unix.groups?.['whole']?.length ?? 0];
    if (digits !== undefined) return parseUnix(unix, digits);
  }
  const iso = ISO.exec(trimmed);
  if (iso === null) {
    return {
      ok: false,
      detail: `${quote(trimmed)} is not a time in a known form; say how it is written, e.g. --time-format "MM/DD/YYYY HH:mm:ss"`,
    };
  }
  const groups = iso.groups ?? {};
  return assemble(fieldsOf(groups), groups['fraction'] ?? '', groups['zone'], options, trimmed);
}

/** Digits of the number behind the second. */
const UNIX_DIGITS = { unix: 0, 'unix-ms': 3, 'unix-us': 6, 'unix-ns': 9 } as const;
/** Seconds have 10 digits from 2001 to 2286; the finer units three more each. */
const AUTO_DIGITS: Readonly<Record<number, number>> = { 10: 0, 13: 3, 16: 6, 19: 9 };

function parseUnix(match: RegExpExecArray, digits: number): ParsedTimestamp {
  const whole = (match.groups?.['whole'] ?? '0').padStart(digits + 1, '0');
  const seconds = Number(whole.slice(0, whole.length - digits));
  const fraction = whole.slice(whole.length - digits) + (match.groups?.['fraction'] ?? '');
  return format(seconds, fraction);
}

function fieldsOf(groups: Readonly<Record<string, string | undefined>>): Fields {
  return {
    year: groups['year'] ?? '',
    month: groups['month'] ?? '1',
    day: groups['day'] ?? '1',
    hour: groups['hour'] ?? '0',
    minute: groups['minute'] ?? '0',
    second: groups['second'] ?? '0',
  };
}

function assemble(
  fields: Fields,
  fraction: string,
  zone: string | undefined,
  options: TimestampOptions,
  text: string,
): ParsedTimestamp {
  const [year, month, day] = [Number(fields.year), Number(fields.month), Number(fields.day)];
  const [hour, minute, second] = [Number(fields.hour), Number(fields.minute), Number(fields.second)];
  const milliseconds = Date.UTC(year, month - 1, day, hour, minute, second);
  const back = new Date(milliseconds);
  const isReal = back.getUTCMonth() === month - 1 && back.getUTCDate() === day && back.getUTCHours() === hour;
  if (!isReal || minute > 59 || second > 59)
    return { ok: false, detail: `${quote(text)} is not a time of the calendar` };
  const offset = zone === undefined ? options.zoneOffsetMinutes : parseZone(zone);
  if (offset === undefined) return { ok: false, detail: `${quote(text)} has no valid zone` };
  return format(milliseconds / 1_000 - offset * 60, fraction);
}

function format(seconds: number, fraction: string): ParsedTimestamp {
  const instant = new Date(seconds * 1_000);
  if (Number.isNaN(instant.getTime())) return { ok: false, detail: `${seconds} seconds is not a time of the calendar` };
  const kept = fraction.slice(0, 6).replace(/0+$/, '');
  const whole = instant.toISOString().slice(0, 19);
  return { ok: true, time: kept === '' ? `${whole}Z` : `${whole}.${kept}Z`, isCut: /[1-9]/.test(fraction.slice(6)) };
}

/** Minutes east of UTC of `Z`, `UTC`, `+02`, `+0200` or `+02:00`; `undefined` for anything else. */
export function parseZone(text: string): number | undefined {
  if (/^(Z|UTC|GMT)$/i.test(text)) return 0;
  const match = /^([+-])(\d{2})(?::?(\d{2}))?$/.exec(text);
  if (match === null) return undefined;
  const [hours, minutes] = [Number(match[2]), Number(match[3] ?? '0')];
  if (hours > 14 || minutes > 59) return undefined;
  return (match[1] === '-' ? -1 : 1) * (hours * 60 + minutes);
}

const PARTS: Readonly<Record<string, string>> = {
  YYYY: '(?<year>\\d{4})',
  MM: '(?<month>\\d{1,2})',
  DD: '(?<day>\\d{1,2})',
  HH: '(?<hour>\\d{1,2})',
  mm: '(?<minute>\\d{2})',
  ss: '(?<second>\\d{2})',
  S: '(?<fraction>\\d+)',
  Z: '(?<zone>Z|UTC|[+-]\\d{2}(?::?\\d{2})?)',
};

const patterns = new Map<string, RegExp>();

/** A pattern of YYYY MM DD HH mm ss S (any number of fractional digits) and Z; other characters stand for themselves. */
export function compilePattern(pattern: string): RegExp | undefined {
  const known = patterns.get(pattern);
  if (known !== undefined) return known;
  let expression = '';
  const seen = new Set<string>();
  for (const token of pattern.match(/YYYY|MM|DD|HH|mm|ss|S+|Z|./g) ?? []) {
    const name = token.startsWith('S') ? 'S' : token;
    const part = PARTS[name];
    if (part !== undefined && seen.has(name)) return undefined;
    if (part !== undefined) seen.add(name);
    expression += part ?? token.replace(/[.*+?^${}()|[\]\\/]/, '\\$&');
  }
  if (!seen.has('YYYY') || !seen.has('MM') || !seen.has('DD')) return undefined;
  const compiled = new RegExp(`^${expression}$`);
  patterns.set(pattern, compiled);
  return compiled;
}

function parsePattern(text: string, pattern: string, options: TimestampOptions): ParsedTimestamp {
  const match = compilePattern(pattern)?.exec(text);
  if (match === undefined || match === null)
    return { ok: false, detail: `${quote(text)} is not written as ${quote(pattern)}` };
  const groups = match.groups ?? {};
  return assemble(fieldsOf(groups), groups['fraction'] ?? '', groups['zone'], options, text);
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 60));
}
