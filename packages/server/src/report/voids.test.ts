import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestErgon, type TestErgon } from '../../../../tests/support/ergon.ts';
import { seedCard, seedGrant } from '../../bench/support/seed.ts';
import { llmCall, newTenant, usage } from './report.test-support.ts';

let ergon: TestErgon;
beforeAll(async () => {
  ergon = await startTestErgon();
});
afterAll(() => ergon.stop());

const DAY = { from: '2026-11-20T00:00:00Z', to: '2026-11-21T00:00:00Z' };

function voidOf(source: string, id: string) {
  return { id: `void ${id}`, source: 'test', type: 'event.void', data: { source, id } };
}

test('a void gives back to the grant and to the receivable, and says which', async () => {
  const tenant = await newTenant(ergon, ['acme']);
  await seedCard(ergon.sql, tenant.id, {
    currency: 'USD',
    prices: [{ meter: 'output_tokens', charge_model: { type: 'per_unit', unit_amount: '0.1' } }],
  });
  await seedGrant(ergon.sql, tenant.id, { customer: 'acme', amount: '0.4' });
  const { rows } = await ergon.sql.query<{ account_id: string }>(
    'select account_id from credit_grant where environment_id = $1',
    [tenant.id],
  );
  await tenant.send([llmCall('1', '2026-11-20T10:00:00Z', { tokens: { output: 10 } })]);
  await tenant.send([voidOf('test', '1')]);
  const explained = await tenant.read<{ lines: readonly unknown[] }>('/v1/events/lookup?source=test&id=void%201');
  expect(explained.lines).toMatchObject([
    { amount: '-1', grants: [{ grant: rows[0]?.account_id, amount: '-0.4' }], receivable: '-0.6' },
  ]);
  expect((await usage(tenant, { ...DAY, meter: 'charge' })).map((row) => row.value)).toEqual(['0']);
});

test('a void of a void waits for nothing, whenever it comes', async () => {
  const tenant = await newTenant(ergon, ['acme']);
  await tenant.send([llmCall('1', '2026-11-20T10:00:00Z', { tokens: { output: 10 } })]);
  await tenant.send([voidOf('test', 'void void 1')]);
  await tenant.send([voidOf('test', '1'), voidOf('test', 'void 1')]);
  await tenant.send([{ ...voidOf('test', 'void 1'), id: 'again' }]);
  const explained = await tenant.read<{ voided_by: unknown }>('/v1/events/lookup?source=test&id=void%201');
  expect(explained.voided_by).toBeNull();
  const { rows } = await ergon.sql.query<{ target_id: string; is_carried_out: boolean }>(
    'select target_id, applied_at is not null as is_carried_out from event_void where environment_id = $1',
    [tenant.id],
  );
  expect(rows).toEqual([{ target_id: '1', is_carried_out: true }]);
  expect(await tenant.audit()).toEqual([]);
});

test('a void in a minute with events older than the meter does not count those', async () => {
  const tenant = await newTenant(ergon, ['acme']);
  const job = (id: string) => ({
    id,
    source: 'test',
    type: 'job',
    subject: 'acme',
    time: '2026-11-20T10:00:00Z',
    data: { seconds: 1 },
  });
  await tenant.send([job('before the meter')]);
  await tenant.put('/v1/meters/seconds', { event_types: ['job'], aggregation: 'sum', value: 'data.seconds' });
  await tenant.send([job('1'), job('2')]);
  expect((await usage(tenant, { ...DAY, meter: 'seconds' })).map((row) => row.value)).toEqual(['2']);
  await tenant.send([voidOf('test', '2')]);
  expect((await usage(tenant, { ...DAY, meter: 'seconds' })).map((row) => row.value)).toEqual(['1']);
});

const fixed = { type: 'percentage', rate: '1', fixed_amount: '1' };
const tiers = [
  { up_to: '10', unit_amount: '1' },
  { up_to: null, unit_amount: '0.5' },
];

