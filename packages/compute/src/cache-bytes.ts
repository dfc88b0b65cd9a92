import type { CompiledModel } from './compile-model.ts';
import { capped } from './keys-attended.ts';

export type CacheDtype = 'bf16' | 'fp8';

/** Bytes that one more token adds to the cache of a sequence, below every window. Per deployment, not per rank. */
export function kvBytesPerToken(model: CompiledModel, dtype: CacheDtype): number {
  return cacheBytes(model, 1, dtype);
}

/** Bytes cached for a sequence of `context` tokens: windows stop growing; state is constant and counted apart. */
export function cacheBytes(model: CompiledModel, context: number, dtype: CacheDtype): number {
  return model.cache.reduce((sum, cache) => sum + capped(cache.pattern, context) * elementBytes(cache, dtype), 0);
}

/** Bytes a token takes in one kind of layer; the indexer's keys are one byte whatever the cache's type. */
export function elementBytes(cache: CompiledModel['cache'][number], dtype: CacheDtype): number {
  return (cache.elements - cache.byteElements) * (dtype === 'bf16' ? 2 : 1) + cache.byteElements;
}
