import { compileRateCard } from '@ergon/rating';
import { z } from '@hono/zod-openapi';
import { builtInMeter } from '../catalog/built-in-meters.ts';
import { findMeter, findRateCard, lockCatalog } from '../catalog/index.ts';
import type { AppServices } from '../http/context.ts';
import { cursorAfter, cursorNumber, cursorPosition, page } from '../http/cursor.ts';
import { type App, readRoute, writeRoute } from '../http/operation.ts';
import { type FieldError, type ProblemError, refuse } from '../http/problem.ts';
import { catalogKey, instantOutput, instantText, pageOf, pageQuery } from '../http/wire.ts';
import { recordAction } from '../store/audit-log.ts';
import type { Queryable } from '../store/database.ts';
import {
  type DefinitionKind,
  type DefinitionRow,
  findDefinition,
  insertDefinition,
  listDefinitions,
  listDefinitionVersions,
} from './definition-store.ts';
import { addOnSpec, couponSpec, featureSpec, planSpec } from './schemas.ts';

const params = z.strictObject({ key: catalogKey });
const tag = 'Plans' as const;

/** Features, plans, add-ons and coupons: each a list of versions, of which none is ever edited. */
export function registerDefinitionRoutes(app: App, services: AppServices): void {
  register(app, services, {
    kind: 'feature',
    path: 'features',
    schema: 'Feature',
    one: 'a feature',
    spec: featureSpec,
  });
  register(app, services, { kind: 'plan', path: 'plans', schema: 'Plan', one: 'a plan', spec: planSpec });
  register(app, services, { kind: 'add_on', path: 'add_ons', schema: 'AddOn', one: 'an add-on', spec: addOnSpec });
  register(app, services, { kind: 'coupon', path: 'coupons', schema: 'Coupon', one: 'a coupon', spec: couponSpec });
}

type Definition = {
  readonly kind: DefinitionKind;
  readonly path: string;
  readonly schema: string;
  /** "a plan" */
  readonly one: string;
  readonly spec: z.ZodType;
};

function register(app: App, services: AppServices, definition: Definition): void {
  const { path, schema } = definition;
  const body = definition.spec.openapi(`${schema}Request`);
  const answer = z
    .strictObject({ key: z.string(), version: z.number().int(), spec: body, created_at: instantOutput })
    .openapi(schema);
  const shown = (row: DefinitionRow): z.infer<typeof answer> => ({
    key: row.key,
    version: row.version,
    spec: body.parse(row.spec),
    created_at: instantText(row.created_at),
  });
  const missing = (key: string) => refuse('not_found', `there is no ${path.slice(0, -1).replace('_', '-')} ${key}`);
  const parts = { definition, body, answer, shown, missing };
  registerReads(app, services, parts);
  registerVersions(app, services, parts);
  registerPublish(app, services, parts);
}

type Shown = { key: string; version: number; spec: unknown; created_at: string };
type Parts = {
  readonly definition: Definition;
  readonly body: z.ZodType;
  readonly answer: z.ZodType<Shown>;
  readonly shown: (row: DefinitionRow) => Shown;
  readonly missing: (key: string) => ProblemError;
};

function registerReads(app: App, services: AppServices, { definition, answer, shown, missing }: Parts): void {
  const { kind, path, schema, one } = definition;
  const { pool } = services.database;
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: `/v1/${path}`,
      operationId: `list${schema}s`,
      tag,
      scope: 'catalog:read',
      summary: `List ${path.replace('_', '-')}`,
      description: 'The latest version of each, by key.',
      query: pageQuery,
      answer: pageOf(answer),
    },
    async ({ environmentId, query: { limit, cursor } }) => {
      const rows = await listDefinitions(pool, environmentId, kind, cursorPosition(path, cursor), limit + 1);
      return page(rows, limit, shown, (row) => cursorAfter(path, row.key));
    },
  );
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: `/v1/${path}/{key}`,
      operationId: `get${schema}`,
      tag,
      scope: 'catalog:read',
      summary: `Get ${one}`,
      description: 'Its latest version.',
      params,
      answer,
      problems: ['not_found'],
    },
    async ({ environmentId, params: { key } }) => {
      const row = await findDefinition(pool, environmentId, { kind, key });
      if (row === undefined) throw missing(key);
      return shown(row);
    },
  );
}

function registerVersions(app: App, services: AppServices, { definition, answer, shown, missing }: Parts): void {
  const { kind, path, schema, one } = definition;
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: `/v1/${path}/{key}/versions`,
      operationId: `list${schema}Versions`,
      tag,
      scope: 'catalog:read',
      summary: `List the versions of ${one}`,
      description: 'Newest first. A version is never edited.',
      params,
      query: pageQuery,
      answer: pageOf(answer),
      problems: ['not_found'],
    },
    async ({ environmentId, params: { key }, query: { limit, cursor } }) => {
      const list = `${path}_versions`;
      const before = cursorNumber(list, cursor);
      const at = { kind, key, before, limit: limit + 1 };
      const rows = await listDefinitionVersions(services.database.pool, environmentId, at);
      if (rows.length === 0 && before === undefined) throw missing(key);
      return page(rows, limit, shown, (row) => cursorAfter(list, String(row.version)));
    },
  );
}

function registerPublish(app: App, services: AppServices, { definition, body, answer, shown }: Parts): void {
  const { kind, path, schema, one } = definition;
  writeRoute(
    app,
    services,
    {
      method: 'put',
      path: `/v1/${path}/{key}`,
      operationId: `put${schema}`,
      tag,
      scope: 'catalog:write',
      summary: `Publish a version of ${one}`,
      description:
        'A new version, unless it says what the latest says. Subscriptions keep the version they took; new ones take the latest.',
      params,
      body,
      answer,
      problems: ['invalid_catalog'],
    },
    async ({ client, environmentId, principal, params: { key }, body: spec }) => {
      await lockCatalog(client, environmentId);
      const errors = await wrongReferences(client, environmentId, kind, spec);
      if (errors.length > 0) throw refuse('invalid_catalog', `${one} names what is not there`, errors);
      const latest = await findDefinition(client, environmentId, { kind, key, spec });
      if (latest?.is_same === true) return shown(latest);
      const version = (latest?.version ?? 0) + 1;
      const row = await insertDefinition(client, environmentId, { kind, key, version, spec });
      await recordAction(client, {
        environmentId,
        actor: principal.keyId,
        action: `${kind}.publish`,
        target: `/v1/${path}/${key}`,
        detail: { version },
      });
      return shown(row);
    },
  );
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
