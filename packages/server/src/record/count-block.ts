import { type Decimal, decimal, negate, ONE, ZERO, isCreditUnit } from '@ergon/exact';
import { countSpending, type Spending } from '../govern/count-spending.ts';
import type { Subject } from '../govern/compile-budget.ts';
import { runPath } from '../govern/hold-store.ts';
import { isMeterMeasure, type Measure, type MeterMeasure, meterOf } from '../govern/schemas.ts';
import { countersOfSettled, type HeldCounter, type TakenHold } from '../govern/take-holds.ts';
import { ledgerDecimal } from '../ledger/burn.ts';
import { LIMITS } from '../limits.ts';
import type { Adjustment, Attributed } from './attributed.ts';
import type { PreparedEvent } from './prepare.ts';
import type { RatedEvent } from './rate-group.ts';
import type { BlockContext } from './write-block.ts';

const DAY_MICROS = 86_400_000_000;

/** Counts the block's spending at the budgets; nothing to do where there are none and no hold was named. */
export async function countBlock(
  context: BlockContext,
  events: readonly (Attributed | null)[],
  rated: readonly (RatedEvent | null)[],
  holds: ReadonlyMap<string, TakenHold>,
): Promise<void> {
  const { budgets } = context.catalog;
  if (budgets.length === 0 && holds.size === 0) return;
  const needsRuns = budgets.some(({ spec }) => spec.scope.run !== undefined || spec.per.includes('run'));
  const meters = budgets.map(({ measure }) => measure).filter(isMeterMeasure);
  const settled = new Set<string>();
  const countedAt = await countersOfSettled(context.client, context.environmentId, settlers(events));
  const spendings: Spending[] = [];
  for (const [index, one] of events.entries()) {
    if (one === null) continue;
    const { data } = (one.adjusts?.target ?? one.prepared).event;
    const holdId = typeof data.hold_id === 'string' && isOwnUsage(one) ? data.hold_id : undefined;
    const hold = holdId === undefined || settled.has(holdId) ? undefined : holds.get(holdId);
    if (hold !== undefined) settled.add(hold.id);
    const runs = needsRuns
      ? await runPath(context.client, context.environmentId, text(data.run_id), text(data.parent_run_id))
      : [];
    const from = settlerOf(one);
    const spent = {
      ...{ rated: rated[index] ?? null, hold, runs, meters },
      countedAt: from === undefined ? undefined : countedAt.get(from.hold),
    };
    spendings.push(
      one.adjusts === undefined ? spendingOf(context, one, spent) : adjustedSpending(context, one, one.adjusts, spent),
    );
  }
  await countSpending(context.client, context.environmentId, budgets, spendings, context.now);
}

type Spent = {
  readonly rated: RatedEvent | null;
  readonly hold: TakenHold | undefined;
  readonly countedAt: readonly HeldCounter[] | undefined;
  readonly runs: readonly string[];
  /** Meters that some budget counts. */
  readonly meters: readonly MeterMeasure[];
};

function spendingOf(context: BlockContext, one: Attributed, spent: Spent): Spending {
  const { rated, hold, countedAt, runs, meters } = spent;
  const { prepared, reverses, customer, version, actor } = one;
  const counted = reverses?.prepared ?? prepared;
  const { event, dimensions } = counted;
  const sign = reverses === undefined ? 1 : -1;
  const received = reverses?.stored.receivedAt ?? context.now;
  // What came long after it happened counts where it happened; all else when it is received (DESIGN section 9).
  const isBackfill = received - event.occurredAt > LIMITS.lateDaysDefault * DAY_MICROS;
  const charge = rated === null ? undefined : ledgerDecimal(sign === 1 ? rated.charge : -rated.charge);
  return {
    subject: subjectOf(customer?.externalId, dimensions, event.data, actor, runs),
    currency: version?.card.currency,
    amounts: { ...amountsOf(context, one, charge), ...meteredBy(meters, counted) },
    at: isBackfill ? event.occurredAt : received,
    sign,
    voided:
      reverses === undefined ? undefined : { occurredAt: event.occurredAt, receivedAt: reverses.stored.receivedAt },
    ...{ hold, countedAt, isChargeOnly: false },
    source: event.source,
    eventId: event.id,
  };
}

type Settler = { readonly hold: string; readonly source: string; readonly id: string };

