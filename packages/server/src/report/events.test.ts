import { afterAll, beforeAll, expect, test } from 'vitest';
import { seedCard, seedGrant } from '../../bench/support/seed.ts';
import { startTestErgon, type TestErgon } from '../../../../tests/support/ergon.ts';
import { llmCall, newTenant, type Tenant } from './report.test-support.ts';

type Listed = {
  readonly data: readonly { readonly event: { readonly id: string }; readonly [name: string]: unknown }[];
  readonly next_cursor: string | null;
};

let ergon: TestErgon;
let tenant: Tenant;
let grant: number;

beforeAll(async () => {
  ergon = await startTestErgon();
  tenant = await newTenant(ergon, ['acme', 'zenith']);
  await seedCard(ergon.sql, tenant.id, {
    currency: 'USD',
    prices: [
      {
        key: 'out',
        meter: 'output_tokens',
        retries: 'absorb',
        charge_model: {
          type: 'graduated',
          tiers: [
            { up_to: '100', unit_amount: '0.5' },
            { up_to: null, unit_amount: '0.25' },
          ],
        },
      },
    ],
  });
  grant = await seedGrant(ergon.sql, tenant.id, { customer: 'acme', amount: '60' });
  await tenant.send([
    llmCall('a', '2026-11-20T10:00:00Z', {
      feature: 'chat',
      user: 'u1',
      run_id: 'r1',
      tokens: { input: 10, output: 150 },
    }),
    llmCall('b', '2026-11-20T11:00:00Z', { model: 'gpt-5-mini', status: 'error' }, 'zenith'),
  ]);
  await tenant.send([
    llmCall('c', '2026-11-20T12:00:00Z', { tokens: { output: 50 } }),
    llmCall('d', '2026-11-20T13:00:00Z', { tokens: { output: 50 }, status: 'error', final: false }),
  ]);
  await tenant.send([{ id: 'e', source: 'other', type: 'job', time: '2026-11-20T09:00:00Z', data: { n: 1 } }]);
  await tenant.send([
    {
      id: 'undo',
      source: 'test',
      type: 'event.void',
      time: '2026-11-20T14:00:00Z',
      data: { source: 'test', id: 'c', reason: 'twice' },
    },
  ]);
});
afterAll(() => ergon.stop());

async function ids(query: string): Promise<string[]> {
  const { data } = await tenant.read<Listed>(`/v1/events?${query}`);
  return data.map((one) => one.event.id);
}

test('lists the latest recorded first, page by page, each event once', async () => {
  const seen: string[] = [];
  let cursor: string | null = null;
  do {
    const more: string = cursor === null ? '' : `&cursor=${cursor}`;
    const page: Listed = await tenant.read<Listed>(`/v1/events?limit=2${more}`);
    expect(page.data.length).toBeLessThanOrEqual(2);
    seen.push(...page.data.map((one) => one.event.id));
    cursor = page.next_cursor;
  } while (cursor !== null);
  expect(seen).toEqual(['undo', 'e', 'd', 'c', 'b', 'a']);
});

test.each([
  ['customer=acme', ['undo', 'd', 'c', 'a']],
  ['customer=nobody', []],
  ['type=job', ['e']],
  ['source=other', ['e']],
  ['model=gpt-5', ['d', 'c', 'a']],
  ['provider=openai&status=error', ['d', 'b']],
  ['feature=chat', ['a']],
  ['user=u1', ['a']],
  ['run=r1', ['a']],
  ['from=2026-11-20T11:00:00Z&to=2026-11-20T13:00:00Z', ['c', 'b']],
  ['customer=acme&from=2026-11-20T12:00:00.000001Z&to=2026-11-20T14:00:00Z', ['d']],
  ['to=2026-11-20T09:00:00Z', []],
])('%s', async (query, expected) => {
  expect(await ids(query)).toEqual(expected);
});

