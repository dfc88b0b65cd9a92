import type { z } from '@hono/zod-openapi';
import { type CadenceUnit, addDays, localDay, startOfDay } from '../catalog/billing-period.ts';
import { type CustomerRow, findOrCreateCustomer } from '../catalog/index.ts';
import { formatInstant } from '../event/instant.ts';
import { refuse } from '../http/problem.ts';
import { instantMicros } from '../http/wire.ts';
import { LIMITS } from '../limits.ts';
import type { Client } from '../store/database.ts';
import { wrongCard } from './publish-definition.ts';
import { type DefinitionKind, findDefinition } from './definition-store.ts';
import { addOnSpec, couponSpec, type PlanSpec, planSpec } from './schemas.ts';
import type { subscribeBody } from './subscription-schemas.ts';

export type SubscribeRequest = z.infer<typeof subscribeBody>;

export type PlanVersion = {
  readonly id: bigint;
  readonly key: string;
  readonly version: number;
  readonly plan: PlanSpec;
};

/** Writes a new subscription with its parts; the caller holds the catalog's lock, publishes the terms and opens what is due. */
export async function insertSubscription(
  client: Client,
  environmentId: number,
  request: SubscribeRequest,
  now: number,
): Promise<{ id: bigint; customerId: bigint }> {
  const first = await findPlan(client, environmentId, request, '/plan');
  const customer = await findOrCreateCustomer(client, environmentId, request.customer);
  const startsAt = request.starts_at === undefined ? now : instantMicros(request.starts_at);
  if (startsAt < now) await refuseRatedPast(client, environmentId, customer, startsAt);
  await refuseTooMany(client, environmentId, customer.id);
  const { plan } = first;
  await refuseWrongCard(client, environmentId, request.rate_card, plan.currency);
  const { cadence: { unit, count } = plan.cadence, time_zone: timeZone = customer.time_zone } = request;
  const trialDays = request.trial_days ?? plan.trial?.days ?? 0;
  const startsOn = localDay(startsAt, timeZone);
  const trialEndsOn = addDays(startsOn, trialDays);
  const id = await insertRow(client, environmentId, {
    key: request.key,
    customerId: customer.id,
    currency: plan.currency,
    timeZone,
    unit,
    count,
    anchorOn: request.anchor_on ?? trialEndsOn,
    startsAt,
  });
  const paidFrom = trialDays === 0 ? startsAt : startOfDay(trialEndsOn, timeZone);
  if (trialDays > 0) {
    const card = plan.trial?.rate_card ?? request.rate_card;
    await insertPhase(client, environmentId, id, { from: startsAt, planId: first.id, rateCard: card, isTrial: true });
  }
  await insertPhase(client, environmentId, id, { from: paidFrom, planId: first.id, rateCard: request.rate_card });
  await insertPhases(client, environmentId, id, request, plan, paidFrom);
  for (const [index, one] of request.add_ons.entries()) {
    await insertAddOn(
      client,
      environmentId,
      id,
      { ...one, from: startsAt, currency: plan.currency },
      `/add_ons/${index}/key`,
    );
  }
  for (const [index, key] of request.coupons.entries()) {
    await insertCoupon(
      client,
      environmentId,
      id,
      { key, firstPeriod: 1, currency: plan.currency },
      `/coupons/${index}`,
    );
  }
  return { id, customerId: customer.id };
}

async function insertPhases(
  client: Client,
  environmentId: number,
  id: bigint,
  request: SubscribeRequest,
  first: PlanSpec,
  after: number,
): Promise<void> {
  let latest = after;
  for (const [index, phase] of request.phases.entries()) {
    const pointer = `/phases/${index}`;
    const from = instantMicros(phase.from);
    if (from <= latest) {
      throw wrong(`${pointer}/from`, 'a phase begins after the one before it', 'order the phases by their beginning');
    }
    latest = from;
    const next = await findPlan(client, environmentId, phase, `${pointer}/plan`);
    refuseOtherCurrency(next, first.currency, `${pointer}/plan`);
    await refuseWrongCard(client, environmentId, phase.rate_card, first.currency, `${pointer}/rate_card`);
    await insertPhase(client, environmentId, id, { from, planId: next.id, rateCard: phase.rate_card });
  }
}

type NewRow = {
  readonly key: string | undefined;
  readonly customerId: bigint;
  readonly currency: string;
  readonly timeZone: string;
  readonly unit: CadenceUnit;
  readonly count: number;
  readonly anchorOn: string;
  readonly startsAt: number;
};

async function insertRow(client: Client, environmentId: number, row: NewRow): Promise<bigint> {
  const { key } = row;
  if (key !== undefined) {
    const known = await client.query('select from subscription where environment_id = $1 and key = $2', [
      environmentId,
      key,
    ]);
    if (known.rowCount !== 0) throw refuse('conflict', `there is a subscription ${key} already`);
  }
  const startsAt = formatInstant(row.startsAt);
  const other = await client.query<{ key: string }>(
    `select key from subscription where environment_id = $1 and customer_id = $2 and (ends_at is null or ends_at > $3) limit 1`,
    [environmentId, row.customerId, startsAt],
  );
  const [taken] = other.rows;
  if (taken !== undefined) throw overlap(taken.key);
  const result = await client.query<{ id: bigint }>(
    `insert into subscription (environment_id, key, customer_id, currency, time_zone, cadence_unit, cadence_count, anchor_on,
       starts_at, due_at)
     values ($1, coalesce($2, 'sub_' || nextval('subscription_key')), $3, $4, $5, $6, $7, $8, $9, $9) returning id`,
    [
      environmentId,
      key ?? null,
      row.customerId,
      row.currency,
      row.timeZone,
      row.unit,
      row.count,
      row.anchorOn,
      startsAt,
    ],
  );
  const id = result.rows[0]?.id;
  if (id === undefined) throw new Error('the subscription was not created');
  return id;
}

