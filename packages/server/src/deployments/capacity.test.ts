import { add, type Decimal, decimal, equals, isNegative, scaled, toText } from '@ergon/exact';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestErgon, type TestErgon } from '../../../../tests/support/ergon.ts';
import { llmCall, newTenant, type Tenant } from '../report/report.test-support.ts';
import { accountCapacity, splitCost } from './account-capacity.ts';
import { LLAMA } from './deployments.test-support.ts';

const seconds = fc.bigInt({ min: 0n, max: 10n ** 15n }).map((nanoseconds) => scaled(nanoseconds, 9));

function sumOf(...parts: readonly Decimal[]): Decimal {
  return parts.reduce((sum, part) => add(sum, part));
}

test('capacity is conserved, and its cost with it', () => {
  const stretch = fc.record({ bought: seconds, demanded: seconds, busy: fc.option(seconds, { nil: undefined }) });
  fc.assert(
    fc.property(fc.array(stretch, { maxLength: 8 }), seconds, (stretches, cost) => {
      const { bought, allocated, overhead, idle, demanded, excess } = accountCapacity(stretches);
      const split = splitCost(cost, { bought, allocated, overhead, idle, demanded, excess });
      return (
        equals(bought, sumOf(allocated, overhead, idle)) &&
        equals(demanded, sumOf(allocated, excess)) &&
        equals(cost, sumOf(split.allocated, split.overhead, split.idle)) &&
        ![allocated, overhead, idle, excess].some(isNegative)
      );
    }),
  );
});

test.each([
  // bought, demanded, busy -> allocated, overhead, idle, excess
  ['100', '40', undefined, '40', '0', '60', '0'],
  ['100', '40', '70', '40', '30', '30', '0'],
  ['100', '90', '70', '70', '0', '30', '20'],
  ['100', '140', undefined, '100', '0', '0', '40'],
  ['100', '0', '0', '0', '0', '100', '0'],
])('of %s seconds, %s asked and %s busy', (bought, demanded, busy, ...expected) => {
  const stretch = {
    bought: decimal(bought),
    demanded: decimal(demanded),
    busy: busy === undefined ? undefined : decimal(busy),
  };
  const { allocated, overhead, idle, excess } = accountCapacity([stretch]);
  expect([allocated, overhead, idle, excess].map(toText)).toEqual(expected);
});

let ergon: TestErgon;
let tenant: Tenant;
beforeAll(async () => {
  ergon = await startTestErgon();
  tenant = await newTenant(ergon, ['acme']);
  // In force for two hours of the past: only a first version may be.
  await tenant.put('/v1/deployments/d', { ...LLAMA, effective_from: '2026-11-20T10:00:00Z' });
});
afterAll(() => ergon.stop());

type Capacity = Readonly<Record<string, string>> & { readonly cost: Readonly<Record<string, string>> };

const HOUR = 'from=2026-11-20T10:00:00Z&to=2026-11-20T11:00:00Z';

test('the hours of a deployment: bought, allocated to calls, busy without one, idle', async () => {
  expect(await tenant.read<Capacity>(`/v1/deployments/d/capacity?${HOUR}`)).toMatchObject({
    bought: '14400',
    allocated: '0',
    overhead: '0',
    idle: '14400',
    measured: false,
    utilisation: '0',
    cost: { bought: '10', allocated: '0', overhead: '0', idle: '10' },
  });
  const call = (id: string, time: string, allocated: string) =>
    llmCall(id, time, { deployment: 'd', tokens: { input: 10, output: 2 }, accelerator_seconds_allocated: allocated });
  await tenant.send([
    call('1', '2026-11-20T10:10:00Z', '100.000000001'),
    call('2', '2026-11-20T10:40:00Z', '2000'),
    call('3', '2026-11-20T11:00:00Z', '55'),
  ]);
  const report = { from: '2026-11-20T10:00:00Z', to: '2026-11-20T10:30:00Z', busy_device_seconds: '3600.5' };
  expect((await tenant.post('/v1/deployments/d/busy', report)).status).toBe(201);
  expect((await tenant.post('/v1/deployments/d/busy', report)).status).toBe(409);
  const capacity = await tenant.read<Capacity>(`/v1/deployments/d/capacity?${HOUR}`);
  expect(capacity).toMatchObject({
    bought: '14400',
    demanded: '2100.000000001',
    allocated: '2100.000000001',
    overhead: '3500.499999999',
    idle: '8799.5',
    excess: '0',
    measured: true,
    busy_measured: '3600.5',
    utilisation: '0.145833',
  });
  const { cost } = capacity;
  expect(toText(sumOf(...[cost.allocated, cost.overhead, cost.idle].map((text) => decimal(text ?? ''))))).toBe(
    cost.bought,
  );
  // A window that cuts the span takes its share.
  const half = await tenant.read<Capacity>(
    '/v1/deployments/d/capacity?from=2026-11-20T10:15:00Z&to=2026-11-20T10:30:00Z',
  );
  expect(half).toMatchObject({ bought: '3600', busy_measured: '1800.25', allocated: '0', overhead: '1800.25' });
});

test.each([
  ['more than was bought', { busy_device_seconds: '99999999' }, 400, '/busy_device_seconds'],
  ['part of a minute', { from: '2026-11-20T12:00:01Z' }, 400, '/from'],
  ['no time', { to: '2026-11-20T12:00:00Z' }, 400, '/from'],
  ['the future', { to: '2100-01-01T00:00:00Z' }, 400, '/to'],
  ['no number', { busy_device_seconds: 'all' }, 400, '/busy_device_seconds'],
])('busy time of %s is refused', async (_, members, status, pointer) => {
  const body = { from: '2026-11-20T12:00:00Z', to: '2026-11-20T12:10:00Z', busy_device_seconds: '1', ...members };
  const answer = await tenant.post('/v1/deployments/d/busy', body);
  const problem = JSON.parse(answer.text) as { errors?: readonly { pointer: string }[] };
  expect([answer.status, problem.errors?.[0]?.pointer]).toEqual([status, pointer]);
});

test('the database itself refuses busy time twice', async () => {
  const insert = `insert into deployment_busy (environment_id, key, time_from, time_to, busy_device_seconds)
    values ($1, 'd', '2026-11-20T10:29:00Z', '2026-11-20T10:31:00Z', 1)`;
  await expect(ergon.sql.query(insert, [tenant.id])).rejects.toThrow('overlaps');
});
