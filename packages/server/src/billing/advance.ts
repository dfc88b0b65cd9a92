import { currency, decimal } from '@ergon/exact';
import { subscribedPeriod } from '../catalog/billing-terms.ts';
import { type CatalogSnapshot, loadSnapshot } from '../catalog/snapshot.ts';
import { formatInstant } from '../event/instant.ts';
import { createGrant } from '../ledger/index.ts';
import type { Client, Database } from '../store/database.ts';
import { clockOf } from '../store/environment-clock.ts';
import { subscriptionTerms } from './customer-terms.ts';
import { totalOf } from './line-store.ts';
import { closePeriodRow, insertPeriod, latestPeriod, type PeriodRecord } from './period-store.ts';
import { settlePeriod, type SettleContext } from './settle-period.ts';
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

type DueRow = { environment_id: number; id: bigint; now: string | null };

/** Subscriptions looked at in one go of the job. */
const BATCH = 200;
/** One: a close takes totals before accounts, as ingest does, and a second one would take totals after accounts. */
const STEPS_PER_TRANSACTION = 1;

/**
 * Opens and closes what is due in every environment, one subscription a transaction. Safe on several replicas at once and to
 * repeat: a subscription that another holds is waited for, and then nothing of it is due.
 *
 * @param now microseconds since 1970; a sandbox that stopped its clock has its own.
 * @returns periods closed.
 */
export async function advanceDue(
  database: Database,
  now: number,
  onFailure: (error: unknown) => void,
): Promise<number> {
  let closed = 0;
  let after: [number, bigint] = [0, 0n];
  for (;;) {
    const due = await database.pool.query<DueRow>(
      `select s.environment_id, s.id, e.clock_at as now from subscription s join environment e on e.id = s.environment_id
       where s.due_at <= coalesce(e.clock_at, $1) and (s.environment_id, s.id) > ($2, $3)
       order by s.environment_id, s.id limit $4`,
      [formatInstant(now), after[0], after[1], BATCH],
    );
    for (const row of due.rows) {
      after = [row.environment_id, row.id];
      try {
        closed += await advanceOne(database, row.environment_id, row.id, now);
      } catch (error) {
        // One that cannot be closed must not keep the others from it; it is tried again at the next turn.
        onFailure(error);
      }
    }
    if (due.rows.length < BATCH) return closed;
  }
}

async function advanceOne(database: Database, environmentId: number, id: bigint, now: number): Promise<number> {
  let closed = 0;
  for (;;) {
    const count = await database.transaction(async (client) => {
      const { catalog, at } = await openShared(client, environmentId, now);
      return advanceSubscription({ client, environmentId, catalog, now: at }, id, STEPS_PER_TRANSACTION);
    });
    closed += count;
    if (count === 0) return closed;
  }
}

/** Shared with ingest, against whoever changes the catalog; the clock is read under it. */
async function openShared(
  client: Client,
  environmentId: number,
  now: number,
): Promise<{ catalog: CatalogSnapshot; at: number }> {
  await client.query('select from ergon_open($1, false)', [environmentId]);
  return { catalog: await loadSnapshot(client, environmentId), at: await clockOf(client, environmentId, now) };
}
