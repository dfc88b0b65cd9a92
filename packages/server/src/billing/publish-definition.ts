import { compileRateCard } from '@ergon/rating';
import type { z } from '@hono/zod-openapi';
import { builtInMeter } from '../catalog/built-in-meters.ts';
import { type CatalogWrite, findMeter, findRateCard } from '../catalog/index.ts';
import { type FieldError, refuse } from '../http/problem.ts';
import { recordAction } from '../store/audit-log.ts';
import type { Queryable } from '../store/database.ts';
import { type DefinitionKind, type DefinitionRow, findDefinition, insertDefinition } from './definition-store.ts';
import { addOnSpec, couponSpec, featureSpec, planSpec } from './schemas.ts';

export type Definition = {
  readonly kind: DefinitionKind;
  readonly path: string;
  readonly schema: string;
  /** "a plan" */
  readonly one: string;
  readonly spec: z.ZodType;
};

export const DEFINITIONS = {
  feature: {
    kind: 'feature',
    path: 'features',
    schema: 'Feature',
    one: 'a feature',
    spec: featureSpec.openapi('FeatureRequest'),
  },
  plan: { kind: 'plan', path: 'plans', schema: 'Plan', one: 'a plan', spec: planSpec.openapi('PlanRequest') },
  add_on: {
    kind: 'add_on',
    path: 'add_ons',
    schema: 'AddOn',
    one: 'an add-on',
    spec: addOnSpec.openapi('AddOnRequest'),
  },
  coupon: {
    kind: 'coupon',
    path: 'coupons',
    schema: 'Coupon',
    one: 'a coupon',
    spec: couponSpec.openapi('CouponRequest'),
  },
} as const satisfies Readonly<Record<DefinitionKind, Definition>>;

/** A new version, unless `spec` is the latest one's. @throws a problem when it names what is not there. */
export async function publishDefinition(
  { client, environmentId, actor }: CatalogWrite,
  { kind, path, one }: Definition,
  key: string,
  spec: unknown,
): Promise<DefinitionRow> {
  const errors = await wrongReferences(client, environmentId, kind, spec);
  if (errors.length > 0) throw refuse('invalid_catalog', `${one} names what is not there`, errors);
  const latest = await findDefinition(client, environmentId, { kind, key, spec });
  if (latest?.is_same === true) return latest;
  const version = (latest?.version ?? 0) + 1;
  const row = await insertDefinition(client, environmentId, { kind, key, version, spec });
  await recordAction(client, {
    environmentId,
    actor,
    action: `${kind}.publish`,
    target: `/v1/${path}/${key}`,
    detail: { version },
  });
  return row;
}

/** Cards, features and meters that a definition names must be there, and cards must charge in its currency. */
async function wrongReferences(
  db: Queryable,
  environmentId: number,
  kind: DefinitionKind,
  spec: unknown,
): Promise<FieldError[]> {
  const errors: FieldError[] = [];
  if (kind === 'feature') {
    const { meter } = featureSpec.parse(spec);
    if (meter === undefined || builtInMeter(meter) !== undefined) return errors;
    if ((await findMeter(db, environmentId, meter)) !== undefined) return errors;
    return [
      { pointer: '/meter', detail: `there is no meter ${meter}`, remedy: 'create it first: PUT /v1/meters/{key}' },
    ];
  }
  if (kind === 'coupon') return errors;
  const plan = kind === 'plan' ? planSpec.parse(spec) : undefined;
  const cards = [
    ['/rate_card', plan?.rate_card],
    ['/trial/rate_card', plan?.trial?.rate_card],
  ] as const;
  for (const [pointer, card] of cards) {
    if (card === undefined || plan === undefined) continue;
    const detail = await wrongCard(db, environmentId, card, plan.currency);
    if (detail !== undefined) errors.push({ pointer, detail, remedy: 'publish it first: PUT /v1/rate_cards/{key}' });
  }
  const { entitlements } = plan ?? addOnSpec.parse(spec);
  for (const [index, one] of entitlements.entries()) {
    const pointer = `/entitlements/${index}/feature`;
    const feature = await findDefinition(db, environmentId, { kind: 'feature', key: one.feature });
    if (feature === undefined) {
      errors.push({
        pointer,
        detail: `there is no feature ${one.feature}`,
        remedy: 'create it first: PUT /v1/features/{key}',
      });
    } else if (one.type === 'metered' && featureSpec.parse(feature.spec).meter === undefined) {
      errors.push({ pointer, detail: `the feature ${one.feature} has no meter`, remedy: 'give the feature a meter' });
    }
  }
  return errors;
}

/** What is wrong with a card that is to charge in a currency; `undefined` when nothing is. */
export async function wrongCard(
  db: Queryable,
  environmentId: number,
  key: string,
  currency: string,
): Promise<string | undefined> {
  const row = await findRateCard(db, environmentId, key);
  if (row === undefined) return `there is no rate card ${key}`;
  const compiled = compileRateCard(row.spec);
  if (!compiled.ok) throw new Error(`rate card ${key} does not compile`);
  const charged = compiled.value.currency;
  return charged === currency ? undefined : `the rate card ${key} charges ${charged}, not ${currency}`;
}
