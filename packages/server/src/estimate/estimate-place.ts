import { type CompiledDeployment, compileDeployment } from '../deployments/index.ts';
import { deploymentAt, type Deployments, deploymentsOf, type DeploymentVersion } from '../deployments/deployments.ts';
import { type Place, placeOf } from '../deployments/measure-work.ts';
import { refuse } from '../http/problem.ts';
import type { EstimateBody } from './schemas.ts';

/** Key of a place that exists for one estimate only. */
export const AD_HOC = 'estimate';

/** Where the estimated call would run, and the deployments by which ingest would count it. */
export type EstimatePlace = {
  /** `undefined` where nothing is known of the model: then only prices can be told. */
  readonly place: Place | undefined;
  readonly unmeasured: string | undefined;
  readonly deployments: Deployments;
  /** What the synthetic event names. */
  readonly deployment: string | undefined;
};

/** @throws a problem that names the member at fault. */
export function estimatePlace(body: EstimateBody, deployments: Deployments, now: number): EstimatePlace {
  const isDescribed = body.accelerator !== undefined || body.model_config !== undefined;
  if (body.deployment !== undefined) return namedPlace(body.deployment, isDescribed, deployments, now);
  if (body.accelerator !== undefined) return adHocPlace(body, body.accelerator);
  if (body.model_config !== undefined) {
    // Counts need no device; any will do to read the configuration by.
    const { place, ...rest } = adHocPlace(body, 'h100-sxm');
    return { ...rest, place: place && { source: place.source, version: undefined }, deployment: undefined };
  }
  const found = placeOf({ model: body.model, deployment: undefined, occurredAt: now }, deployments);
  if (found === undefined) return { place: undefined, unmeasured: 'unknown_model', deployments, deployment: undefined };
  if (typeof found === 'string') return { place: undefined, unmeasured: found, deployments, deployment: undefined };
  return { place: found, unmeasured: undefined, deployments, deployment: found.version?.key };
}

function namedPlace(key: string, isDescribed: boolean, deployments: Deployments, now: number): EstimatePlace {
  if (isDescribed) {
    throw badMember(
      '/deployment',
      'the deployment says what runs and where',
      'send it, or accelerator and model_config',
    );
  }
  const version = deploymentAt(deployments, key, now);
  if (version === undefined) {
    throw badMember('/deployment', `there is no deployment ${key} in force`, 'publish it (PUT /v1/deployments/{key})');
  }
  return { place: { source: version.deployment.source, version }, unmeasured: undefined, deployments, deployment: key };
}

function adHocPlace(body: EstimateBody, accelerator: NonNullable<EstimateBody['accelerator']>): EstimatePlace {
  if (body.model === undefined && body.model_config === undefined) {
    throw badMember('/model', 'nothing says which model', 'send model, model_config or deployment');
  }
  const deployment = adHocDeployment(body, accelerator);
  const version: DeploymentVersion = {
    key: AD_HOC,
    version: 1,
    effectiveFrom: 0,
    deployment,
    calibration: null,
  };
  return {
    place: { source: deployment.source, version },
    unmeasured: undefined,
    deployments: deploymentsOf([version]),
    deployment: AD_HOC,
  };
}

function adHocDeployment(
  body: EstimateBody,
  accelerator: NonNullable<EstimateBody['accelerator']>,
): CompiledDeployment {
  const { model_config, dtype, kv_dtype, engine, price } = body;
  const compiled = compileDeployment({
    model: body.model ?? 'model_config',
    ...(model_config !== undefined && { model_config }),
    accelerator,
    accelerator_count: body.accelerator_count ?? 1,
    ...(dtype !== undefined && { weight_dtype: dtype }),
    ...(kv_dtype !== undefined && { kv_dtype }),
    ...(engine !== undefined && { engine }),
    ...(price !== undefined && { price }),
    serves: [],
    reference: { batch: body.batch_size ?? BATCH },
  });
  if (compiled.ok) return compiled.value;
  throw refuse('invalid_request', 'the estimate has no place to run', [compiled.fault]);
}

/** The batch of the compute unit's operating point. */
const BATCH = 32;

export function badMember(pointer: string, detail: string, remedy: string) {
  return refuse('invalid_request', detail, [{ pointer, detail, remedy }]);
}
