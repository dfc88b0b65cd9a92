import {
  compileModel,
  compileStep,
  findAccelerator,
  findModel,
  readModelConfig,
  servingPoint,
  STEP_FIT,
  weightFormat,
} from '@ergon/compute';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestErgon, type TestErgon } from '../../../../tests/support/ergon.ts';
import { llmCall, newTenant, type Tenant } from '../report/report.test-support.ts';
import { type Explained, LLAMA, quantitiesOf } from './deployments.test-support.ts';

type Deployment = {
  readonly key: string;
  readonly version: number;
  readonly effective_from: string;
  readonly model: { readonly basis: string; readonly hash: string; readonly unread: readonly string[] };
  readonly calibration: {
    readonly factor: number;
    readonly low: number;
    readonly high: number;
    readonly time_basis: string;
  } | null;
  readonly drift: { readonly alarm: boolean; readonly recent: number; readonly outside: number };
  readonly warnings: readonly string[];
};

let ergon: TestErgon;
let tenant: Tenant;

beforeAll(async () => {
  ergon = await startTestErgon(2);
  tenant = await newTenant(ergon, ['acme']);
});
afterAll(() => ergon.stop());

const AT = '2026-11-20T10:00:00Z';

test('a deployment is published, versioned and listed', async () => {
  await tenant.put('/v1/deployments/a', LLAMA);
  await tenant.put('/v1/deployments/a', LLAMA);
  const first = await tenant.read<Deployment>('/v1/deployments/a');
  expect(first).toMatchObject({
    key: 'a',
    version: 1,
    effective_from: '2000-01-01T00:00:00Z',
    spec: LLAMA,
    model: {
      basis: 'architecture',
      unread: [],
      parameters_total: { low: '70553706496', high: '70553706496' },
      kv_bytes_per_token: '327680',
    },
    calibration: { factor: 1, observations: 0, time_basis: 'modelled' },
    drift: { alarm: false, recent: 0, outside: 0 },
    warnings: [],
  });
  await tenant.put('/v1/deployments/a', { ...LLAMA, accelerator_count: 8 });
  await tenant.put('/v1/deployments/b', { ...LLAMA, accelerator_count: 1, weight_dtype: 'bf16' });
  const list = await tenant.read<{ data: Deployment[]; next_cursor: string | null }>('/v1/deployments?limit=1');
  expect(list.data.map(({ key, version }) => [key, version])).toEqual([['a', 2]]);
  const next = await tenant.read<{ data: Deployment[] }>(`/v1/deployments?limit=1&cursor=${list.next_cursor}`);
  expect(next.data[0]?.warnings).toEqual(['141 GB of weights a device do not fit into 80 GB']);
  const versions = await tenant.read<{ data: Deployment[] }>('/v1/deployments/a/versions');
  expect(versions.data.map(({ version }) => version)).toEqual([2, 1]);
});

test('an event is counted by the version in force when it happened, also one to come', async () => {
  const to = new Date(Date.now() + 1_800_000).toISOString();
  await tenant.put('/v1/deployments/dated', LLAMA);
  await tenant.put('/v1/deployments/dated', { ...LLAMA, effective_from: to, accelerator: 'mi300x' });
  const later = new Date(Date.now() + 2_400_000).toISOString();
  const call = (id: string, time: string) =>
    llmCall(id, time, { deployment: 'dated', tokens: { input: 9, output: 9 } });
  await tenant.send([call('now', AT), call('then', later)]);
  const accelerator = async (id: string) =>
    (await tenant.read<Explained>(`/v1/events/lookup?source=test&id=${id}`)).compute?.accelerator;
  expect([await accelerator('now'), await accelerator('then')]).toEqual(['h100-sxm', 'mi300x']);
});

test('two deployments of one model: its FLOPs are known, its seconds are not', async () => {
  await tenant.put('/v1/deployments/twin-1', { ...LLAMA, serves: ['twin'] });
  await tenant.put('/v1/deployments/twin-2', { ...LLAMA, serves: ['twin', 'mixed'], accelerator: 'mi300x' });
  await tenant.put('/v1/deployments/other', { ...LLAMA, model: 'Qwen3-8B', serves: ['mixed'] });
  const call = (model: string) => llmCall(model, AT, { model, tokens: { input: 9, output: 9 } });
  await tenant.send([call('twin'), call('mixed')]);
  const twin = await tenant.read<Explained>('/v1/events/lookup?source=test&id=twin');
  expect(Object.keys(quantitiesOf(twin))).toContain('flops');
  expect(Object.keys(quantitiesOf(twin))).not.toContain('accelerator_seconds');
  const mixed = await tenant.read<Explained>('/v1/events/lookup?source=test&id=mixed');
  expect(mixed.compute).toMatchObject({ unmeasured: 'ambiguous_deployment' });
});

