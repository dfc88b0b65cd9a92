import { assert } from './assert.ts';
import type { Calibration } from './calibration.ts';
import { countFlops, type FlopCount, type Work } from './count-flops.ts';
import { prefillLoad } from './serving-point.ts';
import { type CompiledStep, type StepTime, stepTime } from './step-time.ts';

/** The load a deployment is billed at: identical requests cost alike, whatever ran beside them. */
export type OperatingPoint = { readonly batch: number };

export type Bound = 'compute' | 'memory' | 'network' | 'latency';

/** `low` and `high` hold 90 % of measurements. */
export type Interval = { readonly low: number; readonly expected: number; readonly high: number };

/** One phase of a request: prefill, or all its decode steps. Device totals over the replica, as the request's share. */
export type PhaseEstimate = {
  readonly acceleratorSeconds: number;
  readonly hbmBytes: bigint;
  readonly bound: Bound;
  /** Useful FLOPs, and bytes moved, against what the devices could do in that time: each in 0 to 1. */
  readonly mfu: number;
  readonly mbu: number;
  /** FLOP per byte; the device is bound by compute above its own ratio of peak to bandwidth. */
  readonly arithmeticIntensity: number;
  /** Seconds that peaks alone would take on the same devices; the estimate is never below. */
  readonly rooflineSeconds: number;
};

export type Estimate = {
  readonly flops: FlopCount;
  readonly prefill: PhaseEstimate;
  readonly decode: PhaseEstimate;
  readonly hbmBytes: bigint;
  /** Seconds of one device, summed over the replica's devices. */
  readonly acceleratorSeconds: Interval;
  /** What a user waits for, without queueing: the prefill pass, then a step per token. */
  readonly prefillSeconds: number;
  readonly secondsPerOutputToken: Interval;
  readonly convention: 'ergon-flops-1';
  readonly basis: 'architecture';
  readonly timeBasis: 'modelled' | 'calibrated';
  readonly coverage: 0.9;
};

/**
 * Work and time of one request on a deployment, at an operating point. Prefill is the request's own pass; a decode step
 * is shared by the batch, so the request carries 1 / batch of it at its own mean context.
 */
export function estimateRequest(
  step: CompiledStep,
  work: Work,
  at: OperatingPoint,
  calibration: Calibration,
): Estimate {
  assert(at.batch >= 1, 'an operating point has at least the request itself');
  const steps = work.outputTokens > 1 ? work.outputTokens - 1 : 0;
  const devices = step.serving.tensorParallel;
  const context = work.cachedTokens + work.newTokens + steps / 2;
  const prefillPass = stepTime(step, prefillLoad(work.newTokens, work.cachedTokens));
  const decodeStep = stepTime(step, { sequences: at.batch, context, prefillTokens: 0, prefillContext: 0 });
  const prefill = phase(step, prefillPass, work.newTokens > 0 ? devices : 0);
  const decode = phase(step, decodeStep, (steps * devices) / at.batch);
  const seconds = prefill.acceleratorSeconds + decode.acceleratorSeconds;
  return {
    flops: countFlops(step.model, work),
    prefill,
    decode,
    hbmBytes: prefill.hbmBytes + decode.hbmBytes,
    acceleratorSeconds: interval(seconds, calibration),
    prefillSeconds: work.newTokens > 0 ? prefillPass.seconds * calibration.factor : 0,
    secondsPerOutputToken: interval(decodeStep.seconds, calibration),
    convention: 'ergon-flops-1',
    basis: 'architecture',
    timeBasis: calibration.timeBasis,
    coverage: 0.9,
  };
}

/** Device time of a request, before any calibration, and the bytes it moves: what a meter records, without the rest. */
export type RequestTime = { readonly acceleratorSeconds: number; readonly hbmBytes: bigint };

/** The time and bytes of `estimateRequest` alone, for whoever counts every call. */
export function requestTime(step: CompiledStep, work: Work, at: OperatingPoint): RequestTime {
  const steps = work.outputTokens > 1 ? work.outputTokens - 1 : 0;
  const devices = step.serving.tensorParallel;
  let seconds = 0;
  let bytes = 0;
  if (work.newTokens > 0) {
    const pass = stepTime(step, prefillLoad(work.newTokens, work.cachedTokens));
    seconds = pass.seconds * devices;
    bytes = Math.round(pass.bytes * devices);
  }
  if (steps > 0) {
    const context = work.cachedTokens + work.newTokens + steps / 2;
    const pass = stepTime(step, { sequences: at.batch, context, prefillTokens: 0, prefillContext: 0 });
    const weight = (steps * devices) / at.batch;
    seconds += pass.seconds * weight;
    bytes += Math.round(pass.bytes * weight);
  }
  return { acceleratorSeconds: seconds, hbmBytes: BigInt(bytes) };
}

/** A pass that the request pays `weight` device-passes of. */
function phase(step: CompiledStep, pass: StepTime, weight: number): PhaseEstimate {
  const { accelerator } = step.serving;
  return {
    acceleratorSeconds: pass.seconds * weight,
    hbmBytes: BigInt(Math.round(pass.bytes * weight)),
    bound: boundOf(pass),
    mfu: pass.flops / (pass.seconds * step.peak),
    mbu: pass.bytes / (pass.seconds * accelerator.memoryBandwidth),
    arithmeticIntensity: pass.bytes === 0 ? 0 : pass.flops / pass.bytes,
    rooflineSeconds: pass.roofline * weight,
  };
}

/** The part of a step that takes longest. */
function boundOf(pass: StepTime): Bound {
  const longest = Math.max(pass.compute, pass.memory, pass.network, pass.overhead);
  if (longest === pass.memory) return 'memory';
  if (longest === pass.compute) return 'compute';
  return longest === pass.network ? 'network' : 'latency';
}

/** The face of the package gives whole nanoseconds (DESIGN, section 5). */
function interval(expected: number, calibration: Calibration): Interval {
  const wholeNanoseconds = (seconds: number): number => Math.round(seconds * 1e9) / 1e9;
  return {
    low: wholeNanoseconds(expected * calibration.low),
    expected: wholeNanoseconds(expected * calibration.factor),
    high: wholeNanoseconds(expected * calibration.high),
  };
}
