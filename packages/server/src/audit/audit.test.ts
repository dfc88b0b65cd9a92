import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sendEvents, startTestErgon, type TestErgon } from '../../../../tests/support/ergon.ts';
import { createTestDatabase } from '../../../../tests/support/test-database.ts';
import { seedCard, seedCustomers, seedEnvironment, seedGrant, seedKey } from '../../bench/support/seed.ts';
import { type Database, openDatabase } from '../store/database.ts';
import { auditEnvironment, type AuditReport } from './audit-environment.ts';

const AGGREGATIONS = ['count', 'sum', 'max', 'min', 'avg', 'unique', 'latest', 'weighted_sum', 'percentile'] as const;
const CUSTOMERS = ['acme', 'zenith', 'Ünïcode & co'];

const perUnit = (meter: string, amount: string) => ({
  key: `price-${meter}`,
  meter,
  charge_model: { type: 'per_unit', unit_amount: amount },
});

/** Linear, tiered and falling prices on built-in meters, and a price for a custom meter of every aggregation. */
const CARD = {
  currency: 'USD',
  prices: [
    perUnit('input_tokens', '0.00025'),
    {
      key: 'price-output',
      meter: 'output_tokens',
      charge_model: {
        type: 'graduated',
        tiers: [
          { up_to: '5000', unit_amount: '0.002' },
          { up_to: null, unit_amount: '0.001' },
        ],
      },
    },
    {
      key: 'price-requests',
      meter: 'requests',
      charge_model: {
        type: 'volume',
        tiers: [
          { up_to: '20', unit_amount: '0.1' },
          { up_to: null, unit_amount: '0.06' },
        ],
      },
      failed_calls: 'absorb',
    },
    ...AGGREGATIONS.map((aggregation) => perUnit(`m_${aggregation}`, '0.01')),
  ],
};

type Sent = { readonly id: string; readonly source: string };

function call(index: number, time: number): Sent & Record<string, unknown> {
  const [model, feature] = [`gpt-5${index % 3 === 0 ? '-mini' : ''}`, index % 2 === 0 ? 'chat' : 'search'];
  return {
    id: `call-${index}`,
    source: 'test',
    type: 'llm.call',
    // Every eleventh event belongs to nobody, every seventh comes without a time.
    ...(index % 11 !== 0 && { subject: CUSTOMERS[index % 3] }),
    ...(index % 7 !== 0 && { time: new Date(time + index * 7_000).toISOString() }),
    data: {
      provider: 'openai',
      model,
      feature,
      status: index % 10 === 3 ? 'error' : 'ok',
      attempt: index % 10 === 4 ? 2 : 1,
      tokens: { input: 40 + index, output: 10 + (index % 50) * 3, cache_read: index % 5 },
      run_id: `run-${index % 6}`,
      ...(index % 6 > 2 && { parent_run_id: 'run-1' }),
    },
  };
}

function job(index: number, time: number): Sent & Record<string, unknown> {
  return {
    id: `job-${index}`,
    source: 'test',
    type: 'job',
    subject: CUSTOMERS[index % 3],
    time: new Date(time + index * 9_000).toISOString(),
    data: {
      properties: { seconds: (((index * 37) % 101) + 1) / 4, who: `user-${index % 9}`, region: `r${index % 2}` },
    },
  };
}

function voidOf(target: Sent, number = 1) {
  return {
    id: `void-${number}-${target.id}`,
    source: 'test',
    type: 'event.void',
    data: { source: target.source, id: target.id },
  };
}

let ergon: TestErgon;
let database: Database;
beforeAll(async () => {
  ergon = await startTestErgon(2);
  const name = (await ergon.sql.query<{ name: string }>('select current_database() as name')).rows[0]?.name;
  // Any test database tells how to reach the server that holds this one.
  const probe = await createTestDatabase();
  database = openDatabase(
    { connection: databaseNamed(probe.connection, String(name)), connectionsMax: 2 },
    () => undefined,
  );
  await probe.drop();
}, 60_000);
afterAll(async () => {
  await database.close();
  await ergon.stop();
});

