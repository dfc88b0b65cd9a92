import { compileModel } from './compile-model.ts';
import { countFlops, type Work } from './count-flops.ts';
import { parameters } from './parameters.ts';
import type { ModelReading } from './model-reading.ts';

export type BoundedReading = Extract<ModelReading, { readonly kind: 'bounded' }>;

/** Whole numbers that hold the true count, for a model whose config was not wholly understood. Never a point. */
export type CountInterval = { readonly low: bigint; readonly high: bigint; readonly basis: 'inferred' };

/** FLOPs of a request, convention `ergon-flops-1`, as an interval. */
export function boundedFlops(reading: BoundedReading, work: Work): CountInterval {
  return widen(countFlops(compileModel(reading.proxy), work).total, reading);
}

/** Total parameters as an interval. */
export function boundedParameters(reading: BoundedReading): CountInterval {
  return widen(parameters(compileModel(reading.proxy)).total, reading);
}

function widen(count: bigint, { factor }: BoundedReading): CountInterval {
  const scale = (by: number): bigint => (count * BigInt(Math.round(by * 1000))) / 1000n;
  return { low: scale(factor.low), high: scale(factor.high), basis: 'inferred' };
}
