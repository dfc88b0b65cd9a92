import { distinctExperts, type CompiledStep, type StepLoad } from './step-time.ts';
import { capped } from './keys-attended.ts';

/** Bytes of one step over all devices of the replica, by what they are. Communication crosses links, not memory. */
export type StepBytes = {
  readonly weights: bigint;
  readonly experts: bigint;
  readonly cacheRead: bigint;
  readonly cacheWrite: bigint;
  readonly state: bigint;
  readonly communication: bigint;
};

/** Resident weights once, distinct experts once, every sequence's cache (windows capped), new entries, recurrent state. */
export function stepBytes(step: CompiledStep, load: StepLoad): StepBytes {
  const devices = step.serving.tensorParallel;
  const tokens = load.sequences + load.prefillTokens;
  const whole = (perDevice: number): bigint => BigInt(Math.round(perDevice * devices));
  const experts = step.experts.reduce(
    (sum, shape) => sum + shape.bytes * distinctExperts(shape.count, shape.perToken, tokens),
    0,
  );
  const read = step.caches.reduce((sum, { bytes, pattern }) => {
    const prefix = load.prefillTokens > 0 ? capped(pattern, load.prefillContext) : 0;
    return sum + bytes * (load.sequences * capped(pattern, load.context) + prefix);
  }, 0);
  return {
    weights: whole(step.fixedBytes),
    experts: whole(experts),
    cacheRead: whole(read),
    cacheWrite: whole(step.caches.reduce((sum, { bytes }) => sum + bytes * tokens, 0)),
    state: whole(step.stateBytes * load.sequences),
    communication: whole(step.commBytesPerToken * tokens),
  };
}
