import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestErgon, type TestErgon } from '../../../../tests/support/ergon.ts';
import { type Explained, LLAMA, quantitiesOf } from '../deployments/deployments.test-support.ts';
import { llmCall, newTenant, type Tenant } from '../report/report.test-support.ts';

type Interval = { readonly low: string; readonly expected: string; readonly high: string };
type Estimate = {
  readonly tokens: { readonly output: Interval };
  readonly compute: Readonly<Record<string, unknown>> & {
    readonly flops: Interval;
    readonly accelerator_seconds: Interval;
    readonly billable_accelerator_seconds: Interval;
  };
  readonly cost: Readonly<
    Record<'charge' | 'provider_cost' | 'physical_cost', (Interval & { currency: string }) | null>
  >;
  readonly unmeasured?: string;
};

let ergon: TestErgon;
let tenant: Tenant;

beforeAll(async () => {
  ergon = await startTestErgon();
  tenant = await newTenant(ergon, ['acme']);
  await tenant.put('/v1/deployments/llama70-h100', LLAMA);
  await tenant.put('/v1/rate_cards/default', {
    currency: 'USD',
    prices: [
      {
        meter: 'accelerator_seconds',
        match: { accelerator: 'h100*' },
        charge_model: {
          type: 'graduated',
          tiers: [
            { up_to: '1', unit_amount: '0.01' },
            { up_to: null, unit_amount: '0.001' },
          ],
        },
      },
      {
        meter: 'output_tokens',
        match: { model: 'gpt-5*' },
        charge_model: { type: 'per_unit', unit_amount: '0.00001' },
      },
    ],
  });
});
afterAll(() => ergon.stop());

