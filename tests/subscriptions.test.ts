import { afterAll, beforeAll, expect, test } from 'vitest';
import { advanceDue } from '../packages/server/src/billing/index.ts';
import { openDatabase } from '../packages/server/src/store/database.ts';
import { cutConnections } from './support/cut-connections.ts';
import { sendEvents, startTestErgon, type TestErgon } from './support/ergon.ts';

/** Subscriptions through several replicas on one database. */

let ergon: TestErgon;
let key: string;

beforeAll(async () => {
  ergon = await startTestErgon(2);
  key = ergon.replicas.map((one) => one.newAdminKey).find((one) => one !== undefined) ?? '';
});
afterAll(() => ergon.stop());

async function call(replica: number, method: string, path: string, body?: unknown) {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  const request = new Request(`http://test${path}`, {
    method,
    headers,
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const response = await ergon.replicas[replica]?.fetch(request);
  const text = (await response?.text()) ?? '';
  if (response?.ok !== true) throw new Error(`${method} ${path}: ${response?.status} ${text}`);
  return JSON.parse(text);
}

const card = (unit: string) => ({
  currency: 'USD',
  prices: [{ key: 'p', meter: 'api_calls', charge_model: { type: 'per_unit', unit_amount: unit } }],
});

test('a publish, an override and a subscription are seen by every replica before they are answered', async () => {
  let events = 0;
  const charged = async (replica: number): Promise<string> => {
    events += 1;
    const time = new Date().toISOString();
    const event = { id: `seen-${events}`, source: 'r', type: 'api.call', subject: 'seen', time, data: { count: 1 } };
    const other = ergon.replicas[replica];
    if (other === undefined) throw new Error('no such replica');
    await sendEvents(other, key, [event]);
    const found = await call(replica, 'GET', `/v1/events/lookup?source=r&id=${event.id}`);
    return found.lines[0].amount;
  };
  await call(0, 'PUT', '/v1/rate_cards/default', card('1'));
  expect([await charged(0), await charged(1)]).toEqual(['1', '1']);
  await call(0, 'PUT', '/v1/rate_cards/default', card('2'));
  expect(await charged(1)).toBe('2');
  await call(1, 'PUT', '/v1/rate_cards/plan', card('3'));
  await call(0, 'PUT', '/v1/plans/pro', { currency: 'USD', rate_card: 'plan' });
  await call(1, 'POST', '/v1/subscriptions', { key: 'seen', customer: 'seen', plan: 'pro' });
  expect(await charged(0)).toBe('3');
  await call(0, 'PUT', '/v1/rate_cards/deal', card('4'));
  await call(0, 'PUT', '/v1/customers/seen/overrides/deal', { rate_card: 'deal' });
  expect(await charged(1)).toBe('4');
});

test('many replicas that close at once, some of them dying on the way, close each period once', async () => {
  await call(0, 'PUT', '/v1/plans/daily', {
    currency: 'USD',
    rate_card: 'plan',
    cadence: { unit: 'day' },
    fees: [{ key: 'base', amount: '1' }],
  });
  for (let index = 0; index < 10; index++) {
    const body = { key: `d${index}`, customer: `d${index}`, plan: 'daily', starts_at: '2099-01-01T00:00:00Z' };
    await call(0, 'POST', '/v1/subscriptions', body);
  }
  // They begin far ahead of the machine's clock, so that only the closes below, which are given theirs, touch them.
  const { host, port, user, database } = ergon.sql;
  const open = () =>
    openDatabase(
      {
        connection: { host, port, ...(user !== undefined && { user }), ...(database !== undefined && { database }) },
        connectionsMax: 3,
      },
      () => undefined,
    );
  const now = Date.UTC(2099, 0, 9) * 1000;
  const replicas = Array.from({ length: 4 }, open);
  const failures: unknown[] = [];
  const killer = cutConnections(ergon.sql, {
    where: `application_name = '' and state = 'idle in transaction'`,
    everyMs: 40,
    one: true,
  });
  await Promise.allSettled(replicas.map((replica) => advanceDue(replica, now, (error) => failures.push(error))));
  expect(await killer.stop()).toBeGreaterThan(0);
  const last = open();
  await advanceDue(last, now, (error) => failures.push(error));
  await Promise.all([...replicas, last].map((replica) => replica.close()));
  const result = await ergon.sql.query(
    `select s.key, count(*) filter (where p.closed_at is not null) as closed, count(*) as periods,
       (select count(*) from subscription_line l where l.subscription_id = s.id) as lines,
       (select -balance from account a where a.customer_id = s.customer_id and a.kind = 'receivable') as owes
     from subscription s join subscription_period p on p.subscription_id = s.id where s.key like 'd_' group by s.id, s.key, s.customer_id order by 1`,
  );
  expect(result.rows).toHaveLength(10);
  for (const row of result.rows)
    expect(row).toMatchObject({ closed: '8', periods: '9', lines: '9', owes: '9.000000000000' });
  expect(await call(0, 'POST', '/v1/audit')).toMatchObject({ difference_count: 0 });
});
