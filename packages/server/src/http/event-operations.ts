import { type OpenAPIHono, z } from '@hono/zod-openapi';
import { LIMITS } from '../limits.ts';
import type { AppEnv } from './context.ts';
import { describeOperation } from './openapi.ts';
import { instantInput } from './wire.ts';

/**
 * Descriptions of the routes that parse by hand: events are too many for a schema each. What these schemas say, those routes
 * keep; the surface test holds both lists together.
 */
export function describeEventOperations(app: OpenAPIHono<AppEnv>): void {
  describeIngest(app);
  describeService(app);
}

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
          id: z.string().nullable().openapi({ description: 'Null: none could be read' }),
          status: z.enum(['duplicate', 'conflict', 'rejected']),
          error: eventError.optional(),
        }),
      )
      .openapi({ description: 'Every event that was not plainly accepted' }),
    warnings: z.array(z.object({ index: z.number().int().optional(), code: z.string(), detail: z.string() })).openapi({
      description: `What was recorded and looks as if it were sent wrongly: docs/usage.md has the codes. At most ${LIMITS.warningsMax}`,
    }),
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
