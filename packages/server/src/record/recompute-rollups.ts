import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import type { Client } from '../store/database.ts';
import { instantArray } from '../store/pg-arrays.ts';
import type { Attributed } from './attributed.ts';
import { DimensionSets } from './dimension-sets.ts';
import { prepareEvent } from './prepare.ts';
import { orderKey } from './rate-group.ts';
import { NOBODY, standingEvents } from './read-events.ts';
import { MINUTE_MICROS, minuteOf, RollupSums } from './rollups.ts';
import { valueHash } from './value-hash.ts';

type Cell = { readonly customerId: number; readonly minute: number };

/**
 * Custom meters keep extremes, latest values and distinct values, which cannot be taken back one by one: the rows of every
 * minute that a void touches are written anew from the events left in it.
 */
export async function recomputeMeterRollups(
  client: Client,
  environmentId: number,
  catalog: CatalogSnapshot,
  voids: readonly (Attributed | null)[],
): Promise<void> {
  const cells = new Map<string, Cell>();
  for (const one of voids) {
    if (one?.reverses === undefined || one.reverses.prepared.contributions.length === 0) continue;
    const customerId = one.customer?.id ?? NOBODY;
    const minute = minuteOf(one.reverses.stored.event.occurredAt);
    cells.set(`${customerId}|${minute}`, { customerId, minute });
  }
  for (const cell of cells.values()) await recomputeCell(client, environmentId, catalog, cell);
}

async function recomputeCell(
  client: Client,
  environmentId: number,
  catalog: CatalogSnapshot,
  cell: Cell,
): Promise<void> {
  const { customerId, minute } = cell;
  for (const table of ['meter_rollup', 'meter_value']) {
    await client.query(
      `delete from ${table} where environment_id = $1 and customer_id = $2::int8 and minute = ($3::timestamptz[])[1]
        and meter_id = any($4::int8[])`,
      [environmentId, customerId, instantArray([minute]), catalog.meters.map((meter) => meter.id)],
    );
  }
  const sums = new RollupSums();
  const sets = new DimensionSets();
  for await (const stored of standingEvents(client, environmentId, customerId, minute, minute + MINUTE_MICROS)) {
    const { event, rating } = stored;
    const prepared = prepareEvent(event, catalog, rating);
    // A meter counts from its creation on: an event recorded before it gave it nothing, and gives it nothing now.
    const recorded = new Set(rating.quantities.map(([meter]) => meter));
    for (const contribution of prepared.contributions) {
      if (!recorded.has(contribution.meter.key)) continue;
      const value = contribution.distinct === undefined ? undefined : valueHash(contribution.distinct);
      const set = sets.group(contribution.group);
      sums.addContribution(contribution, customerId, event.occurredAt, orderKey(prepared), set.id, value);
    }
  }
  await Promise.all(sums.write(client, environmentId));
}
