import { z } from '@hono/zod-openapi';
import { microsFromPostgres } from '../event/instant.ts';
import type { AppServices } from '../http/context.ts';
import { cursorAfter, cursorNumber, cursorPosition, page } from '../http/cursor.ts';
import { type App, readRoute, writeRoute } from '../http/operation.ts';
import { refuse } from '../http/problem.ts';
import {
  catalogKey,
  instantInput,
  instantMicros,
  instantOutput,
  instantText,
  pageOf,
  pageQuery,
} from '../http/wire.ts';
import { beginCatalogWrite } from './catalog-write.ts';
import { priceOverrideSchema } from './price-override-schema.ts';
import {
  findPriceOverride,
  listPriceOverrides,
  listPriceOverrideVersions,
  type PriceOverrideRow,
} from './price-override-store.ts';
import { publishProviderPrice, takeBackProviderPrice } from './publish-provider-price.ts';

const params = z.strictObject({ key: catalogKey });

// Not `extend`: the reference would say "all of" two closed objects, which nothing is.
export const providerPriceRequest = z
  .strictObject({
    ...priceOverrideSchema.shape,
    effective_from: instantInput.optional().openapi({
      description:
        'By event time. Left out: at once, and for the first version of a key from the beginning. May lie in the past: what was recorded before keeps its cost',
    }),
  })
  .openapi('ProviderPriceOverrideRequest');

const versionAnswer = z
  .strictObject({
    key: z.string(),
    version: z.number().int(),
    effective_from: instantOutput,
    created_at: instantOutput,
    price: priceOverrideSchema.nullable().openapi({ description: 'Null: taken back from then on' }),
  })
  .openapi('ProviderPriceOverrideVersion');

const tag = 'Catalog';

/** An environment's own provider prices, which come before those of the price table. */
export function registerPriceOverrideRoutes(app: App, services: AppServices): void {
  registerReads(app, services);
  writeRoute(
    app,
    services,
    {
      method: 'put',
      path: '/v1/provider_price_overrides/{key}',
      operationId: 'putProviderPriceOverride',
      tag,
      scope: 'catalog:write',
      summary: 'Set a provider price of your own',
      description:
        'A contract, or a model the price table lacks. It replaces the table’s price of that provider and model as a whole, for events recorded from now on that happened since `effective_from`. Another price under the same key is a new version; the same again changes nothing.',
      params,
      body: providerPriceRequest,
      answer: versionAnswer,
      problems: ['invalid_catalog'],
    },
    async (request) => {
      const { effective_from: effectiveFrom, ...spec } = request.body;
      const { key } = request.params;
      const write = await beginCatalogWrite(services, request);
      const latest = await findPriceOverride(write.client, write.environmentId, key, spec);
      const isSameTime =
        effectiveFrom === undefined ||
        (latest !== undefined && microsFromPostgres(latest.effective_from) === instantMicros(effectiveFrom));
      if (latest?.is_same === true && isSameTime) return versionOf(latest);
      return versionOf(await publishProviderPrice(write, services.prices, { key, spec, effectiveFrom }));
    },
  );
  writeRoute(
    app,
    services,
    {
      method: 'delete',
      path: '/v1/provider_price_overrides/{key}',
      operationId: 'deleteProviderPriceOverride',
      tag,
      scope: 'catalog:write',
      summary: 'Take a provider price of your own back',
      description:
        'From now on the price table’s price holds again; versions to come are taken back as well. What was recorded keeps its cost.',
      status: 204,
      params,
      answer: z.null(),
      problems: ['not_found'],
    },
    async (request) => {
      const { key } = request.params;
      const write = await beginCatalogWrite(services, request);
      const latest = await findPriceOverride(write.client, write.environmentId, key);
      if (latest === undefined || latest.spec === null) throw noPrice(key);
      await takeBackProviderPrice(write, services.prices, key);
      return null;
    },
  );
}

function registerReads(app: App, services: AppServices): void {
  const { pool } = services.database;
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/provider_price_overrides',
      operationId: 'listProviderPriceOverrides',
      tag,
      scope: 'catalog:read',
      summary: 'List provider prices of your own',
      description: 'The latest version of each key, by key; without those taken back.',
      query: pageQuery,
      answer: pageOf(versionAnswer),
    },
    async ({ environmentId, query: { limit, cursor } }) => {
      const after = cursorPosition('provider_price_overrides', cursor);
      const rows = await listPriceOverrides(pool, environmentId, after, limit + 1);
      return page(rows, limit, versionOf, (row) => cursorAfter('provider_price_overrides', row.key));
    },
  );
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/provider_price_overrides/{key}/versions',
      operationId: 'listProviderPriceOverrideVersions',
      tag,
      scope: 'catalog:read',
      summary: 'List the versions of a provider price of your own',
      description: 'Newest first. A version is never edited.',
      params,
      query: pageQuery,
      answer: pageOf(versionAnswer),
      problems: ['not_found'],
    },
    async ({ environmentId, params: { key }, query: { limit, cursor } }) => {
      const before = cursorNumber('provider_price_versions', cursor);
      const rows = await listPriceOverrideVersions(pool, environmentId, key, before, limit + 1);
      if (rows.length === 0 && before === undefined) throw noPrice(key);
      return page(rows, limit, versionOf, (row) => cursorAfter('provider_price_versions', String(row.version)));
    },
  );
}

function noPrice(key: string) {
  return refuse('not_found', `there is no provider price ${key}`);
}

function versionOf(row: PriceOverrideRow): z.infer<typeof versionAnswer> {
  return {
    key: row.key,
    version: row.version,
    effective_from: instantText(row.effective_from),
    created_at: instantText(row.created_at),
    price: row.spec === null ? null : priceOverrideSchema.parse(row.spec),
  };
}
