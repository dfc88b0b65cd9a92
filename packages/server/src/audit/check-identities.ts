import type { Queryable } from '../store/database.ts';
import { uuidArray } from '../store/pg-arrays.ts';
import type { Differences } from './differences.ts';
import type { BlockEvent } from './read-blocks.ts';

type IdentityRow = { key: string; body: string; block_id: bigint; position: number };

/** Each event has its identity row, which names its block, its position and the hash of its body. */
export async function checkIdentities(
  db: Queryable,
  events: readonly BlockEvent[],
  differences: Differences,
): Promise<void> {
  const result = await db.query<IdentityRow>({
    name: 'audit_identities',
    text: `select replace(key::text, '-', '') as key, replace(body::text, '-', '') as body, block_id, position
      from identity where key = any($1::uuid[])`,
    values: [uuidArray(events.map(({ event }) => event.identity))],
  });
  const rows = Map.groupBy(result.rows, (row) => row.key);
  for (const { event, blockId, position } of events) {
    const expected = `${blockId}/${position} ${event.bodyHash}`;
    const found = (rows.get(event.identity) ?? []).map((row) => `${row.block_id}/${row.position} ${row.body}`);
    if (found.length !== 1 || found[0] !== expected)
      differences.add('identity', `${event.source}/${event.id}`, expected, found.join(', ') || 'none');
  }
}

/** As many identities as events in every block: with the check above, no identity is without its event. */
export async function checkIdentityCounts(
  db: Queryable,
  environmentId: number,
  differences: Differences,
): Promise<void> {
  const result = await db.query<{ id: bigint; event_count: number; identities: bigint }>(
    `select b.id, b.event_count, coalesce(i.identities, 0) as identities
     from event_block b left join (select block_id, count(*) as identities from identity group by block_id) i on i.block_id = b.id
     where b.environment_id = $1 and b.event_count <> coalesce(i.identities, 0) order by b.id`,
    [environmentId],
  );
  for (const row of result.rows)
    differences.add('identity', `block ${row.id}`, `${row.event_count} identities`, `${row.identities}`);
}
