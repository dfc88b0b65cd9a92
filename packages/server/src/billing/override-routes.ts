import { priceSchema } from '@ergon/rating';
import { z } from '@hono/zod-openapi';
import { beginCatalogWrite, type CustomerRow, findCustomer } from '../catalog/index.ts';
import { formatInstant, microsFromPostgres } from '../event/instant.ts';
import type { AppServices } from '../http/context.ts';
import { cursorAfter, cursorPosition, page } from '../http/cursor.ts';
import { type App, readRoute, writeRoute } from '../http/operation.ts';
import { refuse } from '../http/problem.ts';
import { catalogKey, externalId, instantOrNull, instantOutput, instantText, pageOf, pageQuery } from '../http/wire.ts';
import { recordAction } from '../store/audit-log.ts';
import type { Queryable } from '../store/database.ts';
import { publishTerms } from './customer-terms.ts';
import { findOverride, OVERRIDE_COLUMNS, type OverrideRow } from './override-store.ts';
import { overrideRequest, type OverrideSpec, putOverride } from './put-override.ts';
import { microsOrNull } from './subscription-store.ts';

const customerParams = z.strictObject({ id: externalId });
const params = customerParams.extend({ override: catalogKey });

const overrideAnswer = z
  .strictObject({
    key: z.string(),
    rate_card: z.string(),
    prices: z.array(priceSchema).nullable(),
    effective_from: instantOutput,
    effective_to: instantOutput.nullable(),
    created_at: instantOutput,
  })
  .openapi('CustomerOverride');

const tag = 'Plans';

export function registerOverrideRoutes(app: App, services: AppServices): void {
  const { pool } = services.database;
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/customers/{id}/overrides',
      operationId: 'listCustomerOverrides',
      tag,
      scope: 'catalog:read',
      summary: "List a customer's price overrides",
      description: 'By key.',
      params: customerParams,
      query: pageQuery,
      answer: pageOf(overrideAnswer),
      problems: ['not_found'],
    },
    async ({ environmentId, params: { id }, query: { limit, cursor } }) => {
      const customer = await knownCustomer(pool, environmentId, id);
      const after = cursorPosition('overrides', cursor);
      const result = await pool.query<OverrideRow>(
        `select ${OVERRIDE_COLUMNS} from customer_override where environment_id = $1 and customer_id = $2
           and ($3::text is null or key collate "C" > $3) order by key collate "C" limit $4`,
        [environmentId, customer.id, after ?? null, limit + 1],
      );
      return page(result.rows, limit, shown, (row) => cursorAfter('overrides', row.key));
    },
  );
  registerPut(app, services);
  registerEnd(app, services);
}

function registerPut(app: App, services: AppServices): void {
  writeRoute(
    app,
    services,
    {
      method: 'put',
      path: '/v1/customers/{id}/overrides/{override}',
      operationId: 'putCustomerOverride',
      tag,
      scope: 'catalog:write',
      summary: 'Rate a customer by another card, or by prices of its own, between two instants',
      description:
        "Before any subscription's or plan's card, by the time of the event. One in force keeps its card, prices and beginning; only its end can move. Once this is answered, no event is rated without it.",
      params,
      body: overrideRequest,
      answer: overrideAnswer,
      problems: ['conflict', 'invalid_catalog'],
    },
    async (request) => {
      const { id, override: key } = request.params;
      return shown(
        await putOverride(await beginCatalogWrite(services, request), { customer: id, key, spec: request.body }),
      );
    },
  );
}

function registerEnd(app: App, services: AppServices): void {
  writeRoute(
    app,
    services,
    {
      method: 'post',
      path: '/v1/customers/{id}/overrides/{override}/end',
      operationId: 'endCustomerOverride',
      tag,
      scope: 'catalog:write',
      summary: 'End an override now',
      description: 'One that has not begun is removed. What it rated stays rated.',
      params,
      answer: overrideAnswer,
      problems: ['not_found', 'conflict'],
    },
    async (request) => {
      const { client, environmentId, actor, now } = await beginCatalogWrite(services, request);
      const { id, override: key } = request.params;
      const customer = await knownCustomer(client, environmentId, id);
      const known = await findOverride(client, environmentId, customer.id, key);
      if (known === undefined) throw refuse('not_found', `the customer ${id} has no override ${key}`);
      const from = microsFromPostgres(known.effective_from);
      const to = microsOrNull(known.effective_to);
      if (to !== null && to <= now) throw refuse('conflict', `the override ${key} has ended already`);
      const where = 'where environment_id = $1 and customer_id = $2 and key = $3';
      const at = [environmentId, customer.id, key];
      if (from >= now) await client.query(`delete from customer_override ${where}`, at);
      else await client.query(`update customer_override set effective_to = $4 ${where}`, [...at, formatInstant(now)]);
      await publishTerms(client, environmentId, customer.id);
      const target = `/v1/customers/${encodeURIComponent(id)}/overrides/${key}`;
      await recordAction(client, { environmentId, actor, action: 'customer_override.end', target });
      return { ...shown(known), effective_to: formatInstant(Math.max(now, from)) };
    },
  );
}

async function knownCustomer(db: Queryable, environmentId: number, id: string): Promise<CustomerRow> {
  const customer = await findCustomer(db, environmentId, id);
  if (customer === undefined) throw refuse('not_found', `there is no customer ${id}`);
  return customer;
}

/** What would be sent to make the override. */
export function overrideSpecOf(row: OverrideRow): OverrideSpec {
  const { key: _key, created_at: _created, prices, ...spec } = shown(row);
  return { ...spec, ...(prices !== null && { prices }) };
}

function shown(row: OverrideRow): z.infer<typeof overrideAnswer> {
  return {
    key: row.key,
    rate_card: row.rate_card,
    prices: row.prices === null ? null : z.array(priceSchema).parse(row.prices),
    effective_from: instantText(row.effective_from),
    effective_to: instantOrNull(row.effective_to),
    created_at: instantText(row.created_at),
  };
}
