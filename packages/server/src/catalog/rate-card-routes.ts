import { priceSchema, rateCardSchema } from '@ergon/rating';
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
import { LIMITS } from '../limits.ts';
import { beginCatalogWrite, type CatalogWrite } from './catalog-write.ts';
import { publishRateCard } from './publish-rate-card.ts';
import { type CardVersionRow, findLatest, listLatest, listVersions } from './rate-card-store.ts';
import { requestRerate } from './request-rerate.ts';

const params = z.strictObject({ key: catalogKey });

export const rateCardRequest = rateCardSchema
  .extend({
    effective_from: instantInput.optional().openapi({
      description:
        'When the version comes into force. Left out: at once, and for the first version of a card from the beginning. In the past: refused, but for the first version, and with `rerate`',
    }),
  })
  .openapi('RateCardRequest');

const publishBody = rateCardRequest
  .extend({
    rerate: z.boolean().default(false).openapi({
      description:
        'A correction: `effective_from` may be in the past, and usage since then is re-rated by adjusting entries, up to the next version or now',
    }),
  })
  .openapi('RateCardPublishRequest');

const cardAnswer = z
  .strictObject({
    key: z.string(),
    version: z.number().int(),
    currency: z.string(),
    effective_from: instantOutput,
    created_at: instantOutput,
    prices: z.array(priceSchema),
    rerate: z.string().optional().openapi({ description: 'The re-rating that publishing it has begun' }),
  })
  .openapi('RateCard');
type CardAnswer = z.infer<typeof cardAnswer>;

const tag = 'Catalog';

export function registerRateCardRoutes(app: App, services: AppServices): void {
  const { pool } = services.database;
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/rate_cards',
      operationId: 'listRateCards',
      tag,
      scope: 'catalog:read',
      summary: 'List rate cards',
      description: 'The latest version of each card, by key.',
      query: pageQuery,
      answer: pageOf(cardAnswer),
    },
    async ({ environmentId, query: { limit, cursor } }) => {
      const rows = await listLatest(pool, environmentId, cursorPosition('rate_cards', cursor), limit + 1);
      return page(rows, limit, cardOf, (row) => cursorAfter('rate_cards', row.key));
    },
  );
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/rate_cards/{key}',
      operationId: 'getRateCard',
      tag,
      scope: 'catalog:read',
      summary: 'Get a rate card',
      description: 'Its latest version.',
      params,
      answer: cardAnswer,
      problems: ['not_found'],
    },
    async ({ environmentId, params: { key } }) => {
      const row = await findLatest(pool, environmentId, key);
      if (row === undefined) throw noCard(key);
      return cardOf(row);
    },
  );
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/rate_cards/{key}/versions',
      operationId: 'listRateCardVersions',
      tag,
      scope: 'catalog:read',
      summary: 'List the versions of a rate card',
      description: 'Newest first. A version is never edited.',
      params,
      query: pageQuery,
      answer: pageOf(cardAnswer),
      problems: ['not_found'],
    },
    async ({ environmentId, params: { key }, query: { limit, cursor } }) => {
      const before = cursorNumber('rate_card_versions', cursor);
      const rows = await listVersions(pool, environmentId, key, before, limit + 1);
      if (rows.length === 0 && before === undefined) throw noCard(key);
      return page(rows, limit, cardOf, (row) => cursorAfter('rate_card_versions', String(row.version)));
    },
  );
  registerPublish(app, services);
}

function registerPublish(app: App, services: AppServices): void {
  writeRoute(
    app,
    services,
    {
      method: 'put',
      path: '/v1/rate_cards/{key}',
      operationId: 'publishRateCard',
      tag,
      scope: 'catalog:write',
      summary: 'Publish a version of a rate card',
      description:
        'A new version, unless it says what the latest says. The card with the key `default` applies to every customer without another. Once this is answered, no event anywhere is rated with the version before, from `effective_from` on.',
      params,
      body: publishBody,
      answer: cardAnswer,
      problems: ['invalid_catalog'],
    },
    async (request) => {
      const { effective_from: wanted, rerate: isCorrection, ...spec } = request.body;
      const { key } = request.params;
      const write = await beginCatalogWrite(services, request);
      const latest = await findLatest(write.client, write.environmentId, key, spec);
      if (latest?.is_same === true && (wanted === undefined || isAt(latest, wanted))) return cardOf(latest);
      const row = await publishRateCard(write, { key, spec, effectiveFrom: wanted, isCorrection });
      const rerate = isCorrection ? await rerateSince(write, row) : undefined;
      return { ...cardOf(row), ...(rerate !== undefined && { rerate }) };
    },
  );
}

function isAt(row: CardVersionRow, instant: string): boolean {
  return microsFromPostgres(row.effective_from) === instantMicros(instant);
}

/** A correction re-rates what happened since it is in force. @returns the re-rating's id. */
async function rerateSince(
  { client, environmentId, actor, now }: CatalogWrite,
  row: CardVersionRow,
): Promise<string | undefined> {
  const from = microsFromPostgres(row.effective_from);
  if (from >= now) return undefined;
  const id = await requestRerate(client, environmentId, {
    // Events may be that far ahead of the clock.
    ...{ from, to: now + LIMITS.futureMicrosMax + 1, at: now, requestedBy: actor },
    ...{ onlyUnrated: false, isDryRun: false, isAutomatic: false },
  });
  return String(id);
}

function noCard(key: string) {
  return refuse('not_found', `there is no rate card ${key}`);
}

function cardOf(row: CardVersionRow): CardAnswer {
  const spec = rateCardSchema.parse(row.spec);
  return {
    key: row.key,
    version: row.version,
    currency: spec.currency,
    effective_from: instantText(row.effective_from),
    created_at: instantText(row.created_at),
    prices: spec.prices,
  };
}
