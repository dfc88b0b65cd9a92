import { z } from '@hono/zod-openapi';
import type { AppServices } from '../http/context.ts';
import { type App, readRoute } from '../http/operation.ts';
import {
  decimalOutput,
  externalId,
  instantInput,
  instantMicros,
  instantOutput,
  instantText,
  pageOf,
} from '../http/wire.ts';
import { LIMITS } from '../limits.ts';
import type { Queryable } from '../store/database.ts';
import { instantArray } from '../store/pg-arrays.ts';
import { badParameter } from './parameters.ts';

const DAYS = 30;
const DAY_MICROS = 86_400_000_000;

const query = z.strictObject({
  customer: externalId.optional(),
  from: instantInput.optional().openapi({ description: `Event time, inclusive; default ${DAYS} days ago` }),
  to: instantInput.optional().openapi({ description: 'Event time, exclusive; default now' }),
});

const modelAnswer = z
  .strictObject({
    provider: z.string().nullable(),
    model: z.string().nullable().openapi({ description: 'As it was reported' }),
    canonical_model: z
      .string()
      .nullable()
      .openapi({ description: 'Null: a name nobody knows; an alias gives it a model' }),
    model_family: z.string().nullable(),
    requests: z.string(),
    requests_without_cost: z.string().openapi({ description: 'Of these, the ones whose provider cost is unknown' }),
    provider_cost: decimalOutput,
    last_seen: instantOutput,
    reason: z.string().nullable().openapi({
      description: 'Where a cost is missing: why the price table has no price of it today',
      example: 'unknown_model',
    }),
  })
  .openapi('ReportedModel');

type Row = {
  provider: string | null;
  model: string | null;
  canonical_model: string | null;
  model_family: string | null;
  requests: bigint;
  requests_without_cost: bigint;
  provider_cost: string;
  last_seen: string;
};

/** The names that usage gives models: which are known, and which have no price. */
export function registerReportedModelsRoute(app: App, services: AppServices): void {
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/reported_models',
      operationId: 'listReportedModels',
      tag: 'Usage',
      scope: 'usage:read',
      summary: 'List the models that usage names',
      description: `Each name as it was reported, the model it stood for, and whether its cost was known; the ones without cost first, then by requests. At most ${LIMITS.pageSizeMax}, on one page.`,
      query,
      answer: pageOf(modelAnswer),
    },
    async ({ environmentId, query: { customer, from, to } }) => {
      const now = services.clocks.now(environmentId);
      const span = {
        from: from === undefined ? now - DAYS * DAY_MICROS : instantMicros(from),
        to: to === undefined ? now + 1 : instantMicros(to),
      };
      if (span.from >= span.to) throw badParameter('from', 'is not before `to`', 'from is inclusive, to is not');
      const rows = await readModels(services.database.pool, environmentId, customer, span);
      return { data: rows.map((row) => modelOf(services, row, now)), next_cursor: null };
    },
  );
}

async function readModels(
  db: Queryable,
  environmentId: number,
  customer: string | undefined,
  span: { readonly from: number; readonly to: number },
): Promise<readonly Row[]> {
  const result = await db.query<Row>(
    `select d.dimensions ->> 'provider' as provider, d.dimensions ->> 'model' as model,
       d.dimensions ->> 'canonical_model' as canonical_model, d.dimensions ->> 'model_family' as model_family,
       sum(r.requests)::int8 as requests,
       coalesce(sum(r.requests) filter (where r.provider_cost is null), 0)::int8 as requests_without_cost,
       trim_scale(coalesce(sum(r.provider_cost), 0))::text as provider_cost, max(r.minute) as last_seen
     from usage_rollup r
     join dimension_set d on d.environment_id = r.environment_id and d.id = r.dimension_set_id
     where r.environment_id = $1 and r.minute >= ($2::timestamptz[])[1] and r.minute < ($2::timestamptz[])[2]
       and r.requests > 0
       and ($3::text is null or r.customer_id = (select id from customer where environment_id = $1 and external_id = $3))
     group by 1, 2, 3, 4
     order by (coalesce(sum(r.requests) filter (where r.provider_cost is null), 0) > 0) desc, 5 desc, 2, 1
     limit ${LIMITS.pageSizeMax}`,
    [environmentId, instantArray([span.from, span.to]), customer ?? null],
  );
  return result.rows;
}

function modelOf({ prices }: AppServices, row: Row, at: number): z.infer<typeof modelAnswer> {
  const { provider, model } = row;
  const asked = { ...(provider !== null && { provider }), model: model ?? '', at };
  return {
    provider,
    model,
    canonical_model: row.canonical_model,
    model_family: row.model_family,
    requests: row.requests.toString(),
    requests_without_cost: row.requests_without_cost.toString(),
    provider_cost: row.provider_cost,
    last_seen: instantText(row.last_seen),
    reason: row.requests_without_cost === 0n ? null : (prices.missReason(asked) ?? null),
  };
}
