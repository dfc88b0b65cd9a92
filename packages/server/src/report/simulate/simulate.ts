import { add, type Decimal, decimal, ZERO } from '@ergon/exact';
import type { CompiledPrice, CompiledRateCard } from '@ergon/rating';
import { ROLLUP_METERS, TOKEN_METERS, USAGE_DIMENSIONS } from '../../catalog/built-in-meters.ts';
import { matchBucket, matchPrice } from '../../record/match-price.ts';
import type { Queryable } from '../../store/database.ts';
import { type RecordedTotal, recordedTotals, summedUsage } from './read-sums.ts';
import { simulateFromEvents, type SimulationWatch } from './simulate-from-events.ts';
import { SimulatedTotal, whyNotFromSums } from './simulated-total.ts';

export type SimulatedCustomer = { readonly customer: string; readonly old: Decimal; readonly new: Decimal };

/** What was read: sums that stand already, sums made in SQL, or single events. */
export type SimulationMethod = 'running_totals' | 'summed_usage' | 'events';

export type Simulation =
  | {
      readonly ok: true;
      /** `running_totals`: the card divides usage as the cards in force did, so their totals were priced anew. */
      readonly method: SimulationMethod;
      /** Why sums were not enough; only where events were read. */
      readonly reason: string | undefined;
      /** Requests behind summed usage. */
      readonly requests: bigint | null;
      /** Single events read and priced. */
      readonly events: number | null;
      readonly customers: readonly SimulatedCustomer[];
      /** Quantities that the simulated card does not price. */
      readonly unrated: ReadonlyMap<string, Decimal>;
    }
  | { readonly ok: false; readonly tooMany: string };

export type SimulatedCard = {
  readonly card: CompiledRateCard;
  readonly prices: readonly unknown[];
  readonly document: unknown;
};

export type SimulationQuestion = {
  readonly environmentId: number;
  /** YYYY-MM. */
  readonly month: string;
  readonly customer: string | undefined;
};

/** What tells two prices' usage apart: everything but how it is charged. */
type PriceIdentity = { readonly meter?: unknown; readonly match?: unknown; readonly key?: unknown };

/**
 * What a month of real usage would have cost under another card. Reads only, in one transaction of the caller's whose snapshot
 * holds; nothing is locked. Where the simulated card divides usage exactly as the cards in force did, their running totals are
 * enough; else usage summed by its dimensions, in SQL; else the events themselves.
 */
export async function simulate(
  db: Queryable,
  question: SimulationQuestion,
  simulated: SimulatedCard,
  watch: SimulationWatch,
): Promise<Simulation> {
  const { environmentId, month, customer } = question;
  const recorded = await recordedTotals(db, environmentId, month, customer);
  const old = new Map<string, Decimal>();
  for (const one of recorded) {
    if (one.currency === simulated.card.currency)
      old.set(one.customer, add(old.get(one.customer) ?? ZERO, decimal(one.charged)));
  }
  const versions = [...new Set(recorded.map((one) => one.card_version_id))];
  if (recorded.length > 0 && (await dividesAlike(db, environmentId, versions, simulated))) {
    const fromTotals = priceTotals(recorded, simulated.card);
    if (fromTotals !== undefined) {
      return {
        ok: true,
        method: 'running_totals',
        reason: undefined,
        requests: null,
        events: null,
        customers: paired(old, fromTotals),
        unrated: new Map(),
      };
    }
  }
  const hasSubscriptions = recorded.some(({ period }) => period.includes('@'));
  const reason = hasSubscriptions
    ? 'a customer has a subscription, whose periods are no calendar months'
    : whySumsAreNotEnough(simulated);
  if (reason === undefined) return fromUsage(db, question, simulated, old);
  const priced = await simulateFromEvents(db, question, simulated, watch);
  if (!priced.ok) return priced;
  const { events, charges, unrated } = priced;
  return {
    ok: true,
    method: 'events',
    reason,
    requests: null,
    events,
    customers: paired(old, charges),
    unrated,
  };
}

/** How each meter of the card was priced: one that counts the first so many events free asks for them in their order. */
export function methodsOfMeters({ card, prices }: SimulatedCard, method: SimulationMethod) {
  const methods = new Map<string, 'running_totals' | 'summed_usage' | 'grouped_events' | 'ordered_events'>();
  card.prices.forEach((price, index) => {
    if (method !== 'events') methods.set(price.meter, method);
    else if (price.timing === 'per_event' && /"free_(events|units)":/.test(JSON.stringify(prices[index])))
      methods.set(price.meter, 'ordered_events');
    else if (!methods.has(price.meter)) methods.set(price.meter, 'grouped_events');
  });
  return [...methods].map(([meter, of]) => ({ meter, method: of }));
}

/** Whether every card in force had the same prices as the simulated one, apart from what they charge. */
async function dividesAlike(
  db: Queryable,
  environmentId: number,
  versions: readonly bigint[],
  simulated: SimulatedCard,
): Promise<boolean> {
  const result = await db.query<{ prices: PriceIdentity[] }>(
    `select spec -> 'prices' as prices from rate_card_version where environment_id = $1 and id = any($2::int8[])`,
    [environmentId, versions.map(String)],
  );
  const wanted = identitiesOf(simulated.prices);
  return result.rows.every(({ prices }) => identitiesOf(prices) === wanted);
}

