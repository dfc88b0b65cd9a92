import type { Currency } from '@ergon/exact';
import { claimIdentities } from '../identity/index.ts';
import { applyTerms } from '../catalog/billing-terms.ts';
import { billingMonth } from '../catalog/billing-month.ts';
import type { BilledCustomer } from '../catalog/customers.ts';
import { type CatalogSnapshot, cardVersion } from '../catalog/snapshot.ts';
import type { CapturedEvent } from '../event/event.ts';
import type { LedgerUnits } from '../ledger/burn.ts';
import type { Client } from '../store/database.ts';
import { int8Array, uuidArray } from '../store/pg-arrays.ts';
import { ratingEvent, takeBackEvent } from './adjusting-event.ts';
import type { Adjustment, Attributed } from './attributed.ts';
import { type PreparedEvent, prepareEvent } from './prepare.ts';
import { rateBlock } from './rate-block.ts';
import type { RatedEvent } from './rate-group.ts';
import type { StoredEvent } from './read-events.ts';
import type { GroupContext } from './transaction.ts';
import { monthOf } from './void.ts';
import { writeBlock } from './write-block.ts';

/** What is to happen to the charge of one event. */
export type AdjustmentPlan = {
  readonly target: StoredEvent;
  /** Ratings to take back: the event's own, or adjusting records of it. */
  readonly takesBack: readonly StoredEvent[];
  /** What to rate anew; absent when nothing is. */
  readonly rates?: PreparedEvent;
  readonly unratedBefore: Adjustment['unratedBefore'];
};

export type AdjustContext = GroupContext & { readonly catalog: CatalogSnapshot; readonly rerateId: bigint | null };

/** What the adjusted events of a currency were charged before, and are charged now. */
export type AdjustedCharges = readonly {
  readonly currency: Currency;
  readonly old: LedgerUnits;
  readonly new: LedgerUnits;
  readonly events: number;
}[];

const NO_CHARGES: AdjustedCharges = [];

/**
 * Writes the adjusting records of one customer's events as a block of their own: first everything that is taken back, then
 * everything that is rated anew. The caller holds the environment's lock exclusively, and has planned under it.
 */
export async function recordAdjustments(
  context: AdjustContext,
  customer: BilledCustomer | undefined,
  plans: readonly AdjustmentPlan[],
): Promise<AdjustedCharges> {
  const adjusted = attributedPlans(context, customer, plans);
  if (adjusted.length === 0) return NO_CHARGES;
  const { client, services, environmentId } = context;
  const claims = adjusted.map(({ prepared }) => prepared.event);
  const claim = await claimIdentities(client, services.generations, environmentId, true, claims);
  if (claim.taken.size > 0) throw new Error(`${claim.taken.size} adjusting records exist already`);
  const rated = await writeBlock({ ...context, blockId: claim.blockId }, adjusted);
  await writeAdjustments(client, environmentId, claim.blockId, adjusted);
  return chargesOf(adjusted, rated);
}

/** What {@link recordAdjustments} would charge and give back. Locks the customer's totals and balances, and writes nothing else. */
export async function rateAdjustments(
  context: AdjustContext,
  customer: BilledCustomer | undefined,
  plans: readonly AdjustmentPlan[],
): Promise<AdjustedCharges> {
  const adjusted = attributedPlans(context, customer, plans);
  const { rated } = await rateBlock({ ...context, blockId: 0n }, adjusted);
  return chargesOf(adjusted, rated);
}

function chargesOf(adjusted: readonly Attributed[], rated: readonly (RatedEvent | null)[]): AdjustedCharges {
  const charges = new Map<Currency, { old: LedgerUnits; new: LedgerUnits; targets: Set<string> }>();
  adjusted.forEach(({ version, adjusts }, index) => {
    const charge = rated[index]?.charge ?? 0n;
    if (version === undefined || adjusts === undefined) return;
    const { currency } = version.card;
    const sums = charges.get(currency) ?? { old: 0n, new: 0n, targets: new Set() };
    if (adjusts.takesBack === undefined) sums.new += charge;
    else sums.old -= charge;
    sums.targets.add(adjusts.target.event.identity);
    charges.set(currency, sums);
  });
  return [...charges].map(([currency, sums]) => ({
    currency,
    old: sums.old,
    new: sums.new,
    events: sums.targets.size,
  }));
}

