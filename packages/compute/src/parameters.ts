import type { CompiledModel } from './compile-model.ts';
import { WEIGHT_PLACES } from './layer-cost.ts';

/** Parameters in elements. "Active" is ambiguous among vendors, so three variants are kept apart. */
export type Parameters = {
  readonly total: bigint;
  readonly embedding: bigint;
  readonly head: bigint;
  /** Everything one token touches, embedding and head included (Qwen's count). */
  readonly active: bigint;
  /** Without the input embedding (gpt-oss, DeepSeek, Nemotron). */
  readonly activeWithoutEmbedding: bigint;
  /** Weights that are multiplied: no embedding lookup, no norms; the head counts, tied or not. */
  readonly activeMatmul: bigint;
};

/** Exact counts; an encoder-decoder counts both towers. */
export function parameters(model: CompiledModel): Parameters {
  const { spec, weights, active, embedding, headWeights } = model;
  const outside = spec.loose + spec.pooler;
  const encoder = model.encoder === undefined ? undefined : parameters(model.encoder);
  const layers = WEIGHT_PLACES.reduce((sum, place) => sum + BigInt(weights[place]), 0n);
  const activeLayers = WEIGHT_PLACES.reduce((sum, place) => sum + BigInt(active[place]), 0n);
  const multiplied = BigInt(model.logitsPerPosition / 2);
  // A tied head is the embedding: whoever leaves the lookup out still multiplies it once.
  const activeWithoutEmbedding = activeLayers + BigInt(outside) + multiplied;
  return {
    total: BigInt(embedding) + BigInt(headWeights) + layers + BigInt(outside) + (encoder?.total ?? 0n),
    embedding: BigInt(embedding),
    head: BigInt(headWeights),
    active: BigInt(embedding) + BigInt(headWeights) + activeLayers + BigInt(outside) + (encoder?.active ?? 0n),
    activeWithoutEmbedding: activeWithoutEmbedding + (encoder?.activeWithoutEmbedding ?? 0n),
    activeMatmul: activeLayers - BigInt(active.vectors) + multiplied + (encoder?.activeMatmul ?? 0n),
  };
}
