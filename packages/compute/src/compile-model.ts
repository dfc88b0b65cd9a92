import { assert } from './assert.ts';
import { assertSizes } from './assert-sizes.ts';
import {
  type CacheCost,
  COMPONENTS,
  type Component,
  type CoreCost,
  layerCost,
  perComponent,
  perPlace,
  type WeightPlace,
} from './layer-cost.ts';
import type { KeyPattern, ModelSpec } from './model-spec.ts';

/** One mixture-of-experts shape and how many layers have it. */
type MoeShape = {
  readonly layers: number;
  readonly experts: number;
  readonly perToken: number;
  readonly expertWeights: number;
};

/**
 * A model as coefficients: everything a count needs, summed over layers once, so that a count is a handful of
 * multiplications. Coefficients are integers below 2^53 (asserted), so float64 holds them exactly.
 */
export type CompiledModel = {
  readonly spec: ModelSpec;
  readonly layers: number;
  readonly moeLayers: number;
  readonly attentionLayers: number;
  /** Layers whose attention is chosen by an indexer. */
  readonly indexedLayers: number;
  readonly stateLayers: number;
  /** FLOP per new token by component, without attention core and logits; `linearPerToken` is their sum. */
  readonly perToken: Readonly<Record<Component, number>>;
  readonly linearPerToken: number;
  readonly logitsPerPosition: number;
  /** Attention core, merged by key pattern. */
  readonly core: readonly CoreCost[];
  readonly cache: readonly CacheCost[];
  readonly reprojectPerCachedToken: number;
  readonly stateBytes: number;
  readonly minorPerToken: number;
  readonly weights: Readonly<Record<WeightPlace, number>>;
  readonly active: Readonly<Record<WeightPlace, number>>;
  readonly embedding: number;
  readonly headWeights: number;
  readonly moe: readonly MoeShape[];
  readonly cross?: { readonly perEncoderToken: number; readonly perPair: number; readonly elements: number };
  readonly encoder?: CompiledModel;
};

/**
 * Sums a spec over its layers. Compile once per model and keep the result: counts are then sub-microsecond.
 *
 * @throws Error when a size is one that no model has.
 */
export function compileModel(spec: ModelSpec): CompiledModel {
  assertSizes(spec);
  const costs = spec.layers.map((run) => ({ cost: layerCost(run.layer, spec.hidden), count: run.count, run }));
  const total = (pick: (cost: ReturnType<typeof layerCost>) => number): number =>
    costs.reduce((sum, { cost, count }) => sum + pick(cost) * count, 0);
  const perToken = perComponent((name) => total((cost) => cost.perToken[name]));
  const countOf = (test: (run: (typeof costs)[number]['run']) => boolean): number =>
    costs.reduce((sum, { run, count }) => sum + (test(run) ? count : 0), 0);
  const moe = mergeMoe(costs.flatMap(({ cost, count }) => (cost.moe ? [{ ...cost.moe, layers: count }] : [])));
  const crossed = costs.filter(({ cost }) => cost.cross !== undefined);
  const compiled: CompiledModel = {
    spec,
    layers: costs.reduce((sum, { count }) => sum + count, 0),
    moeLayers: moe.reduce((sum, shape) => sum + shape.layers, 0),
    attentionLayers: countOf(({ layer }) => layer.mixer.kind === 'attention' || layer.mixer.kind === 'latent'),
    indexedLayers: countOf(({ layer }) => layer.mixer.kind === 'latent' && layer.mixer.indexer !== undefined),
    stateLayers: countOf(({ layer }) => layer.mixer.kind === 'mamba2' || layer.mixer.kind === 'gated_delta'),
    perToken,
    linearPerToken: COMPONENTS.reduce((sum, name) => sum + perToken[name], 0),
    logitsPerPosition: spec.head === 'none' ? 0 : 2 * spec.hidden * spec.vocabulary,
    core: mergeCore(costs.flatMap(({ cost, count }) => cost.core.map((core) => ({ core, count })))),
    cache: mergeCache(costs.flatMap(({ cost, count }) => cost.cache.map((cache) => ({ cache, count })))),
    reprojectPerCachedToken: total((cost) => cost.reprojectPerCachedToken),
    stateBytes: total((cost) => cost.stateBytes),
    minorPerToken: total((cost) => cost.minorPerToken),
    weights: perPlace((place) => total((cost) => cost.weights[place])),
    active: perPlace((place) => total((cost) => cost.active[place])),
    embedding: spec.hidden * spec.vocabulary,
    headWeights: spec.head === 'separate' ? spec.hidden * spec.vocabulary : 0,
    moe,
    ...(crossed.length === 0
      ? {}
      : {
          cross: {
            perEncoderToken: total((cost) => cost.cross?.perEncoderToken ?? 0),
            perPair: total((cost) => cost.cross?.perPair ?? 0),
            elements: total((cost) => cost.cross?.elements ?? 0),
          },
        }),
    ...(spec.encoder === undefined ? {} : { encoder: compileModel(spec.encoder) }),
  };
  assert(Number.isSafeInteger(compiled.linearPerToken), 'FLOP per token is a whole number below 2^53');
  return compiled;
}

function samePattern(one: KeyPattern, other: KeyPattern): boolean {
  return one.kind === other.kind && ('size' in one ? one.size : 0) === ('size' in other ? other.size : 0);
}

function mergeCore(items: readonly { core: CoreCost; count: number }[]): CoreCost[] {
  const merged: CoreCost[] = [];
  for (const { core, count } of items) {
    const at = merged.findIndex((known) => samePattern(known.pattern, core.pattern));
    const known = merged[at];
    const sum: CoreCost = {
      pattern: core.pattern,
      prefillPerKey: core.prefillPerKey * count + (known?.prefillPerKey ?? 0),
      decodePerKey: core.decodePerKey * count + (known?.decodePerKey ?? 0),
      naivePerKey: core.naivePerKey * count + (known?.naivePerKey ?? 0),
      absorbedPerKey: core.absorbedPerKey * count + (known?.absorbedPerKey ?? 0),
      scoresPerKey: core.scoresPerKey * count + (known?.scoresPerKey ?? 0),
    };
    if (at === -1) merged.push(sum);
    else merged[at] = sum;
  }
  return merged;
}

function mergeCache(items: readonly { cache: CacheCost; count: number }[]): CacheCost[] {
  const merged: CacheCost[] = [];
  for (const { cache, count } of items) {
    const at = merged.findIndex((known) => samePattern(known.pattern, cache.pattern) && known.shards === cache.shards);
    const known = merged[at];
    const sum: CacheCost = {
      pattern: cache.pattern,
      shards: cache.shards,
      elements: cache.elements * count + (known?.elements ?? 0),
      byteElements: cache.byteElements * count + (known?.byteElements ?? 0),
    };
    if (at === -1) merged.push(sum);
    else merged[at] = sum;
  }
  return merged;
}

function mergeMoe(items: readonly MoeShape[]): MoeShape[] {
  const merged = new Map<string, MoeShape>();
  for (const item of items) {
    const key = `${item.experts}/${item.perToken}/${item.expertWeights}`;
    merged.set(key, { ...item, layers: item.layers + (merged.get(key)?.layers ?? 0) });
  }
  return [...merged.values()];
}
