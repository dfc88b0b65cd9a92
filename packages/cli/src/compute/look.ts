import { readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { CliError } from '../cli-error.ts';
import { EXIT_CODE } from '../exit-code.ts';
import type { CliIo } from '../io.ts';
import type { ReadLoads } from './measured-load.ts';
import { sorted } from './measured-load.ts';
import { readBenchmark } from './read-benchmark.ts';
import { type EngineMetrics, loadBetween, readEngineMetrics } from './read-engine-metrics.ts';

/** A result file with every request's latencies takes some 100 bytes a token. */
const SOURCE_BYTES_MAX = 256 * 1024 * 1024;
const PAGE_TIMEOUT_MS = 10_000;

/**
 * Operating points from one source: a benchmark's result file, a saved metrics page, or the URL of one, which is looked at
 * twice, `seconds` apart.
 */
export async function lookAt(io: CliIo, source: string, seconds: number): Promise<ReadLoads> {
  if (/^https?:\/\//.test(source)) return lookTwice(io, source, seconds);
  const text = readSource(io, source);
  const page = readEngineMetrics(text);
  if (page !== undefined) return sorted([loadBetween(source, undefined, page, 0)]);
  const found = readBenchmark(source, text);
  if (found !== undefined) return found;
  throw new CliError(EXIT_CODE.failed, `${source} is no result file that Ergon knows`, EXPECTED);
}

const EXPECTED =
  "Expected the JSON of `vllm bench serve --save-result`, SGLang's bench_serving, GuideLLM or AIPerf, or a /metrics page of vLLM or SGLang.";

function readSource(io: CliIo, source: string): string {
  const file = resolve(io.cwd, source);
  try {
    if (statSync(file).size > SOURCE_BYTES_MAX) {
      throw new CliError(EXIT_CODE.failed, `${source} is larger than ${SOURCE_BYTES_MAX} bytes`);
    }
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw new CliError(EXIT_CODE.failed, `cannot read ${source}`, error instanceof Error ? error.message : undefined);
  }
}

async function lookTwice(io: CliIo, url: string, seconds: number): Promise<ReadLoads> {
  const before = await fetchPage(io, url);
  const startedMs = io.nowMs();
  io.writeError(`looking at ${url} again in ${seconds} s\n`);
  await io.sleep(seconds * 1000, io.signal);
  if (io.signal.aborted) throw new CliError(EXIT_CODE.interrupted, 'interrupted');
  const after = await fetchPage(io, url);
  return sorted([loadBetween(url, before, after, (io.nowMs() - startedMs) / 1000)]);
}

async function fetchPage(io: CliIo, url: string): Promise<EngineMetrics> {
  let text: string;
  try {
    const signal = AbortSignal.any([io.signal, AbortSignal.timeout(PAGE_TIMEOUT_MS)]);
    const response = await io.fetch(new Request(url, { signal }));
    text = await response.text();
    if (!response.ok) throw new Error(`status ${response.status}`);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CliError(
      EXIT_CODE.unreachable,
      `cannot read ${url}: ${reason}`,
      'Expected the /metrics page of vLLM or SGLang.',
    );
  }
  const page = readEngineMetrics(text);
  if (page === undefined) throw new CliError(EXIT_CODE.failed, `${url} is no metrics page of vLLM or SGLang`, EXPECTED);
  return page;
}
