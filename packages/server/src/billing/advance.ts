import { currency, decimal } from '@ergon/exact';
import { subscribedPeriod } from '../catalog/billing-terms.ts';
import { formatInstant } from '../event/instant.ts';
import { createGrant } from '../ledger/index.ts';
import { subscriptionTerms } from './customer-terms.ts';
import { totalOf } from './line-store.ts';
import { closePeriodRow, insertPeriod, latestPeriod, type PeriodRecord } from './period-store.ts';
import { changedPeriods, settlePeriod, type SettleContext } from './settle-period.ts';
import { lockSubscription } from './subscription-store.ts';

export type AdvanceContext = Pick<SettleContext, 'client' | 'environmentId' | 'catalog' | 'now'>;

/**
 * Opens or closes periods of one subscription until nothing is due. The caller's transaction holds the environment's lock; the
 * subscription's own lock and the key of its periods make each step happen once, whoever tries.
 *
 * @returns periods closed.
 */
export async function advanceSubscription(context: AdvanceContext, id: bigint, stepsMax: number): Promise<number> {
  let closed = 0;
  for (let step = 0; step < stepsMax; step++) {
    const subscription = await lockSubscription(context.client, context.environmentId, id);
    if (subscription === undefined || subscription.dueAt === null || subscription.dueAt > context.now) return closed;
    const latest = await latestPeriod(context.client, context.environmentId, id);
    const settling = { ...context, subscription };
    if (latest === undefined) {
      await openPeriod(settling, 1, subscription.startsAt);
    } else if (latest.closedAt === null) {
      await closePeriod(settling, latest);
      closed += 1;
      const isOver = subscription.endsAt !== null && latest.to >= subscription.endsAt;
      if (isOver) await setDue(settling, null);
      else await openPeriod(settling, latest.number + 1, latest.to);
    } else {
      await openPeriod(settling, latest.number + 1, latest.to);
    }
  }
  return closed;
}

async function openPeriod(context: SettleContext, number: number, from: number): Promise<void> {
  const { client, environmentId, subscription } = context;
  const { period, to } = subscribedPeriod(subscriptionTerms(subscription), from);
  const opened: PeriodRecord = { number, period, from, to, openedAt: context.now, closedAt: null, total: null };
  await insertPeriod(client, environmentId, subscription.id, opened);
  await grantAllowances(context, opened);
  await settlePeriod(context, opened, 'in_advance');
  await setDue(context, to);
}

async function closePeriod(context: SettleContext, period: PeriodRecord): Promise<void> {
  const { client, environmentId, subscription } = context;
  await settlePeriod(context, period, 'all');
  const total = await totalOf(client, environmentId, subscription.id, period.number, subscription.currency);
  await closePeriodRow(client, environmentId, subscription.id, period.number, { at: context.now, total });
}

/** Included amounts: grants of the period, which end with it, so that nothing has to be reset. */
async function grantAllowances(context: SettleContext, period: PeriodRecord): Promise<void> {
  const { client, environmentId, subscription } = context;
  const phase = subscription.phases.findLast((one) => one.from <= period.from);
  const addOns = subscription.addOns.filter(({ from, to }) => from <= period.from && (to === null || to > period.from));
  for (const one of [...(phase?.plan.allowances ?? []), ...addOns.flatMap(({ spec }) => spec.allowances)]) {
    const code = one.currency ?? subscription.currency;
    const wallet = `plan.${code.replace(':', '.')}`;
    await client.query(
      `insert into wallet (environment_id, customer_id, key, currency) values ($1, $2, $3, $4) on conflict do nothing`,
      [environmentId, subscription.customerId, wallet, code],
    );
    await createGrant(client, {
      environmentId,
      customerId: subscription.customerId,
      wallet,
      currency: currency(code),
      amount: decimal(one.amount),
      kind: 'promotional',
      priority: one.priority ?? null,
      effectiveAt: period.from,
      expiresAt: period.to,
      eligibility: one.eligibility,
      idempotencyKey: undefined,
    });
  }
}

async function setDue({ client, environmentId, subscription }: SettleContext, at: number | null): Promise<void> {
  await client.query('update subscription set due_at = $3 where environment_id = $1 and id = $2', [
    environmentId,
    subscription.id,
    at === null ? null : formatInstant(at),
  ]);
}

/**
 * What came late after the last period of a subscription that has ended: a period of no length, closed at once, whose lines
 * correct the earlier ones.
 *
 * @returns periods closed.
 */
export async function adjustEnded(context: AdvanceContext, id: bigint): Promise<number> {
  const { client, environmentId, now } = context;
  const subscription = await lockSubscription(client, environmentId, id);
  const latest = await latestPeriod(client, environmentId, id);
  const endsAt = subscription?.endsAt ?? null;
  if (subscription === undefined || endsAt === null || endsAt > now || latest === undefined || latest.closedAt === null)
    return 0;
  const number = latest.number + 1;
  const period: PeriodRecord = {
    number,
    period: `${latest.period.replace(/\+.*$/, '')}+${number}`,
    from: endsAt,
    to: endsAt,
    openedAt: now,
    closedAt: null,
    total: null,
  };
  const settling = { ...context, subscription };
  if ((await changedPeriods(settling, period)).length === 0) return 0;
  await insertPeriod(client, environmentId, id, period);
  await closePeriod(settling, period);
  return 1;
}
