import { z } from '@hono/zod-openapi';
import type { AppServices } from '../http/context.ts';
import { cursorAfter, cursorNumber, page } from '../http/cursor.ts';
import { type App, readRoute, writeRoute } from '../http/operation.ts';
import { refuse } from '../http/problem.ts';
import { catalogKey, externalId, instantOutput, instantText, label, pageOf, pageQuery } from '../http/wire.ts';
import { LIMITS } from '../limits.ts';
import { recordAction } from '../store/audit-log.ts';
import type { Client } from '../store/database.ts';
import { isTimeZone } from './billing-month.ts';
import {
  type CustomerRow,
  type CustomerSpec,
  findCustomer,
  insertCustomer,
  listCustomers,
  updateCustomer,
} from './customer-store.ts';
import { cardExists } from './rate-card-store.ts';
import { lockCatalog, raiseRevision } from './revision.ts';

const params = z.strictObject({ id: externalId });

const customerBody = z
  .strictObject({
    name: label.nullish(),
    time_zone: z
      .string()
      .max(64)
      .refine(isTimeZone, 'not an IANA time zone, such as Europe/Athens')
      .default('UTC')
      .openapi({ description: 'IANA zone in which billing periods are cut', example: 'Europe/Athens' }),
    rate_card: catalogKey.nullish().openapi({ description: 'Null: the card `default`' }),
    metadata: z
      .record(z.string().min(1).max(64), z.string().max(1024))
      .refine(
        (metadata) => Object.keys(metadata).length <= LIMITS.metadataMembersMax,
        `at most ${LIMITS.metadataMembersMax} members`,
      )
      .default({}),
  })
  .openapi('CustomerRequest');

const customerAnswer = z
  .strictObject({
    id: z.string(),
    name: z.string().nullable(),
    time_zone: z.string(),
    rate_card: z.string().nullable(),
    provisional: z.boolean().openapi({ description: 'Created by an event and not yet confirmed by a PUT' }),
    metadata: z.record(z.string(), z.string()),
    created_at: instantOutput,
  })
  .openapi('Customer');
type CustomerAnswer = z.infer<typeof customerAnswer>;

const tag = 'Catalog';

export function registerCustomerRoutes(app: App, services: AppServices): void {
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/customers',
      operationId: 'listCustomers',
      tag,
      scope: 'catalog:read',
      summary: 'List customers',
      description: 'In the order they were first seen.',
      query: pageQuery,
      answer: pageOf(customerAnswer),
    },
    async ({ environmentId, query: { limit, cursor } }) => {
      const after = cursorNumber('customers', cursor);
      const rows = await listCustomers(services.database.pool, environmentId, after, limit + 1);
      return page(rows, limit, customerOf, (row) => cursorAfter('customers', row.id));
    },
  );
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/customers/{id}',
      operationId: 'getCustomer',
      tag,
      scope: 'catalog:read',
      summary: 'Get a customer',
      params,
      answer: customerAnswer,
      problems: ['not_found'],
    },
    async ({ environmentId, params: { id } }) => {
      const row = await findCustomer(services.database.pool, environmentId, id);
      if (row === undefined) throw refuse('not_found', `there is no customer ${id}`);
      return customerOf(row);
    },
  );
  registerPut(app, services);
}

function registerPut(app: App, services: AppServices): void {
  writeRoute(
    app,
    services,
    {
      method: 'put',
      path: '/v1/customers/{id}',
      operationId: 'putCustomer',
      tag,
      scope: 'catalog:write',
      summary: 'Create, confirm or replace a customer',
      description: 'Replaces: what is left out goes back to its default. Confirms a customer that an event created.',
      params,
      body: customerBody,
      answer: customerAnswer,
    },
    async ({ client, environmentId, principal, params: { id }, body }) => {
      const spec: CustomerSpec = {
        name: body.name ?? null,
        timeZone: body.time_zone,
        rateCard: body.rate_card ?? null,
        metadata: body.metadata,
      };
      if (spec.rateCard !== null && !(await cardExists(client, environmentId, spec.rateCard))) {
        throw refuse('invalid_request', `there is no rate card ${spec.rateCard}`, [
          {
            pointer: '/rate_card',
            detail: `there is no rate card ${spec.rateCard}`,
            remedy: 'publish it first: PUT /v1/rate_cards/{key}',
          },
        ]);
      }
      const row = await putCustomer(client, environmentId, id, spec);
      await recordAction(client, {
        environmentId,
        actor: principal.keyId,
        action: 'customer.put',
        target: `/v1/customers/${encodeURIComponent(id)}`,
        detail: { name: spec.name, time_zone: spec.timeZone, rate_card: spec.rateCard },
      });
      return customerOf(row);
    },
  );
}

/**
 * A new customer is in nobody's cache, and its name is not read by rating: neither needs the catalog's lock, so that
 * importing customers does not stop ingest. Another time zone or card of a known one does.
 */
async function putCustomer(
  client: Client,
  environmentId: number,
  id: string,
  spec: CustomerSpec,
): Promise<CustomerRow> {
  const created = await insertCustomer(client, environmentId, id, spec);
  if (created !== undefined) return created;
  await lockCustomer(client, environmentId, id);
  const known = await findCustomer(client, environmentId, id);
  if (known?.time_zone === spec.timeZone && known.rate_card === spec.rateCard) {
    return updateCustomer(client, environmentId, id, spec);
  }
  await lockCatalog(client, environmentId);
  const row = await updateCustomer(client, environmentId, id, spec);
  await raiseRevision(client, environmentId);
  return row;
}

/** Puts of one customer take turns; ingest does not wait for it, because it reads customers without a lock. */
async function lockCustomer(client: Client, environmentId: number, id: string): Promise<void> {
  await client.query('select pg_advisory_xact_lock(hashtextextended($1, $2))', [id, environmentId]);
}

function customerOf(row: CustomerRow): CustomerAnswer {
  return {
    id: row.external_id,
    name: row.name,
    time_zone: row.time_zone,
    rate_card: row.rate_card,
    provisional: row.is_provisional,
    metadata: row.metadata,
    created_at: instantText(row.created_at),
  };
}
