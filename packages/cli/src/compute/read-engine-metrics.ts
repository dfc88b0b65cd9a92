import { measuredLoad, type MeasuredLoad, type Unusable } from './measured-load.ts';

/** What an engine's metrics page says, summed over its labels. */
export type EngineMetrics = {
  readonly engine: 'vllm' | 'sglang';
  /** Requests running now. */
  readonly running: number | undefined;
  /** Share of the KV cache in use now, 0 to 1. */
  readonly cacheUsed: number | undefined;
  /** Share of prompt tokens found in the prefix cache, 0 to 1. */
  readonly cacheHits: number | undefined;
  /** Since the engine started. */
  readonly totals: {
    readonly interTokenSeconds: number;
    readonly interTokens: number;
    readonly requests: number;
    readonly requestSeconds: number;
    readonly promptTokens: number;
    readonly outputTokens: number;
  };
};

const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{.*\})?\s+(\S+)(?:\s+\d+)?\s*$/;
/** A page of an engine with many models has some 3,000 lines. */
const LINES_MAX = 200_000;

/**
 * The metrics page (Prometheus text format) of vLLM or SGLang; undefined when it is neither's. Names that changed between
 * versions are read under each of them.
 */
export function readEngineMetrics(text: string): EngineMetrics | undefined {
  const sums = new Map<string, { sum: number; count: number }>();
  for (const line of text.split('\n', LINES_MAX)) {
    const match = line.startsWith('#') ? null : SAMPLE.exec(line);
    const value = Number(match?.[2] ?? Number.NaN);
    if (match?.[1] === undefined || Number.isNaN(value)) continue;
    const known = sums.get(match[1]) ?? { sum: 0, count: 0 };
    sums.set(match[1], { sum: known.sum + value, count: known.count + 1 });
  }
  const engine = [...sums.keys()].some((name) => name.startsWith('vllm:'))
    ? 'vllm'
    : [...sums.keys()].some((name) => name.startsWith('sglang:'))
      ? 'sglang'
      : undefined;
  if (engine === undefined) return undefined;
  const total = (...names: string[]): number | undefined => sums.get(known(sums, engine, names))?.sum;
  const mean = (...names: string[]): number | undefined => {
    const found = sums.get(known(sums, engine, names));
    return found === undefined ? undefined : found.sum / found.count;
  };
  const queries = total('prefix_cache_queries_total', 'prefix_cache_queries', 'gpu_prefix_cache_queries_total');
  const hits = total('prefix_cache_hits_total', 'prefix_cache_hits', 'gpu_prefix_cache_hits_total');
  return {
    engine,
    running: total('num_requests_running', 'num_running_reqs'),
    cacheUsed: mean('kv_cache_usage_perc', 'gpu_cache_usage_perc', 'token_usage'),
    cacheHits:
      queries !== undefined && hits !== undefined && queries > 0
        ? hits / queries
        : mean('gpu_prefix_cache_hit_rate', 'cache_hit_rate'),
    totals: {
      interTokenSeconds: total('inter_token_latency_seconds_sum', 'time_per_output_token_seconds_sum') ?? 0,
      interTokens: total('inter_token_latency_seconds_count', 'time_per_output_token_seconds_count') ?? 0,
      requests: total('request_success_total', 'num_requests_total', 'e2e_request_latency_seconds_count') ?? 0,
      requestSeconds: total('e2e_request_latency_seconds_sum') ?? 0,
      promptTokens: total('prompt_tokens_total') ?? 0,
      outputTokens: total('generation_tokens_total') ?? 0,
    },
  };
}

/** The first of the names that the page has. */
function known(sums: ReadonlyMap<string, unknown>, engine: string, names: readonly string[]): string {
  return names.map((name) => `${engine}:${name}`).find((name) => sums.has(name)) ?? '';
}

/**
 * The operating point between two looks at a page, `seconds` apart; from one look (no `before`), the averages since the
 * engine started, at the number of requests that run now.
 */
export function loadBetween(
  source: string,
  before: EngineMetrics | undefined,
  after: EngineMetrics,
  seconds: number,
): MeasuredLoad | Unusable {
  const since = (name: keyof EngineMetrics['totals']): number => after.totals[name] - (before?.totals[name] ?? 0);
  const requests = since('requests');
  if (requests < 0) return { source, reason: 'the engine started anew between the two looks' };
  const promptTokens = requests > 0 ? since('promptTokens') / requests : undefined;
  const perSecond = before === undefined || seconds <= 0 ? undefined : since('requestSeconds') / seconds;
  const running = before === undefined ? after.running : perSecond || mean(before.running, after.running);
  return measuredLoad(source, {
    concurrency: running,
    promptTokens,
    cachedTokens: promptTokens === undefined ? undefined : promptTokens * (after.cacheHits ?? 0),
    outputTokens: requests > 0 ? since('outputTokens') / requests : undefined,
    secondsPerOutputToken: since('interTokens') > 0 ? since('interTokenSeconds') / since('interTokens') : undefined,
  });
}

function mean(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? (one ?? other) : (one + other) / 2;
}