test('an item says what was sent, metered and charged, and whether it was voided', async () => {
  const { data } = await tenant.read<Listed>('/v1/events?customer=acme');
  expect(data.find((one) => one.event.id === 'c')).toEqual({
    event: {
      id: 'c',
      source: 'test',
      type: 'llm.call',
      subject: 'acme',
      time: '2026-11-20T12:00:00Z',
      data: { provider: 'openai', model: 'gpt-5', tokens: { output: 50 } },
    },
    received_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
    customer: 'acme',
    quantities: [
      { meter: 'requests', quantity: '1' },
      { meter: 'output_tokens', quantity: '50' },
      { meter: 'total_tokens', quantity: '50' },
    ],
    amount: '12.5',
    currency: 'USD',
    provider_cost: { amount: '0.0005', currency: 'USD', source: expect.any(String) },
    flags: [],
    voided: true,
  });
  expect(data.map((one) => one.voided)).toEqual([false, false, true, false]);
});

test('numbers come back with the digits they were sent with', async () => {
  const own = await newTenant(ergon);
  const data = '{"big":1e+21,"exact":12345678901234567890.123456789,"small":0.1}';
  await own.sendText(`[{"id":"n","source":"test","type":"job","data":${data}}]`);
  for (const path of ['/v1/events', '/v1/events/lookup?source=test&id=n']) {
    expect((await own.get(path)).text).toContain(`"data":${data}`);
  }
});

test('looks one event up with its explanation, tier by tier and grant by grant', async () => {
  const found = await tenant.read<Record<string, unknown>>('/v1/events/lookup?source=test&id=a');
  expect(found).toMatchObject({
    customer: 'acme',
    attribution: { provider: 'openai', model: 'gpt-5', feature: 'chat', user: 'u1', run_id: 'r1' },
    lines: [
      {
        meter: 'output_tokens',
        price: { card: 'default', version: 1, key: 'out' },
        bucket: 'out/all',
        period: '2026-11-01',
        quantity: '150',
        total_before: '0',
        total_after: '150',
        parts: [
          { tier: 1, quantity: '100', unit_amount: '0.5', amount: '50' },
          { tier: 2, quantity: '50', unit_amount: '0.25', amount: '12.5' },
        ],
        amount: '62.5',
        currency: 'USD',
        grants: [{ grant: String(grant), amount: '60' }],
        receivable: '2.5',
      },
    ],
    provider_cost: { amount: '0.0015125', currency: 'USD' },
    unrated: [{ meter: 'input_tokens', quantity: '10', reason: 'no_price' }],
    flags: [],
    voided_by: null,
  });
  expect(found.quantities).toContainEqual({ meter: 'output_tokens', quantity: '150', quality: 'reported' });
});

test('a line within one tier names it', async () => {
  const found = await tenant.read<{ lines: unknown[]; voided_by: unknown }>('/v1/events/lookup?source=test&id=c');
  expect(found.lines).toMatchObject([
    { total_before: '150', total_after: '200', tier: 2, unit_amount: '0.25', amount: '12.5', receivable: '12.5' },
  ]);
  expect(found.voided_by).toMatchObject({
    source: 'test',
    id: 'undo',
    reason: 'twice',
    status: 'applied',
    applied_at: expect.any(String),
  });
});

test('a void explains what it took back', async () => {
  const found = await tenant.read<{ lines: unknown[] }>('/v1/events/lookup?source=test&id=undo');
  expect(found.lines).toMatchObject([
    {
      price: { key: 'out' },
      quantity: '-50',
      total_before: '200',
      total_after: '150',
      tier: 2,
      amount: '-12.5',
      receivable: '-12.5',
    },
  ]);
});

test('an absorbed attempt says why it cost nothing', async () => {
  const found = await tenant.read<{ lines: unknown[] }>('/v1/events/lookup?source=test&id=d');
  expect(found.lines).toMatchObject([{ absorbed: 'retry', amount: '0', parts: [], grants: [], receivable: '0' }]);
});

