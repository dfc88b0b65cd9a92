import { Temporal } from 'temporal-polyfill';

/** The answer of /v1/usage written a second time: a loop over all events, whole numbers only, no rollups. */

export const AGGREGATIONS = ['count', 'sum', 'max', 'min', 'avg', 'unique', 'latest', 'weighted_sum'] as const;
export type Aggregation = (typeof AGGREGATIONS)[number];

/** What one event gives to one meter. */
export type Sample = {
  /** Microseconds since 1970. */
  readonly at: number;
  readonly id: string;
  readonly customer: string | undefined;
  readonly dimensions: Readonly<Record<string, string | undefined>>;
  /** Units of 10^-SCALE. */
  readonly value: bigint;
  readonly distinct: string;
};

export const SCALE = 12;
/** Value and seconds together: `weighted_sum` multiplies by microseconds. */
const WEIGHTED_SCALE = SCALE + 6;

export type Question = {
  readonly from: number;
  readonly to: number;
  readonly window: 'minute' | 'hour' | 'day' | 'month' | undefined;
  readonly timeZone: string;
  readonly groupBy: readonly string[];
  readonly customer: string | undefined;
  readonly filters: readonly { readonly dimension: string; readonly patterns: readonly string[] }[];
};

/** "window start|group|group" to the value; rows of value zero left out. */
export type Rows = Readonly<Record<string, string>>;

export function naiveUsage(aggregation: Aggregation, samples: readonly Sample[], question: Question): Rows {
  const cells = new Map<string, Sample[]>();
  const isLevel = aggregation === 'weighted_sum';
  for (const sample of samples) {
    if (sample.at >= question.to || !isAsked(sample, question)) continue;
    if (sample.at < question.from && !isLevel) continue;
    const group = question.groupBy.map((name) => dimension(sample, name) ?? 'null').join('|');
    // A level lasts: its change counts in every window from its own on.
    const windows = isLevel
      ? windowsFrom(Math.max(sample.at, question.from), question)
      : [windowOf(sample.at, question)];
    for (const start of windows) {
      const name = `${start}|${group}`;
      const cell = cells.get(name);
      if (cell === undefined) cells.set(name, [sample]);
      else cell.push(sample);
    }
  }
  const rows: Record<string, string> = {};
  for (const [name, cell] of cells) {
    const start = Number(name.slice(0, name.indexOf('|')));
    const value = aggregate(aggregation, cell, {
      from: Math.max(start, question.from),
      to: Math.min(windowEnd(start, question), question.to),
    });
    if (value !== '0') rows[name] = value;
  }
  return rows;
}

function aggregate(aggregation: Aggregation, cell: readonly Sample[], span: { from: number; to: number }): string {
  const values = cell.map((sample) => sample.value);
  const total = values.reduce((sum, value) => sum + value, 0n);
  switch (aggregation) {
    case 'count':
      return String(cell.length);
    case 'sum':
      return decimalText(total, SCALE);
    case 'max':
      return decimalText(
        values.reduce((a, b) => (a > b ? a : b)),
        SCALE,
      );
    case 'min':
      return decimalText(
        values.reduce((a, b) => (a < b ? a : b)),
        SCALE,
      );
    case 'avg':
      return decimalText(halfAway(total, BigInt(cell.length)), SCALE);
    case 'unique':
      return String(new Set(cell.map((sample) => sample.distinct)).size);
    case 'latest':
      return decimalText(cell.reduce((a, b) => (isLater(b, a) ? b : a)).value, SCALE);
    case 'weighted_sum':
      return decimalText(
        cell.reduce((sum, { at, value }) => sum + value * BigInt(span.to - Math.max(at, span.from)), 0n),
        WEIGHTED_SCALE,
      );
  }
}

function isLater(a: Sample, b: Sample): boolean {
  return a.at > b.at || (a.at === b.at && a.id > b.id);
}

function halfAway(numerator: bigint, denominator: bigint): bigint {
  const size = numerator < 0n ? -numerator : numerator;
  const rounded = (2n * size + denominator) / (2n * denominator);
  return numerator < 0n ? -rounded : rounded;
}

function decimalText(units: bigint, scale: number): string {
  const digits = (units < 0n ? -units : units).toString().padStart(scale + 1, '0');
  const fraction = digits.slice(-scale).replace(/0+$/, '');
  const text = fraction === '' ? digits.slice(0, -scale) : `${digits.slice(0, -scale)}.${fraction}`;
  return units < 0n ? `-${text}` : text;
}

function isAsked(sample: Sample, { customer, filters }: Question): boolean {
  if (customer !== undefined && sample.customer !== customer) return false;
  return filters.every(({ dimension: name, patterns }) => {
    const value = dimension(sample, name);
    return (
      value !== undefined &&
      patterns.some((one) => (one.endsWith('*') ? value.startsWith(one.slice(0, -1)) : value === one))
    );
  });
}

function dimension(sample: Sample, name: string): string | undefined {
  return name === 'customer' ? sample.customer : sample.dimensions[name];
}

/** Start of the window that holds an instant; `from` where the question has none. */
function windowOf(at: number, { window, timeZone, from }: Question): number {
  if (window === undefined) return from;
  if (window === 'minute') return at - (at % 60_000_000);
  if (window === 'hour') return at - (at % 3_600_000_000);
  const local = Temporal.Instant.fromEpochMilliseconds(Math.floor(at / 1000)).toZonedDateTimeISO(timeZone);
  return (window === 'day' ? local : local.with({ day: 1 })).startOfDay().epochMilliseconds * 1000;
}

function windowEnd(start: number, { window, timeZone, to }: Question): number {
  if (window === undefined) return to;
  if (window === 'minute') return start + 60_000_000;
  if (window === 'hour') return start + 3_600_000_000;
  const local = Temporal.Instant.fromEpochMilliseconds(start / 1000).toZonedDateTimeISO(timeZone);
  return local.add(window === 'day' ? { days: 1 } : { months: 1 }).startOfDay().epochMilliseconds * 1000;
}

function windowsFrom(at: number, question: Question): readonly number[] {
  const starts: number[] = [];
  for (let start = windowOf(at, question); start < question.to; start = windowEnd(start, question)) starts.push(start);
  return starts;
}
