import type { AppServices } from '../http/context.ts';
import { cursorAfter, cursorNumber, page } from '../http/cursor.ts';
import { type App, readRoute, writeRoute } from '../http/operation.ts';
import { refuse } from '../http/problem.ts';
import { pageOf } from '../http/wire.ts';
import { recordAction } from '../store/audit-log.ts';
import { findDelivery, listDeliveries, replayDelivery } from './delivery-store.ts';
import { deliveryAnswer, deliveryOf, deliveryParams, deliveryQuery } from './schemas.ts';

const tag = 'Webhooks';

export function registerDeliveryRoutes(app: App, services: AppServices): void {
  const { pool } = services.database;
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/deliveries',
      operationId: 'listDeliveries',
      tag,
      scope: 'billing:read',
      summary: 'List deliveries',
      description: 'Newest first: what is on its way, what arrived, what is dead and why.',
      query: deliveryQuery,
      answer: pageOf(deliveryAnswer),
    },
    async ({ environmentId, query: { limit, cursor, status, endpoint, type, customer } }) => {
      const before = cursorNumber('deliveries', cursor);
      const filter = { status, endpoint, type, customer };
      const rows = await listDeliveries(pool, environmentId, filter, { before, limit: limit + 1 });
      return page(rows, limit, deliveryOf, (row) => cursorAfter('deliveries', row.id));
    },
  );
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/deliveries/{id}',
      operationId: 'getDelivery',
      tag,
      scope: 'billing:read',
      summary: 'Get a delivery',
      params: deliveryParams,
      answer: deliveryAnswer,
      problems: ['not_found'],
    },
    async ({ environmentId, params: { id } }) => {
      const row = await findDelivery(pool, environmentId, id);
      if (row === undefined) throw noDelivery(id);
      return deliveryOf(row);
    },
  );
  registerReplay(app, services);
}

function registerReplay(app: App, services: AppServices): void {
  writeRoute(
    app,
    services,
    {
      method: 'post',
      path: '/v1/deliveries/{id}/replay',
      operationId: 'replayDelivery',
      tag,
      scope: 'webhooks:write',
      summary: 'Send a delivery again',
      description:
        'A dead or delivered one is put back on its way, with the same webhook-id, so that a receiver that has it can tell.',
      params: deliveryParams,
      answer: deliveryAnswer,
      problems: ['not_found'],
    },
    async ({ client, environmentId, principal, params: { id } }) => {
      const isReplayed = await replayDelivery(client, environmentId, id, services.now());
      const row = await findDelivery(client, environmentId, id);
      if (row === undefined) throw noDelivery(id);
      // One that is on its way already stays so: the same request again changes nothing.
      if (isReplayed) {
        await recordAction(client, {
          environmentId,
          actor: principal.keyId,
          action: 'delivery.replay',
          target: `/v1/deliveries/${id}`,
        });
      }
      return deliveryOf(row);
    },
  );
}

function noDelivery(id: string) {
  return refuse('not_found', `there is no delivery ${id}`);
}
