import { afterAll, beforeAll, expect, test } from 'vitest';
import { seedKey } from '../packages/server/bench/support/seed.ts';
import { startTestErgon, type TestErgon } from './support/ergon.ts';

/** The one transaction seen from outside: what becomes of an event, and of the money, through HTTP on a real database. */
let ergon: TestErgon;
let key: string;
beforeAll(async () => {
  ergon = await startTestErgon(2);
  key = await seedKey(ergon.sql, 1, 'admin');
  await api('PUT', '/v1/rate_cards/default', {
    currency: 'USD',
    prices: [
      { meter: 'input_tokens', charge_model: { type: 'per_unit', unit_amount: '0.01' } },
      {
        meter: 'output_tokens',
        charge_model: { type: 'per_unit', unit_amount: '0.03' },
        failed_calls: 'absorb',
        retries: 'absorb',
      },
      { meter: 'cache_read_tokens', charge_model: { type: 'free' } },
    ],
  });
});
afterAll(() => ergon.stop());

type Json = Record<string, unknown>;

async function api(
  method: string,
  path: string,
  body?: unknown,
  as = key,
  replica = 0,
): Promise<{ status: number; body: Json }> {
  const service = ergon.replicas[replica] ?? ergon.replicas[0];
  if (service === undefined) throw new Error('no service');
  const response = await service.fetch(
    new Request(`http://test${path}`, {
      method,
      headers: { authorization: `Bearer ${as}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    }),
  );
  return { status: response.status, body: (await response.json()) as Json };
}

async function send(events: unknown, replica = 0): Promise<Json> {
  const answer = await api('POST', '/v1/events', events, key, replica);
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  return answer.body;
}

function call(id: string, customer: string, tokens: Json, more: Json = {}): Json {
  return { id, type: 'llm.call', subject: customer, data: { model: 'gpt-5', tokens, ...more } };
}

async function owed(customer: string): Promise<string> {
  const { rows } = await ergon.sql.query<{ charge: string }>(
    `select coalesce(sum(case p.kind when 'usage' then p.amount when 'reversal' then -p.amount end), 0)::numeric(38,12)::text as charge
     from posting p join customer c on c.environment_id = p.environment_id and c.id = p.customer_id
     where c.external_id = $1 and p.kind in ('usage', 'reversal')`,
    [customer],
  );
  return rows[0]?.charge ?? '';
}

async function rollup(customer: string, column: string): Promise<string | null> {
  const { rows } = await ergon.sql.query<{ total: string | null }>(
    `select sum(u.${column})::text as total from usage_rollup u join customer c on c.environment_id = u.environment_id and c.id = u.customer_id where c.external_id = $1`,
    [customer],
  );
  return rows[0]?.total ?? null;
}

test('an event is accepted once; the same body is a duplicate in any spelling, another body a conflict', async () => {
  const event = {
    id: 'i1',
    source: 's',
    type: 'llm.call',
    subject: 'ident',
    time: '2026-11-20T10:00:00Z',
    data: { model: 'm', tokens: { input: 100 } },
  };
  expect(await send(event)).toMatchObject({ accepted: 1, results: [] });
  const respelled = {
    specversion: '1.0',
    data: { tokens: { input: 1e2 }, model: 'm' },
    time: '2026-11-20T12:00:00.000+02:00',
    type: 'llm.call',
    subject: 'ident',
    source: 's',
    id: 'i1',
  };
  expect(await send([respelled, respelled], 1)).toMatchObject({ accepted: 0, duplicates: 2 });
  const other = { ...event, data: { model: 'm', tokens: { input: 101 } } };
  expect(await send([other, call('i2', 'ident', { input: 1 })])).toMatchObject({
    accepted: 1,
    conflicts: 1,
    results: [{ index: 0, id: 'i1', status: 'conflict' }],
  });
  expect(await owed('ident')).toBe('1.010000000000');
});

test('one bad event never harms its neighbours; each fate names the field', async () => {
  const now = Date.now();
  const answer = await send([
    call('ok', 'neighbours', { input: 1 }),
    { type: 'llm.call' },
    'text',
    { id: 'future', type: 'x', time: new Date(now + 2 * 3_600_000).toISOString() },
    { id: 'nul', type: 'x', subject: 'a\u0000b' },
    { id: 'status', type: 'llm.call', data: { status: 'maybe' } },
  ]);
  expect(answer).toMatchObject({ accepted: 1, rejected: 5 });
  const codes = (answer.results as { error: { code: string; pointer?: string } }[]).map(({ error }) => [
    error.code,
    error.pointer,
  ]);
  expect(codes).toEqual([
    ['missing_field', '/id'],
    ['not_an_object', undefined],
    ['time_in_future', '/time'],
    ['invalid_field', '/subject'],
    ['invalid_field', '/data/status'],
  ]);
});

test('late events need the scope events:backfill', async () => {
  const ingest = await seedKey(ergon.sql, 1, 'ingest');
  const old = { ...call('late', 'late', { input: 1 }), time: new Date(Date.now() - 36 * 86_400_000).toISOString() };
  const refused = await api('POST', '/v1/events', old, ingest);
  expect(refused.body).toMatchObject({
    accepted: 0,
    rejected: 1,
    results: [{ error: { code: 'time_too_old', pointer: '/time' } }],
  });
  expect(await send(old)).toMatchObject({ accepted: 1 });
});

test('failed calls and retries are metered, flagged, and charged as each price says', async () => {
  await send([
    call('p1', 'policy', { input: 100, output: 100 }),
    call('p2', 'policy', { input: 100, output: 100 }, { status: 'error', final: true, attempt: 2 }),
    call('p3', 'policy', { input: 100, output: 100 }, { status: 'error', attempt: 1 }),
  ]);
  // Input is billed whatever happened (3 x 1.00), output only for the call that was final and ok (3.00).
  expect(await owed('policy')).toBe('6.000000000000');
  expect(await rollup('policy', 'output_tokens')).toBe('300');
  expect(await rollup('policy', 'errors')).toBe('2');
  expect(await rollup('policy', 'retries')).toBe('1');
});

test('grants burn in order, the rest is receivable, and a void gives back to the same grants, newest first', async () => {
  const wallet = '/v1/customers/burner/wallets/default';
  await api('PUT', '/v1/customers/burner', {});
  for (const [amount, priority] of [
    ['1', 1],
    ['2', 2],
  ] as const) {
    expect((await api('POST', `${wallet}/grants`, { amount, currency: 'USD', kind: 'paid', priority })).status).toBe(
      201,
    );
  }
  await send(call('b1', 'burner', { input: 500 }));
  expect((await api('GET', wallet)).body).toMatchObject({ posted: '0', available: '0', receivable: '2' });
  expect(
    await send({ id: 'b1-void', type: 'event.void', data: { source: 'api', id: 'b1', reason: 'wrong model' } }),
  ).toMatchObject({ accepted: 1, warnings: [] });
  expect((await api('GET', wallet)).body).toMatchObject({ posted: '3', available: '3', receivable: '0' });
  expect(await rollup('burner', 'input_tokens')).toBe('0');
  expect(await owed('burner')).toBe('0.000000000000');
});

test('a void waits for an event that has not come, applies once when it comes, and is final', async () => {
  const first = await send({ id: 'w-void', type: 'event.void', data: { source: 'api', id: 'w1' } });
  expect(first).toMatchObject({ accepted: 1, warnings: [{ code: 'void_waiting' }] });
  await send([call('w0', 'waiter', { input: 7 }), call('w1', 'waiter', { input: 1000 })], 1);
  expect(await owed('waiter')).toBe('0.070000000000');
  const again = await send({ id: 'w-void-2', type: 'event.void', data: { source: 'api', id: 'w1' } });
  expect(again).toMatchObject({ warnings: [{ code: 'already_voided' }] });
  expect(await owed('waiter')).toBe('0.070000000000');
});

test('the audit log names who voided what', async () => {
  await send(call('logged', 'logged', { input: 1 }));
  await send({ id: 'logged-void', type: 'event.void', data: { source: 'api', id: 'logged' } });
  const { body } = await api('GET', '/v1/audit_log?limit=1000');
  const entries = body.data as { action: string; target: string; actor: string }[];
  const actor = key.split('_')[1];
  expect(entries).toContainEqual(expect.objectContaining({ action: 'event.void', target: 'api/logged', actor }));
});

test('replace is a void and a new event in one request', async () => {
  await send(call('r1', 'replacer', { input: 900 }));
  await send([
    { id: 'r1-void', type: 'event.void', data: { source: 'api', id: 'r1' } },
    call('r1-b', 'replacer', { input: 90 }),
  ]);
  expect(await owed('replacer')).toBe('0.900000000000');
});

test('custom meters: every aggregation, priced, in any order over two replicas, and voided', async () => {
  const aggregations = ['count', 'sum', 'max', 'min', 'avg', 'unique', 'latest'] as const;
  for (const aggregation of aggregations) {
    const value = aggregation === 'unique' ? 'data.who' : 'data.size';
    const spec = { event_types: ['job'], aggregation, ...(aggregation !== 'count' && { value }), unit: 'thing' };
    expect((await api('PUT', `/v1/meters/job_${aggregation}`, spec)).status).toBeLessThan(300);
  }
  await api('PUT', '/v1/rate_cards/jobs', {
    currency: 'USD',
    prices: aggregations.map((aggregation) => ({
      meter: `job_${aggregation}`,
      charge_model: { type: 'per_unit', unit_amount: '1' },
    })),
  });
  await api('PUT', '/v1/customers/worker', { rate_card: 'jobs' });
  const at = (minute: number): string => new Date(Date.now() - minute * 60_000).toISOString();
  const job = (id: string, size: number, who: string, minute: number): Json => ({
    id,
    type: 'job',
    subject: 'worker',
    time: at(minute),
    data: { size, who },
  });
  await send([job('j1', 5, 'ann', 9), job('j2', 11, 'bob', 1)]);
  await send([job('j3', 2, 'ann', 5)], 1);
  await send([job('j4', 6, 'cid', 7)]);
  // count 4, sum 24, max 11, min 2, avg 6, unique 3, latest 11 (j2 is the newest, whatever came last)
  expect(await owed('worker')).toBe('61.000000000000');
  await send({ id: 'j2-void', type: 'event.void', data: { source: 'api', id: 'j2' } });
  // count 3, sum 13, max 6, min 2, avg 13/3, unique 2, latest 2 (j3)
  expect(await owed('worker')).toBe('32.333333333333');
  const { rows } = await ergon.sql.query<{ greatest: string }>(
    `select max(r.greatest)::text as greatest from meter_rollup r join meter m on m.environment_id = r.environment_id and m.id = r.meter_id where m.key = 'job_max'`,
  );
  expect(rows[0]?.greatest).toBe('6');
});

test('a published price is in force for every replica when the publish is answered', async () => {
  await send(call('c1', 'published', { input: 1 }), 1);
  await api('PUT', '/v1/rate_cards/fresh', {
    currency: 'USD',
    prices: [{ meter: 'input_tokens', charge_model: { type: 'per_unit', unit_amount: '5' } }],
  });
  await api('PUT', '/v1/customers/published', { rate_card: 'fresh' });
  await send(call('c2', 'published', { input: 1 }), 1);
  await send(call('c3', 'published', { input: 1 }), 0);
  expect(await owed('published')).toBe('10.010000000000');
});

test('usage of nobody, and usage without a card, is kept and marked', async () => {
  const before = await rollup('unpriced', 'requests');
  expect(before).toBeNull();
  await api('PUT', '/v1/rate_cards/narrow', {
    currency: 'USD',
    prices: [{ meter: 'output_tokens', charge_model: { type: 'per_unit', unit_amount: '1' } }],
  });
  await api('PUT', '/v1/customers/unpriced', { rate_card: 'narrow' });
  expect(
    await send([
      call('u1', 'unpriced', { input: 3, output: 2 }),
      { id: 'u2', type: 'llm.call', data: { tokens: { input: 4 } } },
    ]),
  ).toMatchObject({ accepted: 2 });
  expect(await owed('unpriced')).toBe('2.000000000000');
  expect(await rollup('unpriced', 'input_tokens')).toBe('3');
});

test('concurrent requests over two replicas on one customer: exact, without deadlock', async () => {
  const requests = Array.from({ length: 60 }, (_, request) =>
    send(
      Array.from({ length: 10 }, (_, index) =>
        call(
          `hot-${request}-${index % 8}`,
          index % 3 === 0 ? 'hot' : `hot-${index}`,
          { input: 1 },
          { run_id: `run-${request % 5}`, parent_run_id: 'root' },
        ),
      ),
      request % 2,
    ),
  );
  const answers = await Promise.all(requests);
  expect(answers.reduce((sum, answer) => sum + Number(answer.accepted), 0)).toBe(60 * 8);
  const { rows } = await ergon.sql.query<{ deadlocks: string }>(
    'select deadlocks::text from pg_stat_database where datname = current_database()',
  );
  expect(rows[0]?.deadlocks).toBe('0');
  const { rows: runs } = await ergon.sql.query<{ requests: string }>(
    `select sum(requests)::text as requests from run where parent_id = 'root'`,
  );
  expect(runs[0]?.requests).toBe('480');
});