function overlap(key: string) {
  return refuse('conflict', `the customer has the subscription ${key} at that time`, [
    {
      pointer: '/customer',
      detail: 'a customer has one subscription at a time',
      remedy: `change its plan (POST /v1/subscriptions/${key}/change), or cancel it first`,
    },
  ]);
}

export async function insertPhase(
  client: Client,
  environmentId: number,
  id: bigint,
  phase: { from: number; planId: bigint; rateCard: string | undefined; isTrial?: boolean },
): Promise<void> {
  await client.query(
    `insert into subscription_phase (environment_id, subscription_id, effective_from, plan_id, rate_card, is_trial)
     values ($1, $2, $3, $4, $5, $6)
     on conflict (environment_id, subscription_id, effective_from)
     do update set plan_id = excluded.plan_id, rate_card = excluded.rate_card, is_trial = excluded.is_trial`,
    [environmentId, id, formatInstant(phase.from), phase.planId, phase.rateCard ?? null, phase.isTrial ?? false],
  );
}

export async function insertAddOn(
  client: Client,
  environmentId: number,
  id: bigint,
  addOn: { key: string; quantity: string | number; from: number; currency: string },
  pointer: string,
): Promise<void> {
  const { id: definitionId, spec } = await findPart(client, environmentId, 'add_on', addOn.key, pointer);
  if (addOnSpec.parse(spec).currency !== addOn.currency) {
    throw wrong(
      pointer,
      `the add-on ${addOn.key} is not in ${addOn.currency}`,
      "use one in the subscription's currency",
    );
  }
  await client.query(
    `insert into subscription_add_on (environment_id, subscription_id, definition_id, quantity, effective_from)
     values ($1, $2, $3, $4, $5)`,
    [environmentId, id, definitionId, String(addOn.quantity), formatInstant(addOn.from)],
  );
}

export async function insertCoupon(
  client: Client,
  environmentId: number,
  id: bigint,
  coupon: { key: string; firstPeriod: number; currency: string },
  pointer: string,
): Promise<void> {
  const { id: definitionId, spec } = await findPart(client, environmentId, 'coupon', coupon.key, pointer);
  const { currency } = couponSpec.parse(spec);
  if (currency !== undefined && currency !== coupon.currency) {
    throw wrong(
      pointer,
      `the coupon ${coupon.key} is not in ${coupon.currency}`,
      "use one in the subscription's currency",
    );
  }
  const result = await client.query(
    `insert into subscription_coupon (environment_id, subscription_id, definition_id, first_period) values ($1, $2, $3, $4)
     on conflict do nothing`,
    [environmentId, id, definitionId, coupon.firstPeriod],
  );
  if (result.rowCount === 0) throw refuse('conflict', `the subscription has had the coupon ${coupon.key} already`);
}

async function findPart(client: Client, environmentId: number, kind: DefinitionKind, key: string, pointer: string) {
  const row = await findDefinition(client, environmentId, { kind, key });
  const name = kind.replace('_', '-');
  if (row === undefined) throw wrong(pointer, `there is no ${name} ${key}`, `create it first: PUT /v1/${kind}s/{key}`);
  return row;
}

export async function findPlan(
  client: Client,
  environmentId: number,
  { plan: key, version }: { plan: string; version?: number | undefined },
  pointer: string,
): Promise<PlanVersion> {
  const row = await findDefinition(client, environmentId, { kind: 'plan', key, version });
  if (row === undefined) {
    const detail =
      version === undefined ? `there is no plan ${key}` : `there is no version ${version} of the plan ${key}`;
    throw wrong(pointer, detail, 'create it first: PUT /v1/plans/{key}');
  }
  return { id: row.id, key, version: row.version, plan: planSpec.parse(row.spec) };
}

export function refuseOtherCurrency({ key, plan }: PlanVersion, currency: string, pointer: string): void {
  if (plan.currency === currency) return;
  throw wrong(
    pointer,
    `the plan ${key} is in ${plan.currency}, the subscription in ${currency}`,
    'cancel, and subscribe anew',
  );
}

export async function refuseWrongCard(
  client: Client,
  environmentId: number,
  card: string | undefined,
  currency: string,
  pointer = '/rate_card',
): Promise<void> {
  if (card === undefined) return;
  const detail = await wrongCard(client, environmentId, card, currency);
  if (detail !== undefined) throw wrong(pointer, detail, 'name a card in the currency of the plan');
}

/** What has been rated is not rated again by a subscription that begins before it. */
async function refuseRatedPast(
  client: Client,
  environmentId: number,
  customer: CustomerRow,
  startsAt: number,
): Promise<void> {
  const result = await client.query(
    'select from customer_block where environment_id = $1 and customer_id = $2 and time_to >= $3 limit 1',
    [environmentId, customer.id, formatInstant(startsAt)],
  );
  if (result.rowCount === 0) return;
  throw wrong('/starts_at', 'events since then have been rated already', 'leave it out to begin now');
}

async function refuseTooMany(client: Client, environmentId: number, customerId: bigint): Promise<void> {
  const result = await client.query<{ count: bigint }>(
    'select count(*) as count from subscription where environment_id = $1 and customer_id = $2',
    [environmentId, customerId],
  );
  if ((result.rows[0]?.count ?? 0n) < BigInt(LIMITS.termsMax)) return;
  throw refuse('conflict', `a customer has at most ${LIMITS.termsMax} subscriptions, past ones included`);
}

export function wrong(pointer: string, detail: string, remedy: string) {
  return refuse('invalid_request', detail, [{ pointer, detail, remedy }]);
}
