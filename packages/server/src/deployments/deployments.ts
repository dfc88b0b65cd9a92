import { type Calibration, hasDrifted, type Observation } from '@ergon/compute';
import { LIMITS } from '../limits.ts';
import { calibrationOf, type CompiledDeployment, type MeasuredPoint, predictedSeconds } from './compile-deployment.ts';

/** One version of a deployment, with what has been observed there. */
export type DeploymentVersion = {
  readonly key: string;
  readonly version: number;
  /** Microseconds since 1970; in force until the next version's. */
  readonly effectiveFrom: number;
  readonly deployment: CompiledDeployment;
  /** Null where the model's counts are only bounded. */
  readonly calibration: Calibration | null;
};

/** The deployments of an environment, as of one catalog revision. */
export type Deployments = {
  /** Versions of each, newest effective first; of two from one instant the later published comes first. */
  readonly versions: ReadonlyMap<string, readonly DeploymentVersion[]>;
  /** Keys of the deployments that count events which only name this model. */
  readonly serving: ReadonlyMap<string, readonly string[]>;
};

export const NO_DEPLOYMENTS: Deployments = { versions: new Map(), serving: new Map() };

/** The version in force at an instant; `undefined` before its first. */
export function deploymentAt(deployments: Deployments, key: string, micros: number): DeploymentVersion | undefined {
  const versions = deployments.versions.get(key);
  if (versions === undefined) return undefined;
  for (const version of versions) if (version.effectiveFrom <= micros) return version;
  return undefined;
}

/** Groups versions and names, in the order given: newest effective first. */
export function deploymentsOf(list: readonly DeploymentVersion[]): Deployments {
  if (list.length === 0) return NO_DEPLOYMENTS;
  const versions = new Map<string, DeploymentVersion[]>();
  const serving = new Map<string, string[]>();
  for (const one of list) {
    const known = versions.get(one.key);
    if (known === undefined) versions.set(one.key, [one]);
    else known.push(one);
    for (const name of servedNames(one.deployment)) {
      const keys = serving.get(name);
      if (keys === undefined) serving.set(name, [one.key]);
      else if (!keys.includes(one.key)) keys.push(one.key);
    }
  }
  return { versions, serving };
}

export function servedNames({ spec }: CompiledDeployment): readonly string[] {
  return spec.serves ?? [spec.model];
}

/** A deployment's observations against one version's predictions, oldest first. */
export function foldObservations(
  deployment: CompiledDeployment,
  points: readonly MeasuredPoint[],
): readonly Observation[] {
  const { served } = deployment;
  if (served === undefined) return [];
  return points.map((point) => ({
    predicted: predictedSeconds(served, point),
    measured: point.secondsPerOutputToken,
  }));
}

export type Drift = { readonly alarm: boolean; readonly recent: number; readonly outside: number };

const RECENT = 8;

/** Whether the latest points left the interval that those before them gave. */
export function driftOf(deployment: CompiledDeployment, observations: readonly Observation[]): Drift {
  const { served } = deployment;
  if (served === undefined || observations.length === 0) return { alarm: false, recent: 0, outside: 0 };
  const folded = observations.slice(-LIMITS.observationsFoldedMax);
  const recent = folded.slice(-RECENT);
  const before = calibrationOf(served, folded.slice(0, -recent.length));
  const outside = recent.filter(({ predicted, measured }) => {
    const ratio = measured / predicted;
    return ratio < before.low || ratio > before.high;
  });
  return { alarm: hasDrifted(before, recent), recent: recent.length, outside: outside.length };
}
