export { cacheBytes, type CacheDtype, kvBytesPerToken } from './cache-bytes.ts';
export {
  ACCELERATORS,
  type Accelerator,
  type CatalogModel,
  findAccelerator,
  findModel,
  MODELS,
} from './catalog.ts';
export { type CompiledModel, compileModel } from './compile-model.ts';
export {
  countFlops,
  encoderFlops,
  type FlopCount,
  type FlopsByComponent,
  flopsByComponent,
  type LatentMode,
  type LogitsMode,
  minorFlops,
  type PassOptions,
  reprojectionFlops,
  type Work,
} from './count-flops.ts';
export { FLOP_CONVENTIONS, type FlopConvention, flopsInConvention } from './flop-conventions.ts';
export type { Component } from './layer-cost.ts';
export type { ModelSpec } from './model-spec.ts';
export { type Parameters, parameters } from './parameters.ts';
export type { ModelReading } from './model-reading.ts';
export { readModelConfig } from './read-model-config.ts';
export {
  checkpointBytes,
  readWeightFormat,
  type WeightDtype,
  type WeightFormat,
  weightFormat,
} from './weight-format.ts';
export {
  type ServingLoad,
  type ServingPoint,
  sequenceCapacity,
  saturatedThroughput,
  servingPoint,
} from './serving-point.ts';
export {
  type CompiledStep,
  compileStep,
  distinctExperts,
  type Engine,
  type Serving,
  type StepConstants,
  type StepLoad,
  type StepTime,
  stepTime,
} from './step-time.ts';
export { attributeStep, type StepPart } from './attribute-step.ts';
export { type Calibration, calibrate, type ErrorClass, hasDrifted, type Observation } from './calibration.ts';
export {
  type ClosedObservation,
  type InferredInterval,
  inferFlopsPerToken,
  inferParametersTouched,
} from './closed-model.ts';
export { COMPUTE_UNIT, computeUnits, computeUnitStep } from './compute-units.ts';
export { type CostInterval, costOf, type DevicePrice } from './cost.ts';
export { busyPower, type EnergyBoundary, type EnergyEstimate, type EnergySite, energyOf } from './energy.ts';
export {
  type Bound,
  type Estimate,
  estimateRequest,
  type Interval,
  type OperatingPoint,
  type PhaseEstimate,
  type RequestTime,
  requestTime,
} from './estimate.ts';
export {
  type AdaptedMatrix,
  adapterFlopsPerToken,
  speculativeFlopsPerToken,
  speculativeTokensPerStep,
  trainingFlops,
} from './extra-work.ts';
export { STEP_FIT } from './step-fit.generated.ts';
export { type ImageWork, imageWork, type VisionTower } from './vision-tower.ts';
export { type BoundedReading, boundedFlops, boundedParameters, type CountInterval } from './bounded-count.ts';
export { type StepBytes, stepBytes } from './step-bytes.ts';
export { workOfTokens } from './work-of-tokens.ts';
export {
  charactersPerToken,
  TEXT_KINDS,
  type TextKind,
  tokenExchangeRate,
  type Tokenizer,
  tokenizerOf,
  TOKENIZERS,
} from './tokenizer-rates.ts';
export { TOKENIZER_RATES } from './tokenizer-rates.generated.ts';
