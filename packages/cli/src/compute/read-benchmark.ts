import { measuredLoad, type MeasuredLoad, type ReadLoads, sorted, type Unusable } from './measured-load.ts';
import { isRecord } from './read-model.ts';

/**
 * Operating points from a benchmark's result file: `vllm bench serve --save-result` and SGLang's `bench_serving` (the same
 * figures, one run a line), GuideLLM's `benchmarks.json`, AIPerf's `profile_export_aiperf.json`. Undefined when the text is
 * none of them.
 */
export function readBenchmark(source: string, text: string): ReadLoads | undefined {
  const documents = parseDocuments(text);
  if (documents === undefined || documents.length === 0) return undefined;
  const several = documents.length > 1;
  const results: (MeasuredLoad | Unusable)[] = [];
  for (const [index, document] of documents.entries()) {
    const name = several ? `${source}, run ${index + 1}` : source;
    const found = readDocument(name, document);
    if (found === undefined) return undefined;
    results.push(...found);
  }
  return sorted(results);
}

/** One JSON document, or one a line. */
function parseDocuments(text: string): Record<string, unknown>[] | undefined {
  const whole = parseRecord(text);
  if (whole !== undefined) return [whole];
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const records = lines.map(parseRecord).filter((record) => record !== undefined);
  return records.length === lines.length ? records : undefined;
}

function parseRecord(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function readDocument(source: string, document: Record<string, unknown>): (MeasuredLoad | Unusable)[] | undefined {
  if (Array.isArray(document['benchmarks'])) return readGuideLlm(source, document['benchmarks']);
  if (isRecord(document['inter_token_latency'])) return [readAiPerf(source, document)];
  if ('mean_tpot_ms' in document || 'output_throughput' in document) return [readBenchServe(source, document)];
  return undefined;
}

/** vLLM and SGLang: totals of a run, and means over its requests. */
function readBenchServe(source: string, run: Record<string, unknown>): MeasuredLoad | Unusable {
  const completed = figure(run['completed']);
  const duration = figure(run['duration']);
  const perRequest = (total: unknown): number | undefined => ratio(figure(total), completed);
  const promptTokens = perRequest(run['total_input_tokens']);
  const outputTokens = perRequest(run['total_output_tokens']);
  const tpot = scaled(figure(run['mean_tpot_ms']), 1e-3);
  const latency =
    scaled(figure(run['mean_e2el_ms']) ?? figure(run['mean_e2e_latency_ms']), 1e-3) ??
    latencyOf(scaled(figure(run['mean_ttft_ms']), 1e-3), tpot, outputTokens);
  return measuredLoad(source, {
    concurrency: figure(run['concurrency']) ?? littlesLaw(ratio(completed, duration), latency),
    promptTokens,
    outputTokens,
    secondsPerOutputToken: tpot,
  });
}

/** GuideLLM: a list of benchmarks, each with distributions of the successful requests. */
function readGuideLlm(source: string, benchmarks: readonly unknown[]): (MeasuredLoad | Unusable)[] {
  return benchmarks.map((benchmark, index) => {
    const metrics = isRecord(benchmark) && isRecord(benchmark['metrics']) ? benchmark['metrics'] : {};
    const mean = (name: string): number | undefined => {
      const metric = metrics[name];
      const successful = isRecord(metric) ? metric['successful'] : undefined;
      return isRecord(successful) ? figure(successful['mean']) : undefined;
    };
    return measuredLoad(benchmarks.length > 1 ? `${source}, benchmark ${index + 1}` : source, {
      concurrency: mean('request_concurrency') ?? littlesLaw(mean('requests_per_second'), mean('request_latency')),
      promptTokens: mean('prompt_token_count'),
      outputTokens: mean('output_token_count'),
      // Its time_per_output_token counts the first token; inter_token_latency does not.
      secondsPerOutputToken: scaled(mean('inter_token_latency_ms'), 1e-3),
    });
  });
}

/** AIPerf: a statistics block a metric, each with its unit. */
function readAiPerf(source: string, report: Record<string, unknown>): MeasuredLoad | Unusable {
  const average = (name: string): number | undefined => {
    const metric = report[name];
    return isRecord(metric) ? figure(metric['avg']) : undefined;
  };
  const seconds = (name: string): number | undefined => {
    const metric = report[name];
    const unit = isRecord(metric) ? metric['unit'] : undefined;
    const scale = unit === 'ms' ? 1e-3 : unit === 'us' ? 1e-6 : unit === 'ns' ? 1e-9 : 1;
    return scaled(average(name), scale);
  };
  return measuredLoad(source, {
    concurrency:
      average('effective_concurrency') ?? littlesLaw(average('request_throughput'), seconds('request_latency')),
    promptTokens: average('input_sequence_length'),
    outputTokens: average('output_sequence_length') ?? average('output_token_count'),
    secondsPerOutputToken: seconds('inter_token_latency'),
  });
}

/** Requests in flight = requests a second x seconds each (Little, 1961). */
function littlesLaw(perSecond: number | undefined, seconds: number | undefined): number | undefined {
  return perSecond === undefined || seconds === undefined ? undefined : perSecond * seconds;
}

function latencyOf(
  first: number | undefined,
  each: number | undefined,
  tokens: number | undefined,
): number | undefined {
  return first === undefined || each === undefined || tokens === undefined ? undefined : first + each * (tokens - 1);
}

function ratio(total: number | undefined, count: number | undefined): number | undefined {
  return total === undefined || count === undefined || count <= 0 ? undefined : total / count;
}

function scaled(value: number | undefined, factor: number): number | undefined {
  return value === undefined ? undefined : value * factor;
}

function figure(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}