function databaseNamed<C extends { connectionString?: string | undefined; database?: string | undefined }>(
  connection: C,
  name: string,
): C {
  if (connection.connectionString === undefined) return { ...connection, database: name };
  const url = new URL(connection.connectionString);
  url.pathname = `/${name}`;
  return { ...connection, connectionString: url.href };
}

async function request(key: string, method: string, path: string, body?: unknown): Promise<Response> {
  const [replica] = ergon.replicas;
  if (replica === undefined) throw new Error('no replica');
  return replica.fetch(
    new Request(`http://test${path}`, {
      method,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    }),
  );
}

/** An environment after a mixed load: both replicas, many batches, repeats, failed calls, voids of every fate. */
async function loaded(name: string, count = 150): Promise<{ id: number; key: string }> {
  const id = await seedEnvironment(ergon.sql, name);
  await seedCustomers(ergon.sql, id, CUSTOMERS);
  const key = await seedKey(ergon.sql, id);
  for (const aggregation of AGGREGATIONS) {
    const value = aggregation === 'unique' ? 'data.properties.who' : 'data.properties.seconds';
    const spec = {
      event_types: ['job'],
      aggregation,
      ...(aggregation !== 'count' && { value }),
      ...(aggregation === 'percentile' && { percentile: '0.9' }),
      group_by: ['data.properties.region'],
    };
    const answer = await request(key, 'PUT', `/v1/meters/m_${aggregation}`, spec);
    if (!answer.ok) throw new Error(await answer.text());
  }
  await seedCard(ergon.sql, id, CARD);
  await seedGrant(ergon.sql, id, { customer: 'acme', amount: '1.5', priority: 1 });
  await seedGrant(ergon.sql, id, { customer: 'acme', amount: '3' });
  await seedGrant(ergon.sql, id, { customer: 'zenith', amount: '100', eligibility: { features: ['chat'] } });
  const time = Date.now() - 3_600_000;
  const events = Array.from({ length: count }, (_, index) => [call(index, time), job(index, time)]).flat();
  const waiting = [call(5, time), job(8, time)].map((target) => voidOf(target));
  await send(key, waiting);
  const batches = Array.from({ length: Math.ceil(events.length / 17) }, (_, index) =>
    events.slice(index * 17, index * 17 + 17),
  );
  await Promise.all(batches.map((batch, index) => send(key, batch, index)));
  await send(key, events.slice(0, 30), 1);
  const targets = events.filter((_, index) => index % 9 === 1);
  await send(
    key,
    targets.map((target) => voidOf(target)),
  );
  await send(
    key,
    targets.slice(0, 4).map((target) => voidOf(target, 2)),
    1,
  );
  await send(key, [voidOf({ id: 'never', source: 'test' })]);
  await send(
    key,
    Array.from({ length: 40 }, (_, index) => [call(count + index, time), job(count + index, time)]).flat(),
    1,
  );
  return { id, key };
}

async function send(key: string, events: readonly unknown[], replica = 0): Promise<void> {
  const one = ergon.replicas[replica % 2];
  if (one === undefined) throw new Error('no replica');
  const answer = await sendEvents(one, key, events);
  expect(answer).toMatchObject({ conflicts: 0, rejected: 0 });
}

