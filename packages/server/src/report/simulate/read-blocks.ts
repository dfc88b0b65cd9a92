import { microsFromPostgres } from '../../event/instant.ts';
import type { Queryable } from '../../store/database.ts';
import type { FoldBlock } from './fold-messages.ts';

/** Which blocks may hold usage of the billing periods that began in a month. */
export type BlockSpan = {
  readonly environmentId: number;
  readonly customerId: number | undefined;
  /** Microseconds since 1970. */
  readonly from: number;
  readonly to: number;
};

const DAY_MICROS = 86_400_000_000;
/** A block is some hundred kilobytes; a page of them must not fill the memory of a service that has other things to do. */
const BLOCKS_PER_PAGE = 16;

/** A calendar month of any zone begins within two days of UTC's; a subscription's period lasts a year at most. */
export function blockSpan(
  environmentId: number,
  customerId: number | undefined,
  month: string,
  hasSubscriptions: boolean,
): BlockSpan {
  const first = Date.parse(`${month}-01T00:00:00Z`) * 1000;
  const days = 33 + (hasSubscriptions ? 370 : 0);
  return { environmentId, customerId, from: first - 2 * DAY_MICROS, to: first + days * DAY_MICROS };
}

const WHERE = `b.environment_id = $1 and b.time_to >= to_timestamp($2::numeric / 1000000) and b.time_from < to_timestamp($3::numeric / 1000000)
  and ($4::int8 is null or exists (select from customer_block c
    where c.environment_id = $1 and c.customer_id = $4::int8 and c.block_id = b.id))`;

function valuesOf({ environmentId, from, to, customerId }: BlockSpan): (number | null)[] {
  return [environmentId, from, to, customerId ?? null];
}

/** Events and customers that the blocks hold in all, for progress: more than the simulation will find to be of its month. */
export async function countBlocks(db: Queryable, span: BlockSpan): Promise<{ events: number; customers: number }> {
  const result = await db.query<{ events: bigint; customers: bigint }>(
    `select (select coalesce(sum(event_count), 0)::int8 from event_block b where ${WHERE}) as events,
       (select count(distinct customer_id) from customer_block where environment_id = $1 and customer_id <> 0
          and ($4::int8 is null or customer_id = $4::int8)
          and time_to >= to_timestamp($2::numeric / 1000000) and time_from < to_timestamp($3::numeric / 1000000)) as customers`,
    valuesOf(span),
  );
  const [row] = result.rows;
  return { events: Number(row?.events ?? 0), customers: Number(row?.customers ?? 0) };
}

type BlockRow = { id: bigint; received_at: string; event_count: number; events: string; ratings: string };

/** The blocks in the order in which their transactions began, with the positions that voids have taken back. */
export async function* readBlocks(
  db: Queryable,
  span: BlockSpan,
): AsyncGenerator<{ block: FoldBlock; eventCount: number }> {
  const voided = await voidedPositions(db, span);
  let after = -1n;
  let sequence = 0;
  const page = (): Promise<BlockRow[]> => db.query<BlockRow>(pageQuery(span, after)).then(({ rows }) => rows);
  let rows = await page();
  while (rows.length > 0) {
    after = rows.at(-1)?.id ?? after;
    // The next page travels while this one is priced.
    const following = rows.length < BLOCKS_PER_PAGE ? undefined : page();
    following?.catch(() => undefined);
    for (const row of rows) {
      const receivedAt = microsFromPostgres(row.received_at);
      const packed = { events: ownBytes(row.events), ratings: ownBytes(row.ratings) };
      const block = { sequence, receivedAt, ...packed, voided: voided.get(row.id) ?? [] };
      yield { block, eventCount: row.event_count };
      sequence += 1;
    }
    rows = (await following) ?? [];
  }
}

/** In memory of their own, which can be handed to a thread; Node keeps several small buffers in one. */
function ownBytes(base64: string): Uint8Array<ArrayBuffer> {
  const bytes = Buffer.from(base64, 'base64');
  return bytes.byteLength === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes);
}

/** In base64: the driver's hexadecimal is half as long again, and this is all of a month. */
function pageQuery(span: BlockSpan, after: bigint) {
  return {
    name: 'simulated_blocks',
    text: `select b.id, b.received_at, b.event_count, encode(b.events, 'base64') as events, encode(b.ratings, 'base64') as ratings from event_block b
      where ${WHERE} and b.id > $5::int8 order by b.id limit ${BLOCKS_PER_PAGE}`,
    values: [...valuesOf(span), after.toString()],
  };
}

async function voidedPositions(db: Queryable, { environmentId, from, to }: BlockSpan): Promise<Map<bigint, number[]>> {
  const result = await db.query<{ block_id: bigint; position: number }>(
    `select i.block_id, i.position from event_void v join identity i on i.key = v.target
       join event_block b on b.environment_id = v.environment_id and b.id = i.block_id
     where v.environment_id = $1 and v.applied_at is not null
       and b.time_to >= to_timestamp($2::numeric / 1000000) and b.time_from < to_timestamp($3::numeric / 1000000)`,
    [environmentId, from, to],
  );
  const positions = new Map<bigint, number[]>();
  for (const row of result.rows) {
    const known = positions.get(row.block_id);
    if (known === undefined) positions.set(row.block_id, [row.position]);
    else known.push(row.position);
  }
  return positions;
}
