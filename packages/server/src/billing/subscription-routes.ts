import { z } from '@hono/zod-openapi';
import { lockCatalog } from '../catalog/index.ts';
import { loadSnapshot } from '../catalog/snapshot.ts';
import type { AppServices } from '../http/context.ts';
import { cursorAfter, cursorNumber, page } from '../http/cursor.ts';
import { type App, readRoute, writeRoute } from '../http/operation.ts';
import { catalogKey, externalId, pageOf, pageQuery } from '../http/wire.ts';
import { recordAction } from '../store/audit-log.ts';
import { clockOf } from '../store/environment-clock.ts';
import { advanceSubscription } from './advance.ts';
import { noSubscription } from './change-subscription.ts';
import { compileEntitlements } from './compile-entitlements.ts';
import { publishTerms } from './customer-terms.ts';
import { findPeriod, listPeriods } from './period-store.ts';
import { listLines } from './line-store.ts';
import { insertSubscription } from './subscribe.ts';
import { refuse } from '../http/problem.ts';
import {
  lineAnswer,
  lineShown,
  periodAnswer,
  periodShown,
  subscribeBody,
  subscriptionAnswer,
  subscriptionShown,
} from './subscription-schemas.ts';
import { findSubscription, listSubscriptions, lockSubscription } from './subscription-store.ts';

export const subscriptionParams = z.strictObject({ key: catalogKey });
const periodParams = subscriptionParams.extend({
  number: z.coerce.number().int().min(1).max(1_000_000_000).openapi({ type: 'integer' }),
});
const tag = 'Plans';

export function registerSubscriptionRoutes(app: App, services: AppServices): void {
  registerList(app, services);
  registerSubscribe(app, services);
  registerPeriods(app, services);
}

function registerList(app: App, services: AppServices): void {
  const { pool } = services.database;
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/subscriptions',
      operationId: 'listSubscriptions',
      tag,
      scope: 'billing:read',
      summary: 'List subscriptions',
      description: 'In the order they were made.',
      query: pageQuery.extend({ customer: externalId.optional() }),
      answer: pageOf(subscriptionAnswer),
    },
    async ({ environmentId, query: { limit, cursor, customer } }) => {
      const now = await clockOf(pool, environmentId, services.now());
      const after = cursorNumber('subscriptions', cursor);
      const rows = await listSubscriptions(pool, environmentId, { customer, after, limit: limit + 1 });
      return page(
        rows,
        limit,
        (row) => subscriptionShown(row, now),
        (row) => cursorAfter('subscriptions', row.id),
      );
    },
  );
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/subscriptions/{key}',
      operationId: 'getSubscription',
      tag,
      scope: 'billing:read',
      summary: 'Get a subscription',
      params: subscriptionParams,
      answer: subscriptionAnswer,
      problems: ['not_found'],
    },
    async ({ environmentId, params: { key } }) => {
      const found = await findSubscription(pool, environmentId, key);
      if (found === undefined) throw noSubscription(key);
      return subscriptionShown(found, await clockOf(pool, environmentId, services.now()));
    },
  );
}

/** Steps taken at once for a subscription that begins in the past. */
const STEPS_MAX = 1_000;

function registerSubscribe(app: App, services: AppServices): void {
  writeRoute(
    app,
    services,
    {
      method: 'post',
      path: '/v1/subscriptions',
      operationId: 'createSubscription',
      tag,
      scope: 'billing:write',
      summary: 'Subscribe a customer to a plan',
      description:
        'A customer has one subscription at a time. From its beginning its events are rated by the plan, in its billing periods; what is paid in advance is posted when a period opens, everything else when it closes.',
      status: 201,
      body: subscribeBody,
      answer: subscriptionAnswer,
      problems: ['conflict'],
    },
    async ({ client, environmentId, principal, body }) => {
      await lockCatalog(client, environmentId);
      const now = await clockOf(client, environmentId, services.now());
      const { id, customerId } = await insertSubscription(client, environmentId, body, now);
      await publishTerms(client, environmentId, customerId);
      const catalog = await loadSnapshot(client, environmentId);
      await advanceSubscription({ client, environmentId, catalog, now }, id, STEPS_MAX);
      await compileEntitlements(client, environmentId, id, now);
      const made = await lockSubscription(client, environmentId, id);
      if (made === undefined) throw new Error('the subscription was not created');
      await recordAction(client, {
        environmentId,
        actor: principal.keyId,
        action: 'subscription.create',
        target: `/v1/subscriptions/${made.key}`,
        detail: { customer: made.customer, plan: body.plan },
      });
      return subscriptionShown(made, now);
    },
  );
}

function registerPeriods(app: App, services: AppServices): void {
  const { pool } = services.database;
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/subscriptions/{key}/periods',
      operationId: 'listSubscriptionPeriods',
      tag,
      scope: 'billing:read',
      summary: 'List the periods of a subscription',
      description: 'Newest first. A closed one never changes: what comes late is a line of the next.',
      params: subscriptionParams,
      query: pageQuery,
      answer: pageOf(periodAnswer),
      problems: ['not_found'],
    },
    async ({ environmentId, params: { key }, query: { limit, cursor } }) => {
      const found = await findSubscription(pool, environmentId, key);
      if (found === undefined) throw noSubscription(key);
      const before = cursorNumber('periods', cursor);
      const rows = await listPeriods(pool, environmentId, found.id, { before, limit: limit + 1 });
      const shown = (row: (typeof rows)[number]) => periodShown(row, found.currency);
      return page(rows, limit, shown, (row) => cursorAfter('periods', String(row.number)));
    },
  );
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/subscriptions/{key}/periods/{number}/lines',
      operationId: 'listSubscriptionLines',
      tag,
      scope: 'billing:read',
      summary: 'List the lines of a period',
      description:
        'In the order they were written. An open period has what was paid in advance; usage and everything else come when it closes.',
      params: periodParams,
      query: pageQuery,
      answer: pageOf(lineAnswer),
      problems: ['not_found'],
    },
    async ({ environmentId, params: { key, number }, query: { limit, cursor } }) => {
      const found = await findSubscription(pool, environmentId, key);
      if (found === undefined) throw noSubscription(key);
      if ((await findPeriod(pool, environmentId, found.id, number)) === undefined) {
        throw refuse('not_found', `the subscription ${key} has no period ${number} yet`);
      }
      const after = cursorNumber('period_lines', cursor);
      const rows = await listLines(pool, environmentId, found.id, { number, after, limit: limit + 1 });
      return page(rows, limit, lineShown, (row) => cursorAfter('period_lines', String(row.line)));
    },
  );
}
