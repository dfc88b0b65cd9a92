import type { Decimal } from '@ergon/exact';
import type { BillingTerms } from '../../catalog/billing-terms.ts';
import { LIMITS } from '../../limits.ts';
import type { Queryable } from '../../store/database.ts';
import type { FoldCustomer, FoldSetup } from './fold-messages.ts';
import { priceEvents } from './price-events.ts';
import { blockSpan, countBlocks, readBlocks } from './read-blocks.ts';
import type { SimulatedCard, SimulationQuestion } from './simulate.ts';

export type SimulationProgress = {
  readonly customersDone: number;
  /** Customers who may have usage of the month. */
  readonly customersTotal: number;
  /** Events read, of those that may be of the month. */
  readonly eventsDone: number;
  readonly eventsTotal: number;
};

/** Who waits for a simulation. */
export type SimulationWatch = {
  /** Aborted when nobody does any more, or when it has taken too long. */
  readonly signal: AbortSignal;
  readonly onProgress: (progress: SimulationProgress) => void;
};

type FromEvents =
  | {
      readonly ok: true;
      readonly events: number;
      readonly charges: ReadonlyMap<string, Decimal>;
      readonly unrated: ReadonlyMap<string, Decimal>;
    }
  | { readonly ok: false; readonly tooMany: string };

/** Prices the month's single events, block by block. */
export async function simulateFromEvents(
  db: Queryable,
  { environmentId, month, customer }: SimulationQuestion,
  { card, document }: SimulatedCard,
  { signal, onProgress }: SimulationWatch,
): Promise<FromEvents> {
  const only = customer === undefined ? undefined : await customerId(db, environmentId, customer);
  const customers = await foldCustomers(db, environmentId, only);
  const hasSubscriptions = customers.some(({ subscriptions }) => subscriptions.length > 0);
  const span = blockSpan(environmentId, only, month, hasSubscriptions);
  const total = await countBlocks(db, span);
  const setup: FoldSetup = {
    month,
    card: document,
    meters: await pricedMeters(
      db,
      environmentId,
      card.prices.map((price) => price.meter),
    ),
    customers,
    only,
    totalsMax: LIMITS.simulatedTotalsMax,
    valuesMax: LIMITS.simulatedValuesMax,
  };
  let eventsDone = 0;
  const progress = { customersDone: 0, customersTotal: total.customers, eventsTotal: total.events };
  onProgress({ ...progress, eventsDone });
  const priced = await priceEvents(readBlocks(db, span), setup, card, signal, (events) => {
    eventsDone += events;
    onProgress({ ...progress, eventsDone });
  });
  if (!priced.ok) return priced;
  onProgress({ ...progress, eventsDone, customersDone: total.customers });
  const names = await customerNames(db, environmentId, [...priced.charges.keys()]);
  const charges = new Map([...priced.charges].map(([id, charge]) => [names.get(id) ?? String(id), charge]));
  return { ok: true, events: priced.events, charges, unrated: priced.unrated };
}

/** -1, whom no event names, for a customer who is not there. */
async function customerId(db: Queryable, environmentId: number, externalId: string): Promise<number> {
  const result = await db.query<{ id: bigint }>(
    'select id from customer where environment_id = $1 and external_id = $2',
    [environmentId, externalId],
  );
  return Number(result.rows[0]?.id ?? -1);
}

/** Those whose periods are not the calendar months of UTC. */
async function foldCustomers(db: Queryable, environmentId: number, only: number | undefined): Promise<FoldCustomer[]> {
  const result = await db.query<{ id: bigint; time_zone: string; terms: BillingTerms | null }>(
    `select id, time_zone, terms from customer where environment_id = $1 and ($2::int8 is null or id = $2::int8)
       and (time_zone <> 'UTC' or terms is not null)`,
    [environmentId, only ?? null],
  );
  return result.rows.map((row) => ({
    id: Number(row.id),
    timeZone: row.time_zone,
    subscriptions: row.terms?.subscriptions ?? [],
  }));
}

async function pricedMeters(
  db: Queryable,
  environmentId: number,
  keys: readonly string[],
): Promise<FoldSetup['meters']> {
  const result = await db.query<{ id: bigint; key: string; spec: unknown }>(
    'select id, key, spec from meter where environment_id = $1 and archived_at is null and key = any($2::text[]) order by id',
    [environmentId, [...new Set(keys)]],
  );
  return result.rows.map(({ id, key, spec }) => ({ id: Number(id), key, spec }));
}

async function customerNames(
  db: Queryable,
  environmentId: number,
  ids: readonly number[],
): Promise<ReadonlyMap<number, string>> {
  const result = await db.query<{ id: bigint; external_id: string }>(
    'select id, external_id from customer where environment_id = $1 and id = any($2::int8[])',
    [environmentId, ids.map(String)],
  );
  return new Map(result.rows.map((row) => [Number(row.id), row.external_id]));
}
