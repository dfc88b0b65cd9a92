import { type OpenAPIHono, z } from '@hono/zod-openapi';
import { LIMITS } from '../limits.ts';
import type { AppEnv } from './context.ts';
import { describeOperation } from './openapi.ts';
import { decimalOutput, instantInput, instantOutput, pageOf, pageQuery } from './wire.ts';

/**
 * Descriptions of the routes that parse by hand: events are too many for a schema each, and the questions about them take
 * parameters of any name. What these schemas say, those routes keep; the surface test holds both lists together.
 */
export function describeEventOperations(app: OpenAPIHono<AppEnv>): void {
  describeIngest(app);
  describeEvents(app);
  describeUsage(app);
  describeAudit(app);
  describeService(app);
}

const quantity = decimalOutput.openapi({ example: '340' });
const anything = z.record(z.string(), z.unknown());

const tokens = z.record(z.string(), z.union([z.number().int(), z.string()])).openapi({
  description:
    'Disjoint classes, each token counted once: input, cache_read, cache_write_5m, cache_write_1h, tool_use, output, reasoning and more',
  example: { input: 200, cache_read: 1000, output: 340 },
});

const eventInput = z
  .object({
    id: z.string().max(LIMITS.nameLengthMax).openapi({ example: 'req_1' }),
    source: z
      .string()
      .max(LIMITS.nameLengthMax)
      .optional()
      .openapi({ description: 'Default `api`', example: 'chat-api' }),
    type: z.string().max(LIMITS.nameLengthMax).openapi({
      description: 'llm.call, embedding.call, retrieval.query, compute.run, agent.action, api.call, or one of your own',
      example: 'llm.call',
    }),
    subject: z.string().max(LIMITS.nameLengthMax).optional().openapi({ description: 'The customer', example: 'acme' }),
    time: instantInput.optional().openapi({ description: 'Default: when it is received' }),
    specversion: z.literal('1.0').optional(),
    data: z
      .object({
        provider: z.string().optional().openapi({ example: 'openai' }),
        api: z
          .string()
          .optional()
          .openapi({ description: 'The dialect of `usage`: chat.completions, responses, messages …' }),
        model: z.string().optional().openapi({ example: 'gpt-5-mini' }),
        tokens: tokens.optional(),
        usage: anything
          .optional()
          .openapi({ description: 'Instead of `tokens`: the usage object the provider answered' }),
        status: z.enum(['ok', 'error', 'cancelled']).optional(),
        attempt: z.number().int().optional(),
        call_id: z.string().optional(),
        final: z.boolean().optional(),
        feature: z.string().optional(),
        user: z.string().optional(),
        team: z.string().optional(),
        agent: z.string().optional(),
        run_id: z.string().optional(),
        parent_run_id: z.string().optional(),
        work_item: z.string().optional(),
        properties: anything.optional(),
      })
      .optional(),
  })
  .openapi('Event');

const eventError = z.object({ code: z.string(), detail: z.string(), pointer: z.string().optional() });

const ingestAnswer = z
  .object({
    accepted: z.number().int(),
    duplicates: z.number().int(),
    conflicts: z.number().int(),
    rejected: z.number().int(),
    results: z
      .array(
        z.object({
          index: z.number().int(),
          id: z.string().optional(),
          status: z.enum(['duplicate', 'conflict', 'rejected', 'voided', 'waiting']),
          error: eventError.optional(),
        }),
      )
      .openapi({ description: 'Every event that was not plainly accepted' }),
    warnings: z.array(z.object({ index: z.number().int().optional(), code: z.string(), detail: z.string() })),
  })
  .openapi('IngestAnswer');

function describeIngest(app: OpenAPIHono<AppEnv>): void {
  describeOperation(app, {
    method: 'post',
    path: '/v1/events',
    operationId: 'sendEvents',
    tag: 'Events',
    scope: 'events:write',
    summary: 'Send events',
    description: `One event, an array, or one a line. When this answers, every accepted event is durable, metered, rated and debited. Identity is \`source\` and \`id\`, for ever: the same event again is a duplicate, another body under the same identity a conflict; neither harms its neighbours. At most ${LIMITS.eventsMax} events and ${LIMITS.bodyBytesMax / 1024 / 1024} MiB decoded; gzip and zstd are accepted. Events older than the late limit need the scope \`events:backfill\`.`,
    body: z.union([eventInput, z.array(eventInput)]),
    bodyTypes: [
      'application/json',
      'application/cloudevents+json',
      'application/cloudevents-batch+json',
      'application/x-ndjson',
    ],
    answer: ingestAnswer,
    problems: ['no_events', 'too_many_events', 'unsupported_encoding', 'overloaded', 'maybe_recorded'],
  });
}

const attribution = z.record(z.string(), z.string());

const line = z.object({
  meter: z.string(),
  price: z.object({ card: z.string(), version: z.number().int(), key: z.string() }),
  bucket: z.string(),
  quantity,
  total_before: quantity,
  total_after: quantity,
  unit_amount: decimalOutput.optional(),
  tier: z.number().int().optional(),
  amount: decimalOutput,
  currency: z.string(),
  grants: z.array(z.object({ grant: z.string(), amount: decimalOutput })),
  receivable: decimalOutput,
});

