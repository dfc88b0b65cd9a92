import { calibrate } from './calibration.ts';
import { findAccelerator } from './catalog.ts';
import type { CompiledModel } from './compile-model.ts';
import type { Work } from './count-flops.ts';
import { estimateRequest, type Interval } from './estimate.ts';
import { STEP_FIT } from './step-fit.generated.ts';
import { type CompiledStep, compileStep } from './step-time.ts';
import { weightFormat } from './weight-format.ts';

/** The reference device and operating point of a compute unit, by version; a unit of one version never changes. */
export const COMPUTE_UNIT = {
  version: 'ergon-unit-1',
  accelerator: 'h100-sxm',
  dtype: 'bf16',
  batch: 32,
} as const;

/**
 * Work in compute units: accelerator-seconds on the reference device, whatever it really ran on. Capacity of one device
 * is ignored on purpose: a model that needs eight is measured on the same virtual one, so that units add and compare.
 */
export function computeUnits(model: CompiledModel, work: Work): Interval {
  const calibration = calibrate([], model.moe.length > 0 ? 'moe' : 'dense');
  return estimateRequest(computeUnitStep(model), work, { batch: COMPUTE_UNIT.batch }, calibration).acceleratorSeconds;
}

/** The model on the reference device: who measures many requests of one model compiles it once. */
export function computeUnitStep(model: CompiledModel): CompiledStep {
  const accelerator = findAccelerator(COMPUTE_UNIT.accelerator);
  if (accelerator === undefined) throw new Error('the reference device is in the catalog');
  return compileStep(
    model,
    { accelerator, tensorParallel: 1, weights: weightFormat(COMPUTE_UNIT.dtype), cache: 'bf16' },
    STEP_FIT.constants,
  );
}