test('a family without a rule is published, and says what is not known of it', async () => {
  await tenant.put('/v1/deployments/new', { ...LLAMA, model: 'Kimi-K3' });
  const deployment = await tenant.read<Deployment>('/v1/deployments/new');
  expect(deployment).toMatchObject({ model: { basis: 'inferred' }, calibration: null });
  expect(deployment.model.unread).not.toEqual([]);
  expect(deployment.warnings).toHaveLength(1);
});

const SMALL = {
  ...{ model_type: 'llama', hidden_size: 256, num_hidden_layers: 2, num_attention_heads: 8, vocab_size: 1000 },
  ...{ intermediate_size: 1024, layer_types: ['chunked_attention', 'full_attention'] },
};

test.each([
  ['an unknown model', { ...LLAMA, model: 'gpt-5' }, '/model'],
  ['an unreadable configuration', { ...LLAMA, model_config: { model_type: 'llama' } }, '/model_config'],
  ['a chunk of no tokens', { ...LLAMA, model_config: { ...SMALL, attention_chunk_size: 0 } }, '/model_config'],
  [
    'layers spelt without end',
    { ...LLAMA, model_config: { ...SMALL, hybrid_override_pattern: 'M'.repeat(9e5) } },
    '/model_config',
  ],
  ['an unknown accelerator', { ...LLAMA, accelerator: 'abacus' }, '/accelerator'],
  ['parts of a replica', { ...LLAMA, accelerator_count: 6, tensor_parallel: 4 }, '/accelerator_count'],
  ['a reference that never runs', { ...LLAMA, max_sequences: 16 }, '/reference/batch'],
  ['a price below zero', { ...LLAMA, price: { per_device_hour: '-1', currency: 'USD' } }, '/price/per_device_hour'],
  [
    'a utilisation above one',
    { ...LLAMA, price: { per_device_hour: '1', currency: 'USD', utilisation: '1.5' } },
    '/price/utilisation',
  ],
  [
    'a device without bandwidth',
    { ...LLAMA, accelerator: { id: 'own', peak_tflops: { bf16: 1 }, memory_gb: 1, memory_bandwidth_tb_s: 0 } },
    '/accelerator/memory_bandwidth_tb_s',
  ],
  ['the past', { ...LLAMA, accelerator_count: 12, effective_from: '2026-01-01T00:00:00Z' }, '/effective_from'],
])('%s is refused with the member at fault', async (_, body, pointer) => {
  const { status, text } = await tenant.tryPut('/v1/deployments/a', body);
  const problem = JSON.parse(text) as { errors?: readonly { pointer: string }[] };
  expect([status, problem.errors?.[0]?.pointer]).toEqual([400, pointer]);
});

/** Seconds that the model predicts for a point, from the pure package alone. */
function predicted(concurrency: number): number {
  const reading = readModelConfig(findModel('llama-3.1-70b')?.config);
  const accelerator = findAccelerator('h100-sxm');
  if (reading.kind !== 'known' || accelerator === undefined) throw new Error('both are in the catalog');
  const serving = {
    accelerator,
    tensorParallel: 4,
    weights: weightFormat('fp8'),
    cache: 'bf16',
    engine: 'vllm',
  } as const;
  const step = compileStep(compileModel(reading.spec), serving, STEP_FIT.constants);
  return servingPoint(step, { concurrency, newTokens: 1000, cachedTokens: 0, outputTokens: 200 }).tpot;
}

