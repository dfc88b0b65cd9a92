import { attributeStep } from '@ergon/compute';
import { compare, scaled, sum, toText } from '@ergon/exact';
import { z } from '@hono/zod-openapi';
import { lockCatalog } from '../catalog/revision.ts';
import { formatInstant } from '../event/instant.ts';
import type { AppServices } from '../http/context.ts';
import { type App, readRoute, writeRoute } from '../http/operation.ts';
import { refuse } from '../http/problem.ts';
import { catalogKey, instantMicros } from '../http/wire.ts';
import { LIMITS } from '../limits.ts';
import { recordAction } from '../store/audit-log.ts';
import { boughtSeconds, capacityOf, versionsInForce } from './capacity.ts';
import {
  attributeAnswer,
  attributeBody,
  busyAnswer,
  busyBody,
  capacityAnswer,
  capacityQuery,
  readSeconds,
} from './capacity-schemas.ts';
import { insertBusy, overlapsBusy, type Span } from './capacity-store.ts';
import { noDeployment } from './deployment-routes.ts';
import { compiledRow, findLatest, versionsByInstant } from './deployment-store.ts';

const params = z.strictObject({ key: catalogKey });
const tag = 'Compute';
const MINUTE = 60_000_000;

export function registerCapacityRoutes(app: App, services: AppServices): void {
  registerCapacity(app, services);
  registerBusy(app, services);
  registerAttribute(app, services);
}

function registerCapacity(app: App, services: AppServices): void {
  const { pool } = services.database;
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/deployments/{key}/capacity',
      operationId: 'getCapacity',
      tag,
      scope: 'usage:read',
      summary: 'What became of the device-hours of a deployment',
      description:
        'Bought = allocated to requests + overhead (busy without a request) + idle, to the nanosecond. Overhead is known where busy time was reported. Hours count from `effective_from`, or from the publication of a first version without one.',
      params,
      query: capacityQuery,
      answer: capacityAnswer,
      problems: ['not_found'],
    },
    async ({ environmentId, params: { key }, query }) => {
      const now = services.now();
      const rows = await versionsByInstant(pool, environmentId, key);
      if (rows.length === 0) throw noDeployment(key);
      const to = query.to === undefined ? Math.floor(now / MINUTE) * MINUTE : wholeMinute('to', query.to);
      const from = query.from === undefined ? to - 1_440 * MINUTE : wholeMinute('from', query.from);
      const window = { from, to };
      const fault = windowFault(window, now);
      if (fault !== undefined)
        throw refuse('invalid_request', fault.says.detail, [{ parameter: fault.member, ...fault.says }]);
      return capacityOf(pool, environmentId, key, versionsInForce(rows, now), window);
    },
  );
}

function registerBusy(app: App, services: AppServices): void {
  writeRoute(
    app,
    services,
    {
      method: 'post',
      path: '/v1/deployments/{key}/busy',
      operationId: 'reportBusy',
      tag,
      scope: 'catalog:write',
      status: 201,
      summary: 'Report measured busy time of a deployment',
      description:
        'Seconds that its devices were busy in a span of whole minutes, summed over the devices (from DCGM, the engine, or a cloud). Appended; spans of a deployment do not overlap.',
      params,
      body: busyBody,
      answer: busyAnswer,
      problems: ['not_found', 'conflict'],
    },
    async ({ client, environmentId, principal, params: { key }, body }) => {
      const now = services.now();
      const span = { from: wholeMinute('/from', body.from), to: wholeMinute('/to', body.to) };
      const fault = windowFault(span, now);
      if (fault !== undefined)
        throw refuse('invalid_request', fault.says.detail, [{ pointer: `/${fault.member}`, ...fault.says }]);
      await lockCatalog(client, environmentId);
      const rows = await versionsByInstant(client, environmentId, key);
      if (rows.length === 0) throw noDeployment(key);
      const busy = readSeconds(body.busy_device_seconds) ?? refuseSeconds('not a number of seconds');
      const bought = boughtSeconds(versionsInForce(rows, now), span);
      if (compare(busy, bought) > 0) refuseSeconds(`only ${toText(bought)} device-seconds were bought in this span`);
      if (await overlapsBusy(client, environmentId, key, span)) {
        throw refuse('conflict', `busy time of ${key} was reported for a part of this span; what was reported stands`);
      }
      await insertBusy(client, environmentId, key, span, toText(busy), body.source ?? null);
      const { from, to } = { from: formatInstant(span.from), to: formatInstant(span.to) };
      await recordAction(client, {
        environmentId,
        actor: principal.keyId,
        action: 'deployment.busy',
        target: `/v1/deployments/${key}`,
        detail: { from, to, busy_device_seconds: toText(busy) },
      });
      return { deployment: key, from, to, busy_device_seconds: toText(busy) };
    },
  );
}

