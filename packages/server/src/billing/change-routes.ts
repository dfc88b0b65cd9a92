import { z } from '@hono/zod-openapi';
import { subscribedPeriod } from '../catalog/billing-terms.ts';
import { formatInstant } from '../event/instant.ts';
import type { AppServices } from '../http/context.ts';
import { type App, type WriteRequest, writeRoute } from '../http/operation.ts';
import { refuse } from '../http/problem.ts';
import { recordAction } from '../store/audit-log.ts';
import { type Changing, changeSubscription, endSubscription, instantOf, replacePhases } from './change-subscription.ts';
import {
  findPlan,
  insertAddOn,
  insertCoupon,
  insertPhase,
  refuseOtherCurrency,
  refuseWrongCard,
  wrong,
} from './subscribe.ts';
import type { Client } from '../store/database.ts';
import { subscriptionTerms } from './customer-terms.ts';
import type { Subscription } from './subscription-store.ts';
import { subscriptionParams } from './subscription-routes.ts';
import {
  addOnBody,
  cancelBody,
  changeBody,
  couponBody,
  subscriptionAnswer,
  subscriptionShown,
  tooManyParts,
} from './subscription-schemas.ts';

type Params = z.infer<typeof subscriptionParams>;

/** What happens to a subscription in its life; each is one transaction, and what it costs stands in the open period at once. */
export function registerChangeRoutes(app: App, services: AppServices): void {
  registerChange(app, services);
  registerCancel(app, services);
  registerParts(app, services);
}

const operation = {
  method: 'post' as const,
  tag: 'Plans' as const,
  scope: 'billing:write' as const,
  params: subscriptionParams,
  answer: subscriptionAnswer,
  problems: ['not_found' as const, 'conflict' as const],
};

function registerChange(app: App, services: AppServices): void {
  writeRoute(
    app,
    services,
    {
      ...operation,
      path: '/v1/subscriptions/{key}/change',
      operationId: 'changeSubscription',
      summary: 'Upgrade or downgrade',
      description:
        'Another plan, now or from the next period. Now: the unused days of fees paid in advance come back, the days left of the new ones are charged. Planned phases are dropped; a trial ends.',
      body: changeBody,
    },
    (request) =>
      change(services, request, 'subscription.change', async (changing) => {
        const { client, environmentId, subscription } = changing;
        const { body } = request;
        const plan = await findPlan(client, environmentId, body, '/plan');
        refuseOtherCurrency(plan, subscription.currency, '/plan');
        const { unit, count } = plan.plan.cadence;
        if (unit !== subscription.unit || count !== subscription.count) {
          throw wrong(
            '/plan',
            `the plan ${plan.key} is billed every ${count} ${unit}, the subscription every ${subscription.count} ${subscription.unit}`,
            'cancel at the end of the period, and subscribe anew from there',
          );
        }
        await refuseWrongCard(client, environmentId, body.rate_card, subscription.currency);
        const from = instantOf(body.at, changing);
        if (subscription.endsAt !== null && from >= subscription.endsAt) {
          throw refuse('conflict', `the subscription ends at ${formatInstant(subscription.endsAt)}`);
        }
        await replacePhases(changing, from);
        await insertPhase(client, environmentId, subscription.id, { from, planId: plan.id, rateCard: body.rate_card });
      }),
  );
}

function registerCancel(app: App, services: AppServices): void {
  writeRoute(
    app,
    services,
    {
      ...operation,
      path: '/v1/subscriptions/{key}/cancel',
      operationId: 'cancelSubscription',
      summary: 'Cancel now or at the end of the period',
      description:
        'Now: the period closes at once, and the days after today of fees paid in advance come back. Afterwards the customer is rated as one without a subscription.',
      body: cancelBody,
    },
    (request) =>
      change(services, request, 'subscription.cancel', (changing) =>
        endSubscription(changing, instantOf(request.body.at, changing)),
      ),
  );
  writeRoute(
    app,
    services,
    {
      ...operation,
      path: '/v1/subscriptions/{key}/resume',
      operationId: 'resumeSubscription',
      summary: 'Take back a cancellation',
      description: 'Before it takes effect.',
    },
    (request) =>
      change(services, request, 'subscription.resume', async ({ client, environmentId, subscription, open }) => {
        if (subscription.endsAt === null)
          throw refuse('conflict', `the subscription ${subscription.key} is not cancelled`);
        await refuseFollowed(client, environmentId, subscription);
        const whole =
          open === undefined
            ? undefined
            : subscribedPeriod({ ...subscriptionTerms(subscription), to: null }, open.from);
        const dueAt = whole?.to ?? subscription.startsAt;
        await client.query(
          'update subscription set ends_at = null, due_at = $3 where environment_id = $1 and id = $2',
          [environmentId, subscription.id, formatInstant(dueAt)],
        );
      }),
  );
}

