import {
  type Accelerator,
  type CacheDtype,
  type Calibration,
  calibrate,
  type CompiledStep,
  compileStep,
  type ErrorClass,
  findAccelerator,
  type Observation,
  readWeightFormat,
  servingPoint,
  STEP_FIT,
  type WeightFormat,
  weightFormat,
} from '@ergon/compute';
import { type Decimal, decimal, multiply, ONE } from '@ergon/exact';
import { type KnownModel, type ModelSource, modelSource } from './model-source.ts';
import type { DeploymentSpec } from './schemas.ts';

/** A model on devices, ready to count and time requests. */
export type ServedModel = {
  readonly source: KnownModel;
  readonly step: CompiledStep;
  /** The operating point that is billed. */
  readonly batch: number;
};

export type CompiledPrice = {
  /** USD. */
  readonly perDeviceHour: Decimal;
  /** Busy seconds that an hour has and that pay for it: idle time is paid by what runs. */
  readonly paidSeconds: Decimal;
};

export type CompiledDeployment = {
  readonly spec: DeploymentSpec;
  readonly accelerator: Accelerator;
  readonly source: ModelSource;
  /** `undefined` where the model's counts are only bounded. */
  readonly served: ServedModel | undefined;
  readonly price: CompiledPrice | undefined;
};

/** A member of the spec at fault. */
export type DeploymentFault = { readonly pointer: string; readonly detail: string; readonly remedy: string };

/** Resolves names and checks what a schema cannot. */
export function compileDeployment(
  spec: DeploymentSpec,
): { readonly ok: true; readonly value: CompiledDeployment } | { readonly ok: false; readonly fault: DeploymentFault } {
  const source = modelSource(spec.model, spec.model_config);
  if (source.kind === 'none') {
    const remedy = 'name a model of the catalog (`ergon models`), or send its config.json as model_config';
    return { ok: false, fault: { pointer: `/${source.at}`, detail: source.detail, remedy } };
  }
  const accelerator = acceleratorOf(spec.accelerator);
  if (accelerator === undefined) {
    const detail = `there is no accelerator ${JSON.stringify(spec.accelerator)}`;
    const remedy = 'name one of the catalog (`ergon accelerators`), or describe a device of your own';
    return { ok: false, fault: { pointer: '/accelerator', detail, remedy } };
  }
  const devices = spec.tensor_parallel ?? spec.accelerator_count;
  if (spec.accelerator_count % devices !== 0) {
    const detail = `${spec.accelerator_count} devices are not whole replicas of ${devices}`;
    const remedy = 'make accelerator_count a multiple of tensor_parallel';
    return { ok: false, fault: { pointer: '/accelerator_count', detail, remedy } };
  }
  if (spec.max_sequences !== undefined && spec.reference.batch > spec.max_sequences) {
    const detail = `a batch of ${spec.reference.batch} never runs: max_sequences is ${spec.max_sequences}`;
    return { ok: false, fault: { pointer: '/reference/batch', detail, remedy: 'bill at a batch that can run' } };
  }
  const served = source.kind === 'known' ? serve(source, accelerator, devices, spec) : undefined;
  return { ok: true, value: { spec, accelerator, source, served, price: priceOf(spec.price) } };
}

function serve(
  source: KnownModel,
  accelerator: Accelerator,
  devices: number,
  spec: Pick<DeploymentSpec, 'weight_dtype' | 'kv_dtype' | 'engine' | 'reference'>,
): ServedModel {
  const cache: CacheDtype = spec.kv_dtype ?? 'bf16';
  const serving = { accelerator, tensorParallel: devices, weights: weightsOf(source, spec.weight_dtype), cache };
  return {
    source,
    step: compileStep(
      source.model,
      spec.engine === undefined ? serving : { ...serving, engine: spec.engine },
      STEP_FIT.constants,
    ),
    batch: spec.reference.batch,
  };
}

function priceOf(price: DeploymentSpec['price']): CompiledPrice | undefined {
  if (price === undefined) return undefined;
  const utilisation = price.utilisation === undefined ? ONE : decimal(price.utilisation);
  return { perDeviceHour: decimal(price.per_device_hour), paidSeconds: multiply(decimal('3600'), utilisation) };
}

function weightsOf({ config }: ModelSource, dtype: DeploymentSpec['weight_dtype']): WeightFormat {
  return dtype === undefined ? readWeightFormat(config) : weightFormat(dtype);
}

export function acceleratorOf(given: DeploymentSpec['accelerator']): Accelerator | undefined {
  if (typeof given === 'string') return findAccelerator(given);
  const { peak_tflops: peak } = given;
  return {
    id: given.id,
    name: given.id,
    vendor: 'own',
    peak: {
      bf16: peak.bf16 * 1e12,
      fp8: peak.fp8 === undefined ? null : peak.fp8 * 1e12,
      fp4: peak.fp4 === undefined ? null : peak.fp4 * 1e12,
      int8: null,
    },
    memoryBytes: given.memory_gb * 1e9,
    memoryBandwidth: given.memory_bandwidth_tb_s * 1e12,
    tdpWatt: null,
    link: given.link_gb_s === undefined ? null : given.link_gb_s * 1e9,
    price: { low: null, typical: null, high: null, spot: null, collectedOn: '', sources: [] },
    source: 'sent by the operator',
  };
}

/** How the errors of a model's times are known before its first observation. */
export function errorClassOf(served: ServedModel): ErrorClass {
  return served.source.model.moe.length > 0 ? 'moe' : 'dense';
}

/** A measured operating point of a deployment. */
export type MeasuredPoint = {
  readonly concurrency: number;
  readonly newTokens: number;
  readonly cachedTokens: number;
  readonly outputTokens: number;
  readonly secondsPerOutputToken: number;
};

/** What the model, uncalibrated, says about a measured point. */
export function predictedSeconds(served: ServedModel, point: MeasuredPoint): number {
  return servingPoint(served.step, point).tpot;
}

export function calibrationOf(served: ServedModel, observations: readonly Observation[]): Calibration {
  return calibrate(observations, errorClassOf(served));
}
