import { z } from '@hono/zod-openapi';
import type { AppServices } from '../http/context.ts';
import { type App, readRoute, writeRoute } from '../http/operation.ts';
import { refuse } from '../http/problem.ts';
import { catalogKey, instantOutput, instantText, pageOf } from '../http/wire.ts';
import { recordAction } from '../store/audit-log.ts';
import { BUILT_IN_METERS, builtInMeter, MONEY_METERS } from './built-in-meters.ts';
import { beginCatalogWrite } from './catalog-write.ts';
import { createMeter } from './create-meter.ts';
import { AGGREGATIONS, meterSchema } from './custom-meter.ts';
import { budgetsCounting, cardsPricing, findMeter, listMeters, type MeterRow, setArchived } from './meter-store.ts';
import { lockCatalog, raiseRevision } from './revision.ts';

const params = z.strictObject({ key: catalogKey });

const meterAnswer = z
  .strictObject({
    key: z.string(),
    is_built_in: z.boolean(),
    name: z.string().nullable(),
    unit: z.string(),
    aggregation: z.enum(AGGREGATIONS),
    event_types: z.array(z.string()).openapi({ description: 'Empty for a built-in meter' }),
    value: z.string().nullable(),
    percentile: z.string().nullable(),
    filter: z.record(z.string(), z.union([z.string(), z.array(z.string())])),
    group_by: z.array(z.string()),
    created_at: instantOutput.nullable().openapi({ description: 'Null for a built-in meter' }),
  })
  .openapi('Meter');
type MeterAnswer = z.infer<typeof meterAnswer>;

const tag = 'Catalog';

export function registerMeterRoutes(app: App, services: AppServices): void {
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/meters',
      operationId: 'listMeters',
      tag,
      scope: 'catalog:read',
      summary: 'List meters',
      description: 'Built-in meters first, then your own by key. All on one page.',
      answer: pageOf(meterAnswer),
    },
    async ({ environmentId }) => {
      const rows = await listMeters(services.database.pool, environmentId);
      return { data: [...builtIn, ...rows.map(ownMeter)], next_cursor: null };
    },
  );
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/meters/{key}',
      operationId: 'getMeter',
      tag,
      scope: 'catalog:read',
      summary: 'Get a meter',
      params,
      answer: meterAnswer,
      problems: ['not_found'],
    },
    async ({ environmentId, params: { key } }) => {
      const known = builtIn.find((meter) => meter.key === key);
      if (known !== undefined) return known;
      const row = await findMeter(services.database.pool, environmentId, key);
      if (row === undefined) throw noMeter(key);
      return ownMeter(row);
    },
  );
  registerPut(app, services);
  registerDelete(app, services);
}

function registerPut(app: App, services: AppServices): void {
  writeRoute(
    app,
    services,
    {
      method: 'put',
      path: '/v1/meters/{key}',
      operationId: 'putMeter',
      tag,
      scope: 'catalog:write',
      summary: 'Create a meter',
      description:
        'A meter counts from its creation, and its definition is fixed: the same definition again changes nothing, another one is refused. To change a meter, delete it and create it under a new key.',
      params,
      body: meterSchema,
      answer: meterAnswer,
    },
    async (request) =>
      ownMeter(await createMeter(await beginCatalogWrite(services, request), request.params.key, request.body)),
  );
}

function registerDelete(app: App, services: AppServices): void {
  writeRoute(
    app,
    services,
    {
      method: 'delete',
      path: '/v1/meters/{key}',
      operationId: 'deleteMeter',
      tag,
      scope: 'catalog:write',
      summary: 'Delete a meter',
      description:
        'It counts no further event; what it counted stays. Refused while the latest version of a rate card prices it, or a budget counts it.',
      status: 204,
      params,
      answer: z.null(),
      problems: ['not_found'],
    },
    async ({ client, environmentId, principal, params: { key } }) => {
      if (builtInMeter(key) !== undefined) throw refuse('conflict', `${key} is a built-in meter; it cannot be deleted`);
      await lockCatalog(client, environmentId);
      const row = await findMeter(client, environmentId, key);
      if (row === undefined) throw noMeter(key);
      const [card] = await cardsPricing(client, environmentId, key);
      if (card !== undefined) {
        throw refuse('conflict', `the rate card ${card} prices ${key}; publish a version without that price first`);
      }
      const [budget] = await budgetsCounting(client, environmentId, key);
      if (budget !== undefined) throw refuse('conflict', `the budget ${budget} counts ${key}; end it first`);
      await setArchived(client, environmentId, row.id, true);
      await raiseRevision(client, environmentId);
      await recordAction(client, {
        environmentId,
        actor: principal.keyId,
        action: 'meter.delete',
        target: `/v1/meters/${key}`,
      });
      return null;
    },
  );
}

function noMeter(key: string) {
  return refuse('not_found', `there is no meter ${key}`);
}

const builtIn: readonly MeterAnswer[] = [...BUILT_IN_METERS, ...MONEY_METERS].map((meter) => ({
  key: meter.key,
  is_built_in: true,
  name: null,
  unit: meter.unit,
  aggregation: 'sum',
  event_types: [],
  value: null,
  percentile: null,
  filter: {},
  group_by: [],
  created_at: null,
}));

function ownMeter(row: MeterRow): MeterAnswer {
  const spec = meterSchema.parse(row.spec);
  return {
    key: row.key,
    is_built_in: false,
    name: spec.name ?? null,
    unit: spec.unit,
    aggregation: spec.aggregation,
    event_types: spec.event_types,
    value: spec.value ?? null,
    percentile: spec.percentile ?? null,
    filter: spec.filter ?? {},
    group_by: spec.group_by ?? [],
    created_at: instantText(row.created_at),
  };
}
