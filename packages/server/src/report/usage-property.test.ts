import { add, decimal, type Decimal, divide, larger, multiply, smaller, toText, ZERO } from '@ergon/exact';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestErgon, type TestErgon } from '../../../../tests/support/ergon.ts';
import { newTenant, type Tenant, usage } from './report.test-support.ts';

/** Any events in any batches, some of them voided: what /v1/usage answers is what a loop over the events gives. */

const MINUTE = 60_000;
/** Three days around the night in which Athens sets its clocks back (2025-10-26). */
const START = Date.UTC(2025, 9, 24);
const RANGE_MINUTES = 3 * 24 * 60;
const CUSTOMERS = ['acme', 'zenith'] as const;
const AGGREGATIONS = ['sum', 'count', 'max', 'min', 'avg', 'latest', 'unique', 'weighted_sum'] as const;
type Aggregation = (typeof AGGREGATIONS)[number];

type Call = {
  readonly kind: 'call';
  readonly at: number;
  readonly customer: string | null;
  readonly model: string;
  readonly feature: string | null;
  readonly status: string;
  readonly input: number;
  readonly output: number;
};
type Job = {
  readonly kind: 'job';
  readonly at: number;
  readonly customer: string | null;
  readonly region: string | null;
  readonly value: string;
};
type Event = (Call | Job) & { readonly id: string; readonly isVoided: boolean };

/** A few minutes that events and ranges crowd around, at the edges of days and where clocks change. */
const crowded = fc.constantFrom(0, 600, 1260, 1261, 1440, 1500, 2879, 2880, 2940);
const minuteOf = fc.oneof(crowded, crowded, fc.integer({ min: 0, max: RANGE_MINUTES - 1 }));
const at = fc
  .tuple(minuteOf, fc.integer({ min: 0, max: MINUTE - 1 }))
  .map(([minute, offset]) => START + minute * MINUTE + offset);
const customer = fc.constantFrom(...CUSTOMERS, null);
const call: fc.Arbitrary<Call> = fc.record({
  kind: fc.constant('call'),
  at,
  customer,
  model: fc.constantFrom('gpt-5', 'gpt-5-mini', 'claude-opus-4-5'),
  feature: fc.constantFrom('chat', 'search', null),
  status: fc.constantFrom('ok', 'error'),
  input: fc.integer({ min: 0, max: 5_000 }),
  output: fc.integer({ min: 0, max: 5_000 }),
});
const job: fc.Arbitrary<Job> = fc.record({
  kind: fc.constant('job'),
  at,
  customer,
  region: fc.constantFrom('eu', 'us', null),
  value: fc.oneof(
    fc.constantFrom('1', '2', '0.5', '-3'),
    fc.integer({ min: -9_999_999, max: 9_999_999 }).map((digits) => (digits / 10_000).toString()),
  ),
});
const events = fc
  .array(fc.tuple(fc.oneof(call, job), fc.integer({ min: 0, max: 9 })), { minLength: 1, maxLength: 90, size: 'max' })
  .map((list): Event[] => list.map(([one, luck], index) => ({ ...one, id: `e${index}`, isVoided: luck === 0 })));

const question = fc.record({
  meter: fc.constantFrom(
    'requests',
    'errors',
    'output_tokens',
    'total_tokens',
    ...AGGREGATIONS.map((one) => `job_${one}`),
  ),
  window: fc.constantFrom(undefined, 'minute', 'hour', 'day', 'month'),
  zone: fc.constantFrom('UTC', 'Europe/Athens', 'Asia/Kathmandu'),
  dimensions: fc.subarray(['first', 'second', 'customer']),
  range: fc
    .uniqueArray(fc.oneof(minuteOf, fc.constant(RANGE_MINUTES)), { minLength: 2, maxLength: 2 })
    .map((ends) => ends.toSorted((a, b) => a - b)),
  customer: fc.constantFrom(undefined, undefined, undefined, ...CUSTOMERS, 'nobody'),
  filter: fc.constantFrom(undefined, undefined, undefined, 'e*', '*', 'gpt-5', 'gpt-5*,claude-opus-4-5', 'eu,us'),
});
type Question = (typeof question extends fc.Arbitrary<infer T> ? T : never) & { readonly zone: string };

let ergon: TestErgon;
beforeAll(async () => {
  ergon = await startTestErgon();
});
afterAll(() => ergon.stop());

test('usage is the sum of its events, for every window, group and filter', { timeout: 180_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(
      events,
      fc.array(question, { minLength: 24, maxLength: 24 }),
      fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 6 }),
      events,
      async (mine, questions, batches, others) => {
        const tenant = await prepared(mine, batches);
        // The same names and ids in another environment change nothing.
        await prepared(others, [others.length]);
        for (const asked of questions) {
          expect({ asked, rows: await usage(tenant, parametersOf(asked)) }).toEqual({
            asked,
            rows: naive(mine, asked),
          });
        }
      },
    ),
    { numRuns: 25 },
  );
});

