import { countFlops, compileModel, findModel, readModelConfig, trainingFlops } from '@ergon/compute';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestErgon, type TestErgon } from '../../../../tests/support/ergon.ts';
import { llmCall, newTenant, type Tenant, usage } from '../report/report.test-support.ts';
import { type Explained, LLAMA, quantitiesOf } from './deployments.test-support.ts';

let ergon: TestErgon;
let tenant: Tenant;

const AT = '2026-11-20T10:00:00Z';

beforeAll(async () => {
  ergon = await startTestErgon();
  tenant = await newTenant(ergon, ['acme']);
  await tenant.put('/v1/deployments/llama70-h100', LLAMA);
  await tenant.put('/v1/rate_cards/default', {
    currency: 'USD',
    prices: [
      { meter: 'flops', match: { deployment: 'llama70-h100' }, charge_model: perUnit('0.000000000000000002') },
      { meter: 'accelerator_seconds', match: { accelerator: 'h100*' }, charge_model: perUnit('0.001') },
      { meter: 'physical_cost', charge_model: { type: 'cost_plus', markup: '0.20' } },
    ],
  });
});
afterAll(() => ergon.stop());

function perUnit(unit_amount: string) {
  return { type: 'per_unit', unit_amount };
}

function modelOf(name: string) {
  const reading = readModelConfig(findModel(name)?.config);
  if (reading.kind !== 'known') throw new Error(`${name} is not known`);
  return compileModel(reading.spec);
}

async function sendAndExplain(event: Readonly<Record<string, unknown>> & { readonly id: string }): Promise<Explained> {
  const answer = await tenant.send([event]);
  expect(answer).toMatchObject({ accepted: 1, results: [] });
  return tenant.read<Explained>(`/v1/events/lookup?source=test&id=${event.id}`);
}

test('a call on a deployment is counted, timed, priced and explained', async () => {
  const work = { newTokens: 500, cachedTokens: 1500, outputTokens: 180 };
  const explained = await sendAndExplain(
    llmCall('named', AT, {
      model: 'anything',
      deployment: 'llama70-h100',
      tokens: { input: 500, cache_read: 1500, output: 180 },
    }),
  );
  const quantities = quantitiesOf(explained);
  expect(quantities.flops).toBe(countFlops(modelOf('llama-3.1-70b'), work).total.toString());
  expect(quantities.accelerator_seconds).toBe(quantities.accelerator_seconds_allocated);
  expect(Number(quantities.physical_cost)).toBeCloseTo((Number(quantities.accelerator_seconds) * 2.5) / 3600, 11);
  expect(Number(quantities.hbm_bytes)).toBeGreaterThan(1e9);
  expect(Number(quantities.compute_units)).toBeGreaterThan(0);
  expect(explained.compute).toMatchObject({
    convention: 'ergon-flops-1',
    basis: 'architecture',
    time_basis: 'modelled',
    deployment: 'llama70-h100',
    deployment_version: 1,
    accelerator: 'h100-sxm',
    context_length: '1k-4k',
    unmeasured: null,
  });
  const amounts = Object.fromEntries(explained.lines.map(({ meter, amount }) => [meter, Number(amount)]));
  expect(amounts.flops).toBeCloseTo(Number(quantities.flops) * 2e-18, 11);
  expect(amounts.accelerator_seconds).toBeCloseTo(Number(quantities.accelerator_seconds) * 0.001, 11);
  expect(amounts.physical_cost).toBeCloseTo(Number(quantities.physical_cost) * 1.2, 11);
});

test.each([
  ['by a name the deployment serves', { model: 'llama70' }, { deployment: 'llama70-h100', time_basis: 'modelled' }],
  ['by the catalog alone', { model: 'Qwen3-30B-A3B' }, { deployment: null, basis: 'architecture', time_basis: null }],
  ['not, for a closed model', { model: 'gpt-5' }, null],
  [
    'not, where the deployment is unknown and the model closed',
    { model: 'gpt-5', deployment: 'none' },
    { unmeasured: 'unknown_deployment' },
  ],
  [
    'not, where the tokens sum several prompts',
    { model: 'llama70', prompt_summed: true },
    { unmeasured: 'summed_prompts' },
  ],
  ['not, for a family without a rule', { model: 'DeepSeek-V4-Flash' }, { unmeasured: 'inferred_model' }],
  [
    'not, for more tokens than a call has',
    { model: 'llama70', tokens: { input: 10_000_001 } },
    { unmeasured: 'too_large' },
  ],
])('a call is counted %s', async (name, members, compute) => {
  const id = `by ${name}`;
  const explained = await sendAndExplain(llmCall(id, AT, { tokens: { input: 10, output: 2 }, ...members }));
  if (compute === null) expect(explained.compute).toBeNull();
  else expect(explained.compute).toMatchObject(compute);
  const isMeasured = compute !== null && !('unmeasured' in compute);
  expect('flops' in quantitiesOf(explained)).toBe(isMeasured);
});

test('a prompt cut in two, the first half cached, is the work of one', async () => {
  const call = (id: string, tokens: Readonly<Record<string, number>>) =>
    sendAndExplain(llmCall(id, AT, { model: 'llama70', tokens }));
  const flops = async (id: string, tokens: Readonly<Record<string, number>>) =>
    BigInt(quantitiesOf(await call(id, tokens)).flops ?? '0');
  const whole = await flops('whole', { input: 3000, cache_read: 100, output: 50 });
  const first = await flops('first', { input: 1200, cache_read: 100 });
  const second = await flops('second', { input: 1800, cache_read: 1300, output: 50 });
  expect(first + second).toBe(whole);
  expect(whole).toBeLessThan(await flops('cold', { input: 3100, output: 50 }));
});

