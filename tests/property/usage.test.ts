import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { seedCard, seedCustomers, seedEnvironment, seedKey } from '../../packages/server/bench/support/seed.ts';
import { sendEvents, startTestErgon, type TestErgon } from '../support/ergon.ts';
import {
  AGGREGATIONS,
  type Aggregation,
  naiveUsage,
  type Question,
  type Rows,
  SCALE,
  type Sample,
} from './naive-usage.ts';

/**
 * /v1/usage against a loop over all events: any events, in any batches, to any replica, some voided afterwards; any meter,
 * window, time zone, grouping and filter. Clocks go back in Europe on 25 October and in America on 1 November 2026.
 */
const FIRST = Date.UTC(2026, 9, 24) * 1000;
const MINUTES = 10 * 24 * 60;
const MINUTE = 60_000_000;
const CUSTOMERS = ['acme', 'zenith', 'Ünïcode & co'];
const MODELS = ['m-alpha', 'm-alpine', 'm-beta', 'x'];
const ONE = 10n ** BigInt(SCALE);

type Sent = {
  readonly kind: 'call' | 'level';
  readonly at: number;
  readonly customer: string | undefined;
  readonly model: string;
  readonly feature: string | undefined;
  readonly output: number;
  readonly thousandths: number;
  readonly isVoided: boolean;
};

let ergon: TestErgon;
let environments = 0;
beforeAll(async () => {
  ergon = await startTestErgon(2);
});
afterAll(() => ergon.stop());

/** Many instants share minutes, days and ends of days. */
const instant = fc
  .record({
    minute: fc.oneof(
      fc.integer({ min: 0, max: MINUTES - 1 }),
      fc.constantFrom(0, 1439, 1440, 2879, 2880, 11_519, 11_520),
    ),
    micros: fc.oneof(fc.constantFrom(0, 1, 59_999_999), fc.integer({ min: 0, max: MINUTE - 1 })),
  })
  .map(({ minute, micros }) => FIRST + minute * MINUTE + micros);

const sent: fc.Arbitrary<Sent> = fc.record({
  kind: fc.constantFrom('call', 'level'),
  at: instant,
  customer: fc.constantFrom(...CUSTOMERS, undefined),
  model: fc.constantFrom(...MODELS),
  feature: fc.constantFrom('chat', 'search', undefined),
  output: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 10_000 })),
  thousandths: fc.integer({ min: -9_999, max: 99_999 }),
  isVoided: fc.integer({ min: 0, max: 9 }).map((roll) => roll === 0),
});

const METERS = ['requests', 'output_tokens', 'total_tokens', 'charge', ...AGGREGATIONS.map((name) => `level_${name}`)];

type Asked = Question & { readonly meter: string };

const asked: fc.Arbitrary<Asked> = fc
  .record({
    meter: fc.constantFrom(...METERS),
    from: fc.integer({ min: -2_000, max: MINUTES }),
    minutes: fc.oneof(fc.integer({ min: 1, max: 3_000 }), fc.constant(MINUTES + 5_000)),
    window: fc.constantFrom('minute', 'hour', 'day', 'month', undefined),
    timeZone: fc.constantFrom('UTC', 'Europe/Athens', 'America/New_York', 'Asia/Kathmandu'),
    groupBy: fc.shuffledSubarray(['customer', 'model', 'feature']),
    customer: fc.constantFrom(...CUSTOMERS, 'nobody', undefined, undefined, undefined),
    filters: fc.constantFrom(
      [],
      [],
      [{ dimension: 'model', patterns: ['m-alp*', 'x'] }],
      [{ dimension: 'feature', patterns: ['chat'] }],
      [
        { dimension: 'model', patterns: ['m-*'] },
        { dimension: 'customer', patterns: ['ac*', 'Ü*'] },
      ],
    ),
  })
  .map(({ from, minutes, timeZone, ...rest }) => ({
    ...rest,
    timeZone: rest.window === 'day' || rest.window === 'month' ? timeZone : 'UTC',
    from: FIRST + from * MINUTE,
    // Minutes of ten days and all groups would pass the rows that one answer may have.
    to: FIRST + (from + (rest.window === 'minute' ? Math.min(minutes, 600) : minutes)) * MINUTE,
  }));

function eventOf(one: Sent, index: number): unknown {
  const { at, model, feature } = one;
  return {
    id: idOf(index),
    source: 'property',
    type: one.kind === 'call' ? 'llm.call' : 'level.change',
    ...(one.customer !== undefined && { subject: one.customer }),
    time: `${new Date(Math.floor(at / 1000)).toISOString().slice(0, 23)}${String(at % 1000).padStart(3, '0')}Z`,
    data: {
      model,
      ...(feature !== undefined && { feature }),
      ...(one.kind === 'call' ? { tokens: { input: 1, output: one.output } } : { by: `${one.thousandths / 1000}` }),
    },
  };
}

/** Padded, so that the order of ids is the order of numbers. */
function idOf(index: number): string {
  return `e${String(index).padStart(4, '0')}`;
}

function samplesOf(meter: string, events: readonly Sent[]): Sample[] {
  const kind = meter.startsWith('level_') ? 'level' : 'call';
  return events.flatMap((one, index) => {
    const isSilent = meter === 'output_tokens' && one.output === 0;
    if (one.kind !== kind || one.isVoided || isSilent) return [];
    // Nobody is charged for usage that names no customer.
    if (meter === 'charge' && one.customer === undefined) return [];
    const { at, customer, model, feature } = one;
    const dimensions = { model, feature, currency: 'USD' };
    return { at, id: idOf(index), customer, dimensions, value: valueOf(meter, one), distinct: model };
  });
}

