import type { Queryable } from '../store/database.ts';
import { builtInMeter, MONEY_METERS } from './built-in-meters.ts';
import { meterSchema } from './custom-meter.ts';
import { findMeter } from './meter-store.ts';

/** Whether what a meter counts adds up event by event, as a budget's counter does: a count or a sum, built in or one's own. */
export async function addsUp(db: Queryable, environmentId: number, key: string): Promise<boolean> {
  if (MONEY_METERS.some((meter) => meter.key === key)) return false;
  if (builtInMeter(key) !== undefined) return true;
  return (await summedMeter(db, environmentId, key)) !== undefined;
}

/** A meter of one's own that counts or sums. */
export async function summedMeter(
  db: Queryable,
  environmentId: number,
  key: string,
): Promise<{ readonly id: bigint; readonly aggregation: 'count' | 'sum' } | undefined> {
  const row = await findMeter(db, environmentId, key);
  if (row === undefined) return undefined;
  const { aggregation } = meterSchema.parse(row.spec);
  return aggregation === 'count' || aggregation === 'sum' ? { id: row.id, aggregation } : undefined;
}
