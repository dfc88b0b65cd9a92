import { z } from '@hono/zod-openapi';
import { formatInstant, microsFromPostgres } from '../event/instant.ts';
import type { AppServices } from '../http/context.ts';
import { cursorAfter, cursorNumber, cursorPosition, page } from '../http/cursor.ts';
import { type App, readRoute, type WriteRequest, writeRoute } from '../http/operation.ts';
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
import { LIMITS } from '../limits.ts';
import { recordAction } from '../store/audit-log.ts';
import { type PriceOverrideSpec, priceOverrideOf, priceOverrideSchema } from './price-override-schema.ts';
import {
  countPriceOverrides,
  findPriceOverride,
  insertPriceOverride,
  listPriceOverrides,
  listPriceOverrideVersions,
  type PriceOverrideRow,
} from './price-override-store.ts';
import { lockCatalog, raiseRevision } from './revision.ts';

const params = z.strictObject({ key: catalogKey });

const body = priceOverrideSchema
  .extend({
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

/** In force from the beginning: the earliest instant an event may have. */
const BEGINNING = '2000-01-01T00:00:00Z';

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
      body,
      answer: versionAnswer,
      problems: ['invalid_catalog'],
    },
    async (request) => {
      const { effective_from: wanted, ...spec } = request.body;
      checkCompiles(services, spec);
      return publish(request, services.now(), spec, wanted);
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
      description: 'From now on the price table’s price holds again. What was recorded keeps its cost.',
      status: 204,
      params,
      answer: z.null(),
      problems: ['not_found'],
    },
    async (request) => {
      const latest = await findPriceOverride(request.client, request.environmentId, request.params.key);
      if (latest === undefined || latest.spec === null) throw noPrice(request.params.key);
      await publish(request, services.now(), null, undefined);
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

/** What the schema cannot see: a tier of a class that has no base price. */
function checkCompiles(services: AppServices, spec: PriceOverrideSpec): void {
  try {
    services.prices.withOverrides([priceOverrideOf(spec, undefined, undefined)]);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw refuse('invalid_catalog', 'the provider price does not hold together', [
      { pointer: '/context_tiers', detail: error.message, remedy: 'give each class of a tier a base price as well' },
    ]);
  }
}

type Publishing = Pick<
  WriteRequest<z.output<typeof params>, unknown, unknown>,
  'client' | 'environmentId' | 'principal' | 'params'
>;

async function publish(
  { client, environmentId, principal, params: { key } }: Publishing,
  now: number,
  spec: PriceOverrideSpec | null,
  wanted: string | undefined,
): Promise<z.infer<typeof versionAnswer>> {
  await lockCatalog(client, environmentId);
  const latest = await findPriceOverride(client, environmentId, key, spec);
  const isSameTime =
    wanted === undefined ||
    (latest !== undefined && microsFromPostgres(latest.effective_from) === instantMicros(wanted));
  if (latest?.is_same === true && isSameTime) return versionOf(latest);
  if ((await countPriceOverrides(client, environmentId)) >= LIMITS.priceOverrideVersionsMax) {
    throw refuse(
      'conflict',
      `an environment has at most ${LIMITS.priceOverrideVersionsMax} versions of provider prices of its own`,
    );
  }
  const row = await insertPriceOverride(client, environmentId, {
    key,
    version: (latest?.version ?? 0) + 1,
    effectiveFrom: wanted ?? (latest === undefined ? BEGINNING : formatInstant(now)),
    spec,
  });
  await raiseRevision(client, environmentId);
  await recordAction(client, {
    environmentId,
    actor: principal.keyId,
    action: spec === null ? 'provider_price.delete' : 'provider_price.put',
    target: `/v1/provider_price_overrides/${key}`,
    detail: { version: row.version, effective_from: instantText(row.effective_from) },
  });
  return versionOf(row);
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
