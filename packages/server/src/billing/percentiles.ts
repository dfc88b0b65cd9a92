import { type Decimal, decimal } from '@ergon/exact';
import { VOID_TYPE } from '../event/event.ts';
import { standingEvents } from '../record/read-events.ts';
import type { Queryable } from '../store/database.ts';
import type { PeriodRecord } from './period-store.ts';
import {
  NO_PERCENTILES,
  percentileKey,
  percentileOf,
  type Percentiles,
  type PercentileValue,
} from './percentile-value.ts';
import type { SettleContext } from './settle-period.ts';
import type { PeriodTotals } from './usage-owed.ts';

/**
 * What the percentile meters of a period come to, from its events: exact, and read only where a running total says that there
 * is something to read. The totals are locked, so no value comes in meanwhile; one that comes later is an adjustment.
 */
export async function periodPercentiles(
  { client, environmentId, subscription, catalog }: SettleContext,
  period: PeriodRecord,
  totals: readonly PeriodTotals[],
): Promise<Percentiles> {
  if (totals.length === 0) return NO_PERCENTILES;
  const meters = await percentileMeters(client, environmentId);
  if (meters.size === 0) return NO_PERCENTILES;
  const versions = new Map([...catalog.cards.values()].flat().map((version) => [version.id, version]));
  const wanted = new Set(
    totals.flatMap(({ cardVersionId }) =>
      versions.get(cardVersionId)?.card.prices.some(({ meter }) => meters.has(meter)) === true ? [cardVersionId] : [],
    ),
  );
  if (wanted.size === 0) return NO_PERCENTILES;
  const values = new Map<string, { readonly percentile: string; readonly values: Decimal[] }>();
  const customer = Number(subscription.customerId);
  for await (const { event, rating } of standingEvents(client, environmentId, customer, period.from, period.to)) {
    if (event.type === VOID_TYPE || rating.version === null || !wanted.has(rating.version)) continue;
    if (rating.period !== period.period) continue;
    for (const line of rating.lines) {
      const percentile = meters.get(line.meter);
      if (percentile === undefined || line.absorbed !== undefined) continue;
      const key = percentileKey(rating.version, line.bucket);
      const known = values.get(key);
      if (known === undefined) values.set(key, { percentile, values: [decimal(line.quantity)] });
      else known.values.push(decimal(line.quantity));
    }
  }
  return new Map(
    [...values].map(([key, { percentile, values: all }]): [string, PercentileValue] => [
      key,
      { value: percentileOf(all, percentile), values: all.length, percentile },
    ]),
  );
}

/** Deleted ones too: what they measured before is still owed. */
async function percentileMeters(db: Queryable, environmentId: number): Promise<Map<string, string>> {
  const result = await db.query<{ key: string; percentile: string }>(
    `select key, spec ->> 'percentile' as percentile from meter
     where environment_id = $1 and spec ->> 'aggregation' = 'percentile'`,
    [environmentId],
  );
  return new Map(result.rows.map((row) => [row.key, row.percentile]));
}
