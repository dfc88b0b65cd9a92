import { expect, test } from 'vitest';
import { loadBetween, readEngineMetrics } from './read-engine-metrics.ts';

/** Names of vLLM 0.11 (v1 engine); the histogram's buckets are there and must not be taken for its sum. */
function vllmPage(requests: number, running: number): string {
  return `# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="llama"} ${running}
vllm:kv_cache_usage_perc{engine="0",model_name="llama"} 0.42
vllm:prefix_cache_queries_total{engine="0",model_name="llama"} ${requests * 1000}
vllm:prefix_cache_hits_total{engine="0",model_name="llama"} ${requests * 250}
vllm:prompt_tokens_total{engine="0",model_name="llama"} ${requests * 1000}
vllm:generation_tokens_total{engine="0",model_name="llama"} ${requests * 200}
vllm:request_success_total{engine="0",finished_reason="stop",model_name="llama"} ${requests - 1}
vllm:request_success_total{engine="0",finished_reason="length",model_name="llama"} 1
vllm:inter_token_latency_seconds_bucket{engine="0",le="0.01",model_name="llama"} 5
vllm:inter_token_latency_seconds_sum{engine="0",model_name="llama"} ${requests * 199 * 0.02}
vllm:inter_token_latency_seconds_count{engine="0",model_name="llama"} ${requests * 199}
vllm:e2e_request_latency_seconds_sum{engine="0",model_name="llama"} ${requests * 4}
vllm:e2e_request_latency_seconds_count{engine="0",model_name="llama"} ${requests}
`;
}

const SGLANG = `sglang:num_running_reqs{model_name="qwen"} 12
sglang:token_usage{model_name="qwen"} 0.3
sglang:cache_hit_rate{model_name="qwen"} 0.5
sglang:prompt_tokens_total{model_name="qwen"} 80000
sglang:generation_tokens_total{model_name="qwen"} 20000
sglang:num_requests_total{model_name="qwen"} 100
sglang:inter_token_latency_seconds_sum{model_name="qwen"} 199
sglang:inter_token_latency_seconds_count{model_name="qwen"} 19900
`;

function read(text: string) {
  const page = readEngineMetrics(text);
  if (page === undefined) throw new Error('not a metrics page');
  return page;
}

test('a page of vLLM: running requests, cache hits, KV use, totals over all labels', () => {
  expect(read(vllmPage(500, 16))).toMatchObject({
    engine: 'vllm',
    running: 16,
    cacheUsed: 0.42,
    cacheHits: 0.25,
    totals: { requests: 500, promptTokens: 500_000, interTokens: 99_500 },
  });
});

test('one look: averages since the start, at the requests that run now', () => {
  expect(loadBetween('p', undefined, read(vllmPage(500, 16)), 0)).toMatchObject({
    concurrency: 16,
    inputTokens: 750,
    cachedTokens: 250,
    outputTokens: 200,
    secondsPerOutputToken: expect.closeTo(0.02, 12),
  });
});

test('two looks: what happened between them, concurrency by Little', () => {
  const load = loadBetween('p', read(vllmPage(500, 16)), read(vllmPage(800, 30)), 60);
  expect(load).toMatchObject({ concurrency: 20, outputTokens: 200, secondsPerOutputToken: expect.closeTo(0.02, 12) });
});

test('a page of SGLang', () => {
  expect(loadBetween('p', undefined, read(SGLANG), 0)).toMatchObject({
    concurrency: 12,
    inputTokens: 400,
    cachedTokens: 400,
    outputTokens: 200,
    secondsPerOutputToken: 0.01,
  });
});

test.each([
  ['nothing finished between the looks', read(vllmPage(500, 16)), read(vllmPage(500, 16)), /no prompt tokens/],
  ['the engine was restarted', read(vllmPage(500, 16)), read(vllmPage(20, 16)), /started anew/],
])('%s: no observation, and why', (_, before, after, reason) => {
  const load = loadBetween('p', before, after, 30);
  expect('reason' in load ? load.reason : 'an observation').toMatch(reason);
});

test.each(['', '{"a":1}', 'node_cpu_seconds_total{cpu="0"} 5\n'])('%j is no page of an engine', (text) => {
  expect(readEngineMetrics(text)).toBeUndefined();
});
