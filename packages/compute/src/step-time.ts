import type { CacheDtype } from './cache-bytes.ts';
import { elementBytes } from './cache-bytes.ts';
import type { Accelerator } from './catalog.ts';
import type { CompiledModel } from './compile-model.ts';
import { WEIGHT_PLACES } from './layer-cost.ts';
import { capped } from './keys-attended.ts';
import type { KeyPattern } from './model-spec.ts';
import { bytesPerWeight, type WeightFormat } from './weight-format.ts';

export type Engine = 'vllm' | 'sglang' | 'trtllm';

/** Where and how a model runs, as far as a step's time depends on it. One replica: `tensorParallel` devices. */
export type Serving = {
  readonly accelerator: Accelerator;
  readonly tensorParallel: number;
  readonly weights: WeightFormat;
  readonly cache: CacheDtype;
  readonly engine?: Engine;
};

/**
 * Constants of the step-time model, fitted jointly (`bench/fit-step-time.ts`): read them as one set, not as physics.
 * Times in seconds; efficiencies are fractions of the dense peak or of the bandwidth.
 */
export type StepConstants = {
  readonly memory: number;
  /** Bandwidth efficiency of expert weights: many small matrices. */
  readonly expertMemory: number;
  readonly compute: number;
  readonly computeFp8: number;
  readonly computeFp4: number;
  /** Further factor on the arithmetic of routed experts: small matrices, uneven routing. */
  readonly expertCompute: number;
  readonly attention: number;
  readonly link: number;
  readonly perLayer: number;
  readonly perMoeLayer: number;
  readonly perIndexedLayer: number;
  readonly perSequence: number;
  readonly perAllReduce: number;
  /** Factors on the overheads by engine. */
  readonly vllm: number;
  readonly sglang: number;
  readonly trtllm: number;
  /** Share of a prompt's prefill that running decodes wait for. */
  readonly prefillShare: number;
};

/** A model on a deployment, as coefficients of a step's time. */
export type CompiledStep = {
  readonly model: CompiledModel;
  readonly serving: Serving;
  readonly constants: StepConstants;
  readonly overhead: number;
  readonly perSequence: number;
  /** Bytes per device that every step reads, whatever its tokens. */
  readonly fixedBytes: number;
  readonly experts: readonly { readonly count: number; readonly perToken: number; readonly bytes: number }[];
  readonly caches: readonly { readonly pattern: KeyPattern; readonly bytes: number }[];
  readonly stateBytes: number;
  readonly linearFlops: number;
  readonly expertFlops: number;
  readonly headFlops: number;
  /** FLOP/s of the dense matrices on one device, at the precision they run in. */
  readonly peak: number;
  readonly computeEfficiency: number;
  readonly cores: readonly { readonly pattern: KeyPattern; readonly prefill: number; readonly decode: number }[];
  readonly commBytesPerToken: number;
  readonly commFixed: number;
};

/** What one step does: sequences that decode one token each, and new prompt tokens of prefills mixed into it. */
export type StepLoad = {
  readonly sequences: number;
  readonly context: number;
  readonly prefillTokens: number;
  /** Keys each prefill token attends, on average. */
  readonly prefillContext: number;
};

/** A step's time and its parts, seconds; bytes and FLOPs are per device. */
export type StepTime = {
  readonly seconds: number;
  readonly overhead: number;
  readonly memory: number;
  readonly compute: number;
  readonly network: number;
  readonly bytes: number;
  readonly flops: number;
  /** Seconds that peak arithmetic or peak bandwidth alone would take: no prediction is below it. */
  readonly roofline: number;
};

export function compileStep(model: CompiledModel, serving: Serving, constants: StepConstants): CompiledStep {
  const { tensorParallel: devices, weights } = serving;
  const sharded = WEIGHT_PLACES.filter(
    (place) => place !== 'routed_experts' && place !== 'router' && place !== 'vectors',
  );
  const dense = sharded.reduce((sum, place) => sum + model.weights[place] * bytesPerWeight(weights[place]), 0);
  const head = (model.logitsPerPosition / 2) * bytesPerWeight(weights.head);
  const replicated = (model.weights.router + model.weights.vectors) * 2;
  const engine = serving.engine === undefined ? 1 : constants[serving.engine];
  const { peak, efficiency } = arithmetic(serving, constants);
  const sharding = devices > 1 ? 1 : 0;
  return {
    model,
    serving,
    constants,
    overhead:
      engine *
      (model.layers * constants.perLayer +
        model.moeLayers * constants.perMoeLayer +
        model.indexedLayers * constants.perIndexedLayer),
    perSequence: constants.perSequence,
    fixedBytes: (dense + head) / devices + replicated,
    experts: model.moe.map((shape) => ({
      count: shape.experts,
      perToken: shape.perToken,
      bytes: (shape.layers * shape.expertWeights * bytesPerWeight(weights.routed_experts)) / devices,
    })),
    caches: model.cache.map((cache) => ({
      pattern: cache.pattern,
      bytes: elementBytes(cache, serving.cache) / Math.min(devices, Math.max(1, cache.shards)),
    })),
    stateBytes: (2 * model.stateBytes) / devices,
    linearFlops: (model.linearPerToken - model.perToken.routed_experts) / devices,
    expertFlops: model.perToken.routed_experts / devices,
    headFlops: model.logitsPerPosition / devices,
    peak,
    computeEfficiency: efficiency,
    cores: model.core.map((core) => ({
      pattern: core.pattern,
      prefill: core.prefillPerKey / devices,
      decode: core.decodePerKey / devices,
    })),
    commBytesPerToken: sharding * ((2 * (devices - 1)) / devices) * 2 * model.layers * model.spec.hidden * 2,
    commFixed: sharding * 2 * model.layers * constants.perAllReduce * doublings(devices),
  };
}

