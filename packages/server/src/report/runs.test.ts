import { afterAll, beforeAll, expect, test } from 'vitest';
import { seedCard } from '../../bench/support/seed.ts';
import { startTestErgon, type TestErgon } from '../../../../tests/support/ergon.ts';
import { LIMITS } from '../limits.ts';
import { llmCall, newTenant, type Tenant } from './report.test-support.ts';

type Totals = Readonly<Record<string, unknown>>;
type Run = {
  readonly id: string;
  readonly parent_run_id: string | null;
  readonly totals: Totals;
  readonly subtree_totals: Totals;
  readonly children: readonly Run[];
  readonly truncated?: boolean;
};

let ergon: TestErgon;
let tenant: Tenant;

beforeAll(async () => {
  ergon = await startTestErgon();
  tenant = await newTenant(ergon, ['acme']);
  await seedCard(ergon.sql, tenant.id, {
    currency: 'USD',
    prices: [{ key: 'out', meter: 'output_tokens', charge_model: { type: 'per_unit', unit_amount: '0.1' } }],
  });
  const call = (id: string, members: Readonly<Record<string, unknown>>) =>
    llmCall(id, '2026-11-20T10:00:00Z', { tokens: { input: 10, cache_read: 4, output: 3 }, ...members });
  await tenant.send([
    call('1', { run_id: 'root', agent: 'planner' }),
    call('2', { run_id: 'left', parent_run_id: 'root' }),
    call('3', { run_id: 'left', status: 'error', attempt: 2 }),
    call('4', { run_id: 'right', parent_run_id: 'root' }),
    call('5', { run_id: 'leaf', parent_run_id: 'left' }),
    {
      id: '6',
      source: 'test',
      type: 'compute.run',
      subject: 'acme',
      time: '2026-11-20T10:00:00Z',
      data: { run_id: 'leaf', flops: '123456789012345678901234', accelerator_seconds: '0.125' },
    },
  ]);
});
afterAll(() => ergon.stop());

const shape = (run: Run): unknown => [run.id, ...run.children.map(shape)];

test('a run with everything below it', async () => {
  const root = await tenant.read<Run>('/v1/runs/root');
  expect(shape(root)).toEqual(['root', ['left', ['leaf']], ['right']]);
  expect(root).toMatchObject({ parent_run_id: null, customer: 'acme', agent: 'planner', truncated: false });
  expect(root.totals).toEqual({
    requests: '1',
    errors: '0',
    retries: '0',
    input_tokens: '10',
    cached_tokens: '4',
    output_tokens: '3',
    tool_calls: '0',
    flops: '0',
    hbm_bytes: '0',
    accelerator_seconds: '0',
    accelerator_seconds_allocated: '0',
    accelerator_seconds_reported: '0',
    compute_units: '0',
    physical_cost: '0',
    charge: '0.3',
    currency: 'USD',
    charges: [{ currency: 'USD', amount: '0.3' }],
    provider_cost: '0.000043',
  });
  expect(root.subtree_totals).toEqual({
    requests: '5',
    errors: '1',
    retries: '1',
    input_tokens: '50',
    cached_tokens: '20',
    output_tokens: '15',
    tool_calls: '0',
    flops: '123456789012345678901234',
    hbm_bytes: '0',
    accelerator_seconds: '0',
    accelerator_seconds_allocated: '0',
    accelerator_seconds_reported: '0.125',
    compute_units: '0',
    physical_cost: '0',
    charge: '1.5',
    currency: 'USD',
    charges: [{ currency: 'USD', amount: '1.5' }],
    provider_cost: '0.000215',
  });
});

test('a branch is asked for as its own tree', async () => {
  const left = await tenant.read<Run>('/v1/runs/left');
  expect(left.parent_run_id).toBe('root');
  expect(shape(left)).toEqual(['left', ['leaf']]);
  expect(left.subtree_totals).toMatchObject({ requests: '3', charge: '0.9' });
});

test('amounts of two currencies are not added up', async () => {
  const own = await newTenant(ergon);
  await insertRuns(own.id, [
    ['a', null, 'USD', '1.5'],
    ['b', 'a', 'EUR', '2'],
  ]);
  const run = await own.read<Run>('/v1/runs/a');
  expect(run.totals).toMatchObject({ charge: '1.5', currency: 'USD' });
  expect(run.subtree_totals).toMatchObject({
    charge: null,
    currency: null,
    charges: [
      { currency: 'EUR', amount: '2' },
      { currency: 'USD', amount: '1.5' },
    ],
  });
});

test('a cycle ends where it closes, and depth is bounded', async () => {
  const own = await newTenant(ergon);
  await insertRuns(own.id, [
    ['a', 'c', 'USD', '1'],
    ['b', 'a', 'USD', '1'],
    ['c', 'b', 'USD', '1'],
  ]);
  expect(shape(await own.read<Run>('/v1/runs/b'))).toEqual(['b', ['c', ['a']]]);
  const chain = Array.from({ length: 40 }, (_, index): [string, string | null, string, string] => [
    `chain${index}`,
    index === 0 ? null : `chain${index - 1}`,
    'USD',
    '1',
  ]);
  await insertRuns(own.id, chain);
  const top = await own.read<Run>('/v1/runs/chain0');
  expect(top.subtree_totals.charge).toBe(String(LIMITS.runDepthMax + 1));
});

test('a large tree is cut far from the root, and its sums are of all of it', async () => {
  const own = await newTenant(ergon);
  await insertRuns(own.id, [['root', null, 'USD', '1']]);
  await ergon.sql.query(
    `insert into run (environment_id, id, parent_id, first_at, last_at, requests)
     select $1, 'child' || n, 'root', now(), now(), 2 from generate_series(1, 1500) n`,
    [own.id],
  );
  const root = await own.read<Run>('/v1/runs/root');
  expect(root.truncated).toBe(true);
  expect(root.children).toHaveLength(LIMITS.runTreeMax - 1);
  expect(root.subtree_totals.requests).toBe('3000');
});

test('another environment has other runs', async () => {
  const other = await newTenant(ergon);
  await other.send([llmCall('1', '2026-11-20T10:00:00Z', { run_id: 'left', parent_run_id: 'elsewhere' })]);
  expect((await other.get('/v1/runs/root')).status).toBe(404);
  expect(await other.read('/v1/runs/left')).toMatchObject({ parent_run_id: 'elsewhere', children: [] });
});

test.each([
  ['/v1/runs/nope', 404],
  ['/v1/runs/%00', 400],
  [`/v1/runs/${'x'.repeat(300)}`, 400],
  ["/v1/runs/'%3B--", 404],
  ['/v1/runs/root?depth=2', 400],
])('%s', async (path, status) => {
  expect((await tenant.get(path)).status).toBe(status);
});

async function insertRuns(
  environmentId: number,
  runs: readonly (readonly [id: string, parent: string | null, currency: string, charge: string])[],
): Promise<void> {
  for (const [id, parent, currency, charge] of runs) {
    await ergon.sql.query(
      `insert into run (environment_id, id, parent_id, first_at, last_at, currency, charge)
       values ($1, $2, $3, now(), now(), $4, $5)`,
      [environmentId, id, parent, currency, charge],
    );
  }
}
