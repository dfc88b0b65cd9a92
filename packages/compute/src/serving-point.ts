import { capped } from './keys-attended.ts';
import { type CompiledStep, type StepLoad, type StepTime, stepTime } from './step-time.ts';

/** A steady load on one replica: `concurrency` requests in flight, all of one shape. */
export type ServingLoad = {
  readonly concurrency: number;
  readonly newTokens: number;
  readonly cachedTokens: number;
  readonly outputTokens: number;
};

export type ServingPoint = {
  /** Seconds between output tokens of one request. */
  readonly tpot: number;
  /** Sequences that decode together: concurrency, less those in prefill, at most what the cache holds. */
  readonly batch: number;
  /** Seconds of one request's prefill, alone on the replica. */
  readonly prefillSeconds: number;
  readonly step: StepTime;
  readonly prefill: StepTime;
};

/** Share of device memory that engines give to weights and cache. */
const USABLE_MEMORY = 0.9;
/** Prompt tokens that a saturated engine packs into one pass. */
const PREFILL_PASS_TOKENS = 8192;
/** Rounds of the fixed point between batch and step time; the third changes no figure by 0.1 %. */
const ROUNDS = 3;

/** Sequences of `context` tokens whose cache fits beside the weights; at least one. */
export function sequenceCapacity(step: CompiledStep, context: number): number {
  const experts = step.experts.reduce((sum, shape) => sum + shape.bytes * shape.count, 0);
  const free = step.serving.accelerator.memoryBytes * USABLE_MEMORY - step.fixedBytes - experts;
  let perSequence = step.stateBytes / 2;
  for (const cache of step.caches) {
    perSequence += cache.bytes * capped(cache.pattern, context);
  }
  if (perSequence === 0) return Number.MAX_SAFE_INTEGER;
  return Math.max(1, Math.floor(free / perSequence));
}

/** One request's prefill as a pass of its own. */
export function prefillLoad(newTokens: number, cachedTokens: number): StepLoad {
  return { sequences: 0, context: 0, prefillTokens: newTokens, prefillContext: cachedTokens + newTokens / 2 };
}

/**
 * Time per output token under a steady load: a decode step of the running batch, and the prefills of new requests that
 * interrupt it (one for every `outputTokens` steps of each sequence). A request in prefill does not decode, so batch and
 * step time are solved together.
 */
export function servingPoint(step: CompiledStep, load: ServingLoad): ServingPoint {
  const { newTokens, cachedTokens, outputTokens } = load;
  const context = cachedTokens + newTokens + outputTokens / 2;
  const admitted = Math.min(load.concurrency, sequenceCapacity(step, context));
  const prefill = stepTime(step, prefillLoad(newTokens, cachedTokens));
  const decodeAt = (sequences: number) => stepTime(step, { sequences, context, prefillTokens: 0, prefillContext: 0 });
  let batch = admitted;
  let decode = decodeAt(batch);
  let tpot = decode.seconds;
  for (let round = 0; round < ROUNDS; round += 1) {
    const decoding = outputTokens * tpot;
    batch = (admitted * decoding) / (decoding + prefill.seconds);
    decode = decodeAt(batch);
    tpot = decode.seconds + step.constants.prefillShare * (batch / outputTokens) * prefill.seconds;
  }
  return { tpot, batch, prefillSeconds: prefill.seconds, step: decode, prefill };
}

/**
 * Output tokens per second of one replica when requests always wait: the cache is full, and every prefill is paid for in
 * throughput. `sequencesMax` is the engine's own cap on a batch.
 */
export function saturatedThroughput(
  step: CompiledStep,
  load: { readonly newTokens: number; readonly cachedTokens: number; readonly outputTokens: number },
  sequencesMax: number,
): number {
  const context = load.cachedTokens + load.newTokens + load.outputTokens / 2;
  const batch = Math.min(sequencesMax, sequenceCapacity(step, context));
  // Prefills run in full passes beside the decodes, so that only their own arithmetic and cache traffic is added.
  const prompts = Math.max(1, PREFILL_PASS_TOKENS / Math.max(1, load.newTokens));
  const pass = stepTime(step, {
    ...prefillLoad(load.newTokens, load.cachedTokens),
    prefillTokens: load.newTokens * prompts,
  });
  const overrun = pass.seconds / prompts;
  const decode = stepTime(step, { sequences: batch, context, prefillTokens: 0, prefillContext: 0 });
  return batch / (decode.seconds + (batch / load.outputTokens) * overrun);
}
