import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestApp, type TestApp } from '../http/test-app.test-support.ts';

let server: TestApp;
beforeAll(async () => {
  server = await startTestApp();
});
afterAll(async () => {
  await server.stop();
});

const seconds = {
  event_types: ['gpu.job'],
  aggregation: 'sum',
  value: 'data.seconds',
  unit: 'second',
  group_by: ['data.region'],
};
const perToken = (amount: string) => ({
  currency: 'USD',
  prices: [{ meter: 'output_tokens', charge_model: { type: 'per_unit', unit_amount: amount } }],
});

async function revision(): Promise<bigint> {
  const result = await server.database.pool.query<{ catalog_revision: bigint }>(
    `select catalog_revision from environment where key = 'default'`,
  );
  return result.rows[0]?.catalog_revision ?? 0n;
}

async function lastAction(): Promise<string> {
  const answer = await server.call('GET', '/v1/audit_log?limit=1');
  return `${answer.body.data[0].action} ${answer.body.data[0].target}`;
}

test('a meter is created once, answers its spec, and never changes', async () => {
  const before = await revision();
  const created = await server.call('PUT', '/v1/meters/gpu_seconds', { body: seconds });
  expect(created.status, created.text).toBe(200);
  expect(created.body).toMatchObject({
    key: 'gpu_seconds',
    is_built_in: false,
    unit: 'second',
    group_by: ['data.region'],
  });
  expect(await revision()).toBe(before + 1n);
  expect(await lastAction()).toBe('meter.create /v1/meters/gpu_seconds');

  const again = await server.call('PUT', '/v1/meters/gpu_seconds', { body: seconds });
  expect(again.body).toEqual(created.body);
  expect(await revision()).toBe(before + 1n);

  const other = await server.call('PUT', '/v1/meters/gpu_seconds', { body: { ...seconds, aggregation: 'max' } });
  expect(other.status).toBe(409);
  expect(other.body.errors[0].remedy).toContain('new key');

  expect((await server.call('GET', '/v1/meters/gpu_seconds')).body).toEqual(created.body);
  const list = await server.call('GET', '/v1/meters');
  const keys = list.body.data.map((meter: { key: string }) => meter.key);
  expect(keys).toEqual(expect.arrayContaining(['output_tokens', 'requests', 'charge', 'gpu_seconds']));
});

test('a built-in meter is answered, and neither replaced nor deleted', async () => {
  expect((await server.call('GET', '/v1/meters/output_tokens')).body).toMatchObject({
    is_built_in: true,
    unit: 'token',
  });
  expect((await server.call('PUT', '/v1/meters/output_tokens', { body: seconds })).status).toBe(409);
  expect((await server.call('DELETE', '/v1/meters/output_tokens')).status).toBe(409);
});

test('a deleted meter is gone; its key comes back only with its old definition', async () => {
  await server.call('PUT', '/v1/meters/short_lived', { body: seconds });
  expect((await server.call('DELETE', '/v1/meters/short_lived')).status).toBe(204);
  expect((await server.call('GET', '/v1/meters/short_lived')).status).toBe(404);
  expect((await server.call('DELETE', '/v1/meters/short_lived')).status).toBe(404);
  expect((await server.call('PUT', '/v1/meters/short_lived', { body: { ...seconds, unit: 'minute' } })).status).toBe(
    409,
  );
  expect((await server.call('PUT', '/v1/meters/short_lived', { body: seconds })).status).toBe(200);
});

test('a meter that a card prices cannot be deleted', async () => {
  await server.call('PUT', '/v1/meters/priced', { body: seconds });
  const prices = [{ meter: 'priced', charge_model: { type: 'per_unit', unit_amount: '1' } }];
  expect((await server.call('PUT', '/v1/rate_cards/holds_it', { body: { currency: 'USD', prices } })).status).toBe(200);
  const refused = await server.call('DELETE', '/v1/meters/priced');
  expect(refused.status).toBe(409);
  expect(refused.body.detail).toContain('holds_it');
  await server.call('PUT', '/v1/rate_cards/holds_it', { body: { currency: 'USD', prices: [] } });
  expect((await server.call('DELETE', '/v1/meters/priced')).status).toBe(204);
});

test('two dimensions of one name are refused', async () => {
  const body = { ...seconds, group_by: ['data.a.region', 'data.b.region'] };
  const answer = await server.call('PUT', '/v1/meters/twice', { body });
  expect(answer.status).toBe(400);
  expect(answer.body.errors[0].pointer).toBe('/group_by/1');
});