/** Charged after events of 12, 10 and 3; without the first; with another of 4 and without the second. */
test.each([
  ['a maximum', { ...fixed, maximum: '10' }, ['10', '10', '9']],
  ['a commitment', { ...fixed, commitment: { amount: '10', overage_factor: '2', true_up: false } }, ['46', '20', '9']],
  [
    'tiers beside them in a matrix',
    {
      type: 'matrix',
      dimensions: ['model'],
      cells: [{ match: { model: 'other' }, charge_model: fixed }],
      default: { charge_model: { type: 'graduated', tiers } },
    },
    ['17.5', '11.5', '7'],
  ],
])('a void of one of several single events leaves what the others cost, under %s', async (_, model, amounts) => {
  const tenant = await newTenant(ergon, ['acme']);
  await seedCard(ergon.sql, tenant.id, {
    currency: 'USD',
    prices: [{ meter: 'output_tokens', charge_model: model }],
  });
  const call = (output: number) => llmCall(`of ${output}`, '2026-11-20T10:00:00Z', { tokens: { output } });
  const charged = async () => (await usage(tenant, { ...DAY, meter: 'charge' })).map((row) => row.value);
  const steps = [
    [call(12), call(10), call(3)],
    [voidOf('test', 'of 12')],
    [voidOf('test', 'of 10'), call(4)],
    [voidOf('test', 'of 3'), voidOf('test', 'of 4')],
  ];
  for (const [index, events] of steps.entries()) {
    await tenant.send(events);
    expect(await charged()).toEqual([amounts[index] ?? '0']);
  }
  expect(await tenant.audit()).toEqual([]);
});

test.each([[[-5, 8]], [[8, -5]], [[-5, 9, -4, 3]]])(
  'corrections of single events come to the same wherever they come: %s',
  async (quantities) => {
    const tenant = await newTenant(ergon, ['acme']);
    await tenant.put('/v1/meters/paid', { event_types: ['payment'], aggregation: 'sum', value: 'data.amount' });
    const charge_model = { type: 'percentage', rate: '1', transaction_maximum: '100' };
    await seedCard(ergon.sql, tenant.id, { currency: 'USD', prices: [{ meter: 'paid', charge_model }] });
    const charged = async () => (await usage(tenant, { ...DAY, meter: 'charge' })).map((row) => row.value);
    for (const amount of quantities) {
      const payment = { id: `${amount}`, source: 'test', type: 'payment', subject: 'acme', data: { amount } };
      await tenant.send([{ ...payment, time: '2026-11-20T09:00:00Z' }]);
    }
    expect(await charged()).toEqual(['3']);
    await tenant.send([voidOf('test', '-5')]);
    expect(await charged()).toEqual(['8']);
    expect(await tenant.audit()).toEqual([]);
  },
);

test('a void of a single event gives its free place back, and never more than was charged', async () => {
  const tenant = await newTenant(ergon, ['acme']);
  await tenant.put('/v1/meters/paid', { event_types: ['payment'], aggregation: 'sum', value: 'data.amount' });
  const charge_model = { type: 'percentage', rate: '1', free_events: 1 };
  await seedCard(ergon.sql, tenant.id, { currency: 'USD', prices: [{ meter: 'paid', charge_model }] });
  const charged = async () => (await usage(tenant, { ...DAY, meter: 'charge' })).map((row) => row.value);
  const payment = (amount: number) => {
    const event = { id: `${amount}`, source: 'test', type: 'payment', subject: 'acme', data: { amount } };
    return { ...event, time: '2026-11-20T09:00:00Z' };
  };
  for (const event of [payment(7), voidOf('test', '7'), payment(2)]) await tenant.send([event]);
  expect(await charged()).toEqual(['0']);
  await tenant.send([payment(5), payment(-9)]);
  expect(await charged()).toEqual(['0']);
  await tenant.send([voidOf('test', '5')]);
  expect(await charged()).toEqual(['0']);
  await tenant.send([voidOf('test', '2'), voidOf('test', '-9')]);
  expect(await charged()).toEqual(['0']);
  await tenant.send([payment(1), payment(4)]);
  expect(await charged()).toEqual(['4']);
  expect(await tenant.audit()).toEqual([]);
});

test('a void gives nothing to a meter that names its type', async () => {
  const tenant = await newTenant(ergon, ['acme']);
  const types = { event_types: ['job', 'event.void'], value: 'data.seconds' };
  for (const aggregation of ['sum', 'max', 'count'])
    await tenant.put(`/v1/meters/${aggregation}`, { ...types, aggregation });
  const at = { source: 'test', subject: 'acme', time: '2026-11-20T10:00:00Z' };
  await tenant.send([
    { ...at, id: '1', type: 'job', data: { seconds: 1 } },
    { ...at, id: '2', type: 'job', data: { seconds: 2 } },
  ]);
  await tenant.send([{ ...at, ...voidOf('test', '1'), data: { source: 'test', id: '1', seconds: 70 } }]);
  const values = ['sum', 'max', 'count'].map(async (meter) => (await usage(tenant, { ...DAY, meter }))[0]?.value);
  expect(await Promise.all(values)).toEqual(['2', '2', '1']);
  expect(await tenant.audit()).toEqual([]);
});