const explanation = z
  .object({
    event: anything.openapi({ description: 'As sent, in canonical form' }),
    received_at: instantOutput,
    customer: z.string().nullable(),
    attribution,
    quantities: z.array(z.object({ meter: z.string(), quantity, quality: z.string() })),
    lines: z.array(line).openapi({ description: 'How the amount came about' }),
    provider_cost: z.object({ amount: decimalOutput, currency: z.string(), source: z.string() }).nullable(),
    unrated: z.array(z.object({ meter: z.string(), quantity, reason: z.string() })),
    flags: z.array(z.string()),
    voided_by: anything.nullable(),
  })
  .openapi('Explanation');

const text = z.string().max(LIMITS.nameLengthMax).optional();

function describeEvents(app: OpenAPIHono<AppEnv>): void {
  describeOperation(app, {
    method: 'get',
    path: '/v1/events',
    operationId: 'listEvents',
    tag: 'Events',
    scope: 'usage:read',
    summary: 'List events',
    description: 'Newest first, filtered by any of the parameters. A page may be short and still have a next one.',
    query: pageQuery.extend({
      customer: text,
      type: text,
      source: text,
      model: text,
      provider: text,
      feature: text,
      user: text,
      run: text,
      status: text,
      from: instantInput.optional(),
      to: instantInput.optional(),
    }),
    answer: pageOf(anything),
  });
  describeOperation(app, {
    method: 'get',
    path: '/v1/events/lookup',
    operationId: 'explainEvent',
    tag: 'Events',
    scope: 'usage:read',
    summary: 'Explain an event',
    description:
      'Everything that was made of one event: attribution, quantities, price version, tier, grants, provider cost.',
    query: z.strictObject({ source: z.string().optional().openapi({ description: 'Default `api`' }), id: z.string() }),
    answer: explanation,
    problems: ['not_found'],
  });
}

const runTotals = z.record(z.string(), z.union([z.number(), z.string()]));

function describeUsage(app: OpenAPIHono<AppEnv>): void {
  describeOperation(app, {
    method: 'get',
    path: '/v1/usage',
    operationId: 'getUsage',
    tag: 'Usage',
    scope: 'usage:read',
    summary: 'Ask for usage',
    description:
      'One row a window and group; without a window one row a group. Built-in meters, your own, and the money meters `charge` and `provider_cost`.',
    query: z.strictObject({
      meter: z.string().openapi({ example: 'output_tokens' }),
      from: instantInput.optional(),
      to: instantInput.optional().openapi({ description: 'Exclusive' }),
      window: z.enum(['minute', 'hour', 'day', 'month']).optional(),
      group_by: z.string().optional().openapi({ description: 'Dimensions, by comma', example: 'model,feature' }),
      customer: text,
      filter: z
        .record(z.string(), z.string())
        .optional()
        .openapi({
          param: { name: 'filter', in: 'query', style: 'deepObject', explode: true },
          description: '`filter[model]=gpt-5-mini`',
        }),
    }),
    answer: z
      .object({
        meter: z.string(),
        unit: z.string(),
        window: z.string().nullable(),
        rows: z.array(
          z.object({
            window_start: instantOutput.optional(),
            group: z.record(z.string(), z.string().nullable()),
            value: quantity,
          }),
        ),
      })
      .openapi('Usage'),
    problems: ['not_found'],
  });
  describeOperation(app, {
    method: 'get',
    path: '/v1/runs/{id}',
    operationId: 'getRun',
    tag: 'Usage',
    scope: 'usage:read',
    summary: 'Get a run as a tree',
    description: 'With its own totals and those of everything it started.',
    params: z.strictObject({ id: z.string() }),
    answer: z
      .object({
        id: z.string(),
        parent_run_id: z.string().nullable(),
        customer: z.string().nullable(),
        agent: z.string().nullable(),
        totals: runTotals,
        subtree_totals: runTotals,
        children: z.array(anything).openapi({ description: 'Runs of the same shape' }),
      })
      .openapi('Run'),
    problems: ['not_found'],
  });
}

function describeAudit(app: OpenAPIHono<AppEnv>): void {
  const count = z.number().int();
  describeOperation(app, {
    method: 'post',
    path: '/v1/audit',
    operationId: 'audit',
    tag: 'Access',
    scope: 'audit:read',
    summary: 'Recompute everything from the events',
    description:
      'Compares rollups, accumulators, postings and balances with what the events make, and reports every difference.',
    answer: z
      .object({
        events: count,
        blocks: count,
        accumulators: count,
        postings: count,
        rollups: count,
        differences: z.array(z.object({ kind: z.string(), key: z.string(), expected: z.string(), found: z.string() })),
        duration_ms: z.number(),
      })
      .openapi('Audit'),
  });
}

function describeService(app: OpenAPIHono<AppEnv>): void {
  const service = { method: 'get', tag: 'Service' } as const;
  const status = z.object({ status: z.string(), reason: z.string().optional() });
  describeOperation(app, {
    ...service,
    path: '/healthz',
    operationId: 'health',
    summary: 'Whether the process lives',
    answer: status,
  });
  describeOperation(app, {
    ...service,
    path: '/readyz',
    operationId: 'readiness',
    summary: 'Whether it can take requests',
    description: '503 while the database does not answer or its schema is of another build.',
    answer: status,
  });
}