function identitiesOf(prices: readonly unknown[]): string {
  const names = prices.map((price) => {
    const spec = price as Record<string, unknown>;
    const match = Object.entries(spec['match'] ?? {}).toSorted(([a], [b]) => (a < b ? -1 : 1));
    return JSON.stringify([spec['meter'], spec['key'], match, spec['failed_calls'], spec['retries']]);
  });
  return names.toSorted().join('\n');
}

/** Prices running totals anew; undefined where a bucket has no counterpart that is priced by its total. */
function priceTotals(recorded: readonly RecordedTotal[], card: CompiledRateCard): Map<string, Decimal> | undefined {
  const byKey = new Map(card.prices.map((price) => [price.key, price]));
  const totals = new Map<string, SimulatedTotal>();
  for (const one of recorded) {
    const slash = one.bucket.lastIndexOf('/');
    const price = byKey.get(one.bucket.slice(0, slash));
    // Only models without dimensions of their own have one bucket, whose key is known without any.
    const bucket = price?.bucket({});
    if (price === undefined || bucket === undefined || bucket.key !== one.bucket.slice(slash + 1)) return undefined;
    if (price.timing !== 'cumulative' || !one.period.endsWith('-01')) return undefined;
    const key = `${one.customer}\u0000${one.period}`;
    let total = totals.get(key);
    if (total === undefined) {
      total = new SimulatedTotal();
      totals.set(key, total);
    }
    total.add(price, bucket, decimal(one.quantity));
  }
  const charges = new Map<string, Decimal>();
  for (const [key, total] of totals) {
    const name = key.slice(0, key.indexOf('\u0000'));
    charges.set(name, add(charges.get(name) ?? ZERO, total.charge()));
  }
  return charges;
}

const COLUMN_METERS = ROLLUP_METERS.filter((meter) => meter.key !== 'charge' && meter.key !== 'provider_cost');
const TOKEN_CLASS_OF = new Map(TOKEN_METERS.map((meter) => [meter.key, meter.tokenClass]));

function whySumsAreNotEnough({ card, prices }: SimulatedCard): string | undefined {
  const meters = new Set([...COLUMN_METERS.map((meter) => meter.key), 'total_tokens']);
  return whyNotFromSums(card.prices, prices, meters, new Set([...USAGE_DIMENSIONS, 'token_class']));
}

async function fromUsage(
  db: Queryable,
  { environmentId, month, customer }: SimulationQuestion,
  { card }: SimulatedCard,
  old: ReadonlyMap<string, Decimal>,
): Promise<Simulation> {
  const columns = COLUMN_METERS.filter((meter) => isAsked(card.prices, meter.key)).map((meter) => meter.key);
  const rows = await summedUsage(db, environmentId, month, customer, columns);
  const totals = new Map<string, SimulatedTotal>();
  const unrated = new Map<string, Decimal>();
  let requests = 0n;
  for (const row of rows) {
    requests += row.all_requests;
    let total = totals.get(row.customer);
    if (total === undefined) {
      total = new SimulatedTotal();
      totals.set(row.customer, total);
    }
    addRow(total, card, row, columns, unrated);
  }
  const charges = new Map([...totals].map(([name, total]) => [name, total.charge()]));
  return {
    ok: true,
    method: 'summed_usage',
    reason: undefined,
    requests,
    events: null,
    customers: paired(old, charges),
    unrated,
  };
}

/** Whether the card may price the meter: itself, by its fallback, or as part of a total. */
function isAsked(prices: readonly CompiledPrice[], meter: string): boolean {
  return TOKEN_CLASS_OF.has(meter) || prices.some((price) => price.meter === meter);
}

function addRow(
  total: SimulatedTotal,
  card: CompiledRateCard,
  row: { readonly dimensions: Readonly<Record<string, string>> } & Readonly<Record<string, unknown>>,
  columns: readonly string[],
  unrated: Map<string, Decimal>,
): void {
  const dimensions: Record<string, string | undefined> = { ...row.dimensions };
  let allTokens = ZERO;
  for (const meter of columns) {
    const quantity = decimal(String(row[meter]));
    if (quantity.coefficient === 0n) continue;
    const tokenClass = TOKEN_CLASS_OF.get(meter);
    if (tokenClass !== undefined) allTokens = add(allTokens, quantity);
    dimensions['token_class'] = tokenClass;
    if (!addQuantity(total, card, meter, dimensions, quantity) && tokenClass !== undefined && !pricesTotal(card)) {
      unrated.set(meter, add(unrated.get(meter) ?? ZERO, quantity));
    }
  }
  dimensions['token_class'] = undefined;
  if (allTokens.coefficient !== 0n) addQuantity(total, card, 'total_tokens', dimensions, allTokens);
}

function pricesTotal(card: CompiledRateCard): boolean {
  return card.prices.some((price) => price.meter === 'total_tokens');
}

function addQuantity(
  total: SimulatedTotal,
  card: CompiledRateCard,
  meter: string,
  dimensions: Record<string, string | undefined>,
  quantity: Decimal,
): boolean {
  const price = matchPrice(card, meter, dimensions);
  if (price === undefined) return false;
  if (price.isFree || price.timing === 'at_close') return true;
  const bucket = matchBucket(price, dimensions);
  if (bucket === undefined) return false;
  total.add(price, bucket, quantity);
  return true;
}

function paired(old: ReadonlyMap<string, Decimal>, charges: ReadonlyMap<string, Decimal>): SimulatedCustomer[] {
  return [...new Set([...old.keys(), ...charges.keys()])].map((customer) => ({
    customer,
    old: old.get(customer) ?? ZERO,
    new: charges.get(customer) ?? ZERO,
  }));
}
