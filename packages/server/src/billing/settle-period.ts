import { isZero } from '@ergon/exact';
import { periodAt } from '../catalog/billing-period.ts';
import type { TermsOf } from '../catalog/billing-terms.ts';
import { customerById } from '../catalog/customers.ts';
import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import { postSubscriptionAmounts } from '../ledger/index.ts';
import type { StoredTotals } from '../record/account-store.ts';
import type { Client } from '../store/database.ts';
import { couponsOwed } from './coupons-owed.ts';
import { difference } from './difference.ts';
import { feesOwed } from './fees-owed.ts';
import { insertLines, type NewLine, statedAbout, statedUsage } from './line-store.ts';
import type { Owed, PeriodSpan } from './owed.ts';
import { listPeriods, type PeriodRecord } from './period-store.ts';
import { periodPercentiles } from './percentiles.ts';
import type { Subscription } from './subscription-store.ts';
import { fixedInAdvance, type PeriodTotals, usageOwed } from './usage-owed.ts';

/** One transaction that holds the subscription's lock. */
export type SettleContext = {
  readonly client: Client;
  readonly environmentId: number;
  readonly catalog: CatalogSnapshot;
  readonly subscription: Subscription;
  /** Microseconds since 1970. */
  readonly now: number;
};

/** Posts and writes what is due of an open period by now: what is paid in advance, or at its close everything. */
export async function settlePeriod(
  context: SettleContext,
  period: PeriodRecord,
  which: 'in_advance' | 'all',
): Promise<void> {
  const { client, environmentId, subscription } = context;
  const lines: { about: number; owed: Owed }[] = [];
  const customer = await termsOf(context);
  const changed = which === 'all' ? await changedPeriods(context, period) : [];
  const totals = which === 'all' ? await lockTotals(context, [...changed, period]) : NO_TOTALS;
  for (const about of [...changed, period]) {
    for (const owed of await unstated(context, customer, about, which, totals))
      lines.push({ about: about.number, owed });
  }
  const posted = lines.filter(({ owed }) => owed.kind !== 'usage' && !isZero(owed.amount));
  const ids = await postSubscriptionAmounts(
    client,
    posted.map(({ owed }) => ({
      environmentId,
      customerId: subscription.customerId,
      currency: owed.currency,
      amount: owed.amount,
      period: period.period,
    })),
  );
  const postings = new Map(posted.map((line, index) => [line, ids[index] ?? null]));
  await insertLines(client, environmentId, subscription.id, {
    number: period.number,
    lines: lines.map((line): NewLine => ({ ...line, postingId: postings.get(line) ?? null })),
    at: context.now,
  });
}

async function unstated(
  context: SettleContext,
  customer: TermsOf,
  period: PeriodRecord,
  which: 'in_advance' | 'all',
  totals: TotalsByPeriod,
): Promise<Owed[]> {
  const { client, environmentId, catalog, subscription } = context;
  const stated = await statedAbout(client, environmentId, subscription.id, period.number);
  const span = spanOf(subscription, period);
  const fees = feesOwed(subscription, span, which);
  if (which === 'in_advance') {
    return difference([...fees, ...fixedInAdvance(subscription, customer, catalog, span)], stated);
  }
  const held = totals.get(period.period) ?? [];
  const facts = {
    percentiles: await periodPercentiles(context, period, held),
    notAdding: await metersNotAdding(context),
  };
  const owed = [...fees, ...usageOwed(subscription, customer, catalog, span, held, facts)];
  return difference([...owed, ...couponsOwed(subscription, period.number, owed)], stated);
}

function spanOf({ timeZone, anchorOn, unit, count }: Subscription, period: PeriodRecord): PeriodSpan {
  const whole = periodAt({ timeZone, anchorOn, unit, count }, period.from);
  return { ...period, wholeFromOn: whole.fromOn, wholeToOn: whole.toOn };
}

/** Meters whose quantities do not add up over versions of a card; deleted ones too. Asked only where tiers go on counting. */
async function metersNotAdding({ client, environmentId, subscription }: SettleContext): Promise<ReadonlySet<string>> {
  if (!subscription.phases.some(({ plan }) => plan.card_changes === 'carry')) return new Set();
  const result = await client.query<{ key: string }>(
    `select distinct key from meter where environment_id = $1 and spec ->> 'aggregation' not in ('sum', 'count', 'weighted_sum')`,
    [environmentId],
  );
  return new Set(result.rows.map((row) => row.key));
}

async function termsOf({ client, environmentId, subscription }: SettleContext): Promise<TermsOf> {
  const customer = await customerById(client, environmentId, Number(subscription.customerId));
  if (customer === undefined) throw new Error(`subscription ${subscription.key} has no customer`);
  return customer;
}

type TotalsRow = { card_version_id: bigint; period: string; totals: StoredTotals };

type TotalsByPeriod = ReadonlyMap<string, readonly PeriodTotals[]>;
const NO_TOTALS: TotalsByPeriod = new Map();

/** Locked in the order in which ingest locks them: what rates at this moment is either in them or will be an adjustment. */
async function lockTotals(
  { client, environmentId, subscription }: SettleContext,
  periods: readonly PeriodRecord[],
): Promise<TotalsByPeriod> {
  const result = await client.query<TotalsRow>(
    `select card_version_id, period, totals from accumulator
     where environment_id = $1 and customer_id = $2 and period = any($3) order by card_version_id, period for update`,
    [environmentId, subscription.customerId, periods.map(({ period }) => period)],
  );
  const byPeriod = new Map<string, PeriodTotals[]>();
  for (const row of result.rows) {
    const totals = { cardVersionId: Number(row.card_version_id), totals: row.totals };
    byPeriod.set(row.period, [...(byPeriod.get(row.period) ?? []), totals]);
  }
  return byPeriod;
}

/** Closed periods whose usage is no longer what their lines say: events came late, or were voided. */
export async function changedPeriods(context: SettleContext, open: PeriodRecord): Promise<PeriodRecord[]> {
  const { client, environmentId, subscription } = context;
  if (open.number === 1) return [];
  const result = await client.query<{ period: string; sums: string }>(
    `select period, string_agg(sums, ' ' order by sums) as sums from (
       select a.period, a.card_version_id || ':' || split_part(t.key, '/', 1) || ' ' ||
         trim_scale(sum((t.value ->> 'a')::numeric)) || ' for ' || trim_scale(sum((t.value ->> 'q')::numeric)) as sums
       from accumulator a, json_each(a.totals) t
       where a.environment_id = $1 and a.customer_id = $2 and a.period like '%@' || $3::text
       group by a.period, a.card_version_id, split_part(t.key, '/', 1)) part
     group by period`,
    [environmentId, subscription.customerId, String(subscription.id)],
  );
  const charged = new Map(result.rows.map((row) => [row.period, row.sums]));
  const stated = await statedUsage(client, environmentId, subscription.id);
  const closed = await listPeriods(client, environmentId, subscription.id, {
    before: BigInt(open.number),
    limit: open.number,
  });
  return closed.filter(({ number, period }) => stated.get(number) !== charged.get(period)).reverse();
}