describe('a load as it was recorded', () => {
  let environment: { id: number; key: string };
  beforeAll(async () => {
    environment = await loaded('clean');
  }, 60_000);

  test('shows no difference, and everything was looked at', async () => {
    const report = await auditEnvironment(database, environment.id);
    expect(report.differences).toEqual([]);
    expect(report.difference_count).toBe(0);
    const counts = await ergon.sql.query(
      `select (select sum(event_count)::int from event_block where environment_id = $1) as events,
        (select count(*)::int from event_block where environment_id = $1) as blocks,
        (select count(*)::int from posting where environment_id = $1) as postings,
        (select count(*)::int from event_void where environment_id = $1 and applied_at is not null) as voids`,
      [environment.id],
    );
    const { voids, ...rest } = counts.rows[0];
    expect(report).toMatchObject(rest);
    expect(voids).toBeGreaterThan(30);
    expect(report.accumulators).toBeGreaterThan(20);
    expect(report.rollups).toBeGreaterThan(100);
  });

  test('in many small passes says the same', async () => {
    const passes = new Set<number>();
    const whole = await auditEnvironment(database, environment.id);
    const parts = await auditEnvironment(database, environment.id, {
      rowsPerPass: 200,
      onProgress: ({ pass }) => passes.add(pass),
    });
    expect(passes.size).toBeGreaterThan(2);
    expect({ ...parts, duration_ms: 0 }).toEqual({ ...whole, duration_ms: 0 });
  });

  test('is served to keys with the scope, one audit at a time', async () => {
    const [first, second] = await Promise.all([
      request(environment.key, 'POST', '/v1/audit', {}),
      request(environment.key, 'POST', '/v1/audit', {}),
    ]);
    expect([first.status, second.status].toSorted((a, b) => a - b)).toEqual([200, 409]);
    const report = (await (first.status === 200 ? first : second).json()) as AuditReport;
    expect(report).toMatchObject({ differences: [], difference_count: 0 });
    const again = await request(environment.key, 'POST', '/v1/audit', {});
    expect(again.status).toBe(200);
    const ingest = await seedKey(ergon.sql, environment.id, 'ingest');
    expect((await request(ingest, 'POST', '/v1/audit', {})).status).toBe(403);
  });

  test('can be audited while events come in', async () => {
    const time = Date.now() - 86_400_000;
    let isDone = false;
    const load = (async () => {
      for (let index = 1000; !isDone; index += 5)
        await send(
          environment.key,
          Array.from({ length: 5 }, (_, one) => call(index + one, time)),
        );
    })();
    for (let round = 0; round < 3; round++)
      expect((await auditEnvironment(database, environment.id)).differences).toEqual([]);
    isDone = true;
    await load;
  });
});

