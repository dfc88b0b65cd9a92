import { z } from '@hono/zod-openapi';
import { lockCatalog, raiseRevision } from '../catalog/revision.ts';
import { formatInstant, microsFromPostgres } from '../event/instant.ts';
import type { AppServices } from '../http/context.ts';
import { cursorAfter, cursorNumber, cursorPosition, page } from '../http/cursor.ts';
import { type App, readRoute, writeRoute } from '../http/operation.ts';
import { refuse } from '../http/problem.ts';
import { catalogKey, instantMicros, instantText, pageOf, pageQuery } from '../http/wire.ts';
import { LIMITS } from '../limits.ts';
import { recordAction } from '../store/audit-log.ts';
import type { Client } from '../store/database.ts';
import { clockOf } from '../store/environment-clock.ts';
import { type CompiledDeployment, compileDeployment } from './compile-deployment.ts';
import {
  countDeployments,
  type DeploymentRow,
  findLatest,
  insertVersion,
  listLatest,
  listVersions,
} from './deployment-store.ts';
import { describeDeployment } from './describe-deployment.ts';
import { latestPoints, latestPointsOf } from './observation-store.ts';
import { deploymentAnswer, deploymentBody, type DeploymentSpec } from './schemas.ts';

const params = z.strictObject({ key: catalogKey });

/** In force from the beginning: the earliest instant an event may have. */
const BEGINNING = '2000-01-01T00:00:00Z';

const tag = 'Compute';

export function registerDeploymentRoutes(app: App, services: AppServices): void {
  registerList(app, services);
  registerGet(app, services);
  registerVersions(app, services);
  registerPublish(app, services);
}

function registerList(app: App, services: AppServices): void {
  const { pool } = services.database;
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/deployments',
      operationId: 'listDeployments',
      tag,
      scope: 'catalog:read',
      summary: 'List deployments',
      description: 'The latest version of each, by key.',
      query: pageQuery,
      answer: pageOf(deploymentAnswer),
    },
    async ({ environmentId, query: { limit, cursor } }) => {
      const rows = await listLatest(pool, environmentId, cursorPosition('deployments', cursor), limit + 1);
      const points = await latestPoints(pool, environmentId);
      const describe = (row: DeploymentRow) => describeDeployment(row, points.get(row.key) ?? []);
      return page(rows, limit, describe, (row) => cursorAfter('deployments', row.key));
    },
  );
}

function registerGet(app: App, services: AppServices): void {
  const { pool } = services.database;
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/deployments/{key}',
      operationId: 'getDeployment',
      tag,
      scope: 'catalog:read',
      summary: 'Get a deployment',
      description: 'Its latest version, calibrated by its observations, and whether they drift away from the model.',
      params,
      answer: deploymentAnswer,
      problems: ['not_found'],
    },
    async ({ environmentId, params: { key } }) => {
      const row = await findLatest(pool, environmentId, key);
      if (row === undefined) throw noDeployment(key);
      return describeDeployment(row, await latestPointsOf(pool, environmentId, key));
    },
  );
}

function registerVersions(app: App, services: AppServices): void {
  const { pool } = services.database;
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/deployments/{key}/versions',
      operationId: 'listDeploymentVersions',
      tag,
      scope: 'catalog:read',
      summary: 'List the versions of a deployment',
      description: 'Newest first. A version is never edited.',
      params,
      query: pageQuery,
      answer: pageOf(deploymentAnswer),
      problems: ['not_found'],
    },
    async ({ environmentId, params: { key }, query: { limit, cursor } }) => {
      const before = cursorNumber('deployment_versions', cursor);
      const rows = await listVersions(pool, environmentId, key, before, limit + 1);
      if (rows.length === 0 && before === undefined) throw noDeployment(key);
      const points = await latestPointsOf(pool, environmentId, key);
      const describe = (row: DeploymentRow) => describeDeployment(row, points);
      return page(rows, limit, describe, (row) => cursorAfter('deployment_versions', String(row.version)));
    },
  );
}

function registerPublish(app: App, services: AppServices): void {
  writeRoute(
    app,
    services,
    {
      method: 'put',
      path: '/v1/deployments/{key}',
      operationId: 'publishDeployment',
      tag,
      scope: 'catalog:write',
      summary: 'Publish a version of a deployment',
      description:
        'A new version, unless it says what the latest says. Once this is answered, events from `effective_from` on that name the deployment, or one of the models it serves, are counted by it.',
      params,
      body: deploymentBody,
      answer: deploymentAnswer,
      problems: ['invalid_catalog'],
    },
    async ({ client, environmentId, principal, params: { key }, body: { effective_from: wanted, ...spec } }) => {
      const deployment = checkedSpec(spec);
      await lockCatalog(client, environmentId);
      const latest = await findLatest(client, environmentId, key, spec);
      const points = await latestPointsOf(client, environmentId, key);
      if (latest?.is_same === true && (wanted === undefined || isAt(latest, wanted))) {
        return describeDeployment(latest, points);
      }
      await checkRoom(client, environmentId, latest);
      const now = await clockOf(client, environmentId, services.now());
      const row = await insertVersion(client, environmentId, {
        key,
        version: (latest?.version ?? 0) + 1,
        effectiveFrom: effectiveFrom(wanted, latest !== undefined, now),
        deployment,
      });
      await raiseRevision(client, environmentId);
      await recordAction(client, {
        environmentId,
        actor: principal.keyId,
        action: 'deployment.publish',
        target: `/v1/deployments/${key}`,
        detail: { version: row.version, effective_from: instantText(row.effective_from), model: spec.model },
      });
      return describeDeployment(row, points);
    },
  );
}

function checkedSpec(spec: DeploymentSpec): CompiledDeployment {
  const compiled = compileDeployment(spec);
  if (compiled.ok) return compiled.value;
  throw refuse('invalid_catalog', 'the deployment does not hold together', [compiled.fault]);
}

async function checkRoom(client: Client, environmentId: number, latest: DeploymentRow | undefined): Promise<void> {
  if (latest !== undefined && latest.version >= LIMITS.deploymentVersionsMax) {
    throw refuse(
      'invalid_catalog',
      `a deployment has at most ${LIMITS.deploymentVersionsMax} versions; use another key`,
    );
  }
  if (latest === undefined && (await countDeployments(client, environmentId)) >= LIMITS.deploymentsMax) {
    throw refuse('invalid_catalog', `an environment has at most ${LIMITS.deploymentsMax} deployments`);
  }
}

function isAt(row: DeploymentRow, instant: string): boolean {
  return microsFromPostgres(row.effective_from) === instantMicros(instant);
}

/** Judged under the catalog's lock: what is counted after it may use the version at once, nothing before it could. */
function effectiveFrom(wanted: string | undefined, hasPredecessor: boolean, now: number): string {
  if (wanted === undefined) return hasPredecessor ? formatInstant(now) : BEGINNING;
  const micros = instantMicros(wanted);
  if (hasPredecessor && micros < now) {
    throw refuse('invalid_catalog', 'a version cannot come into force in the past', [
      {
        pointer: '/effective_from',
        detail: 'events since then have been counted already',
        remedy: 'leave it out to bring the version into force at once, or name an instant to come',
      },
    ]);
  }
  return formatInstant(micros);
}

export function noDeployment(key: string) {
  return refuse('not_found', `there is no deployment ${key}`);
}
