import { toText } from '@ergon/exact';
import { lockCatalog, raiseRevision } from '../catalog/index.ts';
import { formatInstant } from '../event/instant.ts';
import { countBudgets, endBudget, insertBudget, replaceSpec } from '../govern/budget-store.ts';
import { addsUp } from '../catalog/counted-meter.ts';
import { type BudgetSpec, budgetSpec, isMeterMeasure } from '../govern/schemas.ts';
import { refuse } from '../http/problem.ts';
import { LIMITS } from '../limits.ts';
import type { Client, Database, Queryable } from '../store/database.ts';
import { clockOf } from '../store/environment-clock.ts';
import { findDefinition } from './definition-store.ts';
import { grantedAt, nextChange } from './entitlements.ts';
import { featureSpec } from './schemas.ts';
import { lockSubscription, type Subscription } from './subscription-store.ts';

/** Meters that budgets count under a name of their own. */
const UNITS: Readonly<Record<string, BudgetSpec['unit']>> = {
  total_tokens: 'tokens',
  requests: 'requests',
  flops: 'flops',
};

/**
 * The unit in which a budget counts a meter; undefined where none does: a meter that neither counts nor sums (its increments do not
 * add up), or is not there. A metered entitlement to such a one is reported and not enforced.
 */
export async function unitOfMeter(
  db: Queryable,
  environmentId: number,
  meter: string | undefined,
  currency: string,
): Promise<BudgetSpec['unit'] | undefined> {
  if (meter === undefined) return undefined;
  if (meter === 'charge') return currency;
  const known = UNITS[meter];
  if (known !== undefined) return known;
  return (await addsUp(db, environmentId, meter)) ? `meter:${meter}` : undefined;
}

/**
 * Writes the budgets that the subscription's metered entitlements are: one enforcer for every limit (DESIGN section 6). Under the
 * catalog's lock. A hard one denies at its limit, a soft one warns; each counts by the subscription's own periods.
 */
export async function compileEntitlements(
  client: Client,
  environmentId: number,
  id: bigint,
  now: number,
): Promise<void> {
  const subscription = await lockSubscription(client, environmentId, id);
  if (subscription === undefined) return;
  const wanted = await wantedBudgets(client, environmentId, subscription, now);
  const rows = await client.query<{ id: bigint; key: string; spec: unknown }>(
    `select id, key, spec from budget where environment_id = $1 and ended_at is null and starts_with(key, $2)`,
    [environmentId, `ent.${id}.`],
  );
  let isChanged = false;
  for (const row of rows.rows) {
    const spec = wanted.get(row.key);
    const before = budgetSpec.parse(row.spec);
    if (
      spec !== undefined &&
      JSON.stringify(spec.scope) === JSON.stringify(before.scope) &&
      spec.unit === before.unit
    ) {
      wanted.delete(row.key);
      if (JSON.stringify(spec) === JSON.stringify(before)) continue;
      await replaceSpec(client, environmentId, row.id, spec);
    } else {
      await endBudget(client, environmentId, row.id, formatInstant(now));
    }
    isChanged = true;
  }
  if (wanted.size > 0 && (await countBudgets(client, environmentId)) + wanted.size > LIMITS.budgetsMax) {
    throw refuse('conflict', `an environment has at most ${LIMITS.budgetsMax} budgets, metered entitlements included`);
  }
  for (const spec of wanted.values()) {
    await insertBudget(client, environmentId, spec, formatInstant(now));
    isChanged = true;
  }
  if (isChanged) await raiseRevision(client, environmentId);
  const next = nextChange(subscription, now);
  await client.query('update subscription set entitlements_due_at = $3 where environment_id = $1 and id = $2', [
    environmentId,
    id,
    next === null ? null : formatInstant(next),
  ]);
}

async function wantedBudgets(
  client: Client,
  environmentId: number,
  subscription: Subscription,
  now: number,
): Promise<Map<string, BudgetSpec>> {
  const budgets = new Map<string, BudgetSpec>();
  // A scope that ends in a star selects whatever begins so, other customers among them.
  if (subscription.customer.endsWith('*')) return budgets;
  for (const [feature, granted] of grantedAt(subscription, now)) {
    if (granted.type !== 'metered') continue;
    const definition = await findDefinition(client, environmentId, { kind: 'feature', key: feature });
    if (definition === undefined) continue;
    const { meter, only_tagged: isTagged } = featureSpec.parse(definition.spec);
    const unit = await unitOfMeter(client, environmentId, meter, subscription.currency);
    if (unit === undefined) continue;
    const key = budgetKey(subscription.id, feature, definition.id);
    const { customer, timeZone, count, unit: cadence, anchorOn } = subscription;
    budgets.set(
      key,
      budgetSpec.parse({
        key,
        name: `${feature} of ${customer}`,
        scope: { customer, ...(isTagged && { feature }) },
        unit,
        window: `every:${count}${cadence}@${anchorOn}`,
        time_zone: timeZone,
        limit: toText(granted.limit),
        mode: granted.mode === 'hard' ? 'enforce' : 'warn',
        // A call that says nothing of images makes none.
        ...(isMeterMeasure(unit) && { unknown_quantity: 'zero' }),
      }),
    );
  }
  return budgets;
}

export function budgetKey(id: bigint, feature: string, definitionId: bigint): string {
  const key = `ent.${id}.${feature}`;
  return key.length <= 64 ? key : `ent.${id}.${definitionId}`;
}

/** What changes by itself: a phase begins, an add-on goes, a subscription ends. Under the catalog's lock. */
export async function compileDueEntitlements(client: Client, environmentId: number, now: number): Promise<void> {
  const due = await client.query<{ id: bigint }>(
    'select id from subscription where environment_id = $1 and entitlements_due_at <= $2 order by id limit 10000',
    [environmentId, formatInstant(now)],
  );
  for (const { id } of due.rows) await compileEntitlements(client, environmentId, id, now);
}

/** The job behind it, for every environment. */
export async function entitleDue(database: Database, now: number): Promise<void> {
  const due = await database.pool.query<{ id: number }>(
    `select distinct e.id from subscription s join environment e on e.id = s.environment_id
     where s.entitlements_due_at <= coalesce(e.clock_at, $1) order by e.id`,
    [formatInstant(now)],
  );
  for (const { id } of due.rows) {
    await database.transaction(async (client) => {
      await lockCatalog(client, id);
      await compileDueEntitlements(client, id, await clockOf(client, id, now));
    });
  }
}