function registerParts(app: App, services: AppServices): void {
  writeRoute(
    app,
    services,
    {
      ...operation,
      path: '/v1/subscriptions/{key}/add_ons',
      operationId: 'addSubscriptionAddOn',
      summary: 'Add an add-on',
      description: 'From now on; its fees are charged for the days left. Its allowances begin with the next period.',
      body: addOnBody,
    },
    (request) =>
      change(services, request, 'subscription.add_on', async (changing) => {
        const { client, environmentId, subscription } = changing;
        refuseMore(changing);
        const from = instantOf('now', changing);
        const addOn = { ...request.body, from, currency: subscription.currency };
        await insertAddOn(client, environmentId, subscription.id, addOn, '/key');
      }),
  );
  const params = subscriptionParams.extend({ add_on: z.string().regex(/^\d{1,18}$/, 'the id of an add-on') });
  writeRoute(
    app,
    services,
    {
      ...operation,
      params,
      path: '/v1/subscriptions/{key}/add_ons/{add_on}/remove',
      operationId: 'removeSubscriptionAddOn',
      summary: 'Remove an add-on now or at the end of the period',
      description: 'Now: the unused days of its fees come back.',
      body: cancelBody,
    },
    (request) =>
      change(services, request, 'subscription.remove_add_on', async (changing) => {
        const { client, environmentId, subscription } = changing;
        const { add_on: id } = request.params;
        const result = await client.query(
          `update subscription_add_on set effective_to = greatest(effective_from, $4)
           where environment_id = $1 and subscription_id = $2 and id = $3 and (effective_to is null or effective_to > $4)`,
          [environmentId, subscription.id, id, formatInstant(instantOf(request.body.at, changing))],
        );
        if (result.rowCount === 0) throw refuse('not_found', `the subscription has no add-on ${id}`);
      }),
  );
  writeRoute(
    app,
    services,
    {
      ...operation,
      path: '/v1/subscriptions/{key}/coupons',
      operationId: 'addSubscriptionCoupon',
      summary: 'Give a coupon',
      description:
        'From the open period on. Coupons lower what a period comes to in all, in the order they were given.',
      body: couponBody,
    },
    (request) =>
      change(services, request, 'subscription.coupon', async (changing) => {
        const { client, environmentId, subscription, open } = changing;
        refuseMore(changing);
        const coupon = { ...request.body, firstPeriod: open?.number ?? 1, currency: subscription.currency };
        await insertCoupon(client, environmentId, subscription.id, coupon, '/key');
      }),
  );
}

/** Another subscription of the customer may have been planned for when this one ends. */
async function refuseFollowed(
  client: Client,
  environmentId: number,
  { id, customerId, key }: Subscription,
): Promise<void> {
  const result = await client.query<{ key: string }>(
    `select key from subscription where environment_id = $1 and customer_id = $2 and id <> $3
       and tstzrange(starts_at, ends_at) && tstzrange((select starts_at from subscription where environment_id = $1 and id = $3), null)
     limit 1`,
    [environmentId, customerId, id],
  );
  const [next] = result.rows;
  if (next !== undefined) throw refuse('conflict', `the subscription ${next.key} follows ${key}; cancel it first`);
}

function refuseMore({ subscription }: Changing): void {
  if (tooManyParts(subscription)) throw refuse('conflict', 'the subscription has had too many of these already');
}

async function change<P extends Params, B>(
  services: AppServices,
  { client, environmentId, principal, params, body }: WriteRequest<P, unknown, B>,
  action: string,
  apply: (changing: Changing) => Promise<void>,
): Promise<z.infer<typeof subscriptionAnswer>> {
  const { key } = params;
  const { subscription, now } = await changeSubscription(client, environmentId, key, services.now(), apply);
  await recordAction(client, {
    environmentId,
    actor: principal.keyId,
    action,
    target: `/v1/subscriptions/${key}`,
    detail: { ...(body ?? {}) },
  });
  return subscriptionShown(subscription, now);
}
