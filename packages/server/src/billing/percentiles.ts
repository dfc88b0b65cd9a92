import { type Decimal, decimal } from '@ergon/exact';
import { VOID_TYPE } from '../event/event.ts';
import { isTakeBack } from '../record/adjusting-event.ts';
import { standingEvents, type StoredEvent } from '../record/read-events.ts';
import { takenBackAmong } from '../record/standing.ts';
import type { EventRating } from '../record/types.ts';
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
  const values = new Values(meters);
  let ratings: StoredEvent[] = [];
  const take = async (): Promise<void> => {
    const identities = ratings.map(({ event }) => event.identity);
    const gone = await takenBackAmong(client, environmentId, identities);
    for (const { event, rating } of ratings) if (!gone.has(event.identity)) values.add(rating);
    ratings = [];
  };
  const customer = Number(subscription.customerId);
  for await (const stored of standingEvents(client, environmentId, customer, period.from, period.to)) {
    const { event, rating } = stored;
    if (event.type === VOID_TYPE || isTakeBack(event) || rating.period !== period.period) continue;
    if (rating.version === null || !wanted.has(rating.version)) continue;
    ratings.push(stored);
    if (ratings.length >= RATINGS_TOGETHER) await take();
  }
  await take();
  return values.percentiles();
}

/** Ratings whose standing is asked at once. */
const RATINGS_TOGETHER = 1_000;

/** The values of percentile meters by bucket; an event that was rated anew counts where its standing rating says. */
class Values {
  readonly #meters: ReadonlyMap<string, string>;
  readonly #buckets = new Map<string, { readonly percentile: string; readonly values: Decimal[] }>();

  constructor(meters: ReadonlyMap<string, string>) {
    this.#meters = meters;
  }

  add({ version, lines }: EventRating): void {
    for (const line of lines) {
      const percentile = this.#meters.get(line.meter);
      if (version === null || percentile === undefined || line.absorbed !== undefined) continue;
      const key = percentileKey(version, line.bucket);
      const known = this.#buckets.get(key);
      if (known === undefined) this.#buckets.set(key, { percentile, values: [decimal(line.quantity)] });
      else known.values.push(decimal(line.quantity));
    }
  }

  percentiles(): Percentiles {
    return new Map(
      [...this.#buckets].map(([key, { percentile, values }]): [string, PercentileValue] => [
        key,
        { value: percentileOf(values, percentile), values: values.length, percentile },
      ]),
    );
  }
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