/** A void takes back what re-ratings charged for its event since, beside what the event itself was charged. */
export async function takeBackAdjustments(
  context: AdjustContext,
  voids: readonly (Attributed | null)[],
): Promise<void> {
  for (const one of voids) {
    if (one?.reverses === undefined) continue;
    const { stored: target, adjustments } = one.reverses;
    const takesBack = adjustments.filter(({ rating }) => rating.lines.length > 0);
    if (takesBack.length > 0)
      await recordAdjustments(context, one.customer, [{ target, takesBack, unratedBefore: [] }]);
  }
}

function attributedPlans(
  context: AdjustContext,
  customer: BilledCustomer | undefined,
  plans: readonly AdjustmentPlan[],
): Attributed[] {
  return [
    ...plans.flatMap((plan) => plan.takesBack.map((rating) => takenBack(context, customer, plan, rating))),
    ...plans.flatMap((plan) => (plan.rates === undefined ? [] : [ratedAnew(context, customer, plan, plan.rates)])),
  ];
}

function takenBack(
  { environmentId, catalog, rerateId, now }: AdjustContext,
  customer: BilledCustomer | undefined,
  { target }: AdjustmentPlan,
  rating: StoredEvent,
): Attributed {
  const { quantities, work, cost } = target.rating;
  const prepared = prepareEvent(target.event, catalog, { quantities, work, cost, model: rating.rating.model });
  return {
    prepared: bare(takeBackEvent(environmentId, target.event, rating.event, rerateId, now), prepared),
    customer,
    version: cardVersion(catalog, rating.rating.version),
    month: monthOf(rating, customer),
    adjusts: { target, prepared, rerateId, takesBack: rating, unratedBefore: [] },
  };
}

function ratedAnew(
  { environmentId, catalog, rerateId, now }: AdjustContext,
  customer: BilledCustomer | undefined,
  { target, unratedBefore }: AdjustmentPlan,
  prepared: PreparedEvent,
): Attributed {
  const { occurredAt } = target.event;
  const terms =
    customer === undefined
      ? { version: undefined, month: billingMonth(occurredAt, 'UTC') }
      : applyTerms(catalog, customer, occurredAt);
  return {
    prepared: bare(ratingEvent(environmentId, target.event, rerateId ?? 0n, now), prepared),
    customer,
    ...terms,
    adjusts: { target, prepared, rerateId, unratedBefore },
  };
}

/** The adjusting record itself: it has no usage. */
function bare(event: CapturedEvent, { model, dimensions }: PreparedEvent): PreparedEvent {
  return {
    event,
    usage: undefined,
    model,
    quantities: [],
    contributions: [],
    dimensions,
    flags: [],
    work: undefined,
  };
}

async function writeAdjustments(
  client: Client,
  environmentId: number,
  blockId: bigint,
  adjusted: readonly Attributed[],
): Promise<void> {
  const rows = adjusted.flatMap(({ prepared, adjusts }, position) =>
    adjusts === undefined ? [] : [{ record: prepared.event.identity, position, ...adjusts }],
  );
  await client.query({
    name: 'event_adjustment',
    text: `insert into event_adjustment (environment_id, record, target, takes_back, rerate_id, block_id, position)
      select $1, r, t, nullif(b, r), nullif($2::int8, 0), $3::int8, p
      from unnest($4::uuid[], $5::uuid[], $6::uuid[], $7::int8[]) as s(r, t, b, p)`,
    values: [
      environmentId,
      (rows[0]?.rerateId ?? 0n).toString(),
      blockId.toString(),
      uuidArray(rows.map(({ record }) => record)),
      uuidArray(rows.map(({ target }) => target.event.identity)),
      uuidArray(rows.map(({ record, takesBack }) => takesBack?.event.identity ?? record)),
      int8Array(rows.map(({ position }) => position)),
    ],
  });
}
