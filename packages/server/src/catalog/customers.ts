import type { Queryable } from '../store/database.ts';
import { int8Array, textArray } from '../store/pg-arrays.ts';
import type { BillingTerms } from './billing-terms.ts';

/** What metering and rating need of a customer. */
export type BilledCustomer = {
  readonly id: number;
  readonly externalId: string;
  readonly timeZone: string;
  readonly rateCard: string | undefined;
  /** Overrides and subscriptions; most customers have none. */
  readonly terms: BillingTerms | undefined;
};

const CUSTOMERS_CACHED_MAX = 200_000;

/**
 * Customers by the name clients use, remembered for one revision of the environment's catalog: whoever changes a customer
 * raises the revision.
 */
export class CustomerCache {
  readonly #byEnvironment = new Map<number, { revision: bigint; customers: Map<string, BilledCustomer> }>();

  of(environmentId: number, revision: bigint): Map<string, BilledCustomer> {
    let cached = this.#byEnvironment.get(environmentId);
    if (cached === undefined || cached.revision !== revision || cached.customers.size > CUSTOMERS_CACHED_MAX) {
      cached = { revision, customers: new Map() };
      this.#byEnvironment.set(environmentId, cached);
    }
    return cached.customers;
  }
}

type Row = {
  id: bigint;
  external_id: string;
  time_zone: string;
  rate_card: string | null;
  terms: BillingTerms | null;
};

/** Finds customers by external id, creating provisional ones for names never seen (DESIGN section 9). */
export async function resolveCustomers(
  db: Queryable,
  environmentId: number,
  externalIds: readonly string[],
): Promise<BilledCustomer[]> {
  const sorted = [...externalIds].sort();
  const inserted = db.query({
    name: 'provisional_customers',
    text: `insert into customer (environment_id, external_id, is_provisional)
      select $1, e, true from unnest($2::text[]) as s(e) order by e on conflict do nothing`,
    values: [environmentId, textArray(sorted)],
  });
  const found = db.query<Row>({
    name: 'find_customers',
    text: 'select id, external_id, time_zone, rate_card, terms from customer where environment_id = $1 and external_id = any($2::text[])',
    values: [environmentId, textArray(sorted)],
  });
  const [, result] = await Promise.all([inserted, found]);
  return result.rows.map(billedCustomer);
}

export async function customerById(
  db: Queryable,
  environmentId: number,
  id: number,
): Promise<BilledCustomer | undefined> {
  const result = await db.query<Row>({
    name: 'customer_by_id',
    text: 'select id, external_id, time_zone, rate_card, terms from customer where environment_id = $1 and id = $2::int8',
    values: [environmentId, id],
  });
  return result.rows.map(billedCustomer)[0];
}

export async function customersById(
  db: Queryable,
  environmentId: number,
  ids: readonly number[],
): Promise<BilledCustomer[]> {
  const result = await db.query<Row>({
    name: 'customers_by_id',
    text: 'select id, external_id, time_zone, rate_card, terms from customer where environment_id = $1 and id = any($2::int8[])',
    values: [environmentId, int8Array(ids)],
  });
  return result.rows.map(billedCustomer);
}

function billedCustomer(row: Row): BilledCustomer {
  return {
    id: Number(row.id),
    externalId: row.external_id,
    timeZone: row.time_zone,
    rateCard: row.rate_card ?? undefined,
    terms: row.terms ?? undefined,
  };
}