describe('a change behind its back is found and named', () => {
  let environment: { id: number; key: string };
  beforeAll(async () => {
    environment = await loaded('corrupt', 60);
  }, 60_000);

  const first = (table: string, where = 'true') =>
    `ctid = (select ctid from ${table} where environment_id = $1 and ${where} limit 1)`;
  const block = '(select id from event_block where environment_id = $1 order by id limit 1)';
  const corruptions: readonly (readonly [what: string, kind: string, sql: string])[] = [
    [
      'an identity row is gone',
      'identity',
      `delete from identity where ctid = (select ctid from identity where block_id = ${block} limit 1)`,
    ],
    [
      'an identity has another body',
      'identity',
      `update identity set body = gen_random_uuid() where block_id = ${block} and position = 0`,
    ],
    [
      'an identity points elsewhere',
      'identity',
      `update identity set position = position + 1000 where block_id = ${block} and position = 0`,
    ],
    [
      'an identity has no event',
      'identity',
      `insert into identity select 1, gen_random_uuid(), gen_random_uuid(), ${block}, 999`,
    ],
    [
      'a block counts wrong',
      'block',
      `update event_block set event_count = event_count + 1 where ${first('event_block')}`,
    ],
    ['a block is damaged', 'block', `update event_block set events = '\\x00' where ${first('event_block')}`],
    [
      'a block lost its ratings',
      'event',
      `update event_block set ratings = (select ratings from event_block order by event_count, id limit 1) where environment_id = $1 and event_count > 20`,
    ],
    [
      'blocks have the ratings of another one',
      'event',
      `update event_block b set ratings = (select o.ratings from event_block o where o.environment_id = $1 and o.id <> b.id
         order by o.event_count desc, o.id limit 1) where environment_id = $1`,
    ],
    [
      'a usage sum is off',
      'usage rollup',
      `update usage_rollup set input_tokens = input_tokens + 1 where ${first('usage_rollup', 'input_tokens > 0')}`,
    ],
    [
      'a charge sum is off',
      'usage rollup',
      `update usage_rollup set charge = charge + 0.000000000001 where ${first('usage_rollup', 'charge > 0')}`,
    ],
    [
      'a cost sum is off',
      'usage rollup',
      `update usage_rollup set provider_cost = provider_cost * 2 where ${first('usage_rollup', 'provider_cost > 0')}`,
    ],
    ['a usage row is gone', 'usage rollup', `delete from usage_rollup where ${first('usage_rollup', 'requests > 0')}`],
    [
      'a usage row moved',
      'usage rollup',
      `update usage_rollup set minute = minute + interval '1 day' where ${first('usage_rollup', 'requests > 0')}`,
    ],
    ['a dimension set is gone', 'dimension set', `delete from dimension_set where environment_id = $1`],
    [
      'a dimension set says something else',
      'dimension set',
      `update dimension_set set dimensions = dimensions || '{"model": "another"}' where ${first('dimension_set')}`,
    ],
    [
      'a meter count is off',
      'meter rollup',
      `update meter_rollup set event_count = event_count + 1 where ${first('meter_rollup')}`,
    ],
    [
      'a meter extreme is off',
      'meter rollup',
      `update meter_rollup set greatest = greatest + 1 where ${first('meter_rollup', 'greatest is not null')}`,
    ],
    [
      'a meter moment is off',
      'meter rollup',
      `update meter_rollup set moment = moment + 1 where ${first('meter_rollup', 'moment is not null')}`,
    ],
    ['a meter row is gone', 'meter rollup', `delete from meter_rollup where ${first('meter_rollup')}`],
    ['a distinct value is gone', 'meter rollup', `delete from meter_value where ${first('meter_value')}`],
    [
      'a distinct value is invented',
      'meter rollup',
      `update meter_value set value = gen_random_uuid() where ${first('meter_value')}`,
    ],
    [
      'a running quantity is off',
      'accumulator quantity',
      `update accumulator set totals = jsonb_set(totals::jsonb, array[(select min(k) from json_object_keys(totals) k), 'q'], '"7777"')::json where environment_id = $1`,
    ],
    [
      'a running charge is off',
      'accumulator charge',
      `update accumulator set totals = jsonb_set(totals::jsonb, array[(select min(k) from json_object_keys(totals) k), 'a'], '"7777"')::json where environment_id = $1`,
    ],
    [
      'the state of an average is off',
      'accumulator state',
      `update accumulator set totals = jsonb_set(totals::jsonb, array[(select k from json_object_keys(totals) k where k like '%m_avg%'), 'n'], '7777')::json where environment_id = $1 and totals::text like '%m_avg%'`,
    ],
    ['an accumulator is gone', 'accumulator charge', `delete from accumulator where ${first('accumulator')}`],
    [
      'a value of an accumulator is gone',
      'accumulator value',
      `delete from accumulator_value where ${first('accumulator_value')}`,
    ],
    ['a posting is gone', 'posting', `delete from posting where ${first('posting', `kind = 'usage'`)}`],
    [
      'a posting has another amount',
      'posting',
      `update posting set amount = amount + 1 where ${first('posting', `kind = 'usage'`)}`,
    ],
    [
      'a posting is booked twice',
      'posting',
      `insert into posting select environment_id, customer_id, nextval('posting_id'), kind, debit_account_id, credit_account_id, currency, amount, block_id, card_version_id, period, bucket, reversed_account_id, posted_at from posting where ${first('posting', `kind = 'usage'`)}`,
    ],
    ['a reversal is gone', 'posting', `delete from posting where ${first('posting', `kind = 'reversal'`)}`],
    [
      'a posting runs between the wrong accounts',
      'posting',
      `update posting set kind = 'expiry' where ${first('posting', `kind = 'grant'`)}`,
    ],
    [
      'a balance is off',
      'balance',
      `update account set balance = balance + 1 where ${first('account', `kind = 'grant'`)}`,
    ],
    [
      'a balance is below its floor',
      'balance',
      `update account set balance = -1 where ${first('account', `kind = 'grant'`)}`,
    ],
    ['an account is gone', 'balance', `delete from account where ${first('account', `kind = 'revenue'`)}`],
    [
      'a grant says another amount',
      'grant',
      `update credit_grant set amount = amount + 1 where ${first('credit_grant')}`,
    ],
    ['a grant is gone', 'grant', `delete from credit_grant where ${first('credit_grant')}`],
    [
      'a run total is off',
      'run',
      `update run set output_tokens = output_tokens + 1 where ${first('run', 'requests > 0')}`,
    ],
    ['a run is gone', 'run', `delete from run where ${first('run', 'requests > 0')}`],
    ['a void is forgotten', 'void', `delete from event_void where ${first('event_void', 'applied_at is not null')}`],
    [
      'a waiting void counts as carried out',
      'void',
      `update event_void set applied_at = now() where environment_id = $1 and target_id = 'never'`,
    ],
  ];

  test.each(corruptions)(
    '%s',
    async (_what, kind, sql) => {
      expect((await auditEnvironment(database, environment.id)).difference_count).toBe(0);
      const undo = await saveTables(environment.id);
      try {
        const changed = await ergon.sql.query(sql.replaceAll('$1', String(environment.id)));
        expect(changed.rowCount).toBeGreaterThan(0);
        const report = await auditEnvironment(database, environment.id);
        expect(report.differences.map((one) => one.kind)).toContain(kind);
        expect(report.difference_count).toBeGreaterThanOrEqual(report.differences.length);
      } finally {
        await undo();
      }
    },
    20_000,
  );

  test('more than a thousand differences are counted, not listed', async () => {
    const undo = await saveTables(environment.id);
    try {
      const columns = [
        'requests',
        'errors',
        'input_tokens',
        'output_tokens',
        'documents',
        'flops',
        'pages',
        'api_calls',
      ];
      const changes = columns.map((column) => `${column} = coalesce(${column}, 0) + 1`).join(', ');
      await ergon.sql.query(`update usage_rollup set ${changes} where environment_id = $1`, [environment.id]);
      const report = await auditEnvironment(database, environment.id);
      expect(report.differences).toHaveLength(1000);
      expect(report.difference_count).toBeGreaterThan(1000);
    } finally {
      await undo();
    }
  });
});

const TABLES = [
  'event_block',
  'identity',
  'event_void',
  'usage_rollup',
  'meter_rollup',
  'meter_value',
  'dimension_set',
  'accumulator',
  'accumulator_value',
  'posting',
  'account',
  'credit_grant',
  'run',
];

/** Lifts triggers and floors, copies every table, and returns what puts all of it back. */
async function saveTables(_environmentId: number): Promise<() => Promise<void>> {
  const { sql } = ergon;
  await sql.query(`set session_replication_role = replica`);
  await sql.query('alter table account drop constraint if exists grant_floor');
  for (const table of TABLES) await sql.query(`create temp table saved_${table} as select * from ${table}`);
  return async () => {
    for (const table of TABLES) {
      await sql.query(`delete from ${table}`);
      const overriding = table === 'account' ? 'overriding system value' : '';
      await sql.query(`insert into ${table} ${overriding} select * from saved_${table}`);
      await sql.query(`drop table saved_${table}`);
    }
    await sql.query(`set session_replication_role = origin`);
  };
}