const run = (id: string, data: Readonly<Record<string, unknown>>) => ({
  id,
  source: 'test',
  type: 'compute.run',
  subject: 'acme',
  time: AT,
  data,
});

test('work without tokens: declared FLOPs, reported seconds, training', async () => {
  const declared = await sendAndExplain(run('declared', { kind: 'vision', flops: '123456789012345678901' }));
  expect(quantitiesOf(declared)).toEqual({ flops: '123456789012345678901' });
  expect(declared.compute).toMatchObject({ basis: 'declared', convention: null });

  const reported = await sendAndExplain(
    run('reported', { kind: 'rerank', deployment: 'llama70-h100', accelerator_seconds: '7.2' }),
  );
  expect(quantitiesOf(reported)).toEqual({
    accelerator_seconds_reported: '7.2',
    accelerator_seconds_allocated: '7.2',
    physical_cost: '0.005',
  });
  expect(reported.compute).toMatchObject({ basis: 'declared', time_basis: 'reported', accelerator: 'h100-sxm' });

  const training = await sendAndExplain(
    run('training', { kind: 'training', model: 'Qwen3-8B', tokens: { input: 10_000 }, sequence_length: 4096 }),
  );
  const model = modelOf('Qwen3-8B');
  const expected = trainingFlops(model, 2, 4096) + trainingFlops(model, 1, 10_000 - 8192);
  expect(quantitiesOf(training).flops).toBe(expected.toString());

  const embedding = await sendAndExplain({
    ...run('embedding', { model: 'Qwen3-Embedding-8B', tokens: { input: 700 } }),
    type: 'embedding.call',
  });
  expect(quantitiesOf(embedding).flops).toBe(
    countFlops(modelOf('Qwen3-Embedding-8B'), { newTokens: 700, cachedTokens: 0, outputTokens: 0 }).total.toString(),
  );
});

test('a run holds the work of failed calls and retries; a void takes it back; the audit agrees', async () => {
  const call = (id: string, members: Readonly<Record<string, unknown>>) =>
    llmCall(id, AT, { model: 'llama70', run_id: 'work', tokens: { input: 100, output: 9 }, ...members });
  await tenant.send([
    call('w1', {}),
    call('w2', { status: 'error', attempt: 1, final: false }),
    call('w3', { attempt: 2 }),
  ]);
  const one = BigInt(quantitiesOf(await tenant.read<Explained>('/v1/events/lookup?source=test&id=w1')).flops ?? '0');
  type Run = { readonly totals: Readonly<Record<string, string>> };
  const before = await tenant.read<Run>('/v1/runs/work');
  expect(before.totals.flops).toBe((3n * one).toString());
  // What was recorded is taken back, whatever the deployment has become since.
  await tenant.put('/v1/deployments/llama70-h100', { ...LLAMA, serves: ['other'], accelerator: 'mi300x' });
  await tenant.send([
    { id: 'v', source: 'test', type: 'event.void', data: { source: 'test', id: 'w2' } },
    { id: 'v2', source: 'test', type: 'event.void', data: { source: 'test', id: 'named' } },
  ]);
  const after = await tenant.read<Run>('/v1/runs/work');
  expect(after.totals.flops).toBe((2n * one).toString());
  expect(Number(after.totals.physical_cost)).toBeCloseTo((Number(before.totals.physical_cost) * 2) / 3, 11);
  const rows = await usage(tenant, {
    meter: 'flops',
    from: AT,
    to: '2026-11-20T10:01:00Z',
    group_by: 'deployment,model',
  });
  expect(rows.find((row) => row.group.model === 'anything')?.value).toBe('0');
  expect(await tenant.audit()).toEqual([]);
});

test('budgets count work and its cost, and a void gives them back', async () => {
  await tenant.put('/v1/deployments/budgeted', { ...LLAMA, serves: [] });
  const budget = { scope: { customer: 'spender' }, window: 'day', limit: '1000000000000000000', mode: 'shadow' };
  for (const own of [
    { key: 'work', unit: 'flops' },
    { key: 'cost', unit: 'USD', measure: 'physical_cost' },
  ]) {
    expect(await tenant.post('/v1/budgets', { ...budget, ...own })).toMatchObject({ status: 200 });
  }
  type Budget = { readonly counters: readonly { readonly committed: string }[] };
  const committed = async (key: string) => (await tenant.read<Budget>(`/v1/budgets/${key}`)).counters[0]?.committed;
  const call = llmCall('spent', AT, { deployment: 'budgeted', tokens: { input: 900, output: 90 } }, 'spender');
  const { flops, physical_cost: cost } = quantitiesOf(await sendAndExplain(call));
  expect([await committed('work'), await committed('cost')]).toEqual([flops, cost]);
  await tenant.send([{ id: 'unspend', source: 'test', type: 'event.void', data: { source: 'test', id: 'spent' } }]);
  expect([await committed('work'), await committed('cost')]).toEqual(['0', '0']);
  expect(await tenant.audit()).toEqual([]);
});
