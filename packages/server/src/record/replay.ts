import { decimal } from '@ergon/exact';
import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import { eventIdentity } from '../event/capture-event.ts';
import { VOID_TYPE } from '../event/event.ts';
import type { Queryable } from '../store/database.ts';
import { uuidArray } from '../store/pg-arrays.ts';
import { type AccumulatorState, accumulate, emptyAccumulator, secondsBetween } from './accumulate.ts';
import { adjustedEvent, isAdjusting, isTakeBack } from './adjusting-event.ts';
import { billingMonth } from '../catalog/billing-month.ts';
import { prepareEvent } from './prepare.ts';
import type { AccumulatorRow } from './bucket-work.ts';
import { orderKey } from './rate-group.ts';
import { findStoredEvent, standingEvents, type StoredEvent } from './read-events.ts';
import { takenBackAmong } from './standing.ts';
import { valueHash } from './value-hash.ts';

const DAY_MICROS = 86_400_000_000;

/** What is left in a bucket once the voided events are gone: its state, and for unique meters its values. */
export type Replay = { readonly state: AccumulatorState; readonly values: ReadonlySet<string> };

/**
 * Recomputes a bucket from its events, leaving out the voided ones and those rated elsewhere now: what a void or a re-rating
 * of a meter that is no sum needs (DESIGN section 9). Reads the customer's blocks of the period; the caller holds the
 * accumulator's lock.
 *
 * @param takenBack ratings, by the identity of their event or adjusting record, that this group takes back.
 */
export async function replayBucket(
  db: Queryable,
  environmentId: number,
  catalog: CatalogSnapshot,
  row: AccumulatorRow,
  bucket: string,
  takenBack: ReadonlySet<string>,
): Promise<Replay> {
  const state = emptyAccumulator();
  const values = new Set<string>();
  const first = Date.parse(`${row.period.slice(0, 10)}T00:00:00Z`) * 1000;
  // A calendar month of any zone lies within 33 days, a subscription's period within a year; the rating says whose it is.
  const from = first - 2 * DAY_MICROS;
  const events = standingEvents(
    db,
    environmentId,
    row.customerId,
    from,
    first + (row.period.includes('@') ? 370 : 33) * DAY_MICROS,
  );
  const held: StoredEvent[] = [];
  for await (const stored of events) {
    const { rating } = stored;
    // A void's lines take back what its target gave; with the target left out there is nothing to take back.
    if (stored.event.type === VOID_TYPE || isTakeBack(stored.event)) continue;
    if (rating.version !== row.cardVersionId || rating.period !== row.period) continue;
    if (takenBack.has(stored.event.identity) || !rating.lines.some((line) => line.bucket === bucket)) continue;
    held.push(stored);
    if (held.length < RATINGS_TOGETHER) continue;
    for (const one of await standing(db, environmentId, held.splice(0))) addTo(state, values, one, bucket, catalog);
  }
  for (const one of await standing(db, environmentId, held)) addTo(state, values, one, bucket, catalog);
  return { state, values };
}

const RATINGS_TOGETHER = 1_000;

/** Those of the ratings that no re-rating has taken back, each with the usage it is of. */
async function standing(db: Queryable, environmentId: number, ratings: readonly StoredEvent[]): Promise<StoredEvent[]> {
  const identities = ratings.map(({ event }) => event.identity);
  const gone = await takenBackAmong(db, environmentId, identities);
  const found: StoredEvent[] = [];
  for (const one of ratings) if (!gone.has(one.event.identity)) found.push(await usageOf(db, environmentId, one));
  return found;
}

/** The event that a rating is of, with that rating's lines. */
async function usageOf(db: Queryable, environmentId: number, stored: StoredEvent): Promise<StoredEvent> {
  if (!isAdjusting(stored.event)) return stored;
  const { source, id } = adjustedEvent(stored.event);
  const target = await findStoredEvent(db, environmentId, eventIdentity(environmentId, source, id));
  if (target === undefined) throw new Error(`the adjusting record ${stored.event.id} has no event`);
  return { ...target, rating: { ...target.rating, model: stored.rating.model, lines: stored.rating.lines } };
}

function addTo(
  state: AccumulatorState,
  values: Set<string>,
  stored: StoredEvent,
  bucket: string,
  catalog: CatalogSnapshot,
): void {
  const prepared = prepareEvent(stored.event, catalog, stored.rating);
  for (const line of stored.rating.lines) {
    if (line.bucket !== bucket || line.absorbed !== undefined) continue;
    const contribution = prepared.contributions.find((one) => one.meter.key === line.meter);
    const hash = contribution?.distinct === undefined ? undefined : valueHash(contribution.distinct);
    accumulate(state, {
      aggregation: contribution?.meter.aggregation ?? 'sum',
      value: decimal(line.quantity),
      order: orderKey(prepared),
      secondsHeld: secondsBetween(stored.event.occurredAt, billingMonth(stored.event.occurredAt, 'UTC').to),
      isNewValue: hash !== undefined && !values.has(hash),
    });
    if (hash !== undefined) values.add(hash);
  }
}

/** Forgets the values of a unique bucket that no event holds any more. */
export async function keepValues(
  db: Queryable,
  environmentId: number,
  row: AccumulatorRow,
  bucket: string,
  values: ReadonlySet<string>,
): Promise<void> {
  await db.query(
    `delete from accumulator_value where environment_id = $1 and customer_id = $2::int8 and card_version_id = $3::int8
      and period = $4 and bucket = $5 and not value = any($6::uuid[])`,
    [environmentId, row.customerId, row.cardVersionId, row.period, bucket, uuidArray([...values])],
  );
}
