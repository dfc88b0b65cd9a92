import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestErgon, TEST_KEY, type TestErgon } from '../ergon.test-support.ts';
import { EXIT_CODE } from '../exit-code.ts';

let ergon: TestErgon;
const done = { code: EXIT_CODE.ok, error: '' };

beforeAll(async () => {
  ergon = await startTestErgon();
  await put('/v1/deployments/llama70-h100', {
    model: 'llama-3.1-70b',
    serves: ['llama70'],
    accelerator: 'h100-sxm',
    accelerator_count: 4,
    weight_dtype: 'fp8',
    engine: 'vllm',
    price: { per_device_hour: '2.50', currency: 'USD' },
    reference: { batch: 32 },
  });
  await put('/v1/rate_cards/default', {
    currency: 'USD',
    prices: [
      {
        meter: 'accelerator_seconds',
        match: { accelerator: 'h100*' },
        charge_model: { type: 'per_unit', unit_amount: '0.01' },
      },
    ],
  });
  await put('/v1/customers/acme', { rate_card: 'default' });
});
afterAll(() => ergon.stop());

async function put(path: string, body: unknown): Promise<void> {
  const headers = { authorization: `Bearer ${TEST_KEY}`, 'content-type': 'application/json' };
  const answer = await ergon.fetch(
    new Request(`http://ergon.test${path}`, { method: 'PUT', headers, body: JSON.stringify(body) }),
  );
  expect([answer.status, await answer.text()]).toEqual([
    expect.toSatisfy((code: number) => code < 300),
    expect.anything(),
  ]);
}

const REQUEST = ['--input', '500', '--cached', '1500', '--output', '180'];

test('a deployment answers by what was published, and charges as the customer would be', async () => {
  const ran = await ergon.run('estimate', '--deployment', 'llama70-h100', '--customer', 'acme', ...REQUEST);
  expect(ran).toMatchObject(done);
  expect(ran.out).toMatch(/deployment +llama70-h100\ndevices +4 x h100-sxm\nFLOPs +[\d.]+ TFLOP/);
  expect(ran.out).toMatch(/times are +modelled\ncharge +0\.0\d+ USD/);
  expect(ran.out).toMatch(/physical cost +0\.0\d+ USD/);
  expect(ran.out).toContain('Llama-3.1-70B: not charged (no_price): input_tokens, cache_read_tokens, output_tokens\n');
  const { estimates } = JSON.parse(
    (await ergon.run('estimate', '--deployment', 'llama70-h100', '--customer', 'acme', ...REQUEST, '--json')).out,
  );
  const [{ compute, cost }] = estimates;
  expect(Number(cost.charge.expected)).toBeCloseTo(Number(compute.billable_accelerator_seconds.expected) * 0.01, 9);
});

test('the counts of the server are those of the command without one', async () => {
  const flags = ['llama-3.1-8b', 'qwen3-30b-a3b', '--accelerator', 'mi300x', '--count', '1', '--price', '2', '--json'];
  const there = JSON.parse((await ergon.run('estimate', '--customer', 'acme', ...flags, ...REQUEST)).out);
  const here = JSON.parse((await ergon.run('estimate', ...flags, ...REQUEST)).out);
  const [flopsThere, flopsHere] = [
    there.estimates.map((one: { compute: { flops: { expected: string } } }) => one.compute.flops.expected),
    here.estimates.map((one: { flops: string }) => one.flops),
  ];
  expect(flopsThere).toEqual(flopsHere);
});

test('a closed model has a provider cost and no work', async () => {
  const ran = await ergon.run('estimate', 'gpt-5-mini', '--customer', 'acme', ...REQUEST);
  expect(ran).toMatchObject(done);
  expect(ran.out).toMatch(/provider cost +0\.00\d+ USD/);
  expect(ran.out).toContain('gpt-5-mini: work is not measured: unknown_model');
});

test('calibrate keeps a benchmark as observations; the estimate of the deployment follows', async () => {
  const run = (concurrency: number) => ({
    backend: 'vllm',
    duration: 100,
    completed: 100,
    concurrency,
    total_input_tokens: 100_000,
    total_output_tokens: 25_000,
    mean_tpot_ms: 30 + concurrency / 4,
    output_throughput: 250,
  });
  const file = join(ergon.directory, 'bench.jsonl');
  writeFileSync(file, [8, 16, 24, 32, 48].map((concurrency) => JSON.stringify(run(concurrency))).join('\n'));
  const ran = await ergon.run('calibrate', file, '--deployment', 'llama70-h100');
  expect(ran).toMatchObject(done);
  expect(ran.out).toMatch(/^5 observations added to llama70-h100\nx [\d.]+, .* \(calibrated, 5 observations\)/);
  // The same file again adds nothing.
  expect((await ergon.run('calibrate', file, '--deployment', 'llama70-h100')).out).toContain(
    'calibrated, 5 observations',
  );
  expect((await ergon.run('estimate', '--deployment', 'llama70-h100', ...REQUEST)).out).toMatch(
    /times are +calibrated/,
  );
  const absent = await ergon.run('calibrate', file, '--deployment', 'absent');
  expect(absent.code).toBe(EXIT_CODE.notFound);
});

test.each<[string[], RegExp]>([
  [
    ['--deployment', 'llama70-h100', '--accelerator', 'mi300x'],
    /--accelerator and --deployment\n {2}The deployment says/,
  ],
  [['--deployment', 'absent'], /there is no deployment absent in force/],
  [['llama-3.1-8b', '--customer', 'acme', '--roofline'], /drawn without a server/],
])('estimate %j says what is wrong', async (argv, message) => {
  const { code, error } = await ergon.run('estimate', ...argv);
  expect(code).not.toBe(EXIT_CODE.ok);
  expect(error).toMatch(message);
});
