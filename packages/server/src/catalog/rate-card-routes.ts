import { compileRateCard, priceSchema, rateCardSchema } from '@ergon/rating';
import { z } from '@hono/zod-openapi';
import { formatInstant, microsFromPostgres } from '../event/instant.ts';
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
import { recordAction } from '../store/audit-log.ts';
import type { Client } from '../store/database.ts';
import { clockOf } from '../store/environment-clock.ts';
import { builtInMeter } from './built-in-meters.ts';
import { listMeters } from './meter-store.ts';
import { type CardVersionRow, findLatest, insertVersion, listLatest, listVersions } from './rate-card-store.ts';
import { requestRerate } from './request-rerate.ts';
import { lockCatalog, raiseRevision } from './revision.ts';

const params = z.strictObject({ key: catalogKey });

const publishBody = rateCardSchema
  .extend({
    effective_from: instantInput.optional().openapi({
      description:
        'When the version comes into force. Left out: at once, and for the first version of a card from the beginning. In the past: refused, but for the first version, and with `rerate`',
    }),
    rerate: z.boolean().default(false).openapi({
      description:
        'A correction: `effective_from` may be in the past, and usage since then is re-rated by adjusting entries, up to the next version or now',
    }),
  })
  .openapi('RateCardRequest');
type RateCardSpec = z.infer<typeof rateCardSchema>;

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

/** In force from the beginning: the earliest instant an event may have. */
const BEGINNING = '2000-01-01T00:00:00Z';

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
    async ({ client, environmentId, principal, params: { key }, body }) => {
      const { effective_from: wanted, rerate, ...spec } = body;
      const compiled = compileRateCard(spec);
      if (!compiled.ok) throw refuse('invalid_catalog', 'the rate card does not hold together', compiled.errors);
      await lockCatalog(client, environmentId);
      const now = await clockOf(client, environmentId, services.now());
      await checkMeters(client, environmentId, spec);
      const latest = await findLatest(client, environmentId, key, spec);
      if (latest?.is_same === true && (wanted === undefined || isAt(latest, wanted))) return cardOf(latest);
      const row = await insertVersion(client, environmentId, {
        key,
        version: (latest?.version ?? 0) + 1,
        effectiveFrom: effectiveFrom(wanted, { hasPredecessor: latest !== undefined, mayBePast: rerate, now }),
        spec,
      });
      await raiseRevision(client, environmentId);
      await recordAction(client, {
        environmentId,
        actor: principal.keyId,
        action: 'rate_card.publish',
        target: `/v1/rate_cards/${key}`,
        detail: { version: row.version, effective_from: instantText(row.effective_from), prices: spec.prices.length },
      });
      if (!rerate) return cardOf(row);
      const from = microsFromPostgres(row.effective_from);
      if (from >= now) return cardOf(row);
      const id = await requestRerate(client, environmentId, {
        ...{ from, to: now + LIMITS.futureMicrosMax + 1, at: now, requestedBy: principal.keyId },
        ...{ onlyUnrated: false, isDryRun: false, isAutomatic: false },
      });
      return { ...cardOf(row), rerate: String(id) };
    },
  );
}

function isAt(row: CardVersionRow, instant: string): boolean {
  return microsFromPostgres(row.effective_from) === instantMicros(instant);
}

/** Judged under the catalog's lock: what is rated after it may use the version at once, nothing before it could. */
function effectiveFrom(
  wanted: string | undefined,
  { hasPredecessor, mayBePast, now }: { hasPredecessor: boolean; mayBePast: boolean; now: number },
): string {
  if (wanted === undefined) return hasPredecessor ? formatInstant(now) : BEGINNING;
  const micros = instantMicros(wanted);
  if (hasPredecessor && micros < now && !mayBePast) {
    throw refuse('invalid_catalog', 'a version cannot come into force in the past', [
      {
        pointer: '/effective_from',
        detail: 'events since then have been rated already',
        remedy:
          'leave it out to bring the version into force at once, name an instant to come, or send "rerate": true to correct what was rated',
      },
    ]);
  }
  return formatInstant(micros);
}

/** A price for a meter that does not exist would silently charge nothing. */
async function checkMeters(client: Client, environmentId: number, spec: RateCardSpec): Promise<void> {
  const own = new Set((await listMeters(client, environmentId)).map((meter) => meter.key));
  const errors = spec.prices.flatMap((price, index) => {
    const pointer = `/prices/${index}/meter`;
    if (price.meter === 'charge') {
      return [{ pointer, detail: 'charge is what prices make; it has no price itself', remedy: 'price another meter' }];
    }
    if (own.has(price.meter) || builtInMeter(price.meter) !== undefined) return [];
    const remedy = 'create the meter first (PUT /v1/meters/{key}), or correct its name';
    return [{ pointer, detail: `there is no meter ${price.meter}`, remedy }];
  });
  if (errors.length > 0) throw refuse('invalid_catalog', 'the rate card prices meters that do not exist', errors);
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