test('versions of a card: the first from the beginning, the next from now, the same again none', async () => {
  const first = await server.call('PUT', '/v1/rate_cards/versions', { body: perToken('0.000002') });
  expect(first.status, first.text).toBe(200);
  expect(first.body).toMatchObject({ version: 1, currency: 'USD', effective_from: '2000-01-01T00:00:00Z' });

  const before = await revision();
  const same = await server.call('PUT', '/v1/rate_cards/versions', { body: perToken('0.000002') });
  expect(same.body).toEqual(first.body);
  expect(await revision()).toBe(before);

  const past = { ...perToken('0.000003'), effective_from: '2020-01-01T00:00:00Z' };
  const refused = await server.call('PUT', '/v1/rate_cards/versions', { body: past });
  expect(refused.status).toBe(400);
  expect(refused.body).toMatchObject({ code: 'invalid_catalog', errors: [{ pointer: '/effective_from' }] });

  const second = await server.call('PUT', '/v1/rate_cards/versions', { body: perToken('0.000003') });
  expect(second.body.version).toBe(2);
  expect(await revision()).toBe(before + 1n);
  const future = { ...perToken('0.000004'), effective_from: '2100-01-01T00:00:00+02:00' };
  const third = await server.call('PUT', '/v1/rate_cards/versions', { body: future });
  expect(third.body).toMatchObject({ version: 3, effective_from: '2099-12-31T22:00:00Z' });
  expect((await server.call('PUT', '/v1/rate_cards/versions', { body: future })).body.version).toBe(3);

  expect((await server.call('GET', '/v1/rate_cards/versions')).body.version).toBe(3);
  const page = await server.call('GET', '/v1/rate_cards/versions/versions?limit=2');
  expect(page.body.data.map((card: { version: number }) => card.version)).toEqual([3, 2]);
  const rest = await server.call('GET', `/v1/rate_cards/versions/versions?limit=2&cursor=${page.body.next_cursor}`);
  expect(rest.body).toMatchObject({ data: [{ version: 1 }], next_cursor: null });
});

test.each([
  [
    'an unknown meter',
    { currency: 'USD', prices: [{ meter: 'nope', charge_model: { type: 'free' } }] },
    '/prices/0/meter',
  ],
  [
    'the charge itself',
    { currency: 'USD', prices: [{ meter: 'charge', charge_model: { type: 'free' } }] },
    '/prices/0/meter',
  ],
  ['a tie', { currency: 'USD', prices: [...perToken('1').prices, ...perToken('2').prices] }, '/prices/1'],
])('a card that does not hold together is refused: %s', async (_, body, pointer) => {
  const answer = await server.call('PUT', '/v1/rate_cards/broken', { body });
  expect(answer.status, answer.text).toBe(400);
  expect(answer.body.code).toBe('invalid_catalog');
  expect(answer.body.errors[0].pointer).toContain(pointer);
  expect(answer.body.errors[0].remedy).not.toBe('');
  expect((await server.call('GET', '/v1/rate_cards/broken')).status).toBe(404);
});

test('a customer is created, replaced, and confirmed', async () => {
  await server.call('PUT', '/v1/rate_cards/vip', { body: perToken('0.000001') });
  const body = { name: 'Acme', time_zone: 'Europe/Athens', rate_card: 'vip', metadata: { tier: 'gold' } };
  const created = await server.call('PUT', '/v1/customers/acme%20%2F%20co', { body });
  expect(created.status, created.text).toBe(200);
  expect(created.body).toMatchObject({ id: 'acme / co', provisional: false, ...body });
  expect((await server.call('GET', '/v1/customers/acme%20%2F%20co')).body).toEqual(created.body);
  const replaced = await server.call('PUT', '/v1/customers/acme%20%2F%20co', { body: { name: 'Acme 2' } });
  expect(replaced.body).toMatchObject({ name: 'Acme 2', time_zone: 'UTC', rate_card: null, metadata: {} });

  await server.database.pool.query(
    `insert into customer (environment_id, external_id, is_provisional) values (1, 'seen', true)`,
  );
  expect((await server.call('GET', '/v1/customers/seen')).body.provisional).toBe(true);
  expect((await server.call('PUT', '/v1/customers/seen', { body: {} })).body.provisional).toBe(false);
});

test('only what rating reads raises the revision', async () => {
  const before = await revision();
  await server.call('PUT', '/v1/customers/quiet', { body: { time_zone: 'Asia/Tokyo' } });
  await server.call('PUT', '/v1/customers/quiet', { body: { time_zone: 'Asia/Tokyo', name: 'Quiet' } });
  expect(await revision()).toBe(before);
  await server.call('PUT', '/v1/customers/quiet', { body: { time_zone: 'Asia/Seoul' } });
  expect(await revision()).toBe(before + 1n);
});

