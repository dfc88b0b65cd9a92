import { loadSnapshot } from '../catalog/snapshot.ts';
import type { Client, Database } from '../store/database.ts';
import { prepareEvent } from './prepare.ts';
import { eventsOfBlock, NOBODY, voidedAmong } from './read-events.ts';
import { UnratedSums } from './unrated.ts';

const BLOCKS_A_TURN = 200;

/**
 * Sums up the unrated usage of blocks that were recorded before it was kept, newest first, a bounded number in each
 * transaction. Run before the service answers, so that whoever takes something out finds it there.
 */
export async function fillUnrated(database: Database): Promise<void> {
  for (;;) {
    const isDone = await database.transaction(fillSome);
    if (isDone) return;
  }
}

type FillRow = { environment_id: number; through_block: bigint };
type BlockRow = { id: bigint; received_at: string; events: Buffer; ratings: Buffer };

/** @returns true when nothing is left. */
async function fillSome(client: Client): Promise<boolean> {
  const open = await client.query<FillRow>(
    'select environment_id, through_block from unrated_fill order by environment_id limit 1 for update',
  );
  const [fill] = open.rows;
  if (fill === undefined) return true;
  const environmentId = fill.environment_id;
  const blocks = await client.query<BlockRow>(
    `select id, received_at, events, ratings from event_block where environment_id = $1 and id <= $2
     order by id desc limit ${BLOCKS_A_TURN}`,
    [environmentId, fill.through_block],
  );
  const catalog = await loadSnapshot(client, environmentId);
  const sums = new UnratedSums();
  for (const row of blocks.rows) {
    const unrated = eventsOfBlock(environmentId, row).filter(({ rating }) => rating.unrated.length > 0);
    const voided = await voidedAmong(client, environmentId, unrated);
    for (const { event, rating } of unrated) {
      if (voided.has(event.identity)) continue;
      const { model } = prepareEvent(event, catalog, rating).dimensions;
      sums.add({ customerId: rating.customer ?? NOBODY, model, occurredAt: event.occurredAt }, rating.unrated);
    }
  }
  await Promise.all(sums.write(client, environmentId));
  const last = blocks.rows.at(-1);
  if (last === undefined || blocks.rows.length < BLOCKS_A_TURN) {
    await client.query('delete from unrated_fill where environment_id = $1', [environmentId]);
  } else {
    await client.query('update unrated_fill set through_block = $2 where environment_id = $1', [
      environmentId,
      (last.id - 1n).toString(),
    ]);
  }
  return false;
}
