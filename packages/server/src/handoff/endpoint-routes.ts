import { z } from '@hono/zod-openapi';
import { randomBytes } from 'node:crypto';
import type { AppServices } from '../http/context.ts';
import { type App, readRoute, writeRoute } from '../http/operation.ts';
import { refuse } from '../http/problem.ts';
import { pageOf } from '../http/wire.ts';
import { LIMITS } from '../limits.ts';
import type { Outbound } from '../outbound/index.ts';
import { enqueue } from '../outbox/index.ts';
import { recordAction } from '../store/audit-log.ts';
import {
  deleteEndpoint,
  findEndpoint,
  insertEndpoint,
  listEndpoints,
  replaceSecret,
  updateEndpoint,
} from './endpoint-store.ts';
import {
  endpointAnswer,
  endpointBody,
  endpointOf,
  endpointParams,
  endpointPutBody,
  endpointWithSecret,
  rotateBody,
} from './schemas.ts';
import { newSecret, secretText } from './sign-webhook.ts';

const tag = 'Webhooks';

export function registerEndpointRoutes(app: App, services: AppServices): void {
  const { pool } = services.database;
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/webhook_endpoints',
      operationId: 'listWebhookEndpoints',
      tag,
      scope: 'billing:read',
      summary: 'List webhook endpoints',
      description: 'All on one page, without their secrets.',
      answer: pageOf(endpointAnswer),
    },
    async ({ environmentId }) => ({
      data: (await listEndpoints(pool, environmentId)).map(endpointOf),
      next_cursor: null,
    }),
  );
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/webhook_endpoints/{id}',
      operationId: 'getWebhookEndpoint',
      tag,
      scope: 'billing:read',
      summary: 'Get a webhook endpoint',
      params: endpointParams,
      answer: endpointAnswer,
      problems: ['not_found'],
    },
    async ({ environmentId, params: { id } }) => {
      const row = await findEndpoint(pool, environmentId, id);
      if (row === undefined) throw noEndpoint(id);
      return endpointOf(row);
    },
  );
  registerCreate(app, services);
  registerPut(app, services);
  registerRotate(app, services);
  registerTry(app, services);
  registerDelete(app, services);
}

function registerCreate(app: App, services: AppServices): void {
  writeRoute(
    app,
    services,
    {
      method: 'post',
      path: '/v1/webhook_endpoints',
      operationId: 'createWebhookEndpoint',
      tag,
      scope: 'webhooks:write',
      summary: 'Create a webhook endpoint',
      description:
        'It hears what happens from now on, signed as Standard Webhooks (webhook-id, webhook-timestamp, webhook-signature). The secret is shown once.',
      status: 201,
      body: endpointBody,
      answer: endpointWithSecret,
    },
    async ({ client, environmentId, principal, body }) => {
      checkUrl(services.outbound, body.url);
      // Counted and inserted under one lock, so that no two requests pass the bound together.
      await client.query(`select pg_advisory_xact_lock(4608, $1)`, [environmentId]);
      const known = await listEndpoints(client, environmentId);
      if (known.length >= LIMITS.webhookEndpointsMax) {
        throw refuse(
          'conflict',
          `an environment has at most ${LIMITS.webhookEndpointsMax} endpoints; delete one first`,
        );
      }
      const secret = newSecret();
      const id = `we_${randomBytes(12).toString('hex')}`;
      const spec = { id, url: body.url, description: body.description ?? null, eventTypes: body.event_types, secret };
      const row = await insertEndpoint(client, environmentId, spec, services.clocks.now(environmentId));
      await recordAction(client, {
        environmentId,
        actor: principal.keyId,
        action: 'webhook_endpoint.create',
        target: targetOf(id),
        detail: { url: body.url, event_types: body.event_types },
      });
      return { ...endpointOf(row), secret: secretText(secret) };
    },
    ({ secret: _secret, ...kept }) => kept,
  );
}

