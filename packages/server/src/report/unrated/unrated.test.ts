import { afterAll, beforeAll, expect, test } from 'vitest';
import { fillUnrated } from '../../record/fill-unrated.ts';
import { openDatabase } from '../../store/database.ts';
import { connectionUrl, startTestErgon, type TestErgon } from '../../../../../tests/support/ergon.ts';
import { llmCall, newTenant, type Tenant } from '../report.test-support.ts';

type Group = { customer: string | null; meter: string; reason: string; model: string | null; events: string };
type Page<T> = { data: T[]; next_cursor: string | null };

let ergon: TestErgon;
let tenant: Tenant;

const perUnit = (unit_amount: string) => ({ type: 'per_unit', unit_amount });
const groups = async (query = ''): Promise<Group[]> => (await tenant.read<Page<Group>>(`/v1/unrated${query}`)).data;
const row = (one: Group) => `${one.customer} ${one.meter} ${one.reason} ${one.model} ${one.events}`;

beforeAll(async () => {
  ergon = await startTestErgon();
  tenant = await newTenant(ergon);
  await tenant.put('/v1/meters/pages_made', { event_types: ['job'], aggregation: 'sum', value: 'data.pages' });
  await tenant.send([
    llmCall('before', '2026-11-19T10:00:30Z', { tokens: { input: 10, output: 5 } }),
    { ...llmCall('nobody', '2026-11-19T10:00:31Z', { tokens: { output: 5 } }), subject: undefined },
  ]);
  await tenant.put('/v1/rate_cards/default', {
    currency: 'USD',
    effective_from: '2026-11-20T00:00:00Z',
    prices: [
      { meter: 'output_tokens', charge_model: perUnit('0.01') },
      { meter: 'input_tokens', match: { model: 'gpt-5' }, charge_model: perUnit('0.02') },
      {
        meter: 'api_calls',
        charge_model: {
          type: 'matrix',
          dimensions: ['feature'],
          cells: [{ match: { feature: 'x' }, unit_amount: '1' }],
        },
      },
    ],
  });
  await tenant.send([
    llmCall('full', '2026-11-20T10:00:00Z', { tokens: { input: 10, output: 5 } }),
    llmCall('new-1', '2026-11-20T10:00:00Z', { model: 'brand-new', tokens: { input: 1_000, output: 5 } }),
    llmCall('new-2', '2026-11-20T11:00:59Z', { model: 'brand-new', tokens: { input: 7, output: 5 } }, 'zenith'),
    llmCall('new-3', '2026-11-20T11:01:00Z', { model: 'brand-new', tokens: { input: 70 } }, 'zenith'),
    {
      id: 'call',
      source: 'test',
      type: 'api.call',
      subject: 'acme',
      time: '2026-11-20T12:00:00Z',
      data: { feature: 'y' },
    },
    { id: 'job', source: 'test', type: 'job', subject: 'acme', time: '2026-11-20T12:00:00Z', data: { pages: 12 } },
  ]);
});
afterAll(() => ergon.stop());

test('every quantity without a price is listed with its reason, custom meters too; what was rated in full is not', async () => {
  expect((await groups()).map(row).sort()).toEqual(
    [
      'acme api_calls no_matching_cell null 1',
      'acme input_tokens no_price brand-new 1',
      'acme input_tokens no_rate_card gpt-5 1',
      'acme output_tokens no_rate_card gpt-5 1',
      'acme pages_made no_price null 1',
      'acme requests no_rate_card gpt-5 1',
      'null output_tokens no_customer gpt-5 1',
      'null requests no_customer gpt-5 1',
      'zenith input_tokens no_price brand-new 2',
    ].sort(),
  );
});

test.each([
  ['?customer=zenith', 1],
  ['?customer=nobody-known', 0],
  ['?meter=input_tokens', 3],
  ['?reason=no_rate_card', 3],
  ['?model=brand-new', 2],
  ['?from=2026-11-20T00:00:00Z', 4],
  ['?to=2026-11-20T00:00:00Z', 5],
  ['?from=2026-11-20T11:01:00Z&to=2026-11-20T11:02:00Z', 1],
])('the list narrows by %s', async (query, count) => {
  expect(await groups(query)).toHaveLength(count);
});