function valueOf(meter: string, { output, thousandths }: Sent): bigint {
  switch (meter) {
    case 'requests':
      return ONE;
    case 'output_tokens':
      return BigInt(output) * ONE;
    case 'total_tokens':
      return BigInt(output + 1) * ONE;
    case 'charge': // 0.0000003 a token of output, 0.01 a request.
      return (BigInt(output) * 3n * ONE) / 10_000_000n + ONE / 100n;
    default:
      return (BigInt(thousandths) * ONE) / 1000n;
  }
}

async function newEnvironment(): Promise<string> {
  environments += 1;
  const id = await seedEnvironment(ergon.sql, `usage-${environments}`);
  await seedCustomers(ergon.sql, id, CUSTOMERS.slice(0, 1));
  for (const aggregation of AGGREGATIONS) {
    const spec = {
      event_types: ['level.change'],
      aggregation,
      ...(aggregation !== 'count' && { value: aggregation === 'unique' ? 'data.model' : 'data.by' }),
      group_by: ['data.model', 'data.feature'],
      unit: 'unit',
    };
    await ergon.sql.query('insert into meter (environment_id, key, spec) values ($1, $2, $3)', [
      id,
      `level_${aggregation}`,
      JSON.stringify(spec),
    ]);
  }
  await seedCard(ergon.sql, id, {
    currency: 'USD',
    prices: [
      { meter: 'output_tokens', charge_model: { type: 'per_unit', unit_amount: '0.0000003' } },
      { meter: 'requests', charge_model: { type: 'per_unit', unit_amount: '0.01' } },
    ],
  });
  return seedKey(ergon.sql, id);
}

async function sendAll(key: string, events: readonly unknown[], size: number): Promise<void> {
  const batches = Array.from({ length: Math.ceil(events.length / size) }, (_, index) =>
    events.slice(index * size, (index + 1) * size),
  );
  await Promise.all(
    batches.map(async (batch, index) => {
      const replica = ergon.replicas[index % ergon.replicas.length];
      if (replica === undefined) throw new Error('no replica');
      const answer = await sendEvents(replica, key, batch);
      expect(answer).toMatchObject({ accepted: batch.length, results: [] });
    }),
  );
}

async function usage(key: string, { meter, ...question }: Asked): Promise<Rows> {
  const { from, to, window, timeZone, groupBy, customer, filters } = question;
  const query = new URLSearchParams({ meter, from: iso(from), to: iso(to) });
  if (window !== undefined) query.set('window', window);
  if (timeZone !== 'UTC') query.set('time_zone', timeZone);
  if (groupBy.length > 0) query.set('group_by', groupBy.join(','));
  if (customer !== undefined) query.set('customer', customer);
  for (const { dimension, patterns } of filters) query.set(`filter[${dimension}]`, patterns.join(','));
  const response = await ergon.replicas[0]?.fetch(
    new Request(`http://test/v1/usage?${query}`, { headers: { authorization: `Bearer ${key}` } }),
  );
  const text = await response?.text();
  if (response?.status !== 200) throw new Error(`${query} answered ${text}`);
  const { rows } = JSON.parse(text ?? '') as { rows: { window_start: string; group: object; value: string }[] };
  const found: Record<string, string> = {};
  for (const row of rows) {
    const name = [Date.parse(row.window_start) * 1000, ...Object.values(row.group)].map(String).join('|');
    if (name in found) throw new Error(`two rows of ${name}`);
    if (row.value !== '0') found[name] = row.value;
  }
  return found;
}

function iso(micros: number): string {
  return new Date(micros / 1000).toISOString();
}

function expected(question: Asked, events: readonly Sent[]): Rows {
  const groupBy = question.meter === 'charge' ? [...question.groupBy, 'currency'] : question.groupBy;
  const aggregation = AGGREGATIONS.find((name): name is Aggregation => question.meter === `level_${name}`) ?? 'sum';
  const rows = naiveUsage(aggregation, samplesOf(question.meter, events), { ...question, groupBy });
  // Without groups a name ends in the separator.
  return Object.fromEntries(Object.entries(rows).map(([name, value]) => [name.replace(/\|$/, ''), value]));
}

test('usage is what a loop over the events says, whatever is asked', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(sent, { minLength: 1, maxLength: 60 }),
      fc.integer({ min: 1, max: 30 }),
      fc.array(asked, { minLength: 30, maxLength: 30 }),
      async (events, size, questions) => {
        const key = await newEnvironment();
        await sendAll(key, events.map(eventOf), size);
        const voids = events.flatMap((one, index) =>
          one.isVoided ? [{ id: `v${index}`, type: 'event.void', data: { source: 'property', id: idOf(index) } }] : [],
        );
        if (voids.length > 0) await sendAll(key, voids, voids.length);
        for (const question of questions) {
          expect({ question, rows: await usage(key, question) }).toEqual({
            question,
            rows: expected(question, events),
          });
        }
      },
    ),
    { numRuns: 60, interruptAfterTimeLimit: 20_000, markInterruptAsFailure: false },
  );
});
