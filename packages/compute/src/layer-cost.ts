import type { AttentionMixer, Ffn, KeyPattern, LatentMixer, LayerSpec, Mixer } from './model-spec.ts';

/** Work components of a forward pass, in the order reports print them. */
export const COMPONENTS = [
  'attention_projections',
  'attention_core',
  'ffn',
  'routed_experts',
  'shared_experts',
  'router',
  'state_space',
  'logits',
] as const;
export type Component = (typeof COMPONENTS)[number];

/** Where a weight lives: quantisation and sharding differ by place. Counts are elements. */
export const WEIGHT_PLACES = ['attention', 'ffn', 'routed_experts', 'shared_experts', 'router', 'vectors'] as const;
export type WeightPlace = (typeof WEIGHT_PLACES)[number];

/** A record with a value for every component, of every place. */
export function perComponent<Value>(of: (name: Component) => Value): Record<Component, Value> {
  return {
    attention_projections: of('attention_projections'),
    attention_core: of('attention_core'),
    ffn: of('ffn'),
    routed_experts: of('routed_experts'),
    shared_experts: of('shared_experts'),
    router: of('router'),
    state_space: of('state_space'),
    logits: of('logits'),
  };
}

export function perPlace<Value>(of: (place: WeightPlace) => Value): Record<WeightPlace, Value> {
  return {
    attention: of('attention'),
    ffn: of('ffn'),
    routed_experts: of('routed_experts'),
    shared_experts: of('shared_experts'),
    router: of('router'),
    vectors: of('vectors'),
  };
}

/** FLOP per attended key, over all heads; engines run prefill and decode of latent attention differently. */
export type CoreCost = {
  readonly pattern: KeyPattern;
  readonly prefillPerKey: number;
  readonly decodePerKey: number;
  /** Of a naive latent prefill and of an absorbed one, where the caller asks for a mode by name. */
  readonly naivePerKey: number;
  readonly absorbedPerKey: number;
  /** Heads that score: softmax is a minor term of 5 FLOP per score. */
  readonly scoresPerKey: number;
};

export type CacheCost = {
  readonly pattern: KeyPattern;
  /** Elements kept for each token. */
  readonly elements: number;
  /** Of these, elements stored at one byte whatever the cache's type (the indexer's fp8 keys). */
  readonly byteElements: number;
  /** Independent parts the cache can be sharded into; latents are replicated on every rank. */
  readonly shards: number;
};

export type LayerCost = {
  /** All weights and, in `active`, those one token multiplies. */
  readonly weights: Readonly<Record<WeightPlace, number>>;
  readonly active: Readonly<Record<WeightPlace, number>>;
  /** FLOP per new token, without the attention core. */
  readonly perToken: Readonly<Record<Component, number>>;
  readonly core: readonly CoreCost[];
  readonly cache: readonly CacheCost[];
  /** FLOP to project one cached latent again (naive latent prefill on a cached prefix). */
  readonly reprojectPerCachedToken: number;
  /** Bytes of recurrent state a sequence keeps, read and written each step. */
  readonly stateBytes: number;
  /** FLOP per new token of norms, rotary embedding, activations and residuals. */
  readonly minorPerToken: number;
  readonly moe?: { readonly experts: number; readonly perToken: number; readonly expertWeights: number };
  /** Cross-attention: FLOP per encoder token once a request, per (token, encoder token) pair, cache elements. */
  readonly cross?: { readonly perEncoderToken: number; readonly perPair: number; readonly elements: number };
};

export function layerCost(layer: LayerSpec, hidden: number): LayerCost {
  const cost = blankCost();
  cost.weights.vectors += layer.normParameters;
  cost.active.vectors += layer.normParameters;
  cost.minorPerToken += 12 * hidden; // two norms of about 5h, two residuals of h
  addMixer(cost, layer.mixer, hidden);
  for (const ffn of layer.ffns) addFfn(cost, ffn, hidden);
  if (layer.cross !== undefined) addCross(cost, layer.cross, hidden);
  return cost;
}