async function estimate(body: unknown): Promise<Estimate> {
  const { status, text } = await tenant.post('/v1/estimate', body);
  expect(text, text).toMatch(/^\{/);
  expect([status, text]).toEqual([200, text]);
  return JSON.parse(text) as Estimate;
}

function ordered({ low, expected, high }: Interval): void {
  expect(Number(low)).toBeGreaterThan(0);
  expect(Number(low)).toBeLessThanOrEqual(Number(expected));
  expect(Number(expected)).toBeLessThanOrEqual(Number(high));
}

const CALL = {
  customer: 'acme',
  model: 'llama-3.1-70b',
  tokens: { input: 500, cache_read: 1500 },
  max_output_tokens: 500,
};

test('work, time and cost of a call, each with an interval', async () => {
  const answer = await estimate({ ...CALL, deployment: 'llama70-h100', expected_output_tokens: 180 });
  expect(answer.tokens).toEqual({
    input: '500',
    cache_read: '1500',
    output: { low: '1', expected: '180', high: '500' },
  });
  expect(answer.compute).toMatchObject({
    accelerator: 'h100-sxm',
    accelerator_count: 4,
    batch_size: 32,
    deployment: 'llama70-h100',
    basis: 'architecture',
    time_basis: 'modelled',
    coverage: '0.9',
    convention: 'ergon-flops-1',
    unread: [],
  });
  for (const name of ['flops', 'decode_flops', 'hbm_bytes', 'accelerator_seconds', 'compute_units'] as const) {
    if (name === 'decode_flops') expect(answer.compute[name]).toMatchObject({ low: '0' });
    else ordered(answer.compute[name] as Interval);
  }
  expect(answer.cost.provider_cost).toBeNull();
  if (answer.cost.physical_cost === null || answer.cost.charge === null) throw new Error('both are priced');
  ordered(answer.cost.physical_cost);
  ordered(answer.cost.charge);
});

test('the estimate of a call whose output is known is what its event is recorded with', async () => {
  const body = { customer: 'acme', deployment: 'llama70-h100', tokens: { input: 4000, cache_read: 100, output: 60 } };
  const answer = await estimate(body);
  const { flops, billable_accelerator_seconds: seconds } = answer.compute;
  expect(new Set(Object.values(flops)).size).toBe(1);
  await tenant.send([
    llmCall('e1', '2026-11-20T10:00:00Z', { model: 'own', deployment: 'llama70-h100', tokens: body.tokens }),
  ]);
  const explained = await tenant.read<Explained>('/v1/events/lookup?source=test&id=e1');
  const quantities = quantitiesOf(explained);
  expect(quantities).toMatchObject({ flops: flops.expected, accelerator_seconds: seconds.expected });
  expect(quantities.physical_cost).toBe(answer.cost.physical_cost?.expected);
  expect(explained.lines[0]?.amount).toBe(answer.cost.charge?.expected);
});

test('the charge counts from where the customer stands', async () => {
  const body = {
    model: 'own',
    deployment: 'llama70-h100',
    tokens: { input: 20_000, output: 2000 },
    customer: 'tiered',
  };
  const at = (id: string) => ({
    ...llmCall(id, new Date().toISOString(), { ...body, customer: undefined }),
    subject: 'tiered',
  });
  const before = await estimate(body);
  await tenant.send([at('t1')]);
  const after = await estimate(body);
  expect(Number(after.cost.charge?.expected)).toBeLessThan(Number(before.cost.charge?.expected));
  await tenant.send([at('t2')]);
  const explained = await tenant.read<Explained>('/v1/events/lookup?source=test&id=t2');
  expect(explained.lines[0]?.amount).toBe(after.cost.charge?.expected);
});

test('without a deployment: a described place, the catalog, or prices alone', async () => {
  const described = await estimate({
    model: 'Qwen3-30B-A3B',
    accelerator: 'mi300x',
    dtype: 'bf16',
    price: { per_device_hour: '2', currency: 'USD' },
    tokens: { input: 1024, cache_read: 7168, output: 200 },
  });
  expect(described.compute).toMatchObject({
    accelerator: 'mi300x',
    accelerator_count: 1,
    batch_size: 32,
    deployment: null,
  });
  expect(described.cost.physical_cost).not.toBeNull();
  const counted = await estimate({ model: 'Qwen3-30B-A3B', tokens: { input: 10 }, max_output_tokens: 5 });
  expect(counted.compute).toMatchObject({ basis: 'architecture', accelerator_seconds: null, accelerator: null });
  const closed = await estimate({ model: 'gpt-5', provider: 'openai', tokens: { input: 10 }, max_output_tokens: 5 });
  expect(closed).toMatchObject({ compute: null, unmeasured: 'unknown_model' });
  expect(closed.cost.charge?.high).toBe('0.00005');
  expect(closed.cost.provider_cost?.high).toBe('0.0000625');
});

test('a family without a rule answers with bounds and the keys it could not read', async () => {
  const answer = await estimate({
    model: 'Kimi-K3',
    accelerator: 'h100-sxm',
    tokens: { input: 10 },
    max_output_tokens: 5,
  });
  expect(answer.compute.flops).not.toHaveProperty('expected');
  expect(Number(answer.compute.flops.low)).toBeLessThan(Number(answer.compute.flops.high));
  expect(answer.compute).toMatchObject({ basis: 'inferred', accelerator_seconds: null, compute_units: null });
  expect(answer.compute.unread).not.toEqual([]);
});

test.each([
  ['text', { ...CALL, messages: [{ role: 'user', content: 'hi' }] }, '/messages'],
  ['an output without bound', { model: 'gpt-5', tokens: { input: 1 } }, '/max_output_tokens'],
  ['an output given twice', { model: 'gpt-5', tokens: { output: 1 }, max_output_tokens: 2 }, '/max_output_tokens'],
  ['more expected than the bound', { ...CALL, expected_output_tokens: 501 }, '/expected_output_tokens'],
  ['an unknown deployment', { ...CALL, deployment: 'none' }, '/deployment'],
  ['a place described twice', { ...CALL, deployment: 'llama70-h100', accelerator: 'h100-sxm' }, '/deployment'],
  ['an unknown accelerator', { ...CALL, accelerator: 'abacus' }, '/accelerator'],
  ['an unknown model on a device', { ...CALL, model: 'gpt-5', accelerator: 'h100-sxm' }, '/model'],
  ['no model at all', { accelerator: 'h100-sxm', tokens: { output: 1 } }, '/model'],
  ['a configuration without sizes', { ...CALL, model_config: { model_type: 'llama' } }, '/model_config'],
  ['a configuration of a million layers', { ...CALL, model_config: { num_hidden_layers: 1e6 } }, '/model_config'],
  ['more tokens than one call has', { ...CALL, tokens: { input: 9e6, cache_read: 9e6 } }, '/tokens'],
  ['a class that is none', { ...CALL, tokens: { words: 1 } }, '/tokens/words'],
])('%s is refused with the member at fault', async (_, body, pointer) => {
  const { status, text } = await tenant.post('/v1/estimate', body);
  const problem = JSON.parse(text) as { errors?: readonly { pointer: string; detail: string }[] };
  expect([status, problem.errors?.[0]?.pointer]).toEqual([400, pointer]);
});
