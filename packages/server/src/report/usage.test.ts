import { afterAll, beforeAll, expect, test } from 'vitest';
import { seedCard } from '../../bench/support/seed.ts';
import { startTestErgon, type TestErgon } from '../../../../tests/support/ergon.ts';
import { LIMITS } from '../limits.ts';
import { llmCall, newTenant, type Tenant, usage } from './report.test-support.ts';

let ergon: TestErgon;
let tenant: Tenant;

const DAY = { from: '2026-10-24T00:00:00Z', to: '2026-10-27T00:00:00Z' };

beforeAll(async () => {
  ergon = await startTestErgon();
  tenant = await newTenant(ergon, ['acme', 'zenith']);
  await seedCard(ergon.sql, tenant.id, {
    currency: 'USD',
    prices: [{ key: 'out', meter: 'output_tokens', charge_model: { type: 'per_unit', unit_amount: '0.1' } }],
  });
  await tenant.put('/v1/meters/seats', {
    event_types: ['seat.changed'],
    aggregation: 'weighted_sum',
    value: 'data.change',
    group_by: ['data.plan'],
    unit: 'seat-second',
  });
  await tenant.send([
    llmCall('a', '2026-10-24T20:59:59.999Z', { feature: 'chat', tokens: { input: 100, cache_read: 20, output: 5 } }),
    // Half an hour after midnight in Athens, where this day has 25 hours.
    llmCall('b', '2026-10-24T21:30:00Z', { feature: 'chat', tokens: { input: 7, output: 3 } }),
    llmCall('c', '2026-10-25T21:59:00Z', { model: 'gpt-5-mini', tokens: { input: 1, output: 1 } }, 'zenith'),
    llmCall('d', '2026-10-25T22:00:00Z', { model: 'claude-opus-4-5', tokens: { output: 2 } }, 'zenith'),
    {
      id: 's1',
      source: 'test',
      type: 'seat.changed',
      time: '2026-10-24T00:00:30.5Z',
      data: { change: 10, plan: 'pro' },
    },
    { id: 's2', source: 'test', type: 'seat.changed', time: '2026-10-25T12:00:00Z', data: { change: -4, plan: 'pro' } },
  ]);
});
afterAll(() => ergon.stop());

test('sums by window and group', async () => {
  expect(await usage(tenant, { ...DAY, meter: 'output_tokens', window: 'day', group_by: 'customer,feature' })).toEqual([
    { window_start: '2026-10-24T00:00:00Z', group: { customer: 'acme', feature: 'chat' }, value: '8' },
    { window_start: '2026-10-25T00:00:00Z', group: { customer: 'zenith', feature: null }, value: '3' },
  ]);
});

test('days and months begin where the time zone says, with the length they have there', async () => {
  const asked = { ...DAY, meter: 'total_tokens', time_zone: 'Europe/Athens' };
  expect(await usage(tenant, { ...asked, window: 'day' })).toEqual([
    { window_start: '2026-10-23T21:00:00Z', group: {}, value: '125' },
    { window_start: '2026-10-24T21:00:00Z', group: {}, value: '12' },
    { window_start: '2026-10-25T22:00:00Z', group: {}, value: '2' },
  ]);
  expect(await usage(tenant, { ...asked, window: 'month' })).toEqual([
    { window_start: '2026-09-30T21:00:00Z', group: {}, value: '139' },
  ]);
});

test('from is inclusive, to is not', async () => {
  const minute = { meter: 'requests', from: '2026-10-25T21:59:00Z', to: '2026-10-25T22:00:00Z' };
  expect(await usage(tenant, minute)).toEqual([{ window_start: minute.from, group: {}, value: '1' }]);
  expect(await usage(tenant, { ...minute, from: '2026-10-25T22:01:00Z', to: '2026-10-25T22:02:00Z' })).toEqual([]);
});

test('money: the charge by currency, the provider cost in USD', async () => {
  const charge = await usage(tenant, { ...DAY, meter: 'charge', group_by: 'customer' });
  expect(charge).toEqual([
    { window_start: DAY.from, group: { customer: 'acme', currency: 'USD' }, value: '0.8' },
    { window_start: DAY.from, group: { customer: 'zenith', currency: 'USD' }, value: '0.3' },
  ]);
  // gpt-5: 107 input at 1.25, 20 cached at 0.125, 8 output at 10 dollars a million.
  const cost = await usage(tenant, { ...DAY, meter: 'provider_cost', 'filter[model]': 'gpt-5' });
  expect(cost).toEqual([{ window_start: DAY.from, group: {}, value: '0.00021625' }]);
});

