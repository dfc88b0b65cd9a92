import { compare, isPositive, subtract, toText, ZERO } from '@ergon/exact';
import { z } from '@hono/zod-openapi';
import { subscribedPeriod } from '../catalog/billing-terms.ts';
import { findCustomer } from '../catalog/index.ts';
import { formatInstant } from '../event/instant.ts';
import type { AppServices } from '../http/context.ts';
import { type App, readRoute } from '../http/operation.ts';
import { refuse } from '../http/problem.ts';
import { catalogKey, decimalOutput, externalId, instantOutput } from '../http/wire.ts';
import { meterTotal } from '../report/index.ts';
import type { Queryable } from '../store/database.ts';
import { clockOf } from '../store/environment-clock.ts';
import { budgetKey, unitOfMeter } from './compile-entitlements.ts';
import { subscriptionTerms } from './customer-terms.ts';
import { findDefinition } from './definition-store.ts';
import { type Granted, grantedAt } from './entitlements.ts';
import { featureSpec } from './schemas.ts';
import { type Subscription, subscriptionsOf } from './subscription-store.ts';

const params = z.strictObject({ id: externalId, feature: catalogKey });

const entitlementAnswer = z
  .strictObject({
    feature: z.string(),
    has_access: z.boolean(),
    type: z.enum(['boolean', 'static', 'metered']).nullable().openapi({ description: 'Null: nothing entitles to it' }),
    subscription: z.string().nullable(),
    value: z.string().optional(),
    meter: z.string().optional(),
    mode: z.enum(['hard', 'soft']).optional(),
    limit: decimalOutput.optional(),
    used: decimalOutput.optional(),
    left: decimalOutput.optional(),
    resets_at: instantOutput.optional(),
    budget: z.string().nullable().optional().openapi({
      description:
        'The budget that enforces it; null: its meter is none that budgets count, so it is only reported here',
    }),
  })
  .openapi('CustomerEntitlement');

export function registerEntitlementRoutes(app: App, services: AppServices): void {
  const { pool } = services.database;
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/customers/{id}/entitlements/{feature}',
      operationId: 'getCustomerEntitlement',
      tag: 'Plans',
      scope: 'billing:read',
      summary: 'May a customer use a feature, and how much is left',
      description:
        "By the subscription's plan and add-ons at this moment. A metered one counts the usage recorded in the present period; its limit is a budget, which holds are checked against.",
      params,
      answer: entitlementAnswer,
      problems: ['not_found'],
    },
    async ({ environmentId, params: { id, feature } }) => {
      const now = await clockOf(pool, environmentId, services.now());
      const customer = await findCustomer(pool, environmentId, id);
      if (customer === undefined) throw refuse('not_found', `there is no customer ${id}`);
      const all = await subscriptionsOf(pool, environmentId, customer.id);
      const active = all.find(({ startsAt, endsAt }) => startsAt <= now && (endsAt === null || endsAt > now));
      const granted = active && grantedAt(active, now).get(feature);
      if (active === undefined || granted === undefined) {
        return { feature, has_access: false, type: null, subscription: active?.key ?? null };
      }
      const common = { feature, has_access: true, type: granted.type, subscription: active.key };
      if (granted.type === 'boolean') return common;
      if (granted.type === 'static') return { ...common, value: granted.value };
      return { ...common, ...(await meteredPart(pool, environmentId, active, feature, granted, now)) };
    },
  );
}

async function meteredPart(
  db: Queryable,
  environmentId: number,
  subscription: Subscription,
  feature: string,
  { limit, mode }: Granted & { type: 'metered' },
  now: number,
) {
  const definition = await findDefinition(db, environmentId, { kind: 'feature', key: feature });
  const spec = featureSpec.parse(definition?.spec ?? {});
  if (definition === undefined || spec.meter === undefined) {
    throw refuse('not_found', `the feature ${feature} has no meter`);
  }
  const { from, to } = subscribedPeriod(subscriptionTerms(subscription), now);
  const used = await meterTotal(db, environmentId, {
    meter: spec.meter,
    customer: subscription.customer,
    feature: spec.only_tagged ? feature : undefined,
    from,
    to,
  });
  const left = subtract(limit, used);
  const isEnforced = (await unitOfMeter(db, environmentId, spec.meter, subscription.currency)) !== undefined;
  return {
    has_access: mode === 'soft' || compare(used, limit) < 0,
    meter: spec.meter,
    mode,
    limit: toText(limit),
    used: toText(used),
    left: toText(isPositive(left) ? left : ZERO),
    resets_at: formatInstant(to),
    budget: isEnforced ? budgetKey(subscription.id, feature, definition.id) : null,
  };
}
