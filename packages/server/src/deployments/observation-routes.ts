import { z } from '@hono/zod-openapi';
import { lockCatalog, raiseRevision } from '../catalog/revision.ts';
import { formatInstant } from '../event/instant.ts';
import type { AppServices } from '../http/context.ts';
import { cursorAfter, cursorNumber, page } from '../http/cursor.ts';
import { type App, readRoute, writeRoute } from '../http/operation.ts';
import { refuse } from '../http/problem.ts';
import { catalogKey, instantMicros, instantText, pageOf, pageQuery } from '../http/wire.ts';
import { LIMITS } from '../limits.ts';
import { recordAction } from '../store/audit-log.ts';
import { predictedSeconds } from './compile-deployment.ts';
import { noDeployment } from './deployment-routes.ts';
import { compiledRow, type DeploymentRow, findLatest } from './deployment-store.ts';
import { insertObservations, listObservations, type ObservationRow, pointOf } from './observation-store.ts';
import { observationAnswer, observationBody } from './schemas.ts';

const params = z.strictObject({ key: catalogKey });
const tag = 'Compute';

export function registerObservationRoutes(app: App, services: AppServices): void {
  const { pool } = services.database;
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/deployments/{key}/observations',
      operationId: 'listObservations',
      tag,
      scope: 'catalog:read',
      summary: 'List measured points of a deployment',
      description: 'Newest first, each beside what the latest version predicts for it.',
      params,
      query: pageQuery,
      answer: pageOf(observationAnswer),
      problems: ['not_found'],
    },
    async ({ environmentId, params: { key }, query: { limit, cursor } }) => {
      const deployment = await findLatest(pool, environmentId, key);
      if (deployment === undefined) throw noDeployment(key);
      const before = cursorNumber('observations', cursor);
      const rows = await listObservations(pool, environmentId, key, before, limit + 1);
      const describe = (row: ObservationRow) => describeObservation(row, deployment);
      return page(rows, limit, describe, (row) => cursorAfter('observations', String(row.id)));
    },
  );
  writeRoute(
    app,
    services,
    {
      method: 'post',
      path: '/v1/deployments/{key}/observations',
      operationId: 'addObservations',
      tag,
      scope: 'catalog:write',
      status: 201,
      summary: 'Add measured points',
      description: `Appended, never edited. The latest ${LIMITS.observationsFoldedMax} are folded into the deployment's calibration: a factor and an interval for estimates, allocated seconds and physical cost. What is billed does not change by them.`,
      params,
      body: observationBody,
      answer: z.strictObject({ data: z.array(observationAnswer) }).openapi('Observations'),
      problems: ['not_found'],
    },
    async ({ client, environmentId, principal, params: { key }, body }) => {
      await lockCatalog(client, environmentId);
      const deployment = await findLatest(client, environmentId, key);
      if (deployment === undefined) throw noDeployment(key);
      const now = services.now();
      const points = body.observations.map((point, index) => ({
        ...point,
        observed_at: observedAt(point.observed_at, index, now),
        seconds_per_output_token: point.seconds_per_output_token.toFixed(12),
        source: point.source ?? null,
      }));
      const rows = await insertObservations(client, environmentId, key, points);
      await raiseRevision(client, environmentId);
      await recordAction(client, {
        environmentId,
        actor: principal.keyId,
        action: 'deployment.observe',
        target: `/v1/deployments/${key}`,
        detail: { observations: rows.length },
      });
      return { data: rows.map((row) => describeObservation(row, deployment)) };
    },
  );
}

function observedAt(text: string | undefined, index: number, now: number): string {
  if (text === undefined) return formatInstant(now);
  if (instantMicros(text) <= now + LIMITS.futureMicrosMax) return text;
  throw refuse('invalid_request', 'an observation cannot lie in the future', [
    {
      pointer: `/observations/${index}/observed_at`,
      detail: 'more than an hour ahead of the server',
      remedy: 'check the clock that wrote it',
    },
  ]);
}

function describeObservation(row: ObservationRow, deployment: DeploymentRow): z.infer<typeof observationAnswer> {
  const { served } = compiledRow(deployment);
  return {
    id: row.id.toString(),
    observed_at: instantText(row.observed_at),
    created_at: instantText(row.created_at),
    concurrency: row.concurrency,
    input_tokens: Number(row.input_tokens),
    cached_tokens: Number(row.cached_tokens),
    output_tokens: Number(row.output_tokens),
    seconds_per_output_token: row.seconds_per_output_token.replace(/(\.\d*?)0+$/, '$1').replace(/\.$/, ''),
    predicted_seconds_per_output_token:
      served === undefined ? null : Number(predictedSeconds(served, pointOf(row)).toFixed(9)),
    source: row.source,
  };
}