test('observations calibrate estimates and costs, never what is billed; drift is told', async () => {
  await tenant.put('/v1/deployments/seen', { ...LLAMA, serves: [] });
  const call = (id: string) => llmCall(id, AT, { deployment: 'seen', tokens: { input: 900, output: 90 } });
  const secondsOf = async (id: string) => {
    await tenant.send([call(id)]);
    return tenant.read<Explained>(`/v1/events/lookup?source=test&id=${id}`);
  };
  const before = quantitiesOf(await secondsOf('s1'));
  const observe = async (points: readonly number[], ratio: number) => {
    const observations = points.map((concurrency) => ({
      concurrency,
      input_tokens: 1000,
      output_tokens: 200,
      seconds_per_output_token: predicted(concurrency) * ratio,
      source: 'vllm bench serve',
    }));
    const { status } = await tenant.post('/v1/deployments/seen/observations', { observations });
    expect(status).toBe(201);
  };
  await observe([8, 16, 32, 48, 64], 1.3);
  const calibrated = await tenant.read<Deployment>('/v1/deployments/seen');
  expect(calibrated.calibration).toMatchObject({ observations: 5, time_basis: 'calibrated' });
  expect(calibrated.calibration?.factor).toBeGreaterThan(1.2);
  expect(calibrated.calibration?.factor).toBeLessThan(1.3);
  const after = await secondsOf('s2');
  expect(quantitiesOf(after).accelerator_seconds).toBe(before.accelerator_seconds);
  const ratio = Number(quantitiesOf(after).accelerator_seconds_allocated) / Number(before.accelerator_seconds);
  expect(ratio).toBeCloseTo(calibrated.calibration?.factor ?? 0, 6);
  expect(after.compute).toMatchObject({ time_basis: 'calibrated' });
  const { text } = await tenant.post('/v1/estimate', { deployment: 'seen', tokens: { input: 900, output: 90 } });
  expect(JSON.parse(text)).toMatchObject({
    compute: {
      time_basis: 'calibrated',
      accelerator_seconds: { expected: quantitiesOf(after).accelerator_seconds_allocated },
      billable_accelerator_seconds: { expected: before.accelerator_seconds },
    },
    cost: { physical_cost: { expected: quantitiesOf(after).physical_cost } },
  });
  await observe(
    Array.from({ length: 20 }, (_, index) => 8 + index),
    1.3,
  );
  expect((await tenant.read<Deployment>('/v1/deployments/seen')).drift).toEqual({
    alarm: false,
    recent: 8,
    outside: 0,
  });
  await observe([8, 16, 24, 32, 40, 48, 56, 64], 2.5);
  expect((await tenant.read<Deployment>('/v1/deployments/seen')).drift).toEqual({ alarm: true, recent: 8, outside: 8 });
  type Page = {
    readonly data: readonly { readonly predicted_seconds_per_output_token: number; readonly concurrency: number }[];
  };
  const page = await tenant.read<Page>('/v1/deployments/seen/observations?limit=1');
  expect(page.data[0]?.predicted_seconds_per_output_token).toBeCloseTo(predicted(64), 8);
});

test('what was measured is what was allocated: shares of a step sum to it and are recorded as sent', async () => {
  await tenant.put('/v1/deployments/steps', { ...LLAMA, serves: [] });
  const { text } = await tenant.post('/v1/deployments/steps/attribute_step', {
    measured_ns: '25000001',
    parts: [
      { id: 'r1', new_tokens: 1, context: 4000 },
      { id: 'r2', new_tokens: 512, context: 0 },
    ],
  });
  const step = JSON.parse(text) as {
    shares: { id: string; accelerator_seconds: string }[];
    accelerator_seconds: string;
  };
  expect(step.accelerator_seconds).toBe('0.100000004');
  const nanoseconds = step.shares.map((share) => Math.round(Number(share.accelerator_seconds) * 1e9));
  expect(nanoseconds.reduce((sum, one) => sum + one, 0)).toBe(100_000_004);
  const allocated = step.shares[0]?.accelerator_seconds ?? '';
  await tenant.send([
    llmCall('measured', AT, {
      deployment: 'steps',
      tokens: { input: 9, output: 9 },
      accelerator_seconds_allocated: allocated,
    }),
  ]);
  const explained = await tenant.read<Explained>('/v1/events/lookup?source=test&id=measured');
  expect(quantitiesOf(explained).accelerator_seconds_allocated).toBe(allocated);
  expect(explained.compute).toMatchObject({ time_basis: 'allocated' });
});

test('what was published or observed cannot be edited, and no other environment sees it', async () => {
  for (const table of ['deployment_version', 'deployment_observation', 'deployment_busy']) {
    await expect(ergon.sql.query(`delete from ${table}`)).rejects.toThrow('append-only');
  }
  const stranger = await newTenant(ergon, ['acme']);
  expect((await stranger.get('/v1/deployments/a')).status).toBe(404);
  expect(await stranger.read('/v1/deployments')).toEqual({ data: [], next_cursor: null });
  await stranger.send([llmCall('strange', AT, { deployment: 'a', model: 'none', tokens: { input: 1 } })]);
  const explained = await stranger.read<Explained>('/v1/events/lookup?source=test&id=strange');
  expect(explained.compute).toMatchObject({ unmeasured: 'unknown_deployment' });
});
