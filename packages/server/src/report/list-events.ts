import { parseInstant, microsFromPostgres } from '../event/instant.ts';
import { cursorAfter, cursorPosition } from '../http/cursor.ts';
import { LIMITS } from '../limits.ts';
import { unpackLines } from '../record/blocks.ts';
import { decodeRating } from '../record/encode-rating.ts';
import type { EventRating } from '../record/types.ts';
import type { Queryable } from '../store/database.ts';
import { instantArray } from '../store/pg-arrays.ts';
import { badParameter, StatementValues } from './parameters.ts';

/** Every member that is there must match; instants in microseconds since 1970, `[from, to)` of the event's time. */
export type EventFilter = {
  readonly customer?: string | undefined;
  readonly type?: string | undefined;
  readonly source?: string | undefined;
  readonly provider?: string | undefined;
  readonly model?: string | undefined;
  readonly feature?: string | undefined;
  readonly user?: string | undefined;
  readonly run?: string | undefined;
  readonly status?: string | undefined;
  readonly from?: number | undefined;
  readonly to?: number | undefined;
  /** Events of which something had no price when they were recorded; of this meter and for this reason. */
  readonly unrated?: { readonly meter?: string | undefined; readonly reason?: string | undefined };
};

/** A recorded event, read no further than a list needs. */
export type ListedEvent = {
  readonly text: string;
  readonly type: string;
  readonly source: string;
  readonly id: string;
  readonly rating: EventRating;
  readonly blockId: bigint;
  readonly position: number;
  readonly receivedAt: number;
};

type Page = { readonly limit: number; readonly cursor: string | undefined };
type Place = { readonly block: bigint; readonly position: number };
type BlockRow = { id: bigint; received_at: string; event_count: number; events: Buffer; ratings: Buffer };

const BLOCKS_A_READ = 10;

/**
 * Events, latest block first and within it the latest position first. Stops at the page's limit or when it has read as much
 * as one request may; then the cursor says where to go on.
 */
export async function listEvents(
  db: Queryable,
  environmentId: number,
  filter: EventFilter,
  { limit, cursor }: Page,
): Promise<{ readonly found: readonly ListedEvent[]; readonly nextCursor: string | null }> {
  const found: ListedEvent[] = [];
  const customerId =
    filter.customer === undefined ? undefined : await customerNumber(db, environmentId, filter.customer);
  if (customerId === null) return { found, nextCursor: null };
  let below = placeOf(cursor);
  let blocks = 0;
  let events = 0;
  for (;;) {
    const rows = await readBlocks(db, environmentId, customerId, filter, below);
    for (const row of rows) {
      for (const event of matching(row, filter, customerId, below)) {
        if (found.length === limit) return { found, nextCursor: after(found.at(-1)) };
        found.push(event);
      }
      below = { block: row.id, position: 0 };
      blocks += 1;
      events += row.event_count;
      if (blocks >= LIMITS.blocksScannedMax || events >= LIMITS.eventsScannedMax) {
        return { found, nextCursor: cursorAfter('events', `${row.id}.0`) };
      }
    }
    if (rows.length < BLOCKS_A_READ) return { found, nextCursor: null };
  }
}

function after(event: ListedEvent | undefined): string | null {
  return event === undefined ? null : cursorAfter('events', `${event.blockId}.${event.position}`);
}

function placeOf(cursor: string | undefined): Place | undefined {
  const text = cursorPosition('events', cursor);
  if (text === undefined) return undefined;
  const [, block, position] = /^(\d{1,18})\.(\d{1,9})$/.exec(text) ?? [];
  if (block === undefined) throw badParameter('cursor', 'not a cursor of this list', 'pass next_cursor unchanged');
  return { block: BigInt(block), position: Number(position) };
}

/** Null: there is no such customer, so there are no events. */
async function customerNumber(db: Queryable, environmentId: number, externalId: string): Promise<number | null> {
  const result = await db.query<{ id: bigint }>(
    'select id from customer where environment_id = $1 and external_id = $2',
    [environmentId, externalId],
  );
  const [row] = result.rows;
  return row === undefined ? null : Number(row.id);
}