async function prepared(list: readonly Event[], batches: readonly number[]): Promise<Tenant> {
  const tenant = await newTenant(ergon, CUSTOMERS);
  for (const aggregation of AGGREGATIONS) {
    await tenant.put(`/v1/meters/job_${aggregation}`, {
      event_types: ['job'],
      aggregation,
      value: 'data.value',
      group_by: ['data.region', 'type'],
    });
  }
  let from = 0;
  for (let batch = 0; from < list.length; batch += 1) {
    const size = batches[batch % batches.length] ?? 1;
    const answer = await tenant.send(list.slice(from, from + size).map(sent));
    expect(answer.rejected + answer.duplicates + answer.conflicts).toBe(0);
    from += size;
  }
  const voids = list
    .filter((event) => event.isVoided)
    .map(({ id }) => ({
      id: `void-${id}`,
      source: 'test',
      type: 'event.void',
      data: { source: 'test', id },
    }));
  if (voids.length > 0) expect((await tenant.send(voids)).accepted).toBe(voids.length);
  return tenant;
}

function sent(event: Event): unknown {
  const envelope = {
    id: event.id,
    source: 'test',
    time: new Date(event.at).toISOString(),
    ...(event.customer !== null && { subject: event.customer }),
  };
  if (event.kind === 'job') {
    return { ...envelope, type: 'job', data: { value: event.value, ...(event.region && { region: event.region }) } };
  }
  const { model, feature, status, input, output } = event;
  const data = { provider: 'openai', model, status, tokens: { input, output }, ...(feature && { feature }) };
  return { ...envelope, type: 'llm.call', data };
}

function parametersOf({ meter, window, zone, dimensions, range, customer: only, filter }: Question) {
  const [from = 0, to = 0] = range;
  const isJob = meter.startsWith('job_');
  return {
    meter,
    from: new Date(START + from * MINUTE).toISOString(),
    to: new Date(START + to * MINUTE).toISOString(),
    ...(window !== undefined && { window }),
    ...((window === 'day' || window === 'month') && { time_zone: zone }),
    ...(dimensions.length > 0 && { group_by: dimensions.map((one) => nameOf(one, isJob)).join(',') }),
    ...(only !== undefined && { customer: only }),
    ...(filter !== undefined && { [`filter[${nameOf('first', isJob)}]`]: filter }),
  };
}

function nameOf(dimension: string, isJob: boolean): string {
  if (dimension === 'customer') return dimension;
  return isJob ? (dimension === 'first' ? 'region' : 'type') : dimension === 'first' ? 'model' : 'feature';
}

function dimensionOf(event: Event, dimension: string): string | null {
  if (dimension === 'customer') return event.customer;
  if (event.kind === 'job') return dimension === 'first' ? event.region : 'job';
  return dimension === 'first' ? event.model : event.feature;
}

type Row = { window_start: string; group: Record<string, string | null>; value: string };
type Cell = { readonly start: number; readonly keys: readonly (string | null)[]; readonly events: Event[] };

function naive(list: readonly Event[], asked: Question): Row[] {
  const isJob = asked.meter.startsWith('job_');
  const [first = 0, last = 0] = asked.range;
  const from = START + first * MINUTE;
  const to = START + last * MINUTE;
  const fitting = list.filter(
    (event) =>
      (event.kind === 'job') === isJob &&
      // A voided event's counts stay as zero; to a meter of one's own it never was.
      !(isJob && event.isVoided) &&
      event.at < to &&
      (asked.customer === undefined || event.customer === asked.customer) &&
      passes(dimensionOf(event, 'first'), asked.filter),
  );
  const startOf = (time: number) => (asked.window === undefined ? from : windowStart(time, asked.window, asked.zone));
  const cells = new Map<string, Cell>();
  const put = (start: number, event: Event) => {
    const keys = asked.dimensions.map((one) => dimensionOf(event, one));
    const name = JSON.stringify([start, keys]);
    const cell = cells.get(name) ?? { start, keys, events: [] };
    cells.set(name, cell);
    cell.events.push(event);
  };
  if (asked.meter === 'job_weighted_sum') {
    // What was held counts in every later window.
    const starts = new Set(Array.from({ length: last - first }, (_, minute) => startOf(from + minute * MINUTE)));
    for (const start of starts)
      for (const event of fitting) if (startOf(Math.max(event.at, from)) <= start) put(start, event);
  } else {
    for (const event of fitting) if (event.at >= from) put(startOf(event.at), event);
  }
  return [...cells.values()].sort(byStartAndKeys).flatMap(({ start, keys, events: inside }) => {
    const end = asked.window === undefined ? to : Math.min(to, windowEnd(start, asked.window, asked.zone));
    const value = valueOf(asked.meter, inside, Math.max(start, from), end);
    const group = Object.fromEntries(asked.dimensions.map((one, index) => [nameOf(one, isJob), keys[index] ?? null]));
    return value === undefined ? [] : { window_start: `${new Date(start).toISOString().slice(0, 19)}Z`, group, value };
  });
}

