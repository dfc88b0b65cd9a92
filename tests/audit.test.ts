import { afterAll, beforeAll, expect, test } from 'vitest';
import { auditEnvironment } from '../packages/server/src/audit/index.ts';
import { openDatabase } from '../packages/server/src/store/database.ts';
import { seedKey } from '../packages/server/bench/support/seed.ts';
import { connectionUrl, sendEvents, startTestErgon, type TestErgon } from './support/ergon.ts';

/** `ergon audit` finds nothing after a mixed load, and each kind of damage when there is one. */
let ergon: TestErgon;
let key: string;
beforeAll(async () => {
  ergon = await startTestErgon(2);
  key = await seedKey(ergon.sql, 1, 'admin');
  const put = async (path: string, body: unknown): Promise<void> => {
    const answer = await api('PUT', path, body);
    expect(answer.status, JSON.stringify(answer.body)).toBeLessThan(300);
  };
  const meters = ['count', 'sum', 'max', 'min', 'avg', 'unique', 'latest', 'weighted_sum'];
  for (const aggregation of meters) {
    const value = aggregation === 'unique' ? 'data.who' : 'data.size';
    await put(`/v1/meters/m_${aggregation}`, {
      event_types: ['job'],
      aggregation,
      group_by: ['data.zone'],
      ...(aggregation !== 'count' && { value }),
    });
  }
  await put('/v1/rate_cards/default', {
    currency: 'USD',
    prices: [
      { meter: 'input_tokens', charge_model: { type: 'per_unit', unit_amount: '0.01' } },
      {
        meter: 'output_tokens',
        charge_model: {
          type: 'graduated',
          tiers: [
            { up_to: '100', unit_amount: '0.5' },
            { up_to: null, unit_amount: '0.25' },
          ],
        },
      },
      ...meters.map((name) => ({ meter: `m_${name}`, charge_model: { type: 'per_unit', unit_amount: '0.001' } })),
    ],
  });
  for (const customer of ['ann', 'bob']) {
    await put(`/v1/customers/${customer}`, { time_zone: 'Europe/Athens' });
    await api('POST', `/v1/customers/${customer}/wallets/default/grants`, {
      amount: '20',
      currency: 'USD',
      kind: 'promotional',
    });
  }
  for (let batch = 0; batch < 12; batch++) {
    const [first, second] = ergon.replicas;
    const service = batch % 2 === 0 ? first : second;
    if (service === undefined) throw new Error('no service');
    await sendEvents(service, key, mixedBatch(batch));
  }
});
afterAll(() => ergon.stop());

function mixedBatch(batch: number): unknown[] {
  const events: unknown[] = [];
  for (let index = 0; index < 15; index++) {
    const subject = ['ann', 'bob', 'eve'][index % 3];
    const time = new Date(Date.now() - (batch * 15 + index) * 7_000).toISOString();
    const id = `${batch}-${index}`;
    const run = { run_id: `run-${index % 2}`, parent_run_id: 'root' };
    if (index % 4 === 3) {
      events.push({
        id,
        type: 'job',
        subject,
        time,
        data: { size: index + batch, who: `p${index % 5}`, zone: `z${batch % 2}` },
      });
    } else {
      events.push({
        id,
        type: 'llm.call',
        subject,
        time,
        data: { model: 'gpt-5', tokens: { input: 10 + index, output: index }, ...run },
      });
    }
  }
  // Voids: of an event of this batch, of an earlier one, and of one that comes with the next batch.
  events.push({ id: `v-${batch}-own`, type: 'event.void', data: { source: 'api', id: `${batch}-3` } });
  if (batch > 0)
    events.push({ id: `v-${batch}-earlier`, type: 'event.void', data: { source: 'api', id: `${batch - 1}-1` } });
  events.push({ id: `v-${batch}-later`, type: 'event.void', data: { source: 'api', id: `${batch + 1}-7` } });
  return events;
}

async function api(method: string, path: string, body?: unknown): Promise<{ status: number; body: unknown }> {
  const [service] = ergon.replicas;
  if (service === undefined) throw new Error('no service');
  const response = await service.fetch(
    new Request(`http://test${path}`, {
      method,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    }),
  );
  return { status: response.status, body: await response.json() };
}

test('a mixed load with voids, grants that run out and every aggregation leaves nothing to report', async () => {
  const { status, body } = await api('POST', '/v1/audit');
  expect(status).toBe(200);
  expect(body).toMatchObject({ difference_count: 0, differences: [] });
  expect(body).toMatchObject({ events: 12 * 15 + 12 + 11 + 12 + 11 });
});

/** Damage, by SQL that goes around every rule, and the kind of difference that must name it. */
const DAMAGE: readonly [kind: string, sql: string][] = [
  ['identity', `update identity set body = key where key = (select key from identity limit 1)`],
  ['identity', `delete from identity where key = (select key from identity limit 1)`],
  [
    'usage rollup',
    `update usage_rollup set input_tokens = input_tokens + 1 where ctid = (select ctid from usage_rollup where input_tokens > 0 limit 1)`,
  ],
  ['usage rollup', `delete from usage_rollup where ctid = (select ctid from usage_rollup where charge > 0 limit 1)`],
  [
    'meter rollup',
    `update meter_rollup set greatest = greatest + 1 where ctid = (select ctid from meter_rollup where greatest is not null limit 1)`,
  ],
  ['meter rollup', `delete from meter_value where ctid = (select ctid from meter_value limit 1)`],
  [
    'accumulator charge',
    `update accumulator set totals = jsonb_set(totals::jsonb, '{input_tokens/all,a}', '"99999"')::json where ctid = (select ctid from accumulator where totals::jsonb ? 'input_tokens/all' limit 1)`,
  ],
  [
    'R(quantity)',
    `update accumulator set totals = jsonb_set(totals::jsonb, '{output_tokens/all,q}', '"7"')::json where ctid = (select ctid from accumulator where totals::jsonb ? 'output_tokens/all' limit 1)`,
  ],
  ['posting', `delete from posting where ctid = (select ctid from posting where kind = 'usage' limit 1)`],
  [
    'balance',
    `update account set balance = balance + 1 where ctid = (select ctid from account where kind = 'grant' limit 1)`,
  ],
  ['grant', `update credit_grant set amount = amount + 1 where ctid = (select ctid from credit_grant limit 1)`],
  ['run', `update run set requests = requests + 1 where id = 'run-1'`],
  ['block', `update event_block set event_count = event_count + 1 where ctid = (select ctid from event_block limit 1)`],
];

test.each(DAMAGE)('damage is found: %s', async (kind, sql) => {
  await ergon.sql.query('begin');
  try {
    await ergon.sql.query('set local session_replication_role = replica');
    const damaged = await ergon.sql.query(sql);
    expect(damaged.rowCount, 'the damage must hit a row').toBeGreaterThan(0);
    await ergon.sql.query('commit');
  } catch (error) {
    await ergon.sql.query('rollback');
    throw error;
  }
  // Damage adds up from test to test; each names a kind that the audit must list.
  expect((await audited()).differences.map((one) => one.kind)).toContain(kind);
});

async function audited() {
  const connection = { connectionString: connectionUrl({ ...ergonConnection() }) };
  const database = openDatabase({ connection, connectionsMax: 2 }, () => undefined);
  try {
    return await auditEnvironment(database, 1);
  } finally {
    await database.close();
  }
}

function ergonConnection() {
  const { host, port, database, user } = ergon.sql;
  return { host, port, database, user };
}