test('filters take several values and prefixes, and the star is literal nowhere but at the end', async () => {
  const models = async (filter: string) => {
    const rows = await usage(tenant, { ...DAY, meter: 'requests', group_by: 'model', 'filter[model]': filter });
    return rows.map((row) => `${row.group.model} ${row.value}`);
  };
  expect(await models('gpt-5')).toEqual(['gpt-5 2']);
  expect(await models('gpt-5*')).toEqual(['gpt-5 2', 'gpt-5-mini 1']);
  expect(await models('gpt-5,claude*')).toEqual(['claude-opus-4-5 1', 'gpt-5 2']);
  expect(await models('*5')).toEqual([]);
  expect(await models('gpt_5')).toEqual([]);
  expect(await models('g%')).toEqual([]);
});

test('a time-weighted sum counts what was held before the range, and every window since', async () => {
  // 10 seats since 30.5 seconds past midnight, 6 since noon of the second day.
  expect(await usage(tenant, { ...DAY, meter: 'seats', window: 'day', group_by: 'plan' })).toEqual([
    { window_start: '2026-10-24T00:00:00Z', group: { plan: 'pro' }, value: '863695' },
    { window_start: '2026-10-25T00:00:00Z', group: { plan: 'pro' }, value: '691200' },
    { window_start: '2026-10-26T00:00:00Z', group: { plan: 'pro' }, value: '518400' },
  ]);
  const later = { from: '2026-11-01T00:00:00Z', to: '2026-11-01T00:01:00Z' };
  expect(await usage(tenant, { ...later, meter: 'seats' })).toEqual([
    { window_start: later.from, group: {}, value: '360' },
  ]);
});

test('a voided event leaves a zero, not its usage', async () => {
  const own = await newTenant(ergon);
  await own.send([llmCall('v', '2026-10-24T10:00:00Z', { tokens: { output: 40 } })]);
  await own.send([{ id: 'undo', source: 'test', type: 'event.void', data: { source: 'test', id: 'v' } }]);
  expect(await usage(own, { ...DAY, meter: 'output_tokens' })).toEqual([
    { window_start: DAY.from, group: {}, value: '0' },
  ]);
});

test('another environment with the same names sees none of it', async () => {
  const other = await newTenant(ergon, ['acme', 'zenith']);
  for (const meter of ['requests', 'charge', 'provider_cost']) {
    expect(await usage(other, { ...DAY, meter, customer: 'acme' })).toEqual([]);
  }
  expect((await other.get('/v1/usage?meter=seats')).status).toBe(400);
});

test('without a range it is the last 24 hours', async () => {
  const own = await newTenant(ergon);
  const hour = 3_600_000;
  const ago = (hours: number) => new Date(Date.now() - hours * hour).toISOString();
  await own.send([llmCall('in', ago(23.9)), llmCall('out', ago(24.1)), llmCall('now', ago(0))]);
  expect((await usage(own, { meter: 'requests' })).map((row) => row.value)).toEqual(['2']);
});

test('an answer with too many rows is refused with what to do', async () => {
  // One minute more than an answer has rows, in one statement; nobody sends that many events in a test.
  await ergon.sql.query(
    `insert into usage_rollup (environment_id, customer_id, minute, dimension_set_id, requests)
     select $1, 0, '2026-06-01T00:00:00Z'::timestamptz + n * interval '1 minute', id, 1
     from generate_series(0, $2::int) n, (select id from dimension_set where environment_id = $1 limit 1) d`,
    [tenant.id, LIMITS.usageRowsMax],
  );
  const range = 'meter=requests&from=2026-06-01T00:00:00Z&to=2026-08-01T00:00:00Z';
  const refused = await tenant.get(`/v1/usage?${range}&window=minute`);
  expect(refused.status).toBe(400);
  expect(refused.text).toContain('shorter range');
  expect((await tenant.get(`/v1/usage?${range}&window=hour`)).status).toBe(200);
  const seats = 'meter=seats&from=2026-10-25T00:00:00Z&to=2027-01-01T00:00:00Z&window=minute';
  expect((await tenant.get(`/v1/usage?${seats}`)).status).toBe(400);
});

