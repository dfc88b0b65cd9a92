import { microsFromPostgres } from '../event/instant.ts';
import type { Queryable } from '../store/database.ts';
import { calibrationOf } from './compile-deployment.ts';
import { compiledRow, listAllVersions } from './deployment-store.ts';
import { type Deployments, deploymentsOf, foldObservations, NO_DEPLOYMENTS } from './deployments.ts';
import { latestPoints } from './observation-store.ts';

/** All versions of all deployments, calibrated by what has been observed; for the catalog snapshot. */
export async function loadDeployments(db: Queryable, environmentId: number): Promise<Deployments> {
  const rows = await listAllVersions(db, environmentId);
  if (rows.length === 0) return NO_DEPLOYMENTS;
  const points = await latestPoints(db, environmentId);
  return deploymentsOf(
    rows.map((row) => {
      const deployment = compiledRow(row);
      const observations = foldObservations(deployment, points.get(row.key) ?? []);
      return {
        key: row.key,
        version: row.version,
        effectiveFrom: microsFromPostgres(row.effective_from),
        deployment,
        calibration: deployment.served === undefined ? null : calibrationOf(deployment.served, observations),
      };
    }),
  );
}