/** Peak and efficiency of the matrices' own precision; weight-only formats compute in bf16. */
function arithmetic(serving: Serving, constants: StepConstants): { peak: number; efficiency: number } {
  const { peak } = serving.accelerator;
  const dtype = serving.weights.routed_experts;
  if (dtype === 'nvfp4' && peak.fp4 !== null) return { peak: peak.fp4, efficiency: constants.computeFp4 };
  if ((dtype === 'fp8' || dtype === 'fp8_block' || dtype === 'nvfp4') && peak.fp8 !== null) {
    return { peak: peak.fp8, efficiency: constants.computeFp8 };
  }
  return { peak: peak.bf16, efficiency: constants.compute };
}

/** Experts of one layer that `tokens` tokens touch, routed evenly: k for one token, towards all of them for many. */
export function distinctExperts(experts: number, perToken: number, tokens: number): number {
  if (tokens <= 0) return 0;
  const missed = 1 - perToken / experts;
  const whole = Math.floor(tokens);
  const power = powerOf(missed, whole);
  // Between whole numbers of tokens, linearly: time may use no transcendental function (DESIGN, section 5).
  return experts * (1 - power * (1 - (tokens - whole) * (1 - missed)));
}

function powerOf(base: number, exponent: number): number {
  let result = 1;
  let square = base;
  for (let rest = exponent; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result *= square;
    square *= square;
  }
  return result;
}

/** Rounds of a tree over `devices` devices. */
function doublings(devices: number): number {
  let rounds = 0;
  for (let reached = 1; reached < devices; reached *= 2) rounds += 1;
  return rounds;
}

/** Seconds of one step. */
export function stepTime(step: CompiledStep, load: StepLoad): StepTime {
  const { constants, serving } = step;
  const { sequences, context, prefillTokens } = load;
  const bandwidth = serving.accelerator.memoryBandwidth;
  const tokens = sequences + prefillTokens;
  let expertBytes = 0;
  for (const shape of step.experts) {
    expertBytes += shape.bytes * distinctExperts(shape.count, shape.perToken, tokens);
  }
  let plainBytes = step.fixedBytes + sequences * step.stateBytes;
  for (const cache of step.caches) {
    const prefix = prefillTokens > 0 ? capped(cache.pattern, load.prefillContext) : 0;
    plainBytes += cache.bytes * (sequences * capped(cache.pattern, context) + prefix + tokens);
  }
  let coreFlops = 0;
  for (const core of step.cores) {
    coreFlops += core.decode * sequences * capped(core.pattern, context);
    if (prefillTokens > 0) coreFlops += core.prefill * prefillTokens * capped(core.pattern, load.prefillContext);
  }
  const linearFlops = step.linearFlops * tokens + step.headFlops * sequences;
  const memory = plainBytes / (bandwidth * constants.memory) + expertBytes / (bandwidth * constants.expertMemory);
  const expertFlops = step.expertFlops * tokens;
  const compute =
    (linearFlops + expertFlops / constants.expertCompute) / (step.peak * step.computeEfficiency) +
    coreFlops / (serving.accelerator.peak.bf16 * constants.attention);
  const link = serving.accelerator.link;
  const moved = link === null ? 0 : (step.commBytesPerToken * tokens) / (link * constants.link);
  const network = step.commFixed + moved;
  const overhead = step.overhead + sequences * step.perSequence;
  const bytes = plainBytes + expertBytes;
  return {
    seconds: overhead + Math.sqrt(memory * memory + compute * compute) + network,
    overhead,
    memory,
    compute,
    network,
    bytes,
    flops: linearFlops + expertFlops + coreFlops,
    roofline: Math.max(
      bytes / bandwidth,
      (linearFlops + expertFlops) / step.peak + coreFlops / serving.accelerator.peak.bf16,
    ),
  };
}
