import type { Currency, Decimal } from '@ergon/exact';
import type { CallWatch } from '@ergon/usage';
import type { CustomerCache } from '../catalog/customers.ts';
import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import type { Generations } from '../identity/index.ts';
import type { DimensionSets } from './dimension-sets.ts';
import type { GrantFacts } from './lock-accounts.ts';
import type { PreparedEvent } from './prepare.ts';

/** What the provider charges for a call, as far as its price is known. */
export type CostSource = (
  event: PreparedEvent,
  catalog: CatalogSnapshot,
) => { readonly amount: Decimal; readonly source: string } | undefined;

export type RecordServices = {
  readonly customers: CustomerCache;
  readonly generations: Generations;
  readonly dimensionSets: DimensionSets;
  /** Rows known to exist, so that they need no insert: "environment|..." */
  readonly knownRows: Set<string>;
  /** By account: environments share no account id. */
  readonly grantFacts: Map<number, GrantFacts>;
  readonly costOf: CostSource;
  /** The latest calls of this process, for mistakes that no single call shows. */
  readonly watch: CallWatch;
  /** Account that usage revenue is credited to, by environment and currency. */
  revenueAccount(environmentId: number, currency: Currency): Promise<number>;
  /** As last read, where it was read at all. */
  knownCatalog(environmentId: number): CatalogSnapshot | undefined;
  /** As last read: ingest checks its revision under the lock. */
  catalog(environmentId: number): Promise<CatalogSnapshot>;
  /** As of now, for answers that take no lock. */
  currentCatalog(environmentId: number): Promise<CatalogSnapshot>;
  rememberCatalog(snapshot: CatalogSnapshot): void;
};

/** Actions to run once the transaction has committed: what the caches may believe only then. */
export type AfterCommit = (() => void)[];
