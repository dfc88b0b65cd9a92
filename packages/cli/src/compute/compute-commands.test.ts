import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { calibrate, findModel, MODELS } from '@ergon/compute';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runOnce } from '../ergon.test-support.ts';
import { EXIT_CODE } from '../exit-code.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'ergon-estimate-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** No server, no data directory: these commands need neither. */
const run = (...argv: string[]) => runOnce({ cwd: directory }, argv);

test('a mixture-of-experts model on an MI300X at 2 USD an hour, beside a dense one', async () => {
  const { code, out } = await run(
    ...['estimate', 'qwen3-30b-a3b', 'llama-3.1-8b', '--accelerator', 'mi300x', '--price', '2'],
    ...['--input', '1024', '--cached', '7168', '--output', '200'],
  );
  expect(code).toBe(EXIT_CODE.ok);
  expect(out).toContain('1,024 tokens in on 7,168 cached, 200 out, batch 32, on MI300X');
  // packages/compute/README.md: prefill of 1,024 on 7,168 cached is 11_777_825_308_672 FLOPs.
  expect(out).toMatch(/prefill +11\.8 TFLOP/);
  expect(out).toMatch(/2\.00 USD a device-hour/);
  expect(out).toMatch(/90 % interval/);
});

test('as JSON: exact counts as text, every figure with its basis', async () => {
  const { out } = await run('estimate', 'qwen3-30b-a3b', '--accelerator', 'mi300x', '--price', '2', '--json');
  const answer = JSON.parse(out);
  expect(answer).toMatchObject({ convention: 'ergon-flops-1', coverage: '0.9', accelerator: 'mi300x' });
  const [one] = answer.estimates;
  expect(one).toMatchObject({ basis: 'architecture', time_basis: 'modelled', accelerator_count: 1 });
  expect(BigInt(one.flops)).toBe(BigInt(one.prefill_flops) + BigInt(one.decode_flops));
  const seconds = Number(one.accelerator_seconds.expected);
  expect(Number(one.physical_cost.expected)).toBeCloseTo((seconds * 2) / 3600, 11);
});

test('a config.json of a model that is in no catalog counts the same', async () => {
  const file = join(directory, 'config.json');
  writeFileSync(file, JSON.stringify(findModel('Llama-3.1-8B')?.config));
  const own = JSON.parse((await run('estimate', '--config', 'config.json', '--json')).out);
  const listed = JSON.parse((await run('estimate', 'llama-3.1-8b', '--json')).out);
  expect(own.estimates[0].flops).toBe(listed.estimates[0].flops);
});

test('a family without a tested rule: an interval and the keys, never a point', async () => {
  const answer = JSON.parse((await run('estimate', 'deepseek-v4-flash', '--json')).out);
  const [one] = answer.estimates;
  expect(one.basis).toBe('inferred');
  expect(BigInt(one.flops.low)).toBeLessThan(BigInt(one.flops.high));
  expect(one.unread_keys.length).toBeGreaterThan(0);
  expect(one).not.toHaveProperty('accelerator_seconds');
});

test('the roofline marks prefill and decode', async () => {
  const { out } = await run('estimate', 'llama-3.1-8b', '--roofline');
  expect(out).toMatch(/A Llama-3\.1-8B prefill: [\d.]+ FLOP a byte/);
  expect(out).toMatch(/a Llama-3\.1-8B decode: [\d.]+ FLOP a byte/);
  expect(out).toContain('╱');
});

test('a large model gets the devices that hold it', async () => {
  const { out } = await run('estimate', 'deepseek-v3', '--accelerator', 'h200-sxm', '--dtype', 'fp8', '--json');
  expect(JSON.parse(out).estimates[0].accelerator_count).toBe(8);
});

test.each<[string[], RegExp]>([
  [['estimate'], /no model to estimate/],
  [['estimate', 'llama-99b'], /no model "llama-99b" in the catalog\n {2}Near it: Llama/],
  [['estimate', 'llama-3.1-8b', '--accelerator', 'abacus'], /no accelerator "abacus"\n {2}Expected one of a100/],
  [['estimate', 'llama-3.1-8b', '--batch', '0'], /expected a whole number from 1/],
  [['estimate', 'llama-3.1-8b', '--price', '-1'], /expected an amount/],
  [['estimate', 'llama-3.1-8b', '--utilisation', '1.5'], /expected a share/],
  [['estimate', '--config', 'absent.json'], /cannot read/],
  [['calibrate', 'x.json'], /say what was measured/],
  [['calibrate', 'x.json', '--model', 'llama-3.1-8b'], /cannot read x\.json/],
])('%j says what is wrong', async (argv, message) => {
  const { code, error } = await run(...argv);
  expect(code).not.toBe(EXIT_CODE.ok);
  expect(error).toMatch(message);
});