test('a publish waits for the transactions that rate with the old revision', async () => {
  const ingest = await server.database.pool.connect();
  await ingest.query('begin');
  await ingest.query('select * from ergon_open(1, false)');
  let isAnswered = false;
  const publish = server.call('PUT', '/v1/rate_cards/waits', { body: perToken('1') }).then((answer) => {
    isAnswered = true;
    return answer;
  });
  await new Promise((resolve) => setTimeout(resolve, 150));
  expect(isAnswered).toBe(false);
  await ingest.query('commit');
  ingest.release();
  expect((await publish).status).toBe(200);
});

test('publishes that wait leave connections to the ingest they wait for', async () => {
  const ingest = await server.database.pool.connect();
  await ingest.query('begin');
  await ingest.query('select * from ergon_open(1, false)');
  const publishes = Array.from({ length: 20 }, () =>
    server.call('PUT', '/v1/rate_cards/crowded', { body: perToken('1') }),
  );
  await new Promise((resolve) => setTimeout(resolve, 200));
  const found = await server.database.pool.query<{ one: number }>('select 1 as one');
  expect(found.rows).toEqual([{ one: 1 }]);
  await ingest.query('commit');
  ingest.release();
  for (const answer of await Promise.all(publishes)) expect(answer.body.version).toBe(1);
}, 9_000);

test('many publishes at once neither starve nor fail the events between them', async () => {
  const currencies = ['USD', 'EUR', 'JPY', 'CHF'];
  const publishes = Array.from({ length: 32 }, (_, index) =>
    server.call('PUT', '/v1/rate_cards/default', {
      body: { ...perToken(`0.0${index + 1}`), currency: currencies[index % 4] },
    }),
  );
  const events = Array.from({ length: 32 }, (_, index) =>
    server.call('POST', '/v1/events', {
      body: { id: `crowd-${index}`, type: 'llm.call', subject: `crowd-${index % 5}`, data: { tokens: { output: 10 } } },
    }),
  );
  for (const answer of await Promise.all([...publishes, ...events])) expect(answer.status, answer.text).toBe(200);
  expect((await server.call('GET', '/v1/rate_cards/default')).body.version).toBe(32);
}, 9_000);

test('customers are listed by page', async () => {
  for (const id of ['p1', 'p2', 'p3']) await server.call('PUT', `/v1/customers/${id}`, { body: {} });
  const seen: string[] = [];
  let cursor = '';
  for (;;) {
    const answer = await server.call('GET', `/v1/customers?limit=2${cursor}`);
    expect(answer.status, answer.text).toBe(200);
    for (const customer of answer.body.data) seen.push(customer.id);
    if (answer.body.next_cursor === null) break;
    cursor = `&cursor=${answer.body.next_cursor}`;
  }
  expect(seen).toEqual(expect.arrayContaining(['p1', 'p2', 'p3']));
  expect(new Set(seen).size).toBe(seen.length);
});

test.each([
  [{ time_zone: 'Mars/Olympus' }, '/time_zone'],
  [{ time_zone: '+02:00' }, '/time_zone'],
  [{ rate_card: 'nope' }, '/rate_card'],
  [{ nam: 'x' }, '/nam'],
  [{ name: 'a\u0000b' }, '/name'],
  [{ name: 'a\ud800' }, '/name'],
  [{ metadata: { a: 1 } }, '/metadata/a'],
  [{ metadata: { 'a\u0000': 'x' } }, '/metadata'],
  [[], ''],
])('a customer of %j is refused at %s', async (body, pointer) => {
  const answer = await server.call('PUT', '/v1/customers/refused', { body });
  expect(answer.status, answer.text).toBe(400);
  expect(answer.body.errors[0].pointer).toBe(pointer);
});

test('POST /v1/rate answers the amount with its lines', async () => {
  const body = { charge_model: { type: 'per_unit', unit_amount: '0.00000015' }, quantity: '1000', currency: 'USD' };
  const answer = await server.call('POST', '/v1/rate', { body });
  expect(answer.status, answer.text).toBe(200);
  expect(answer.body).toMatchObject({ amount: '0.00015', currency: 'USD' });
  expect(answer.body.lines?.[0]).toMatchObject({ quantity: '1000', unit_amount: '0.00000015', amount: '0.00015' });
  const bad = await server.call('POST', '/v1/rate', { body: { ...body, currency: 'XXX' } });
  expect(bad.body.errors[0].pointer).toBe('/currency');
});

test('nothing went wrong unseen', () => {
  expect(server.errors).toEqual([]);
});
