import { lockCatalog } from '../catalog/index.ts';
import { customerById } from '../catalog/customers.ts';
import { type CatalogSnapshot, catalogRevision, loadSnapshot } from '../catalog/snapshot.ts';
import { StaleGenerationsError } from '../identity/index.ts';
import { LIMITS } from '../limits.ts';
import { type AdjustContext, type AdjustmentPlan, rateAdjustments, recordAdjustments } from '../record/adjust.ts';
import type { AfterCommit, RecordServices } from '../record/record-services.ts';
import type { StoredEvent } from '../record/read-events.ts';
import { standingOf } from '../record/standing.ts';
import { type Client, type Database, isConnectionLost } from '../store/database.ts';
import { withEveryMeter } from './every-meter.ts';
import { planAdjustment } from './plan-adjustment.ts';
import { nextCustomer, readPart } from './read-customer.ts';
import {
  addCharges,
  finishRerate,
  isAskedOpen,
  lockRerate,
  openRerates,
  type Rerate,
  saveProgress,
} from './rerate-store.ts';

export type RerateServices = {
  readonly database: Database;
  readonly record: RecordServices;
  /** The time of an environment, microseconds since 1970. */
  readonly now: (environmentId: number) => number;
  readonly onFailure: (error: unknown) => void;
};

/** Carries out the re-ratings that wait, a bounded number of events in each transaction. Several processes may do it at once. */
export async function runRerates(services: RerateServices): Promise<void> {
  for (const { environmentId, id } of await openRerates(services.database.pool)) {
    await runRerate(services, environmentId, id);
  }
}

async function runRerate(services: RerateServices, environmentId: number, id: bigint): Promise<void> {
  for (;;) {
    try {
      if ((await rerateSome(services, environmentId, id)) === 'done') return;
    } catch (error) {
      if (error instanceof StaleGenerationsError) {
        await services.record.generations.refresh(services.database.pool);
        continue;
      }
      // A lost connection or a deadlock left nothing behind: the next turn goes on where this one began.
      if (isConnectionLost(error) || isRetryable(error)) return;
      services.onFailure(error);
      await finishRerate(services.database.pool, { environmentId, id }, 'an error of the server; the log has it');
      return;
    }
  }
}

function isRetryable(error: unknown): boolean {
  return error instanceof Error && 'code' in error && ['40001', '40P01', '55P03', '57014'].includes(String(error.code));
}

/** One transaction: the next part of one customer, wholly adjusted or not at all. */
async function rerateSome(services: RerateServices, environmentId: number, id: bigint): Promise<'more' | 'done'> {
  const afterCommit: AfterCommit = [];
  const outcome = await services.database.transaction(async (client) => {
    const rerate = await lockRerate(client, environmentId, id);
    if (rerate === undefined) return 'done';
    if (rerate.isDryRun) await client.query('select from ergon_open($1, false)', [environmentId]);
    else await lockCatalog(client, environmentId);
    if (rerate.isAutomatic && (await isAskedOpen(client, environmentId))) return 'done';
    const customerId = rerate.atCustomer === 0 ? await nextCustomer(client, rerate) : rerate.atCustomer;
    if (customerId === undefined) {
      await finishRerate(client, rerate);
      return 'done';
    }
    const isLast = await adjustPart(services, client, rerate, customerId, afterCommit);
    if (!isLast) return 'more';
    const next = await nextCustomer(client, { ...rerate, atCustomer: customerId });
    if (next === undefined) {
      await finishRerate(client, rerate);
      return 'done';
    }
    await saveProgress(client, rerate, { customerId: next, block: 0n, examined: 0, adjusted: 0 });
    return 'more';
  });
  for (const action of afterCommit) action();
  return outcome;
}

/** @returns whether the customer is done. */
async function adjustPart(
  services: RerateServices,
  client: Client,
  rerate: Rerate,
  customerId: number,
  afterCommit: AfterCommit,
): Promise<boolean> {
  const { environmentId, id, isDryRun } = rerate;
  const catalog = await withEveryMeter(client, await currentCatalog(services.record, client, environmentId));
  const context: AdjustContext = {
    client,
    services: services.record,
    environmentId,
    now: services.now(environmentId),
    isExclusive: !isDryRun,
    // What is taken back goes to grants that may be used up.
    withSpent: true,
    // A dry run is rolled back: nothing may be believed of it.
    afterCommit: isDryRun ? [] : afterCommit,
    catalog,
    rerateId: id,
  };
  const customer = await customerById(client, environmentId, customerId);
  const eventsMax = isDryRun ? LIMITS.rerateDryRunEventsMax : LIMITS.rerateEventsTogether;
  const part = await readPart(client, rerate, customerId, rerate.atBlock, eventsMax);
  const plans = customer === undefined ? [] : await plansOf(context, rerate, customer, part.events);
  if (isDryRun) await client.query('savepoint dry_run');
  const rate = isDryRun ? rateAdjustments : recordAdjustments;
  const charges = plans.length === 0 ? [] : await rate(context, customer, plans);
  if (isDryRun) await client.query('rollback to savepoint dry_run');
  await addCharges(client, rerate, customerId, charges);
  const progress = { customerId, block: part.lastBlock, examined: part.examined, adjusted: plans.length };
  await saveProgress(client, rerate, progress);
  return part.isLast;
}

async function plansOf(
  { client, environmentId, catalog }: AdjustContext,
  { onlyUnrated }: Rerate,
  customer: Parameters<typeof planAdjustment>[0]['customer'],
  events: readonly StoredEvent[],
): Promise<AdjustmentPlan[]> {
  const standing = await standingOf(client, environmentId, events);
  return events.flatMap((stored) => {
    const own = standing.get(stored.event.identity);
    if (own === undefined) return [];
    return planAdjustment({ catalog, customer }, stored, own, onlyUnrated) ?? [];
  });
}

/** The catalog that holds until the commit: the environment's lock is held. */
async function currentCatalog(record: RecordServices, client: Client, environmentId: number): Promise<CatalogSnapshot> {
  const known = record.knownCatalog(environmentId);
  const isCurrent = known !== undefined && known.revision === (await catalogRevision(client, environmentId));
  return isCurrent ? known : loadSnapshot(client, environmentId);
}
