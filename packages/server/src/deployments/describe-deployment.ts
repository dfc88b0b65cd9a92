import {
  boundedParameters,
  type Calibration,
  checkpointBytes,
  kvBytesPerToken,
  parameters,
  sequenceCapacity,
} from '@ergon/compute';
import type { z } from '@hono/zod-openapi';
import { instantText } from '../http/wire.ts';
import { type CompiledDeployment, calibrationOf, type MeasuredPoint } from './compile-deployment.ts';
import { compiledRow, type DeploymentRow } from './deployment-store.ts';
import { driftOf, foldObservations } from './deployments.ts';
import type { ModelSource } from './model-source.ts';
import type { deploymentAnswer } from './schemas.ts';

type Answer = z.infer<typeof deploymentAnswer>;

/** A version as it is answered, with what its deployment's observations say about it. */
export function describeDeployment(row: DeploymentRow, points: readonly MeasuredPoint[]): Answer {
  const deployment = compiledRow(row);
  const observations = foldObservations(deployment, points);
  const { served, spec } = deployment;
  return {
    key: row.key,
    version: row.version,
    effective_from: instantText(row.effective_from),
    created_at: instantText(row.created_at),
    spec,
    model: describeModel(deployment),
    calibration: served === undefined ? null : describeCalibration(calibrationOf(served, observations)),
    drift: driftOf(deployment, observations),
    warnings: warningsOf(deployment),
  };
}

function describeModel({ source, served }: CompiledDeployment): Answer['model'] {
  const { low, high } = parameterBounds(source);
  const step = served?.step;
  return {
    name: source.name,
    basis: source.kind === 'known' ? 'architecture' : 'inferred',
    hash: source.hash,
    unread: source.kind === 'known' ? [] : [...source.reading.unread],
    parameters_total: { low: low.toString(), high: high.toString() },
    kv_bytes_per_token: step === undefined ? null : String(kvBytesPerToken(step.model, step.serving.cache)),
    checkpoint_bytes: step === undefined ? null : checkpointBytes(step.model, step.serving.weights).toString(),
  };
}

function parameterBounds(source: ModelSource): { low: bigint; high: bigint } {
  if (source.kind === 'bounded') return boundedParameters(source.reading);
  const { total } = parameters(source.model);
  return { low: total, high: total };
}

function describeCalibration(calibration: Calibration): NonNullable<Answer['calibration']> {
  const { factor, low, high, observations, timeBasis } = calibration;
  return { factor, low, high, coverage: '0.9', observations, time_basis: timeBasis };
}

/** Share of a device's memory that engines give to weights and cache. */
const USABLE_MEMORY = 0.9;
const USUAL_CONTEXT = 4_096;

function warningsOf({ served, accelerator, source }: CompiledDeployment): string[] {
  if (served === undefined) {
    return [`${source.name} has no tested rule yet: its events are listed as unmeasured, never metered by a guess`];
  }
  const { step, batch } = served;
  const weights = Number(checkpointBytes(step.model, step.serving.weights)) / step.serving.tensorParallel;
  if (weights > accelerator.memoryBytes * USABLE_MEMORY) {
    const share = (weights / 1e9).toFixed(0);
    return [`${share} GB of weights a device do not fit into ${(accelerator.memoryBytes / 1e9).toFixed(0)} GB`];
  }
  const capacity = sequenceCapacity(step, USUAL_CONTEXT);
  if (capacity >= batch) return [];
  return [
    `the cache holds ${capacity} sequences of ${USUAL_CONTEXT} tokens, fewer than the reference batch of ${batch}`,
  ];
}
