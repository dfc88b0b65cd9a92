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