test('models and accelerators list what is known, with sources', async () => {
  const models = JSON.parse((await run('models', '--json')).out).models;
  expect(models).toHaveLength(MODELS.length);
  expect(models.length).toBeGreaterThanOrEqual(50);
  for (const model of models) expect(model.config_source).not.toBe('');
  expect((await run('models', 'qwen3-30b')).out).toMatch(/Qwen3-30B-A3B +30\.5 G +3\.04 G +98,304 +61\.1 GB/);
  expect((await run('models', 'nothing-like-it')).out).toContain('No model');
  expect((await run('models', 'qwen3-30b', '--sources')).out).toMatch(/config .*\n +published/);
  const { out } = await run('accelerators');
  expect(out).toMatch(/h100-sxm +989 +1979/);
  expect((await run('accelerators', '--sources')).out).toContain('prices   2026');
});

test('tokenizers: the same text in other tokens', async () => {
  const { out } = await run('tokenizers');
  expect(out).toMatch(/english +\d\.\d\d +1\.00 +/);
  const { rates } = JSON.parse((await run('tokenizers', '--per', 'llama-3', '--json')).out);
  expect(rates).toContainEqual({ text: 'hindi', tokenizer: 'llama-3', tokens: { low: 1, expected: 1, high: 1 } });
});

test('calibrate: measured against modelled, and the interval that follows', async () => {
  const of = (concurrency: number, factor: number) => ({
    backend: 'vllm',
    duration: 100,
    completed: 100,
    total_input_tokens: 102_400,
    total_output_tokens: 25_600,
    concurrency,
    mean_tpot_ms: factor,
    output_throughput: 256,
  });
  const lines = [8, 16, 32, 48, 64].map((concurrency) => JSON.stringify(of(concurrency, 10 + concurrency / 8)));
  writeFileSync(join(directory, 'bench.jsonl'), lines.join('\n'));
  const argv = ['calibrate', 'bench.jsonl', '--model', 'llama-3.1-8b', '--accelerator', 'h100-sxm'];
  const { code, out } = await run(...argv);
  expect(code).toBe(EXIT_CODE.ok);
  expect(out).toMatch(/bench\.jsonl, run 5 +64 +1,024 +0 +256 +18\.0 ms/);
  expect(out).toMatch(/before {2}x 1\.00.*modelled, no observation/);
  expect(out).toMatch(/after {3}x .*calibrated, 5 observations/);
  const { calibration, observations } = JSON.parse((await run(...argv, '--json')).out);
  expect(calibration.observations).toBe(5);
  const width = (one: { low: number; high: number; factor: number }) => (one.high - one.low) / one.factor;
  expect(width(calibration)).toBeLessThan(width(calibrate([], 'dense')));
  expect(observations).toHaveLength(5);
});

test('calibrate looks twice at a metrics page', async () => {
  let looks = 0;
  const { code, out } = await runOnce(
    {
      cwd: directory,
      nowMs: () => looks * 30_000,
      fetch: () => {
        looks += 1;
        const requests = looks * 100;
        return Promise.resolve(
          new Response(
            [
              `vllm:num_requests_running 8`,
              `vllm:request_success_total ${requests}`,
              `vllm:prompt_tokens_total ${requests * 1000}`,
              `vllm:generation_tokens_total ${requests * 200}`,
              `vllm:inter_token_latency_seconds_sum ${requests * 199 * 0.01}`,
              `vllm:inter_token_latency_seconds_count ${requests * 199}`,
              `vllm:e2e_request_latency_seconds_sum ${requests * 2.1}`,
            ].join('\n'),
          ),
        );
      },
    },
    ['calibrate', 'http://10.0.0.7:8000/metrics', '--model', 'llama-3.1-8b', '--json'],
  );
  expect(code).toBe(EXIT_CODE.ok);
  expect(looks).toBe(2);
  expect(JSON.parse(out).observations[0]).toMatchObject({ concurrency: 7, inputTokens: 1000, outputTokens: 200 });
});
