import type { Currency } from '@ergon/exact';
import { createCallWatch } from '@ergon/usage';
import { CustomerCache } from '../catalog/customers.ts';
import { type CatalogSnapshot, catalogRevision, loadSnapshot } from '../catalog/snapshot.ts';
import { Generations } from '../identity/index.ts';
import type { Database } from '../store/database.ts';
import { DimensionSets } from './dimension-sets.ts';
import type { CostSource, RecordServices } from './record-services.ts';

/** The caches and look-ups behind the transaction, one set per process. */
export function recordServices(database: Database, costOf: CostSource): RecordServices {
  const snapshots = new Map<number, CatalogSnapshot>();
  const revenue = new Map<string, Promise<number>>();
  const load = async (environmentId: number): Promise<CatalogSnapshot> => {
    const loaded = await loadSnapshot(database.pool, environmentId);
    remember(loaded);
    return loaded;
  };
  const remember = (snapshot: CatalogSnapshot): void => {
    const known = snapshots.get(snapshot.environmentId);
    if (known === undefined || known.revision < snapshot.revision) snapshots.set(snapshot.environmentId, snapshot);
  };
  return {
    customers: new CustomerCache(),
    generations: new Generations(),
    dimensionSets: new DimensionSets(),
    knownRows: new Set(),
    grantFacts: new Map(),
    costOf,
    watch: createCallWatch(),
    knownCatalog: (environmentId) => snapshots.get(environmentId),
    catalog: async (environmentId) => snapshots.get(environmentId) ?? load(environmentId),
    async currentCatalog(environmentId) {
      const known = snapshots.get(environmentId);
      const isCurrent = known !== undefined && known.revision === (await catalogRevision(database.pool, environmentId));
      return isCurrent ? known : load(environmentId);
    },
    rememberCatalog: remember,
    revenueAccount(environmentId, currency) {
      const key = `${environmentId}|${currency}`;
      let id = revenue.get(key);
      if (id === undefined) {
        id = houseAccount(database, environmentId, 'revenue', currency);
        id.catch(() => revenue.delete(key));
        revenue.set(key, id);
      }
      return id;
    },
  };
}

/** One of the environment's own accounts, created when first asked for. On a connection of its own, aside: it never rolls back. */
export async function houseAccount(
  database: Database,
  environmentId: number,
  kind: 'revenue' | 'paid_in' | 'promotion' | 'breakage' | 'rounding',
  currency: Currency,
): Promise<number> {
  await database.aside.query(
    `insert into account (environment_id, kind, currency) values ($1, $2, $3) on conflict do nothing`,
    [environmentId, kind, currency],
  );
  const result = await database.aside.query<{ id: bigint }>(
    'select id from account where environment_id = $1 and kind = $2 and currency = $3 and customer_id is null',
    [environmentId, kind, currency],
  );
  const id = result.rows[0]?.id;
  if (id === undefined) throw new Error(`no ${kind} account in ${currency}`);
  return Number(id);
}