test.each([
  ['', 'meter'],
  ['meter=', 'meter'],
  ['meter=nope', 'one of requests, errors'],
  ['meter=nope%00', 'there is no meter'],
  ['meter=requests&meter=errors', 'given more than once'],
  ['meter=requests&from=2026-10-24T00:00:30Z', '2026-10-24T00:00:00Z or 2026-10-24T00:01:00Z'],
  ['meter=requests&to=2026-10-24T00:00:00.000001Z', 'whole minute'],
  ['meter=requests&from=yesterday', 'RFC 3339'],
  ['meter=requests&from=9999-01-01T00:00:00Z', 'RFC 3339'],
  ['meter=requests&from=2026-10-24T00:00:00Z&to=2026-10-24T00:00:00Z', 'not before'],
  ['meter=requests&window=week', 'window'],
  ['meter=requests&window=day&time_zone=Mars/Base', 'IANA'],
  ['meter=requests&window=day&time_zone=%2B02:00', 'IANA'],
  ['meter=requests&window=hour&time_zone=Europe/Athens', 'only days and months'],
  ['meter=requests&group_by=colour', 'one of customer, type, provider'],
  ['meter=requests&group_by=model,model', 'named twice'],
  ['meter=requests&group_by=model,', 'no dimension'],
  ['meter=seats&group_by=model', 'one of customer, plan'],
  ['meter=requests&filter[colour]=red', 'one of customer, type, provider'],
  ['meter=requests&filter[model]=', 'no dimension can have'],
  ['meter=requests&filter[model]=a%00b', 'no dimension can have'],
  ['meter=requests&filter[model]=a,,b', 'no dimension can have'],
  [`meter=requests&filter[model]=${'x'.repeat(300)}`, 'no dimension can have'],
  [`meter=requests&filter[model]=${'x,'.repeat(4000)}x`, 'filter[model]'],
  ['meter=requests&filter[__proto__]=x', 'no dimension'],
  ['meter=requests&filter[constructor]=x', 'no dimension'],
  ["meter=requests&group_by=model'--", 'no dimension'],
  ['meter=requests&limit=5', 'unknown parameter'],
  ['meter=requests&filter=model', 'unknown parameter'],
  ['meter=requests&customer=', 'customer'],
  ['meter=requests&customer=a%00', 'control characters'],
])('%s is refused, and says what to do', async (query, said) => {
  const { status, text } = await tenant.get(`/v1/usage?${query}`);
  expect({ status, text }).toMatchObject({ status: 400 });
  expect(JSON.parse(text).code).toBe('invalid_request');
  expect(text).toContain(said);
});

test.each([
  "meter=requests&customer='%3B drop table customer",
  'meter=requests&filter[model]=%ff%27',
  'meter=requests&__proto__=1',
])('%s is no error of the server', async (query) => {
  expect((await tenant.get(`/v1/usage?${query}`)).status).toBeLessThan(500);
});

test('of two values of one instant the same is the latest in usage, in the charge and in the audit, whatever their ids', async () => {
  const own = await newTenant(ergon, ['acme']);
  await own.put('/v1/meters/level', { event_types: ['level'], aggregation: 'latest', value: 'data.level' });
  await seedCard(ergon.sql, own.id, {
    currency: 'USD',
    prices: [{ key: 'level', meter: 'level', charge_model: { type: 'per_unit', unit_amount: '1' } }],
  });
  const level = (id: string, value: number) => {
    return { id, source: 'test', type: 'level', subject: 'acme', time: DAY.from, data: { level: value } };
  };
  // By code points the emoji comes last, by UTF-16 units the full-width tilde does.
  await own.send([level('\u{1f600}', 1)]);
  await own.send([level('\uff5e', 2)]);
  for (const meter of ['level', 'charge']) expect(await usage(own, { ...DAY, meter })).toMatchObject([{ value: '1' }]);
  expect(await own.audit()).toEqual([]);
});

test('the day of the earliest event begins before it where the zone says so', async () => {
  const own = await newTenant(ergon, ['acme']);
  await own.send([llmCall('y2k', '2000-01-01T00:00:00Z')]);
  const asked = { meter: 'requests', from: '2000-01-01T00:00:00Z', to: '2000-01-02T00:00:00Z' };
  const rows = await usage(own, { ...asked, window: 'day', time_zone: 'America/New_York' });
  expect(rows).toEqual([{ window_start: '1999-12-31T05:00:00Z', group: {}, value: '1' }]);
});