type Draft = {
  weights: Record<WeightPlace, number>;
  active: Record<WeightPlace, number>;
  perToken: Record<Component, number>;
  core: CoreCost[];
  cache: CacheCost[];
  reprojectPerCachedToken: number;
  stateBytes: number;
  minorPerToken: number;
  moe?: { experts: number; perToken: number; expertWeights: number };
  cross?: { perEncoderToken: number; perPair: number; elements: number };
};

function blankCost(): Draft {
  return {
    weights: perPlace(() => 0),
    active: perPlace(() => 0),
    perToken: perComponent(() => 0),
    core: [],
    cache: [],
    reprojectPerCachedToken: 0,
    stateBytes: 0,
    minorPerToken: 0,
  };
}

/** Matrices every token multiplies: two FLOP a weight. */
function addDense(cost: Draft, place: WeightPlace, component: Component, weights: number): void {
  cost.weights[place] += weights;
  cost.active[place] += weights;
  cost.perToken[component] += 2 * weights;
}

function addVectors(cost: Draft, count: number): void {
  cost.weights.vectors += count;
  cost.active.vectors += count;
}

function addMixer(cost: Draft, mixer: Mixer, h: number): void {
  switch (mixer.kind) {
    case 'none':
      return;
    case 'linear':
      return addDense(cost, 'attention', 'attention_projections', h * h);
    case 'attention':
      return addAttention(cost, mixer, h);
    case 'latent':
      return addLatent(cost, mixer, h);
    case 'mamba2': {
      const inner = mixer.heads * mixer.headDim;
      const channels = inner + 2 * mixer.groups * mixer.state;
      addDense(cost, 'attention', 'attention_projections', h * (inner + channels + mixer.heads) + inner * h);
      cost.perToken.state_space += 2 * mixer.convKernel * channels + 7 * inner * mixer.state;
      addVectors(cost, channels * mixer.convKernel + (mixer.convBias ? channels : 0) + 3 * mixer.heads + inner);
      cost.stateBytes += inner * mixer.state * 4 + channels * (mixer.convKernel - 1) * 2;
      cost.minorPerToken += 10 * inner;
      return;
    }
    case 'gated_delta': {
      const keys = mixer.keyHeads * mixer.keyDim;
      const values = mixer.valueHeads * mixer.valueDim;
      const channels = 2 * keys + values;
      addDense(cost, 'attention', 'attention_projections', h * (channels + values + 2 * mixer.valueHeads) + values * h);
      cost.perToken.state_space += 2 * mixer.convKernel * channels + 8 * values * mixer.keyDim;
      addVectors(cost, channels * mixer.convKernel + 2 * mixer.valueHeads + mixer.valueDim);
      cost.stateBytes += values * mixer.keyDim * 4 + channels * (mixer.convKernel - 1) * 2;
      cost.minorPerToken += 10 * values;
      return;
    }
  }
}

function addAttention(cost: Draft, mixer: AttentionMixer, h: number): void {
  const { heads, kvHeads, headDim, valueDim } = mixer;
  const queries = heads * headDim * (mixer.outputGate ? 2 : 1);
  const values = mixer.sharedKeyValue ? 0 : kvHeads * valueDim;
  addDense(cost, 'attention', 'attention_projections', h * (queries + kvHeads * headDim + values + heads * valueDim));
  addVectors(cost, mixer.vectorParameters);
  const perKey = 2 * heads * (headDim + valueDim);
  cost.core.push(plainCore(mixer.keys, perKey, heads));
  const elements = kvHeads * (headDim + valueDim);
  if (mixer.keys.kind !== 'bidirectional') {
    cost.cache.push({ pattern: mixer.keys, elements, byteElements: 0, shards: kvHeads });
  }
  cost.minorPerToken += 6 * (heads + kvHeads) * headDim;
}

function plainCore(pattern: KeyPattern, perKey: number, scoresPerKey: number): CoreCost {
  return {
    pattern,
    prefillPerKey: perKey,
    decodePerKey: perKey,
    naivePerKey: perKey,
    absorbedPerKey: perKey,
    scoresPerKey,
  };
}