test('pages hold each group once', async () => {
  const seen: Group[] = [];
  let cursor: string | null = null;
  do {
    const query: string = cursor === null ? '?limit=2' : `?limit=2&cursor=${cursor}`;
    const page: Page<Group> = await tenant.read<Page<Group>>(`/v1/unrated${query}`);
    expect(page.data.length).toBeLessThanOrEqual(2);
    seen.push(...page.data);
    cursor = page.next_cursor;
  } while (cursor !== null);
  expect(seen).toEqual(await groups());
});

test.each([
  '?from=2026-11-20T00:00:01Z',
  '?from=2026-11-20T00:00:00Z&to=2026-11-20T00:00:00Z',
  '?cursor=abc',
  '?reason=zork',
  '?x=1',
])('a bad question %s is refused', async (query) => {
  expect((await tenant.get(`/v1/unrated${query}`)).status).toBe(400);
  expect((await tenant.get(`/v1/unrated/events${query}`)).status).toBe(400);
});

test('the single events say what of them has no price', async () => {
  const { data } = await tenant.read<Page<{ event: { id: string }; unrated: unknown[] }>>(
    '/v1/unrated/events?model=brand-new',
  );
  expect(data.map(({ event }) => event.id)).toEqual(['new-3', 'new-2', 'new-1']);
  expect(data[2]?.unrated).toEqual([{ meter: 'input_tokens', quantity: '1000', reason: 'no_price' }]);
});

test('a void takes its target out of the list, before or after it comes', async () => {
  const voidOf = (id: string) => ({ id: `v-${id}`, source: 'test', type: 'event.void', data: { source: 'test', id } });
  await tenant.send([voidOf('new-2'), voidOf('later'), voidOf('job')]);
  await tenant.send([llmCall('later', '2026-11-20T11:00:00Z', { model: 'brand-new', tokens: { input: 9 } }, 'zenith')]);
  expect((await groups('?customer=zenith')).map(row)).toEqual(['zenith input_tokens no_price brand-new 1']);
  expect(await groups('?meter=pages_made')).toEqual([]);
  const { data } = await tenant.read<Page<{ event: { id: string } }>>('/v1/unrated/events?customer=zenith');
  expect(data.map(({ event }) => event.id)).toEqual(['new-3']);
  expect(await tenant.audit()).toEqual([]);
});

test('the audit finds a wrong, a missing and a needless row', async () => {
  await ergon.sql.query('begin');
  const before = await ergon.sql.query('select * from unrated_usage where environment_id = $1', [tenant.id]);
  await ergon.sql.query('commit');
  for (const sql of [
    'update unrated_usage set quantity = quantity + 1 where environment_id = $1 and meter = $2',
    'update unrated_usage set event_count = event_count + 1 where environment_id = $1 and meter = $2',
    'update unrated_usage set model = model || $2 where environment_id = $1',
    `delete from unrated_usage where environment_id = $1 and meter = $2`,
  ]) {
    await ergon.sql.query(sql, [tenant.id, 'input_tokens']);
    expect(await tenant.audit()).toContainEqual(expect.objectContaining({ kind: 'unrated usage' }));
    await ergon.sql.query('delete from unrated_usage where environment_id = $1', [tenant.id]);
    await ergon.sql.query(
      'insert into unrated_usage select * from json_populate_recordset(null::unrated_usage, $1::json)',
      [JSON.stringify(before.rows)],
    );
    expect(await tenant.audit()).toEqual([]);
  }
});

test('blocks of before the list was kept are read when the service starts', async () => {
  const before = await groups();
  await ergon.sql.query('delete from unrated_usage where environment_id = $1', [tenant.id]);
  await ergon.sql.query(
    'insert into unrated_fill select environment_id, max(id) from event_block where environment_id = $1 group by 1',
    [tenant.id],
  );
  const database = openDatabase(
    { connection: { connectionString: connectionUrl(ergon.sql) }, connectionsMax: 2 },
    () => undefined,
  );
  await fillUnrated(database);
  await database.close();
  expect(await groups()).toEqual(before);
  expect(await tenant.audit()).toEqual([]);
});