function registerPut(app: App, services: AppServices): void {
  writeRoute(
    app,
    services,
    {
      method: 'put',
      path: '/v1/webhook_endpoints/{id}',
      operationId: 'putWebhookEndpoint',
      tag,
      scope: 'webhooks:write',
      summary: 'Change a webhook endpoint',
      description: 'Replaces url, description and types. `enabled: false` stops deliveries; what waits then, waits on.',
      params: endpointParams,
      body: endpointPutBody,
      answer: endpointAnswer,
      problems: ['not_found'],
    },
    async ({ client, environmentId, principal, params: { id }, body }) => {
      checkUrl(services.outbound, body.url);
      const spec = {
        url: body.url,
        description: body.description ?? null,
        eventTypes: body.event_types,
        isEnabled: body.enabled,
      };
      const row = await updateEndpoint(client, environmentId, id, spec, services.clocks.now(environmentId));
      if (row === undefined) throw noEndpoint(id);
      await recordAction(client, {
        environmentId,
        actor: principal.keyId,
        action: 'webhook_endpoint.put',
        target: targetOf(id),
        detail: { url: body.url, event_types: body.event_types, enabled: body.enabled },
      });
      return endpointOf(row);
    },
  );
}

function registerRotate(app: App, services: AppServices): void {
  writeRoute(
    app,
    services,
    {
      method: 'post',
      path: '/v1/webhook_endpoints/{id}/rotate',
      operationId: 'rotateWebhookSecret',
      tag,
      scope: 'webhooks:write',
      summary: 'Give a webhook endpoint a new secret',
      description: 'Until the overlap ends every message bears two signatures, one of each secret.',
      params: endpointParams,
      body: rotateBody,
      isBodyOptional: true,
      answer: endpointWithSecret,
      problems: ['not_found'],
    },
    async ({ client, environmentId, principal, params: { id }, body }) => {
      const secret = newSecret();
      // Deliveries go by the machine's clock, and so does the overlap.
      const until = services.now() + body.overlap_seconds * 1_000_000;
      const row = await replaceSecret(client, environmentId, id, secret, until);
      if (row === undefined) throw noEndpoint(id);
      await recordAction(client, {
        environmentId,
        actor: principal.keyId,
        action: 'webhook_endpoint.rotate',
        target: targetOf(id),
        detail: { overlap_seconds: body.overlap_seconds },
      });
      return { ...endpointOf(row), secret: secretText(secret) };
    },
    ({ secret: _secret, ...kept }) => kept,
  );
}

function registerTry(app: App, services: AppServices): void {
  writeRoute(
    app,
    services,
    {
      method: 'post',
      path: '/v1/webhook_endpoints/{id}/test',
      operationId: 'testWebhookEndpoint',
      tag,
      scope: 'webhooks:write',
      summary: 'Send a test event',
      description:
        'Leaves a `webhook.test` in the outbox: for this endpoint whatever it listens to, and for those that listen to the type.',
      params: endpointParams,
      answer: z.strictObject({ crossing_key: z.string() }).openapi('WebhookTest'),
      problems: ['not_found'],
    },
    async ({ client, environmentId, params: { id } }) => {
      if ((await findEndpoint(client, environmentId, id)) === undefined) throw noEndpoint(id);
      const crossingKey = `webhook_test/${randomBytes(12).toString('hex')}`;
      const event = { type: 'webhook.test', crossingKey, data: { endpoint: id } } as const;
      await enqueue(client, environmentId, [event], services.clocks.now(environmentId));
      return { crossing_key: crossingKey };
    },
  );
}

function registerDelete(app: App, services: AppServices): void {
  writeRoute(
    app,
    services,
    {
      method: 'delete',
      path: '/v1/webhook_endpoints/{id}',
      operationId: 'deleteWebhookEndpoint',
      tag,
      scope: 'webhooks:write',
      summary: 'Delete a webhook endpoint',
      description: 'With its deliveries: what waits is not sent.',
      status: 204,
      params: endpointParams,
      answer: z.null(),
      problems: ['not_found'],
    },
    async ({ client, environmentId, principal, params: { id } }) => {
      if (!(await deleteEndpoint(client, environmentId, id))) throw noEndpoint(id);
      await recordAction(client, {
        environmentId,
        actor: principal.keyId,
        action: 'webhook_endpoint.delete',
        target: targetOf(id),
      });
      return null;
    },
  );
}

function checkUrl(outbound: Outbound, url: string): void {
  const refusal = outbound.refusal(url);
  if (refusal === undefined) return;
  throw refuse('invalid_request', 'the address cannot be called', [
    {
      pointer: '/url',
      detail: refusal,
      remedy: 'send a public https address; the operator may allow others with ERGON_WEBHOOK_PRIVATE_HOSTS',
    },
  ]);
}

function noEndpoint(id: string) {
  return refuse('not_found', `there is no webhook endpoint ${id}`);
}

function targetOf(id: string): string {
  return `/v1/webhook_endpoints/${id}`;
}