function addLatent(cost: Draft, mixer: LatentMixer, h: number): void {
  const { heads, queryRank, kvRank, noPositionDim, ropeDim, valueDim, indexer } = mixer;
  const queryDim = heads * (noPositionDim + ropeDim);
  const queries = queryRank === 0 ? h * queryDim : h * queryRank + queryRank * queryDim;
  const expand = kvRank * heads * (noPositionDim + valueDim);
  addDense(
    cost,
    'attention',
    'attention_projections',
    queries + h * (kvRank + ropeDim) + expand + heads * valueDim * h,
  );
  addVectors(cost, mixer.vectorParameters + queryRank + kvRank);
  const naivePerKey = 2 * heads * (noPositionDim + ropeDim + valueDim);
  const absorbedPerKey = 2 * heads * (2 * kvRank + ropeDim);
  cost.core.push({
    pattern: indexer === undefined ? { kind: 'causal' } : { kind: 'window', size: indexer.topK },
    // Sparse kernels gather latents, so DSA runs absorbed in both phases (reference, 1.2).
    prefillPerKey: indexer === undefined ? naivePerKey : absorbedPerKey,
    decodePerKey: absorbedPerKey,
    naivePerKey,
    absorbedPerKey,
    scoresPerKey: heads,
  });
  cost.reprojectPerCachedToken += 2 * expand;
  // The latents of every token stay cached, whatever the indexer selects of them.
  cost.cache.push({ pattern: { kind: 'causal' }, elements: kvRank + ropeDim, byteElements: 0, shards: 1 });
  cost.minorPerToken += 6 * (heads + 1) * ropeDim;
  if (indexer === undefined) return;
  addDense(
    cost,
    'attention',
    'attention_projections',
    (queryRank === 0 ? h : queryRank) * indexer.heads * indexer.dim + h * indexer.dim + h * indexer.heads,
  );
  addVectors(cost, 2 * indexer.dim);
  cost.core.push(plainCore({ kind: 'causal' }, 2 * indexer.heads * indexer.dim, indexer.heads));
  cost.cache.push({ pattern: { kind: 'causal' }, elements: indexer.dim, byteElements: indexer.dim, shards: 1 });
}

function addFfn(cost: Draft, ffn: Ffn, h: number): void {
  const matrices = ffn.gated ? 3 : 2;
  addVectors(cost, ffn.vectorParameters);
  if (ffn.kind === 'dense') {
    addDense(cost, 'ffn', 'ffn', matrices * h * ffn.inner);
    cost.minorPerToken += 5 * ffn.inner;
    return;
  }
  const expertWeights = matrices * ffn.expertHidden * ffn.inner;
  cost.weights.routed_experts += ffn.experts * expertWeights;
  cost.active.routed_experts += ffn.expertsPerToken * expertWeights;
  cost.weights.vectors += ffn.experts * ffn.expertVectorParameters;
  cost.active.vectors += ffn.expertsPerToken * ffn.expertVectorParameters;
  cost.perToken.routed_experts += 2 * ffn.expertsPerToken * expertWeights;
  addDense(cost, 'router', 'router', h * ffn.experts);
  const shared = matrices * h * ffn.sharedInner + (ffn.sharedGate ? h : 0);
  addDense(cost, 'shared_experts', 'shared_experts', shared);
  // A latent MoE projects into the experts' size and back, for every token.
  if (ffn.expertHidden !== h) addDense(cost, 'shared_experts', 'routed_experts', 2 * h * ffn.expertHidden);
  cost.minorPerToken += 5 * (ffn.expertsPerToken * ffn.inner + ffn.sharedInner);
  cost.moe = { experts: ffn.experts, perToken: ffn.expertsPerToken, expertWeights };
}

function addCross(cost: Draft, mixer: AttentionMixer, h: number): void {
  const { heads, kvHeads, headDim, valueDim } = mixer;
  const keyValue = h * kvHeads * (headDim + valueDim);
  addDense(cost, 'attention', 'attention_projections', h * heads * (headDim + valueDim));
  cost.weights.attention += keyValue;
  cost.active.attention += keyValue;
  addVectors(cost, mixer.vectorParameters);
  cost.cross = {
    perEncoderToken: 2 * keyValue,
    perPair: 2 * heads * (headDim + valueDim),
    elements: kvHeads * (headDim + valueDim),
  };
}
