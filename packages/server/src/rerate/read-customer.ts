import { VOID_TYPE } from '../event/event.ts';
import { isAdjusting } from '../record/adjusting-event.ts';
import { eventsOfBlock, type StoredEvent, voidedAmong } from '../record/read-events.ts';
import type { Queryable } from '../store/database.ts';
import { instantArray } from '../store/pg-arrays.ts';
import type { Rerate } from './rerate-store.ts';

/** The customer after `atCustomer` that the re-rating may concern, by number; `undefined` when there is none left. */
export async function nextCustomer(db: Queryable, rerate: Rerate): Promise<number | undefined> {
  const { environmentId, customerIds, onlyUnrated, atCustomer, from, to } = rerate;
  if (customerIds !== null) {
    const left = customerIds.filter((id) => id > atCustomer);
    return left.length === 0 ? undefined : Math.min(...left);
  }
  const result = onlyUnrated
    ? await db.query<{ id: bigint | null }>(
        `select min(customer_id) as id from unrated_usage where environment_id = $1 and customer_id > $2::int8 and event_count > 0
           and minute >= date_trunc('minute', ($3::timestamptz[])[1]) and minute < ($3::timestamptz[])[2]`,
        [environmentId, atCustomer, instantArray([from, to])],
      )
    : await db.query<{ id: bigint | null }>(
        'select min(customer_id) as id from customer_block where environment_id = $1 and customer_id > $2::int8',
        [environmentId, atCustomer],
      );
  const id = result.rows[0]?.id ?? null;
  return id === null ? undefined : Number(id);
}

const BLOCKS_A_READ = 10;

type BlockRow = { id: bigint; received_at: string; events: Buffer; ratings: Buffer };

export type CustomerPart = {
  /** Events that the re-rating may adjust: no voids, no adjusting records, none that was voided. */
  readonly events: readonly StoredEvent[];
  /** Events read in all, without voids and adjusting records. */
  readonly examined: number;
  readonly lastBlock: bigint;
  /** The customer has no block after these. */
  readonly isLast: boolean;
};

/** A customer's next blocks, until they hold `eventsMax` events: blocks are never cut. */
export async function readPart(
  db: Queryable,
  rerate: Rerate,
  customerId: number,
  afterBlock: bigint,
  eventsMax: number,
): Promise<CustomerPart> {
  const found: StoredEvent[] = [];
  let lastBlock = afterBlock;
  let [read, examined] = [0, 0];
  while (read < eventsMax) {
    const result = await db.query<BlockRow>({
      name: 'rerate_blocks',
      text: `select b.id, b.received_at, b.events, b.ratings
        from customer_block c join event_block b on b.environment_id = c.environment_id and b.id = c.block_id
        where c.environment_id = $1 and c.customer_id = $2 and c.block_id > $3::int8
          and c.time_to >= ($4::timestamptz[])[1] and c.time_from < ($4::timestamptz[])[2]
        order by c.block_id limit ${BLOCKS_A_READ}`,
      values: [rerate.environmentId, customerId, lastBlock.toString(), instantArray([rerate.from, rerate.to])],
    });
    for (const row of result.rows) {
      const own = eventsOfBlock(rerate.environmentId, row).filter(({ rating }) => rating.customer === customerId);
      read += own.length;
      examined += own.filter(({ event }) => isUsage(event)).length;
      lastBlock = row.id;
      found.push(...own.filter((stored) => concerns(rerate, stored)));
      if (read >= eventsMax) break;
    }
    const isWhole = result.rows.length === 0 || result.rows.at(-1)?.id === lastBlock;
    if (isWhole && result.rows.length < BLOCKS_A_READ)
      return { events: await unvoided(db, rerate, found), examined, lastBlock, isLast: true };
  }
  return { events: await unvoided(db, rerate, found), examined, lastBlock, isLast: false };
}

function concerns({ from, to, meters }: Rerate, { event, rating }: StoredEvent): boolean {
  if (!isUsage(event)) return false;
  if (event.occurredAt < from || event.occurredAt >= to) return false;
  return meters === null || rating.quantities.some(([meter]) => meters.includes(meter));
}

function isUsage(event: StoredEvent['event']): boolean {
  return event.type !== VOID_TYPE && !isAdjusting(event);
}

async function unvoided(db: Queryable, { environmentId }: Rerate, events: readonly StoredEvent[]) {
  const voided = await voidedAmong(db, environmentId, events);
  return events.filter(({ event }) => !voided.has(event.identity));
}
