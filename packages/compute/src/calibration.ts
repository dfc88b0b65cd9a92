import { STEP_FIT } from './step-fit.generated.ts';

/** A measured time against the model's prediction for the same load, before any calibration; seconds. */
export type Observation = { readonly predicted: number; readonly measured: number };

/** Ratios measured / predicted: multiply a prediction by `factor`; 90 % of measurements lie within `low` to `high` of it. */
export type Calibration = {
  readonly factor: number;
  readonly low: number;
  readonly high: number;
  readonly observations: number;
  readonly timeBasis: 'modelled' | 'calibrated';
};

/** How a deployment's errors are known before its first observation. */
export type ErrorClass = 'dense' | 'moe';

/** One pseudo-observation of "the model is right" keeps a first odd measurement from taking over. */
const PRIOR_WEIGHT = 1;
/** Below this many observations a 90 % split-conformal interval has no finite bound on both sides. */
const CONFORMAL_MIN = 19;

/**
 * Folds a deployment's observations into one factor and a 90 % interval. Without any: the errors of the fit on model
 * families it had not seen. With a few: the factor from the observations, the spread from how far calibrated deployments
 * still erred in the fit. From 19 on: split-conformal, from the deployment's own residuals alone.
 */
export function calibrate(observations: readonly Observation[], errorClass: ErrorClass): Calibration {
  const ratios = observations.filter((item) => item.predicted > 0 && item.measured > 0).map(ratioOf);
  if (ratios.length === 0) {
    const { low, high } = STEP_FIT.intervals[errorClass];
    return { factor: 1, low, high, observations: 0, timeBasis: 'modelled' };
  }
  const count = ratios.length;
  const factor = centre(ratios);
  const spread = count >= CONFORMAL_MIN ? conformal(ratios, factor) : spreadAfter(count, errorClass);
  return { factor, low: factor * spread.low, high: factor * spread.high, observations: count, timeBasis: 'calibrated' };
}

/** Whether the latest measurements left the interval: more than a quarter of the last `window` are outside. */
export function hasDrifted(calibration: Calibration, recent: readonly Observation[]): boolean {
  const outside = recent.map(ratioOf).filter((ratio) => ratio < calibration.low || ratio > calibration.high);
  return recent.length >= 4 && outside.length * 4 > recent.length;
}

function ratioOf(item: Observation): number {
  return item.measured / item.predicted;
}

/**
 * The harmonic mean of the ratios and of 1: the factor whose predictions are right on average relative to what was
 * measured, and which one slow outlier moves least.
 */
function centre(ratios: readonly number[]): number {
  return (ratios.length + PRIOR_WEIGHT) / (ratios.reduce((sum, ratio) => sum + 1 / ratio, 0) + PRIOR_WEIGHT);
}

function spreadAfter(count: number, errorClass: ErrorClass): { readonly low: number; readonly high: number } {
  const known = STEP_FIT.calibratedSpread[errorClass].filter((row) => row.observations <= count).at(-1);
  return known ?? STEP_FIT.intervals[errorClass];
}

/** The ranks whose coverage over n + 1 exchangeable points is at least 90 %. */
function conformal(ratios: readonly number[], factor: number): { readonly low: number; readonly high: number } {
  const sorted = ratios.map((ratio) => ratio / factor).toSorted((one, other) => one - other);
  const rank = Math.floor((sorted.length + 1) * 0.05);
  const low = sorted[Math.max(0, rank - 1)] ?? 1;
  const high = sorted[Math.min(sorted.length - 1, sorted.length - rank)] ?? 1;
  return { low: Math.min(1, low), high: Math.max(1, high) };
}