function passes(value: string | null, filter: string | undefined): boolean {
  if (filter === undefined) return true;
  if (value === null) return false;
  return filter.split(',').some((one) => (one.endsWith('*') ? value.startsWith(one.slice(0, -1)) : value === one));
}

function byStartAndKeys(a: Cell, b: Cell): number {
  if (a.start !== b.start) return a.start - b.start;
  for (let index = 0; index < a.keys.length; index += 1) {
    const left = a.keys[index] ?? '';
    const right = b.keys[index] ?? '';
    if (left !== right) return left < right ? -1 : 1;
  }
  return 0;
}

/** `undefined`: nothing of it was metered. */
function valueOf(meter: string, list: readonly Event[], from: number, to: number): string | undefined {
  const calls = list.filter((event) => event.kind === 'call');
  const jobs = list.filter((event) => event.kind === 'job');
  const total = (count: (one: Call) => number) => {
    const present = calls.filter((one) => count(one) > 0);
    const sum = present.reduce((so, one) => so + (one.isVoided ? 0 : count(one)), 0);
    return present.length === 0 ? undefined : String(sum);
  };
  switch (meter) {
    case 'requests':
      return total(() => 1);
    case 'errors':
      return total((one) => (one.status === 'ok' ? 0 : 1));
    case 'output_tokens':
      return total((one) => one.output);
    case 'total_tokens':
      return total((one) => one.input + one.output);
    default:
      return aggregate(meter.slice(4) as Aggregation, jobs, from, to);
  }
}

function aggregate(
  aggregation: Aggregation,
  jobs: readonly (Job & { readonly id: string })[],
  from: number,
  to: number,
): string {
  const values = jobs.map((one) => decimal(one.value));
  const sum = values.reduce(add, ZERO);
  const count = decimal(values.length);
  switch (aggregation) {
    case 'sum':
      return toText(sum);
    case 'count':
      return toText(count);
    case 'max':
      return toText(values.reduce(larger));
    case 'min':
      return toText(values.reduce(smaller));
    case 'avg':
      return toText(divide(sum, count, { places: 12, mode: 'half-away-from-zero' }));
    case 'latest': {
      const newest = jobs.toSorted((a, b) => a.at - b.at || (a.id < b.id ? -1 : 1)).at(-1);
      return toText(decimal(newest?.value ?? ''));
    }
    case 'unique':
      return String(new Set(jobs.map((one) => one.value)).size);
    case 'weighted_sum': {
      const held = (one: Job): Decimal =>
        multiply(decimal(one.value), decimal(((to - Math.max(one.at, from)) / 1000).toFixed(3)));
      return toText(jobs.map(held).reduce(add, ZERO));
    }
  }
}

const starts = new Map<string, number>();

/** Walks back a quarter of an hour at a time until the local calendar says another day or month. */
function windowStart(time: number, window: string, zone: string): number {
  if (window === 'minute') return Math.floor(time / MINUTE) * MINUTE;
  if (window === 'hour') return Math.floor(time / (60 * MINUTE)) * 60 * MINUTE;
  const label = localLabel(time, window, zone);
  const name = `${zone}|${label}`;
  let start = starts.get(name);
  if (start === undefined) {
    start = Math.floor(time / (15 * MINUTE)) * 15 * MINUTE;
    while (localLabel(start - 1, window, zone) === label) start -= 15 * MINUTE;
    starts.set(name, start);
  }
  return start;
}

function windowEnd(start: number, window: string, zone: string): number {
  if (window === 'minute') return start + MINUTE;
  if (window === 'hour') return start + 60 * MINUTE;
  // A day has at least 20 hours and a month 27 days; from there on the calendar is asked.
  const label = localLabel(start, window, zone);
  let end = start + (window === 'day' ? 20 * 60 : 27 * 24 * 60) * MINUTE;
  while (localLabel(end, window, zone) === label) end += 15 * MINUTE;
  return end;
}

const formats = new Map<string, Intl.DateTimeFormat>();

function localLabel(time: number, window: string, zone: string): string {
  let format = formats.get(zone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat('en-CA', { timeZone: zone, year: 'numeric', month: '2-digit', day: '2-digit' });
    formats.set(zone, format);
  }
  const label = format.format(time);
  return window === 'day' ? label : label.slice(0, 7);
}
