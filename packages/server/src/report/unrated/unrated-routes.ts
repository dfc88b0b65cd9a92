import { decimal, toText } from '@ergon/exact';
import { z } from '@hono/zod-openapi';
import { eventIdentity } from '../../event/capture-event.ts';
import { formatInstant, microsFromPostgres } from '../../event/instant.ts';
import type { AppServices } from '../../http/context.ts';
import { page } from '../../http/cursor.ts';
import { type App, readRoute } from '../../http/operation.ts';
import {
  decimalOutput,
  externalId,
  instantInput,
  instantMicros,
  instantOutput,
  instantText,
  pageOf,
  pageQuery,
} from '../../http/wire.ts';
import { adjustedEvent, isAdjusting } from '../../record/adjusting-event.ts';
import { findStoredEvent } from '../../record/read-events.ts';
import { latestRecords } from '../../record/standing.ts';
import { MINUTE_MICROS } from '../../record/rollups.ts';
import type { Queryable } from '../../store/database.ts';
import { customerNames, eventBody, voidedOf } from '../describe-event.ts';
import { listEvents, type ListedEvent } from '../list-events.ts';
import { badParameter } from '../parameters.ts';
import { storedJson } from '../stored-text.ts';
import { cursorOf, listGroups, type UnratedFilter, type UnratedGroupRow, unratedSpan } from './unrated-store.ts';

const REASONS = [
  'no_customer',
  'no_rate_card',
  'no_price',
  'no_matching_cell',
  'amount_too_large',
  'no_provider_price',
] as const;

const query = pageQuery.extend({
  customer: externalId.optional(),
  meter: externalId.optional(),
  reason: z.enum(REASONS).optional().openapi({ description: 'One reason only', example: 'no_price' }),
  model: externalId.optional().openapi({ description: 'As the events name it' }),
  from: instantInput.optional().openapi({ description: 'Event time, inclusive, a whole minute' }),
  to: instantInput.optional().openapi({ description: 'Event time, exclusive, a whole minute' }),
});

const groupAnswer = z
  .strictObject({
    customer: z.string().nullable().openapi({ description: 'Null: the usage names no customer' }),
    meter: z.string(),
    reason: z.string().openapi({ description: REASONS.join(', ') }),
    model: z.string().nullable(),
    events: decimalOutput,
    quantity: decimalOutput,
    first_at: instantOutput.openapi({ description: 'The minute of the first of them' }),
    last_at: instantOutput.openapi({ description: 'The minute of the last of them' }),
  })
  .openapi('UnratedGroup');

const eventAnswer = z
  .strictObject({
    event: eventBody,
    received_at: instantOutput,
    customer: z.string().nullable(),
    unrated: z.array(z.strictObject({ meter: z.string(), quantity: decimalOutput, reason: z.string() })),
  })
  .openapi('UnratedEvent');

export function registerUnratedRoutes(app: App, services: AppServices): void {
  const { pool } = services.database;
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/unrated',
      operationId: 'listUnrated',
      tag: 'Usage',
      scope: 'usage:read',
      summary: 'List unrated usage',
      description:
        'Usage that was accepted and has no price, with the reason, summed by customer, meter, reason and model. What a later re-rating prices, or a void takes back, leaves the list.',
      query,
      answer: pageOf(groupAnswer),
    },
    async ({ environmentId, query: { limit, cursor, ...wanted } }) => {
      const rows = await listGroups(pool, environmentId, filterOf(wanted), cursor, limit + 1);
      return page(rows, limit, groupOf, cursorOf);
    },
  );
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/unrated/events',
      operationId: 'listUnratedEvents',
      tag: 'Usage',
      scope: 'usage:read',
      summary: 'List unrated events',
      description:
        'The single events behind GET /v1/unrated, latest recorded first. A page reads a bounded number of events, so one may be short, or empty, and still have a `next_cursor`.',
      query,
      answer: pageOf(eventAnswer),
    },
    async ({ environmentId, query: { limit, cursor, ...wanted } }) => {
      const filter = filterOf(wanted);
      const span = await unratedSpan(pool, environmentId, filter);
      if (span === undefined) return { data: [], next_cursor: null };
      const { found, nextCursor } = await listEvents(
        pool,
        environmentId,
        {
          customer: filter.customer,
          model: filter.model,
          from: microsFromPostgres(span.first),
          to: microsFromPostgres(span.last) + MINUTE_MICROS,
          unrated: { meter: filter.meter, reason: filter.reason },
        },
        { limit, cursor },
      );
      return { data: await describe(pool, environmentId, found), next_cursor: nextCursor };
    },
  );
}

function filterOf({ from, to, ...equal }: Omit<z.infer<typeof query>, 'limit' | 'cursor'>): UnratedFilter {
  const span = { from: minuteParameter('from', from), to: minuteParameter('to', to) };
  if (span.from !== undefined && span.to !== undefined && span.from >= span.to)
    throw badParameter('from', 'is not before `to`', 'from is inclusive, to is not');
  return { ...equal, ...span };
}

function minuteParameter(name: 'from' | 'to', text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const micros = instantMicros(text);
  if (micros % MINUTE_MICROS !== 0)
    throw badParameter(name, 'is not a whole minute', 'unrated usage is summed by the minute');
  return micros;
}

function groupOf(row: UnratedGroupRow): z.infer<typeof groupAnswer> {
  return {
    customer: row.customer,
    meter: row.meter,
    reason: row.reason,
    model: row.model === '' ? null : row.model,
    events: row.events.toString(),
    quantity: toText(decimal(row.quantity)),
    first_at: instantText(row.first_minute),
    last_at: instantText(row.last_minute),
  };
}

/** Lists each event once, as it is unrated now: its latest rating is the one that counts, be it its own or an adjusting record. */
async function describe(
  db: Queryable,
  environmentId: number,
  listed: readonly ListedEvent[],
): Promise<z.infer<typeof eventAnswer>[]> {
  if (listed.length === 0) return [];
  const customers = listed.flatMap(({ rating }) => rating.customer ?? []);
  const [names, latest] = await Promise.all([
    customerNames(db, environmentId, customers),
    latestRatings(db, environmentId, listed),
  ]);
  return latest.map(({ text, rating, receivedAt }) => ({
    event: storedJson(text),
    received_at: formatInstant(receivedAt),
    customer: (rating.customer === null ? undefined : names.get(rating.customer)) ?? null,
    unrated: rating.unrated.map(([meter, quantity, reason]) => ({ meter, quantity, reason })),
  }));
}

/** Those of the events that are not voided and were not rated since; of an adjusting record its event, where that rating stands. */
async function latestRatings(
  db: Queryable,
  environmentId: number,
  listed: readonly ListedEvent[],
): Promise<Pick<ListedEvent, 'text' | 'rating' | 'receivedAt'>[]> {
  const named = listed.map((one) => {
    const { source, id } = isAdjusting(one) ? adjustedEvent(JSON.parse(one.text)) : one;
    return { one, target: eventIdentity(environmentId, source, id) };
  });
  const identities = named.map(({ target }) => target);
  const voided = await voidedOf(db, environmentId, identities);
  const latest = await latestRecords(db, environmentId, identities);
  const found: Pick<ListedEvent, 'text' | 'rating' | 'receivedAt'>[] = [];
  for (const { one, target } of named) {
    const own = eventIdentity(environmentId, one.source, one.id);
    if (voided.has(target) || (latest.get(target) ?? target) !== own) continue;
    const stored = own === target ? undefined : await findStoredEvent(db, environmentId, target);
    found.push(stored === undefined ? one : { ...one, text: stored.event.canonical.toString('utf8') });
  }
  return found;
}
