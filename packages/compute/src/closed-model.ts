import type { Accelerator } from './catalog.ts';

/** What can be seen of a closed model, and the sets its deployment is assumed to be in. */
export type ClosedObservation = {
  /** Seconds between output tokens, the fastest seen: at a small batch. */
  readonly secondsPerOutputToken: number;
  readonly accelerators: readonly Accelerator[];
  readonly deviceCounts: { readonly low: number; readonly high: number };
  /** Bytes a weight may take: 0.56 (NVFP4) to 2 (bf16) where unknown. */
  readonly bytesPerWeight: { readonly low: number; readonly high: number };
  /** Tokens a step may yield: above 1 where speculative decoding cannot be excluded. */
  readonly tokensPerStep: { readonly low: number; readonly high: number };
};

/** Never a point: `width` is high / low, and every step is an assumption to print. */
export type InferredInterval = {
  readonly low: number;
  readonly high: number;
  readonly width: number;
  readonly basis: 'inferred';
  readonly unit: 'parameter' | 'FLOP/token';
  readonly assumptions: readonly string[];
};

/** p2.5 to p97.5 of end-to-end bandwidth use at concurrency to 8 over the fitted rows (printed by bench/compute.bench.ts). */
const BANDWIDTH_USE = { low: 0.11, high: 0.65 };

/** Parameters touched a token, from speed alone: bytes read in a step are time x devices x bandwidth x use. */
export function inferParametersTouched(seen: ClosedObservation): InferredInterval {
  const bandwidths = seen.accelerators.map((device) => device.memoryBandwidth);
  const step = {
    low: seen.secondsPerOutputToken * seen.tokensPerStep.low,
    high: seen.secondsPerOutputToken * seen.tokensPerStep.high,
  };
  const low =
    (step.low * seen.deviceCounts.low * Math.min(...bandwidths) * BANDWIDTH_USE.low) / seen.bytesPerWeight.high;
  const high =
    (step.high * seen.deviceCounts.high * Math.max(...bandwidths) * BANDWIDTH_USE.high) / seen.bytesPerWeight.low;
  return {
    low,
    high,
    width: high / low,
    basis: 'inferred',
    unit: 'parameter',
    assumptions: [
      `one of ${seen.accelerators.map((device) => device.id).join(', ')}`,
      `${seen.deviceCounts.low} to ${seen.deviceCounts.high} devices`,
      `${seen.bytesPerWeight.low} to ${seen.bytesPerWeight.high} bytes a weight`,
      `${seen.tokensPerStep.low} to ${seen.tokensPerStep.high} tokens a step`,
      `${BANDWIDTH_USE.low} to ${BANDWIDTH_USE.high} of the bandwidth used, as open models do at small batches`,
      'for a mixture of experts: distinct experts of a step, so at least those active',
    ],
  };
}

/** FLOP per output token, without attention: two per weight touched. An upper bound from price can only narrow it. */
export function inferFlopsPerToken(
  seen: ClosedObservation,
  price?: { readonly usdPerToken: number; readonly usdPerDeviceSecond: number; readonly marginLow: number },
): InferredInterval {
  const touched = inferParametersTouched(seen);
  const peak = Math.max(...seen.accelerators.map((device) => device.peak.fp8 ?? device.peak.bf16));
  const affordable =
    price === undefined
      ? Number.POSITIVE_INFINITY
      : (price.usdPerToken / (price.marginLow * price.usdPerDeviceSecond)) * peak;
  const low = 2 * touched.low;
  const high = Math.max(low, Math.min(2 * touched.high, affordable));
  return {
    low,
    high,
    width: high / low,
    basis: 'inferred',
    unit: 'FLOP/token',
    assumptions: [
      ...touched.assumptions,
      ...(price === undefined ? [] : [`the price covers its cost ${price.marginLow} times, at peak arithmetic`]),
    ],
  };
}