/** The event whose charge changes, where it names a hold: it may have settled that, and counts where that does then. */
function settlerOf({ reverses, adjusts }: Attributed): Settler | undefined {
  const event = (reverses?.stored ?? adjusts?.target)?.event;
  const hold = event?.data.hold_id;
  return event === undefined || typeof hold !== 'string' ? undefined : { hold, source: event.source, id: event.id };
}

function settlers(events: readonly (Attributed | null)[]): Settler[] {
  return events.flatMap((one) => (one && settlerOf(one)) ?? []);
}

function isOwnUsage(one: Attributed): boolean {
  return one.reverses === undefined && one.adjusts === undefined;
}

/**
 * Of an adjusted charge only the money is new; it counts with the hold that its event has settled, and else where the rating that it
 * takes back was counted, or now.
 */
function adjustedSpending(
  context: BlockContext,
  { customer, version, actor }: Attributed,
  { target, prepared, takesBack }: Adjustment,
  { rated, countedAt, runs }: Spent,
): Spending {
  const { event, dimensions } = prepared;
  const received = takesBack?.receivedAt ?? context.now;
  const isBackfill = received - event.occurredAt > LIMITS.lateDaysDefault * DAY_MICROS;
  const posted = ledgerDecimal(rated?.charge ?? 0n);
  const charge = takesBack === undefined ? posted : negate(posted);
  const currency = version?.card.currency;
  return {
    subject: subjectOf(customer?.externalId, dimensions, event.data, actor, runs),
    currency,
    amounts: { charge, ...(isCreditUnit(currency) && { credits: charge }) },
    at: isBackfill ? event.occurredAt : received,
    sign: takesBack === undefined ? 1 : -1,
    voided: takesBack === undefined ? undefined : { occurredAt: event.occurredAt, receivedAt: takesBack.receivedAt },
    ...{ hold: undefined, countedAt, isChargeOnly: true },
    source: target.event.source,
    eventId: target.event.id,
  };
}

function subjectOf(
  customer: string | undefined,
  dimensions: Readonly<Record<string, string | undefined>>,
  data: Readonly<Record<string, unknown>>,
  actor: string | undefined,
  runs: readonly string[],
): Subject {
  const { team, user, feature, provider, model, agent } = dimensions;
  const values = {
    customer,
    team,
    user,
    api_key: actor,
    feature,
    provider,
    model,
    agent,
    work_item: text(data['work_item']),
  };
  return {
    values: Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)),
    runs,
    // Properties of the event are its tags; built-in dimensions cannot be shadowed by them.
    tags: dimensions,
  };
}

const METER_OF: Readonly<Partial<Record<string, Measure>>> = {
  total_tokens: 'tokens',
  requests: 'requests',
  flops: 'flops',
  accelerator_seconds: 'accelerator_seconds',
  compute_units: 'compute_units',
  physical_cost: 'physical_cost',
};

function amountsOf(
  { services, catalog }: BlockContext,
  { prepared, reverses, version }: Attributed,
  charge: Decimal | undefined,
): Partial<Record<Measure, Decimal>> {
  const amounts: Partial<Record<Measure, Decimal>> = {};
  if (charge !== undefined) {
    amounts.charge = charge;
    if (isCreditUnit(version?.card.currency)) amounts.credits = charge;
  }
  for (const { meter, quantity } of (reverses?.prepared ?? prepared).quantities) {
    const measure = METER_OF[meter];
    if (measure !== undefined) amounts[measure] = quantity;
  }
  const recorded = reverses?.stored.rating.cost;
  const cost = reverses === undefined ? services.costOf(prepared, catalog)?.amount : recorded?.[0];
  if (cost !== undefined) amounts.provider_cost = typeof cost === 'string' ? decimal(cost) : cost;
  return amounts;
}

/** What the event adds to meters that budgets count: zero where it is not of that meter, so that a hold of it is given back. */
function meteredBy(meters: readonly MeterMeasure[], event: PreparedEvent): Partial<Record<Measure, Decimal>> {
  const amounts: Partial<Record<Measure, Decimal>> = {};
  for (const measure of meters) {
    const key = meterOf(measure);
    const contribution = event.contributions.find(({ meter }) => meter.key === key);
    amounts[measure] =
      contribution === undefined
        ? (event.quantities.find(({ meter }) => meter === key)?.quantity ?? ZERO)
        : (contribution.value ?? ONE);
  }
  return amounts;
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
