import { captureEvent } from '../event/capture-event.ts';
import { parseJsonExact } from '../event/canonical.ts';
import { type CapturedEvent, VOID_TYPE } from '../event/event.ts';
import { microsFromPostgres } from '../event/instant.ts';
import { mayAdjust } from '../record/adjusting-event.ts';
import { unpackLines } from '../record/blocks.ts';
import { decodeRating } from '../record/encode-rating.ts';
import type { EventRating } from '../record/types.ts';
import type { Queryable } from '../store/database.ts';
import { cursorRows } from './cursor-rows.ts';
import type { Differences } from './differences.ts';
import { hasCustomer, type Partition } from './partition.ts';

/** One recorded event, read back from its block. */
export type BlockEvent = {
  readonly event: CapturedEvent;
  readonly rating: EventRating;
  readonly blockId: bigint;
  readonly position: number;
  /** Microseconds since 1970. */
  readonly receivedAt: number;
};

type BlockRow = { id: bigint; received_at: string; event_count: number; events: Buffer; ratings: Buffer };
type Lines = { readonly events: readonly string[]; readonly ratings: readonly string[] };

/** Events handled between two looks at the database: some 20 ms, after which other requests get their turn. */
const EVENTS_PER_SLICE = 500;
const BLOCKS_PER_FETCH = 10;

export type Counts = { events: number; blocks: number };

/**
 * Every event of the environment that this pass looks at, in slices, oldest block first. The first pass also reports blocks
 * and events that cannot be read.
 */
export async function* readBlocks(
  db: Queryable,
  environmentId: number,
  partition: Partition,
  differences: Differences,
  counts: Counts,
): AsyncGenerator<BlockEvent[]> {
  const isFirst = partition.index === 0;
  let slice: BlockEvent[] = [];
  const rows = cursorRows<BlockRow>(
    db,
    'audit_blocks',
    'select id, received_at, event_count, events, ratings from event_block where environment_id = $1 order by id',
    [environmentId],
    BLOCKS_PER_FETCH,
  );
  for await (const row of rows) {
    const lines = linesOf(row, isFirst ? differences : undefined);
    if (isFirst) counts.blocks += 1;
    if (lines === undefined) continue;
    const receivedAt = microsFromPostgres(row.received_at);
    for (const [position, text] of lines.events.entries()) {
      if (text === '') continue;
      if (isFirst) counts.events += 1;
      const rating = lines.ratings[position] ?? '';
      if (!isFirst && !isWanted(partition, text, rating)) continue;
      const read = readEvent(environmentId, row.id, position, receivedAt, text, rating);
      if (typeof read !== 'string') slice.push(read);
      else if (isFirst) differences.add('event', `${row.id}/${position}`, 'a valid event and rating', read);
      if (slice.length < EVENTS_PER_SLICE) continue;
      yield slice;
      slice = [];
    }
  }
  if (slice.length > 0) yield slice;
}

function linesOf(row: BlockRow, differences: Differences | undefined): Lines | undefined {
  try {
    const lines = { events: unpackLines(row.events), ratings: unpackLines(row.ratings) };
    const kept = lines.events.filter((line) => line !== '').length;
    if (kept !== row.event_count) differences?.add('block', String(row.id), `${row.event_count} events`, `${kept}`);
    if (lines.ratings.length !== lines.events.length)
      differences?.add('block', String(row.id), `${lines.events.length} ratings`, `${lines.ratings.length}`);
    return lines;
  } catch (error) {
    differences?.add('block', String(row.id), 'two compressed texts', messageOf(error));
    return undefined;
  }
}

/** Ratings begin with their customer: most events of other parts are passed over without being parsed. */
function isWanted(partition: Partition, event: string, rating: string): boolean {
  const customer = /^\{"c":(\d+)/.exec(rating)?.[1] ?? '0';
  const mayConcernRuns = event.includes('"run_id"') || event.includes(`"${VOID_TYPE}"`) || mayAdjust(event);
  return mayConcernRuns || hasCustomer(partition, Number(customer));
}

/** The event, or why it cannot be read. */
function readEvent(
  environmentId: number,
  blockId: bigint,
  position: number,
  blockReceivedAt: number,
  text: string,
  ratingText: string,
): BlockEvent | string {
  try {
    const rating = decodeRating(ratingText);
    const receivedAt = rating.filledTime ?? blockReceivedAt;
    const context = { environmentId, receivedAt, oldest: 0, isStored: true };
    const captured = captureEvent(parseJsonExact(text), 0, context);
    if (!captured.ok) return captured.error.detail;
    return { event: captured.event, rating, blockId, position, receivedAt: blockReceivedAt };
  } catch (error) {
    return messageOf(error);
  }
}

/** Events by where they are; what is not there or cannot be read is left out. */
export async function readPositions(
  db: Queryable,
  environmentId: number,
  places: readonly { readonly blockId: bigint; readonly position: number }[],
): Promise<BlockEvent[]> {
  const found: BlockEvent[] = [];
  for (const blockId of new Set(places.map((place) => place.blockId))) {
    const result = await db.query<BlockRow>(
      'select id, received_at, event_count, events, ratings from event_block where environment_id = $1 and id = $2',
      [environmentId, blockId],
    );
    const [row] = result.rows;
    const lines = row === undefined ? undefined : linesOf(row, undefined);
    if (row === undefined || lines === undefined) continue;
    const receivedAt = microsFromPostgres(row.received_at);
    for (const { position } of places.filter((place) => place.blockId === blockId)) {
      const text = lines.events[position] ?? '';
      const read = readEvent(environmentId, blockId, position, receivedAt, text, lines.ratings[position] ?? '');
      if (typeof read !== 'string') found.push(read);
    }
  }
  return found;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
