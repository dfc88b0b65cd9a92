import {
  boundedFlops,
  COMPUTE_UNIT,
  countFlops,
  estimateRequest,
  type PhaseEstimate,
  requestTime,
  type Work,
} from '@ergon/compute';
import { type Decimal, scaled, toText } from '@ergon/exact';
import { calibrationOf } from '../deployments/index.ts';
import { physicalCost, type Place } from '../deployments/measure-work.ts';
import { AD_HOC } from './estimate-place.ts';
import type { ComputeAnswer } from './schemas.ts';

/** The same call with the least, the expected and the most output. */
export type Works = { readonly low: Work; readonly expected: Work; readonly high: Work };

export type Bounds<Value> = { readonly low: Value; readonly expected: Value; readonly high: Value };

export type EstimatedWork = {
  readonly answer: NonNullable<ComputeAnswer>;
  /** In USD; `undefined` without a device or a price. */
  readonly physicalCost: Bounds<Decimal> | undefined;
};

/** What the work of a call is, as far as its model and place are known. */
export function estimateCompute(place: Place, works: Works): EstimatedWork {
  const { source, version } = place;
  const empty: Omit<NonNullable<ComputeAnswer>, 'flops' | 'basis' | 'unread'> = {
    prefill_flops: null,
    decode_flops: null,
    hbm_bytes: null,
    accelerator_seconds: null,
    billable_accelerator_seconds: null,
    compute_units: null,
    prefill_seconds: null,
    seconds_per_output_token: null,
    phases: null,
    accelerator: version?.deployment.accelerator.id ?? null,
    accelerator_count: null,
    batch_size: null,
    deployment: version === undefined || version.key === AD_HOC ? null : version.key,
    time_basis: null,
    coverage: null,
    convention: 'ergon-flops-1',
    model_hash: source.hash,
  };
  if (source.kind === 'bounded') {
    const flops = {
      low: boundedFlops(source.reading, works.low).low.toString(),
      high: boundedFlops(source.reading, works.high).high.toString(),
    };
    const unread = [...source.reading.unread];
    return { answer: { ...empty, flops, basis: 'inferred', unread }, physicalCost: undefined };
  }
  const flops = each(works, (work) => countFlops(source.model, work));
  const counted: NonNullable<ComputeAnswer> = {
    ...empty,
    flops: each(flops, ({ total }) => total.toString()),
    prefill_flops: flops.expected.prefill.toString(),
    decode_flops: each(flops, ({ decode }) => decode.toString()),
    basis: 'architecture',
    unread: [],
  };
  // The step model times no encoders.
  if (source.model.encoder !== undefined) return { answer: counted, physicalCost: undefined };
  const unitOf = (work: Work): number => requestTime(source.unitStep, work, COMPUTE_UNIT).acceleratorSeconds;
  const withUnits = { ...counted, compute_units: each(works, (work) => secondsText(unitOf(work))) };
  return version?.deployment.served === undefined
    ? { answer: withUnits, physicalCost: undefined }
    : estimateTime(place, works, withUnits);
}

function estimateTime(place: Place, works: Works, counted: NonNullable<ComputeAnswer>): EstimatedWork {
  const deployment = place.version?.deployment;
  const served = deployment?.served;
  if (deployment === undefined || served === undefined) return { answer: counted, physicalCost: undefined };
  const calibration = place.version?.calibration ?? calibrationOf(served, []);
  const at = { batch: served.batch };
  const estimates = each(works, (work) => estimateRequest(served.step, work, at, calibration));
  const { low, expected, high } = estimates;
  const seconds = {
    low: low.acceleratorSeconds.low,
    expected: expected.acceleratorSeconds.expected,
    high: high.acceleratorSeconds.high,
  };
  // What is billed follows from the deployment's version alone, whatever was observed since.
  const billable = (work: Work): number => requestTime(served.step, work, at).acceleratorSeconds;
  const { price } = deployment;
  return {
    answer: {
      ...counted,
      hbm_bytes: each(estimates, ({ hbmBytes }) => hbmBytes.toString()),
      accelerator_seconds: each(seconds, secondsText),
      billable_accelerator_seconds: each(works, (work) => secondsText(billable(work))),
      prefill_seconds: secondsText(expected.prefillSeconds),
      seconds_per_output_token: each(expected.secondsPerOutputToken, secondsText),
      phases: { prefill: phaseOf(expected.prefill), decode: phaseOf(expected.decode) },
      accelerator_count: served.step.serving.tensorParallel,
      batch_size: served.batch,
      time_basis: expected.timeBasis,
      coverage: '0.9',
    },
    physicalCost:
      price === undefined ? undefined : each(seconds, (value) => physicalCost(secondsDecimal(value), price)),
  };
}

export function each<From, To>(bounds: Bounds<From>, convert: (value: From) => To): Bounds<To> {
  return { low: convert(bounds.low), expected: convert(bounds.expected), high: convert(bounds.high) };
}

function phaseOf(phase: PhaseEstimate): NonNullable<NonNullable<ComputeAnswer>['phases']>['prefill'] {
  return {
    bound: phase.bound,
    mfu: rounded(phase.mfu),
    mbu: rounded(phase.mbu),
    arithmetic_intensity: rounded(phase.arithmeticIntensity),
    accelerator_seconds: secondsText(phase.acceleratorSeconds),
    roofline_accelerator_seconds: secondsText(phase.rooflineSeconds),
  };
}

/** Shares and ratios for people: six decimals are far beyond what the model knows. */
function rounded(value: number): number {
  return Math.round(value * 1e6) / 1e6;
}

function secondsDecimal(seconds: number): Decimal {
  return scaled(BigInt(Math.round(seconds * 1e9)), 9);
}

function secondsText(seconds: number): string {
  return toText(secondsDecimal(seconds));
}
