/**
 * The Mooncake conversation trace, per hour: FLOPs and accelerator-seconds with and without prefix caching, for two models.
 * Run: `node packages/compute/bench/mooncake.ts [--json]`.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import {
  calibrate,
  compileModel,
  compileStep,
  estimateRequest,
  findAccelerator,
  findModel,
  readModelConfig,
  STEP_FIT,
  weightFormat,
} from '../src/index.ts';
import { findData } from './serving-rows.ts';

type TraceRequest = {
  readonly timestamp: number;
  readonly input_length: number;
  readonly output_length: number;
  readonly hash_ids: readonly number[];
};

/** Tokens of one hashed block of the trace. */
const BLOCK = 512;
const path = findData(join('mooncake-fast25', 'conversation_trace.jsonl.gz'));
if (path === undefined) {
  console.error('no trace beside the checkout (shared/data/mooncake-fast25)');
  process.exit(1);
}
const requests = gunzipSync(readFileSync(path))
  .toString('utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as TraceRequest);

const table = ['Llama-3.1-70B', 'DeepSeek-V3'].flatMap((name) => {
  const reading = readModelConfig(findModel(name)?.config);
  const accelerator = findAccelerator('h200-sxm');
  if (reading.kind !== 'known' || accelerator === undefined) throw new Error(name);
  const model = compileModel(reading.spec);
  const serving = { accelerator, tensorParallel: 8, weights: weightFormat('fp8'), cache: 'bf16' } as const;
  const step = compileStep(model, serving, STEP_FIT.constants);
  const calibration = calibrate([], model.moe.length > 0 ? 'moe' : 'dense');
  const hours = new Map<
    number,
    { flops: bigint; uncachedFlops: bigint; seconds: number; uncachedSeconds: number; requests: number }
  >();
  const seen = new Set<number>();
  for (const request of requests) {
    const cachedTokens = cachedPrefix(request, seen);
    const of = (cached: number) =>
      estimateRequest(
        step,
        { newTokens: request.input_length - cached, cachedTokens: cached, outputTokens: request.output_length },
        { batch: 32 },
        calibration,
      );
    const [cached, uncached] = [of(cachedTokens), of(0)];
    const hour = Math.floor(request.timestamp / 3_600_000);
    const sum = hours.get(hour) ?? { flops: 0n, uncachedFlops: 0n, seconds: 0, uncachedSeconds: 0, requests: 0 };
    hours.set(hour, {
      flops: sum.flops + cached.flops.total,
      uncachedFlops: sum.uncachedFlops + uncached.flops.total,
      seconds: sum.seconds + cached.acceleratorSeconds.expected,
      uncachedSeconds: sum.uncachedSeconds + uncached.acceleratorSeconds.expected,
      requests: sum.requests + 1,
    });
  }
  return [...hours].map(([hour, sum]) => ({
    model: name,
    hour,
    requests: sum.requests,
    exaflop: Number(sum.flops) / 1e18,
    exaflop_without_cache: Number(sum.uncachedFlops) / 1e18,
    accelerator_hours: sum.seconds / 3600,
    accelerator_hours_without_cache: sum.uncachedSeconds / 3600,
  }));
});
if (process.argv.includes('--json')) console.log(JSON.stringify(table, null, 2));
else {
  const line = (cells: readonly (string | number)[]): string =>
    cells.map((cell, index) => (index === 0 ? String(cell).padEnd(14) : String(cell).padStart(15))).join('');
  console.log(line(['model', 'hour', 'requests', 'EFLOP', 'without cache', 'device-hours', 'without cache']));
  for (const row of table) {
    const shares = [row.exaflop, row.exaflop_without_cache, row.accelerator_hours, row.accelerator_hours_without_cache];
    console.log(line([row.model, row.hour, row.requests, ...shares.map((value) => value.toFixed(2))]));
  }
}

/** Tokens of the longest run of known blocks, at least one left to compute; every block is known afterwards. */
function cachedPrefix(request: TraceRequest, seen: Set<number>): number {
  let known = 0;
  while (known < request.hash_ids.length && seen.has(request.hash_ids[known] ?? -1)) known += 1;
  for (const id of request.hash_ids) seen.add(id);
  return Math.min(known * BLOCK, request.input_length - 1);
}
