import { z } from '@hono/zod-openapi';
import { builtInMeter } from '../catalog/built-in-meters.ts';
import { type CatalogSnapshot, cardVersion, loadSnapshot } from '../catalog/snapshot.ts';
import { eventIdentity } from '../event/capture-event.ts';
import { ATTRIBUTION_FIELDS, VOID_TYPE } from '../event/event.ts';
import { formatInstant } from '../event/instant.ts';
import type { AppServices } from '../http/context.ts';
import { decimalOutput, instantOrNull, instantOutput, instantText } from '../http/wire.ts';
import { isAdjusting } from '../record/adjusting-event.ts';
import { type PreparedEvent, prepareEvent } from '../record/prepare.ts';
import { findStoredEvent, type StoredEvent } from '../record/read-events.ts';
import type { Queryable } from '../store/database.ts';
import { uuidArray } from '../store/pg-arrays.ts';
import { adjustmentAnswer, explainAdjustments } from './explain-adjustments.ts';
import { costOf, costOutput, customerNames, eventBody, flagsOutput } from './describe-event.ts';
import { computeOutput, describeWork } from './describe-work.ts';
import { explainLine, lineAnswer } from './explain-line.ts';
import { storedJson } from './stored-text.ts';

const voidAnswer = z
  .strictObject({
    source: z.string(),
    id: z.string(),
    reason: z.string().nullable(),
    received_at: instantOutput,
    status: z.enum(['waiting', 'applied']),
    applied_at: instantOutput.nullable(),
  })
  .openapi('EventVoid');

export const explainedAnswer = z
  .strictObject({
    event: eventBody,
    received_at: instantOutput,
    customer: z.string().nullable(),
    attribution: z.record(z.string(), z.string()).openapi({ description: 'What usage of the event can be found by' }),
    quantities: z.array(
      z.strictObject({
        meter: z.string(),
        quantity: decimalOutput,
        quality: z.string().nullable().openapi({ description: 'How well it is known; null for a meter of your own' }),
      }),
    ),
    lines: z.array(lineAnswer),
    provider_cost: costOutput,
    unrated: z
      .array(z.strictObject({ meter: z.string(), quantity: decimalOutput, reason: z.string() }))
      .openapi({ description: 'What of it has no price now, and why' }),
    compute: computeOutput,
    flags: flagsOutput,
    adjustments: z.array(adjustmentAnswer).openapi({
      description: 'What re-ratings made of the charge since, oldest first; the lines above stay as they were posted',
    }),
    voided_by: voidAnswer.nullable(),
  })
  .openapi('ExplainedEvent');

/** Why one event cost what it did, from what was recorded with it; only names and unit prices are looked up. */
export async function explainEvent(
  services: AppServices,
  environmentId: number,
  stored: StoredEvent,
): Promise<z.infer<typeof explainedAnswer>> {
  const { pool } = services.database;
  const { event, rating } = stored;
  const [catalog, names, voidedBy, rated, receivables] = await Promise.all([
    catalogWith(services, environmentId, rating.version),
    customerNames(pool, environmentId, rating.customer === null ? [] : [rating.customer]),
    voidOf(pool, environmentId, event.identity),
    ratedEvent(pool, environmentId, stored),
    receivablesOf(pool, environmentId, rating.customer),
  ]);
  const prepared = prepareEvent(event, catalog, rating);
  const version = cardVersion(catalog, rating.version);
  const subject = {
    prepared: prepareEvent(rated.event, catalog, rated.rating),
    timeZone: await timeZoneOf(pool, environmentId, stored),
  };
  const { timeZone } = subject;
  const now = await explainAdjustments(pool, { environmentId, catalog, timeZone, receivables }, stored);
  return {
    event: storedJson(event.canonical.toString('utf8')),
    received_at: formatInstant(stored.receivedAt),
    customer: (rating.customer === null ? undefined : names.get(rating.customer)) ?? null,
    attribution: attributionOf(prepared),
    quantities: rating.quantities.map(([meter, quantity]) => ({
      meter,
      quantity,
      quality: builtInMeter(meter) === undefined ? null : rating.quality,
    })),
    lines: rating.lines.map((line) => explainLine(line, rating, version, subject, receivables)),
    provider_cost: costOf(rating),
    unrated: now.unrated.map(([meter, quantity, reason]) => ({ meter, quantity, reason })),
    compute: describeWork(rating.work),
    flags: [...rating.flags],
    adjustments: now.adjustments,
    voided_by: voidedBy,
  };
}

/** A void and an adjusting record are rated by the buckets of the event that they are about. */
async function ratedEvent(db: Queryable, environmentId: number, stored: StoredEvent): Promise<StoredEvent> {
  const { event } = stored;
  if (event.type !== VOID_TYPE && !isAdjusting(event)) return stored;
  const target = eventIdentity(environmentId, String(event.data.source), String(event.data.id));
  return (await findStoredEvent(db, environmentId, target)) ?? stored;
}

/** The remembered catalog, or a fresh one where a version was published since it was read. */
async function catalogWith(
  services: AppServices,
  environmentId: number,
  version: number | null,
): Promise<CatalogSnapshot> {
  const known = await services.record.catalog(environmentId);
  if (version === null || cardVersion(known, version) !== undefined) return known;
  return loadSnapshot(services.database.pool, environmentId);
}

async function timeZoneOf(db: Queryable, environmentId: number, { rating }: StoredEvent): Promise<string> {
  if (rating.customer === null) return 'UTC';
  const result = await db.query<{ time_zone: string }>(
    'select time_zone from customer where environment_id = $1 and id = $2',
    [environmentId, rating.customer],
  );
  return result.rows[0]?.time_zone ?? 'UTC';
}

async function receivablesOf(
  db: Queryable,
  environmentId: number,
  customer: number | null,
): Promise<ReadonlySet<number>> {
  if (customer === null) return new Set();
  const result = await db.query<{ id: bigint }>(
    `select id from account where environment_id = $1 and customer_id = $2 and kind = 'receivable'`,
    [environmentId, customer],
  );
  return new Set(result.rows.map((row) => Number(row.id)));
}

function attributionOf({ event, dimensions }: PreparedEvent): Record<string, string> {
  const attribution: Record<string, string> = {};
  for (const name of [...ATTRIBUTION_FIELDS, 'service_tier', 'region'] as const) {
    const sent = event.data[name];
    const value = dimensions[name] ?? (typeof sent === 'string' ? sent : undefined);
    if (value !== undefined) attribution[name] = value;
  }
  return attribution;
}

type VoidRow = {
  void_source: string;
  void_id: string;
  reason: string | null;
  received_at: string;
  applied_at: string | null;
};

async function voidOf(
  db: Queryable,
  environmentId: number,
  identity: string,
): Promise<z.infer<typeof voidAnswer> | null> {
  const result = await db.query<VoidRow>(
    `select void_source, void_id, reason, received_at, applied_at from event_void
     where environment_id = $1 and target = any($2::uuid[])`,
    [environmentId, uuidArray([identity])],
  );
  const [row] = result.rows;
  if (row === undefined) return null;
  return {
    source: row.void_source,
    id: row.void_id,
    reason: row.reason,
    received_at: instantText(row.received_at),
    status: row.applied_at === null ? 'waiting' : 'applied',
    applied_at: instantOrNull(row.applied_at),
  };
}
