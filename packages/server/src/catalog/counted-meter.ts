import type { Queryable } from '../store/database.ts';
import { builtInMeter, MONEY_METERS } from './built-in-meters.ts';
import { meterSchema } from './custom-meter.ts';
import { findMeter } from './meter-store.ts';

/** Whether what a meter counts adds up event by event, as a budget's counter does: a count or a sum, built in or one's own. */
export async function addsUp(db: Queryable, environmentId: number, key: string): Promise<boolean> {
  if (MONEY_METERS.some((meter) => meter.key === key)) return false;
  if (builtInMeter(key) !== undefined) return true;
  const row = await findMeter(db, environmentId, key);
  if (row === undefined) return false;
  const { aggregation } = meterSchema.parse(row.spec);
  return aggregation === 'count' || aggregation === 'sum';
}
