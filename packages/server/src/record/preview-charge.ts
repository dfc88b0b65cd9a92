import type { Decimal } from '@ergon/exact';
import { LOCAL_TIME_DIMENSION } from '@ergon/rating';
import { billingMonth, localMinute } from '../catalog/billing-month.ts';
import { applyTerms } from '../catalog/billing-terms.ts';
import type { BilledCustomer } from '../catalog/customers.ts';
import { type CatalogSnapshot, DEFAULT_CARD, versionAt } from '../catalog/snapshot.ts';
import { ledgerDecimal } from '../ledger/burn.ts';
import type { Queryable } from '../store/database.ts';
import type { AccumulatorRow } from './bucket-work.ts';
import { noFacts } from './missing-state.ts';
import type { PreparedEvent } from './prepare.ts';
import { GroupRating } from './rate-group.ts';
import type { StoredTotals } from './account-store.ts';

/** What an event would be charged if it were recorded now. */
export type ChargePreview = {
  readonly amount: Decimal;
  readonly currency: string;
  /** [meter, quantity, reason]: what the card prices but cannot price here. */
  readonly unrated: readonly (readonly [string, string, string])[];
};

/** Nobody's totals: a caller without a customer asks what the first unit of a period costs. */
const NEW_CUSTOMER = 0;

/**
 * Rates events that have not happened, each by itself on the customer's totals as they are, by the code that will rate them.
 * Reads only: nothing is locked, so what others use meanwhile may move a tier. `undefined` where no card is in force.
 */
export async function previewCharges(
  db: Queryable,
  catalog: CatalogSnapshot,
  customer: BilledCustomer | undefined,
  events: readonly PreparedEvent[],
  now: number,
): Promise<readonly ChargePreview[] | undefined> {
  const { version, month } =
    customer === undefined
      ? { version: versionAt(catalog, DEFAULT_CARD, now), month: billingMonth(now, 'UTC') }
      : applyTerms(catalog, customer, now);
  if (version === undefined) return undefined;
  const timeZone = customer?.timeZone ?? 'UTC';
  const key = { customerId: customer?.id ?? NEW_CUSTOMER, cardVersionId: version.id, period: month.period };
  const { currency } = version.card;
  const stored = customer === undefined ? {} : await storedTotals(db, catalog.environmentId, key);
  return events.map((event) => {
    if (version.needsLocalTime) event.dimensions[LOCAL_TIME_DIMENSION] = localMinute(now, timeZone);
    const row: AccumulatorRow = { ...key, currency, stored, work: new Map(), grants: [] };
    const rated = new GroupRating(noFacts(), now).rate(event, row, version, month);
    const amount = ledgerDecimal(rated.charge);
    return { amount, currency, unrated: rated.unrated };
  });
}

async function storedTotals(
  db: Queryable,
  environmentId: number,
  key: { customerId: number; cardVersionId: number; period: string },
): Promise<StoredTotals> {
  const result = await db.query<{ totals: StoredTotals }>(
    `select totals from accumulator
     where environment_id = $1 and customer_id = $2::int8 and card_version_id = $3::int8 and period = $4`,
    [environmentId, key.customerId, key.cardVersionId, key.period],
  );
  return result.rows[0]?.totals ?? {};
}
