import { add, decimal, equals, toText, ZERO } from '@ergon/exact';
import { plainDimension } from '../record/dimension-sets.ts';
import type { PreparedEvent } from '../record/prepare.ts';
import { NOBODY } from '../record/read-events.ts';
import { minuteOf } from '../record/rollups.ts';
import type { Queryable } from '../store/database.ts';
import { cursorRows } from './cursor-rows.ts';
import type { Differences } from './differences.ts';
import { entryOf, type Expected, type UnratedSum } from './expected.ts';
import type { Partition } from './partition.ts';
import type { AuditedEvent } from './audited-event.ts';

/** Adds what of the event no price was found for, up to now. */
export function foldUnrated(expected: Expected, one: AuditedEvent, counted: PreparedEvent): void {
  const owner = one.rating.customer ?? NOBODY;
  const model = plainDimension(counted.dimensions.model) ?? '';
  for (const [meter, quantity, reason] of one.unratedNow) {
    const key = `${owner}|${meter}|${reason}|${model}|${minuteOf(one.event.occurredAt)}`;
    const sum = entryOf(expected.unrated, key, (): UnratedSum => ({ events: 0, quantity: ZERO }));
    sum.events += 1;
    sum.quantity = add(sum.quantity, decimal(quantity));
  }
}

/** @returns rows compared. */
export async function compareUnrated(
  db: Queryable,
  environmentId: number,
  partition: Partition,
  expected: Expected,
  differences: Differences,
): Promise<number> {
  const rows = cursorRows<{ key: string; event_count: bigint; quantity: string }>(
    db,
    'audit_unrated',
    `select customer_id || '|' || meter || '|' || reason || '|' || model || '|' || (extract(epoch from minute) * 1000000)::int8 as key,
       event_count, quantity::text as quantity
     from unrated_usage where environment_id = $1 and customer_id % $2::int8 = $3::int8`,
    [environmentId, partition.count, partition.index],
  );
  let count = 0;
  for await (const { key, event_count, quantity } of rows) {
    count += 1;
    const sum = expected.unrated.get(key) ?? { events: 0, quantity: ZERO };
    expected.unrated.delete(key);
    if (sum.events !== Number(event_count) || !equals(sum.quantity, decimal(quantity)))
      differences.add('unrated usage', key, textOf(sum), `${event_count} events, ${quantity}`);
  }
  for (const [key, sum] of expected.unrated)
    if (sum.events !== 0) differences.add('unrated usage', key, textOf(sum), 'no row');
  return count;
}

function textOf({ events, quantity }: UnratedSum): string {
  return `${events} events, ${toText(quantity)}`;
}