function registerAttribute(app: App, services: AppServices): void {
  const { pool } = services.database;
  readRoute(
    app,
    services,
    {
      method: 'post',
      path: '/v1/deployments/{key}/attribute_step',
      operationId: 'attributeStep',
      tag,
      scope: 'catalog:read',
      summary: 'Split a measured step among the requests in it',
      description:
        'Shares of a step’s device time by what each request made the devices do; they sum to the step, to the nanosecond. Send their sum over the steps of a call as `accelerator_seconds_allocated` of its event: its physical cost then follows from what was measured. Nothing is recorded.',
      params,
      body: attributeBody,
      answer: attributeAnswer,
      problems: ['not_found'],
    },
    async ({ environmentId, params: { key }, body }) => {
      const row = await findLatest(pool, environmentId, key);
      if (row === undefined) throw noDeployment(key);
      const { served } = compiledRow(row);
      if (served === undefined)
        throw refuse('invalid_request', 'the model has no tested rule, so its steps have no shares');
      const parts = body.parts.map((part) => ({ newTokens: part.new_tokens, context: part.context }));
      const devices = BigInt(served.step.serving.tensorParallel);
      const shares = attributeStep(served.step, parts, BigInt(body.measured_ns)).map((ns) => scaled(ns * devices, 9));
      return {
        shares: shares.map((share, index) => ({
          id: body.parts[index]?.id ?? null,
          accelerator_seconds: toText(share),
        })),
        accelerator_seconds: toText(sum(shares)),
      };
    },
  );
}

function refuseSeconds(detail: string): never {
  throw refuse('invalid_request', 'the busy time cannot be', [
    { pointer: '/busy_device_seconds', detail, remedy: 'sum the busy seconds of the devices of this deployment alone' },
  ]);
}

/** Usage is kept by the minute, so a span that cuts one has no exact answer. */
function wholeMinute(at: string, text: string): number {
  const micros = instantMicros(text);
  if (micros % MINUTE === 0) return micros;
  const detail = 'not a whole minute; usage is kept by the minute';
  const remedy = formatInstant(Math.floor(micros / MINUTE) * MINUTE);
  throw refuse('invalid_request', detail, [
    { ...(at.startsWith('/') ? { pointer: at } : { parameter: at }), detail, remedy },
  ]);
}

type Fault = { readonly detail: string; readonly remedy: string };

function windowFault({ from, to }: Span, now: number): { member: 'from' | 'to'; says: Fault } | undefined {
  const fault = (member: 'from' | 'to', detail: string, remedy: string) => ({ member, says: { detail, remedy } });
  if (from >= to) return fault('from', '`from` is not before `to`', 'from is inclusive, to is not');
  if (to > now) return fault('to', '`to` is in the future', 'hours that have not passed were not bought yet');
  const days = LIMITS.capacityDaysMax;
  return to - from > days * 1_440 * MINUTE
    ? fault('from', `more than ${days} days`, 'ask for a shorter window')
    : undefined;
}
