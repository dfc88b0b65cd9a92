import { lockCatalog } from '../catalog/index.ts';
import { loadSnapshot } from '../catalog/snapshot.ts';
import { formatInstant } from '../event/instant.ts';
import { refuse } from '../http/problem.ts';
import { LIMITS } from '../limits.ts';
import type { Client } from '../store/database.ts';
import { clockOf } from '../store/environment-clock.ts';
import { advanceSubscription } from './advance.ts';
import { compileEntitlements } from './compile-entitlements.ts';
import { publishTerms } from './customer-terms.ts';
import { endPeriodAt, latestPeriod, type PeriodRecord } from './period-store.ts';
import { settlePeriod } from './settle-period.ts';
import { findSubscription, lockSubscription, type Subscription } from './subscription-store.ts';

/** Periods that one request closes before its own change: a subscription is due for years only where a clock jumped. */
const STEPS_MAX = 1_000;

/** A change of a subscription on its way: what it is now, and the period that is open. */
export type Changing = {
  readonly client: Client;
  readonly environmentId: number;
  readonly now: number;
  readonly subscription: Subscription;
  readonly open: PeriodRecord | undefined;
};

/**
 * Changes a subscription in the caller's transaction, under the catalog's lock: periods that are due close first, `change`
 * writes, rating hears of it, and what the change costs or gives back within the open period is posted at once.
 */
export async function changeSubscription(
  client: Client,
  environmentId: number,
  key: string,
  machineNow: number,
  change: (changing: Changing) => Promise<void>,
): Promise<{ subscription: Subscription; now: number }> {
  await lockCatalog(client, environmentId);
  const now = await clockOf(client, environmentId, machineNow);
  const known = await findSubscription(client, environmentId, key);
  if (known === undefined) throw noSubscription(key);
  const catalog = await loadSnapshot(client, environmentId);
  await advanceSubscription({ client, environmentId, catalog, now }, known.id, STEPS_MAX);
  const subscription = await locked(client, environmentId, known.id);
  if (subscription.endsAt !== null && subscription.endsAt <= now) {
    throw refuse('conflict', `the subscription ${key} has ended`);
  }
  const latest = await latestPeriod(client, environmentId, known.id);
  const open = latest?.closedAt === null ? latest : undefined;
  await change({ client, environmentId, now, subscription, open });
  await publishTerms(client, environmentId, subscription.customerId);
  await settleChange(client, environmentId, known.id, now);
  return { subscription: await locked(client, environmentId, known.id), now };
}

/** What a change costs within the open period, or its close where the change ended it. */
async function settleChange(client: Client, environmentId: number, id: bigint, now: number): Promise<void> {
  const subscription = await locked(client, environmentId, id);
  const open = await latestPeriod(client, environmentId, id);
  const catalog = await loadSnapshot(client, environmentId);
  if (open?.closedAt === null && open.to > now) {
    await settlePeriod({ client, environmentId, catalog, subscription, now }, open, 'in_advance');
  }
  await advanceSubscription({ client, environmentId, catalog, now }, id, STEPS_MAX);
  await compileEntitlements(client, environmentId, id, now);
}

async function locked(client: Client, environmentId: number, id: bigint): Promise<Subscription> {
  const subscription = await lockSubscription(client, environmentId, id);
  if (subscription === undefined) throw new Error(`the subscription ${id} is gone`);
  return subscription;
}

export function noSubscription(key: string) {
  return refuse('not_found', `there is no subscription ${key}`);
}

/** The instant a client means: now, or the end of the period (of a subscription that has not begun: its beginning). */
export function instantOf(when: 'now' | 'period_end', { now, open, subscription }: Changing): number {
  if (open === undefined) return subscription.startsAt;
  return when === 'now' ? now : open.to;
}

/** Another plan from an instant on; whatever was planned after it is dropped. */
export async function replacePhases(changing: Changing, from: number): Promise<void> {
  if (changing.subscription.phases.length >= LIMITS.termsMax) {
    throw refuse('conflict', `a subscription has at most ${LIMITS.termsMax} phases`);
  }
  await changing.client.query(
    'delete from subscription_phase where environment_id = $1 and subscription_id = $2 and effective_from > $3',
    [changing.environmentId, changing.subscription.id, formatInstant(from)],
  );
}

/** Ends the subscription; its open period ends with it. */
export async function endSubscription(changing: Changing, at: number): Promise<void> {
  const { client, environmentId, subscription, open } = changing;
  await client.query('update subscription set ends_at = $3, due_at = $4 where environment_id = $1 and id = $2', [
    environmentId,
    subscription.id,
    formatInstant(at),
    open === undefined ? null : formatInstant(Math.min(at, open.to)),
  ]);
  if (open !== undefined && at < open.to) await endPeriodAt(client, environmentId, subscription.id, open.number, at);
}
