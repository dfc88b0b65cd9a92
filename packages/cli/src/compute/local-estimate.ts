import {
  type Accelerator,
  boundedFlops,
  calibrate,
  compileModel,
  type CompiledStep,
  computeUnits,
  type CostInterval,
  costOf,
  type CountInterval,
  type Estimate,
  estimateRequest,
  type Interval,
  sequenceCapacity,
  type Work,
} from '@ergon/compute';
import type { Decimal } from '@ergon/exact';
import type { NamedModel } from './read-model.ts';
import { compileServing, type ServingFlags } from './serving-options.ts';

/** Where the models are to run, and what one request is. */
export type EstimateQuestion = {
  readonly accelerator: Accelerator;
  /** Devices of one replica (undefined: the fewest that hold the model), precisions, engine. */
  readonly serving: Pick<ServingFlags, 'count' | 'dtype' | 'cacheDtype' | 'engine'>;
  readonly batch: number;
  readonly work: Work;
  /** USD a device-hour; undefined: no cost. */
  readonly pricePerHour: Decimal | undefined;
  readonly utilisation: Decimal;
};

export type KnownEstimate = {
  readonly kind: 'known';
  readonly name: string;
  readonly devices: number;
  readonly step: CompiledStep;
  readonly estimate: Estimate;
  readonly computeUnits: Interval;
  readonly cost: CostInterval | undefined;
  /** Sequences of this request's length whose cache fits beside the weights; below the batch, the batch is a wish. */
  readonly capacity: number;
};

/** A family without a tested rule: counts as an interval, never a point, and no time. */
export type BoundedEstimate = {
  readonly kind: 'bounded';
  readonly name: string;
  readonly flops: CountInterval;
  readonly unread: readonly string[];
};

export type ModelEstimate = KnownEstimate | BoundedEstimate;

/** One request of one model, from the architecture alone. */
export function localEstimate(named: NamedModel, question: EstimateQuestion): ModelEstimate {
  const { name, reading } = named;
  if (reading.kind === 'bounded') {
    return { kind: 'bounded', name, flops: boundedFlops(reading, question.work), unread: reading.unread };
  }
  const model = compileModel(reading.spec);
  const step = compileServing(named, model, question.accelerator, question.serving);
  const calibration = calibrate([], model.moe.length > 0 ? 'moe' : 'dense');
  const estimate = estimateRequest(step, question.work, { batch: question.batch }, calibration);
  const { cachedTokens, newTokens, outputTokens } = question.work;
  return {
    kind: 'known',
    name,
    devices: step.serving.tensorParallel,
    step,
    estimate,
    computeUnits: computeUnits(model, question.work),
    cost:
      question.pricePerHour === undefined
        ? undefined
        : costOf(estimate.acceleratorSeconds, {
            perDeviceHour: question.pricePerHour,
            utilisation: question.utilisation,
          }),
    capacity: sequenceCapacity(step, cachedTokens + newTokens + outputTokens / 2),
  };
}
