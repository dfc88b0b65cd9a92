import { captureEvent } from '../event/capture-event.ts';
import { microsFromPostgres } from '../event/instant.ts';
import { parseJsonExact } from '../event/canonical.ts';
import type { CapturedEvent } from '../event/event.ts';
import type { Queryable } from '../store/database.ts';
import { uuidArray } from '../store/pg-arrays.ts';
import { unpackLines } from './blocks.ts';
import { decodeRating } from './encode-rating.ts';
import type { EventRating } from './types.ts';

/** A recorded event as it was captured, with its rating. */
export type StoredEvent = {
  readonly event: CapturedEvent;
  readonly rating: EventRating;
  readonly blockId: bigint;
  readonly position: number;
  /** Microseconds since 1970. */
  readonly receivedAt: number;
};

type BlockRow = { id: bigint; received_at: string; events: Buffer; ratings: Buffer };

/** The events of one block, in order; positions that hold none are left out. */
export function eventsOfBlock(environmentId: number, row: BlockRow): StoredEvent[] {
  const events = unpackLines(row.events);
  const ratings = unpackLines(row.ratings);
  const receivedAt = microsFromPostgres(row.received_at);
  return events.flatMap((text, position) => {
    if (text === '') return [];
    const rating = decodeRating(ratings[position] ?? '');
    return {
      event: recapture(environmentId, text, rating.filledTime ?? receivedAt),
      rating,
      blockId: row.id,
      position,
      receivedAt,
    };
  });
}

/** Reads a stored body as it was read when it came; it was valid then. */
function recapture(environmentId: number, text: string, receivedAt: number): CapturedEvent {
  const captured = captureEvent(parseJsonExact(text), 0, { environmentId, receivedAt, oldest: 0, isStored: true });
  if (!captured.ok) throw new Error(`a stored event is not valid: ${captured.error.detail}`);
  return captured.event;
}

/** One event by its identity; `undefined` when there is none. */
export async function findStoredEvent(
  db: Queryable,
  environmentId: number,
  identity: string,
): Promise<StoredEvent | undefined> {
  const result = await db.query<BlockRow & { position: number }>({
    name: 'stored_event',
    text: `select b.id, b.received_at, b.events, b.ratings, i.position
      from identity i join event_block b on b.environment_id = $1 and b.id = i.block_id where i.key = $2::uuid`,
    values: [environmentId, identity],
  });
  const row = result.rows[0];
  if (row === undefined) return undefined;
  return eventsOfBlock(environmentId, row).find((stored) => stored.position === row.position);
}

/** Customer of the usage that names none: kept and metered, never rated. */
export const NOBODY = 0;

/** A customer's events that happened in `[from, to)` and are not voided, oldest block first, a few blocks at a time. */
export async function* standingEvents(
  db: Queryable,
  environmentId: number,
  customerId: number,
  from: number,
  to: number,
): AsyncGenerator<StoredEvent> {
  let after = 0n;
  for (;;) {
    const result = await db.query<BlockRow>({
      name: 'customer_events',
      text: `select b.id, b.received_at, b.events, b.ratings
        from customer_block c join event_block b on b.environment_id = c.environment_id and b.id = c.block_id
        where c.environment_id = $1 and c.customer_id = $2 and c.block_id > $3::int8
          and c.time_to >= to_timestamp($4::numeric / 1000000) and c.time_from < to_timestamp($5::numeric / 1000000)
        order by c.block_id limit 20`,
      values: [environmentId, customerId, after.toString(), from, to],
    });
    const found = result.rows.flatMap((row) =>
      eventsOfBlock(environmentId, row).filter(
        ({ event, rating }) =>
          (rating.customer ?? NOBODY) === customerId && event.occurredAt >= from && event.occurredAt < to,
      ),
    );
    const voided = await voidedAmong(db, environmentId, found);
    for (const stored of found) if (!voided.has(stored.event.identity)) yield stored;
    const last = result.rows.at(-1);
    if (last === undefined || result.rows.length < 20) return;
    after = last.id;
  }
}

/** Identities among those of `events` that an applied void names as its target. */
export async function voidedAmong(
  db: Queryable,
  environmentId: number,
  events: readonly StoredEvent[],
): Promise<Set<string>> {
  const result = await db.query<{ target: string }>({
    name: 'voided_among',
    text: `select replace(target::text, '-', '') as target from event_void
      where environment_id = $1 and target = any($2::uuid[]) and applied_at is not null`,
    values: [environmentId, uuidArray(events.map(({ event }) => event.identity))],
  });
  return new Set(result.rows.map((row) => row.target));
}
