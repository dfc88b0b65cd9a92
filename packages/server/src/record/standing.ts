import type { Queryable } from '../store/database.ts';
import { int8Array, uuidArray } from '../store/pg-arrays.ts';
import { eventsOfBlock, type StoredEvent } from './read-events.ts';
import type { EventRating } from './types.ts';

/** How one event is rated now: its own rating and what re-ratings made of it since. */
export type Standing = {
  /** Ratings whose lines stand: the event's own, or adjusting records; oldest first. */
  readonly ratings: readonly StoredEvent[];
  /** What has no price now: as its latest rating says. */
  readonly unrated: EventRating['unrated'];
  /** Every adjusting record of it, those taken back and the take-backs among them, oldest first. */
  readonly records: readonly StoredEvent[];
};

type AdjustmentRow = { record: string; target: string; takes_back: string | null; block_id: bigint; position: number };

/** How events are rated now, by identity. Costs one statement where none of them was re-rated. */
export async function standingOf(
  db: Queryable,
  environmentId: number,
  events: readonly StoredEvent[],
): Promise<ReadonlyMap<string, Standing>> {
  const rows = await adjustmentsOf(
    db,
    environmentId,
    events.map(({ event }) => event.identity),
  );
  const records = await recordsOf(db, environmentId, rows);
  const takenBack = new Set(rows.flatMap((row) => row.takes_back ?? []));
  const byTarget = new Map<string, AdjustmentRow[]>();
  for (const row of rows) byTarget.set(row.target, [...(byTarget.get(row.target) ?? []), row]);
  const standing = new Map<string, Standing>();
  for (const stored of events) {
    const { identity } = stored.event;
    const own = byTarget.get(identity) ?? [];
    const ratings = own.filter((row) => row.takes_back === null).flatMap((row) => records.get(row.record) ?? []);
    standing.set(identity, {
      ratings: [stored, ...ratings].filter(({ event }) => !takenBack.has(event.identity)),
      unrated: (ratings.at(-1) ?? stored).rating.unrated,
      records: own.flatMap((row) => records.get(row.record) ?? []),
    });
  }
  return standing;
}

/** Those of the ratings, by the identity of event or record, that were taken back. */
export async function takenBackAmong(
  db: Queryable,
  environmentId: number,
  identities: readonly string[],
): Promise<ReadonlySet<string>> {
  const result = await db.query<{ identity: string }>({
    name: 'taken_back_among',
    text: `select replace(takes_back::text, '-', '') as identity from event_adjustment
      where environment_id = $1 and takes_back = any($2::uuid[])`,
    values: [environmentId, uuidArray(identities)],
  });
  return new Set(result.rows.map((row) => row.identity));
}

/** The adjusting record that rated each event last, by identity; events that none rated are left out. */
export async function latestRecords(
  db: Queryable,
  environmentId: number,
  identities: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const rows = await adjustmentsOf(db, environmentId, identities);
  return new Map(rows.filter((row) => row.takes_back === null).map((row) => [row.target, row.record]));
}

async function adjustmentsOf(
  db: Queryable,
  environmentId: number,
  identities: readonly string[],
): Promise<AdjustmentRow[]> {
  const result = await db.query<AdjustmentRow>({
    name: 'adjustments_of',
    text: `select replace(record::text, '-', '') as record, replace(target::text, '-', '') as target,
        replace(takes_back::text, '-', '') as takes_back, block_id, position
      from event_adjustment where environment_id = $1 and target = any($2::uuid[]) order by block_id, position`,
    values: [environmentId, uuidArray(identities)],
  });
  return result.rows;
}

/** The adjusting records themselves, by identity. */
async function recordsOf(
  db: Queryable,
  environmentId: number,
  rows: readonly AdjustmentRow[],
): Promise<ReadonlyMap<string, StoredEvent>> {
  const found = new Map<string, StoredEvent>();
  if (rows.length === 0) return found;
  const wanted = new Set(rows.map((row) => row.record));
  const blocks = [...new Set(rows.map((row) => Number(row.block_id)))];
  const result = await db.query<{ id: bigint; received_at: string; events: Buffer; ratings: Buffer }>({
    name: 'adjusting_blocks',
    text: 'select id, received_at, events, ratings from event_block where environment_id = $1 and id = any($2::int8[])',
    values: [environmentId, int8Array(blocks)],
  });
  for (const row of result.rows)
    for (const stored of eventsOfBlock(environmentId, row))
      if (wanted.has(stored.event.identity)) found.set(stored.event.identity, stored);
  return found;
}