/** Blocks whose span of event times meets the filter's; with a customer only its blocks, by its own spans in them. */
async function readBlocks(
  db: Queryable,
  environmentId: number,
  customerId: number | undefined,
  { from, to }: EventFilter,
  below: Place | undefined,
): Promise<BlockRow[]> {
  const values = new StatementValues();
  const environment = values.add(environmentId, 'int4');
  const s = customerId === undefined ? 'b' : 'k';
  const conditions = [`b.environment_id = ${environment}`];
  if (customerId !== undefined) conditions.push(`k.customer_id = ${values.add(customerId, 'int8')}`);
  if (from !== undefined) conditions.push(`${s}.time_to >= (${values.add(instantArray([from]), 'timestamptz[]')})[1]`);
  if (to !== undefined) conditions.push(`${s}.time_from < (${values.add(instantArray([to]), 'timestamptz[]')})[1]`);
  // Position 0 has nothing below it, so its block is done.
  if (below !== undefined) {
    const operator = below.position === 0 ? '<' : '<=';
    const id = customerId === undefined ? 'b.id' : 'k.block_id';
    conditions.push(`${id} ${operator} ${values.add(below.block.toString(), 'int8')}`);
  }
  const joined =
    customerId === undefined
      ? ''
      : 'join customer_block k on k.environment_id = b.environment_id and k.block_id = b.id';
  const result = await db.query<BlockRow>(
    `select b.id, b.received_at, b.event_count, b.events, b.ratings from event_block b ${joined}
     where ${conditions.join(' and ')} order by ${customerId === undefined ? 'b.id' : 'k.block_id'} desc
     limit ${BLOCKS_A_READ}`,
    values.values,
  );
  return result.rows;
}

type Body = {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly time?: string;
  readonly data: Readonly<Record<string, unknown>>;
};

function* matching(
  row: BlockRow,
  filter: EventFilter,
  customerId: number | undefined,
  below: Place | undefined,
): Generator<ListedEvent> {
  const texts = unpackLines(row.events);
  const ratings = unpackLines(row.ratings);
  const receivedAt = microsFromPostgres(row.received_at);
  const end = below?.block === row.id ? Math.min(below.position, texts.length) : texts.length;
  for (let position = end - 1; position >= 0; position -= 1) {
    const text = texts[position] ?? '';
    if (text === '') continue;
    // The text is our own, so its shape is trusted.
    const body = JSON.parse(text) as Body;
    if (!bodyMatches(body, filter)) continue;
    const rating = decodeRating(ratings[position] ?? '');
    if (customerId !== undefined && rating.customer !== customerId) continue;
    if (filter.unrated !== undefined && !isUnrated(rating, filter.unrated)) continue;
    const occurredAt = parseInstant(body.time ?? '') ?? rating.filledTime ?? receivedAt;
    if (filter.from !== undefined && occurredAt < filter.from) continue;
    if (filter.to !== undefined && occurredAt >= filter.to) continue;
    yield { text, type: body.type, source: body.source, id: body.id, rating, blockId: row.id, position, receivedAt };
  }
}

function isUnrated({ unrated }: EventRating, wanted: NonNullable<EventFilter['unrated']>): boolean {
  return unrated.some(
    ([meter, , reason]) =>
      (wanted.meter === undefined || wanted.meter === meter) &&
      (wanted.reason === undefined || wanted.reason === reason),
  );
}

const DATA_FILTERS = [
  ['provider', 'provider'],
  ['model', 'model'],
  ['feature', 'feature'],
  ['user', 'user'],
  ['run', 'run_id'],
] as const;

function bodyMatches({ type, source, data }: Body, filter: EventFilter): boolean {
  if (filter.type !== undefined && type !== filter.type) return false;
  if (filter.source !== undefined && source !== filter.source) return false;
  if (filter.status !== undefined && (data.status ?? 'ok') !== filter.status) return false;
  return DATA_FILTERS.every(([name, field]) => filter[name] === undefined || data[field] === filter[name]);
}
