import { expect, test } from 'vitest';
import { readBenchmark } from './read-benchmark.ts';

/** Field names as the tools write them: vLLM 0.11 `vllm bench serve`, SGLang `bench_serving`, GuideLLM 0.3, AIPerf 0.13. */
const VLLM = {
  date: '20261101-101500',
  backend: 'vllm',
  model_id: 'meta-llama/Llama-3.1-8B-Instruct',
  num_prompts: 200,
  request_rate: 'inf',
  max_concurrency: 32,
  duration: 100,
  completed: 200,
  total_input_tokens: 204_800,
  total_output_tokens: 51_200,
  request_throughput: 2,
  output_throughput: 512,
  mean_ttft_ms: 80,
  mean_tpot_ms: 12.5,
  mean_itl_ms: 12.4,
};
const SGLANG = {
  backend: 'sglang',
  request_rate: 4,
  max_concurrency: null,
  duration: 50,
  completed: 100,
  total_input_tokens: 51_200,
  total_output_tokens: 12_800,
  output_throughput: 256,
  concurrency: 15.6,
  mean_e2e_latency_ms: 7_800,
  mean_tpot_ms: 30,
};
const distribution = (mean: number) => ({ successful: { mean, median: mean }, errored: { mean: 0 }, total: { mean } });
const GUIDELLM = {
  benchmarks: [8, 64].map((concurrency) => ({
    config: { strategy: { type_: 'concurrent' } },
    metrics: {
      requests_per_second: distribution(2),
      request_concurrency: distribution(concurrency),
      request_latency: distribution(4),
      prompt_token_count: distribution(512),
      output_token_count: distribution(128),
      inter_token_latency_ms: distribution(concurrency / 2),
      time_per_output_token_ms: distribution(99),
    },
  })),
};
const AIPERF = {
  schema_version: '1.1',
  request_throughput: { unit: 'requests/sec', avg: 2.5 },
  request_latency: { unit: 'ms', avg: 4_000, p50: 3_900 },
  inter_token_latency: { unit: 'ms', avg: 15.2, p50: 15 },
  input_sequence_length: { unit: 'tokens', avg: 1_000 },
  output_sequence_length: { unit: 'tokens', avg: 250 },
};

test.each<[string, unknown, object[]]>([
  [
    'vLLM: concurrency by Little, 2 a second x (80 ms + 255 x 12.5 ms)',
    VLLM,
    [{ concurrency: 7, inputTokens: 1024, outputTokens: 256, secondsPerOutputToken: 0.0125 }],
  ],
  [
    'SGLang says its concurrency',
    SGLANG,
    [{ concurrency: 16, inputTokens: 512, outputTokens: 128, secondsPerOutputToken: 0.03 }],
  ],
  [
    'GuideLLM: one observation a benchmark, of the latency without the first token',
    GUIDELLM,
    [
      { concurrency: 8, secondsPerOutputToken: 0.004, source: 'f, benchmark 1' },
      { concurrency: 64, secondsPerOutputToken: 0.032, source: 'f, benchmark 2' },
    ],
  ],
  [
    'AIPerf: by its units',
    AIPERF,
    [{ concurrency: 10, inputTokens: 1000, outputTokens: 250, secondsPerOutputToken: 0.0152 }],
  ],
])('%s', (_, document, loads) => {
  const found = readBenchmark('f', JSON.stringify(document, null, 2));
  expect(found?.unusable).toEqual([]);
  expect(found?.loads).toMatchObject(loads);
  expect(found?.loads).toHaveLength(loads.length);
});

test('one run a line, as SGLang appends them; a run without tokens says what it lacks', () => {
  const text = `${JSON.stringify(SGLANG)}\n${JSON.stringify({ ...SGLANG, completed: 0 })}\n`;
  const found = readBenchmark('runs.jsonl', text);
  expect(found?.loads).toMatchObject([{ source: 'runs.jsonl, run 1', concurrency: 16 }]);
  expect(found?.unusable).toEqual([{ source: 'runs.jsonl, run 2', reason: 'no prompt tokens, no output tokens' }]);
});

test('one-token answers have no time between tokens', () => {
  const found = readBenchmark('f', JSON.stringify({ ...SGLANG, total_output_tokens: 100 }));
  expect(found?.unusable[0]?.reason).toContain('write one token');
});

test.each(['', '[]', '{}', '{"a":1}\nnot json', 'vllm:num_requests_running 3'])('%j is none of them', (text) => {
  expect(readBenchmark('f', text)).toBeUndefined();
});