test('the parts of a line sum to what it was charged, below zero and where only the close charges', async () => {
  const own = await newTenant(ergon, ['acme']);
  const meter = { event_types: ['job'], value: 'data.n' };
  await own.put('/v1/meters/moved', { ...meter, aggregation: 'sum' });
  await own.put('/v1/meters/p95', { ...meter, aggregation: 'percentile', percentile: '0.95' });
  const charge_model = { type: 'per_unit', unit_amount: '2' };
  await seedCard(ergon.sql, own.id, {
    currency: 'USD',
    prices: ['moved', 'p95'].map((key) => ({ key, meter: key, charge_model })),
  });
  const shown: unknown[] = [];
  for (const n of [-5, 8, -4]) {
    await own.send([
      { id: `${n}`, source: 'test', type: 'job', subject: 'acme', time: '2026-11-20T09:00:00Z', data: { n } },
    ]);
    const { lines } = await own.read<{ lines: { meter: string; amount: string; parts: { amount: string }[] }[] }>(
      `/v1/events/lookup?source=test&id=${n}`,
    );
    for (const { meter: name, amount, parts } of lines) shown.push([name, amount, parts.map((part) => part.amount)]);
  }
  expect(shown).toEqual([
    ['moved', '0', ['0']],
    ['p95', '0', []],
    ['moved', '6', ['6', '0']],
    ['p95', '0', []],
    ['moved', '-6', ['-6', '0']],
    ['p95', '0', []],
  ]);
});

test('another environment sees none of it', async () => {
  const other = await newTenant(ergon, ['acme']);
  expect(await other.read<Listed>('/v1/events')).toEqual({ data: [], next_cursor: null });
  expect((await other.get('/v1/events/lookup?source=test&id=a')).status).toBe(404);
});

test('a page reads a bounded number of blocks and goes on from there', async () => {
  const own = await newTenant(ergon);
  await own.send([llmCall('first', '2026-11-20T10:00:00Z')]);
  // 450 later blocks with one event each, copied in one statement.
  await ergon.sql.query(
    `insert into event_block (environment_id, id, received_at, time_from, time_to, event_count, events, ratings)
     select environment_id, id + n, received_at, time_from, time_to, event_count, events, ratings
     from event_block, generate_series(1, 450) n where environment_id = $1`,
    [own.id],
  );
  const none = await own.read<Listed>('/v1/events?type=job');
  expect(none.data).toEqual([]);
  expect(none.next_cursor).not.toBeNull();
  const rest = await own.read<Listed>(`/v1/events?type=job&cursor=${none.next_cursor}`);
  expect(rest).toEqual({ data: [], next_cursor: null });
});

test.each([
  '/v1/events?limit=0',
  '/v1/events?limit=1001',
  '/v1/events?limit=ten',
  '/v1/events?cursor=abc',
  `/v1/events?cursor=${Buffer.from('events:1').toString('base64url')}`,
  `/v1/events?cursor=${Buffer.from('events:99999999999999999999.1').toString('base64url')}`,
  `/v1/events?cursor=${Buffer.from('wallets:1.1').toString('base64url')}`,
  '/v1/events?customer=%00',
  '/v1/events?model=a%01',
  '/v1/events?status=done',
  '/v1/events?from=now',
  '/v1/events?from=2026-11-20T00:00:00Z&to=2026-11-19T00:00:00Z',
  '/v1/events?colour=red',
  '/v1/events/lookup',
  '/v1/events/lookup?source=test',
  '/v1/events/lookup?source=test&id=%00',
  `/v1/events/lookup?source=test&id=${'x'.repeat(257)}`,
])('%s is refused', async (path) => {
  expect((await tenant.get(path)).status).toBe(400);
});

test('an event that is not there is 404', async () => {
  const { status, text } = await tenant.get("/v1/events/lookup?source=test&id='; drop table event_block");
  expect(status).toBe(404);
  expect(JSON.parse(text)).toMatchObject({ code: 'not_found' });
});
