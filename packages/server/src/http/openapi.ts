import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { AppEnv } from './context.ts';
import type { Scope } from './keys.ts';
import { PROBLEMS, type ProblemCode } from './problem.ts';

export type OperationDescription = {
  readonly method: 'get' | 'post' | 'put' | 'delete';
  /** With parameters in braces: `/v1/customers/{id}`. */
  readonly path: string;
  readonly operationId: string;
  readonly tag: Tag;
  readonly summary: string;
  readonly description?: string;
  /** Of the answer; default 200. */
  readonly status?: 200 | 201 | 204;
  /** Codes it may answer beside those that every operation may. */
  readonly problems?: readonly ProblemCode[];
};

export const TAGS = {
  Events: 'Send usage, list it, and have one event explained.',
  Usage: 'What was used, by meter, window and dimension.',
  Catalog: 'Meters, rate cards and customers.',
  Plans: 'Features, plans, subscriptions and their periods, overrides.',
  Compute: 'Where models run, what was measured there, and how much work a request is.',
  Wallets: 'Grants, balances and the ledger.',
  Budgets: 'Limits, and holds: what may be spent, and what is set aside before it is.',
  Policies: 'Rules that admit, warn, cap or refuse, and every decision they made.',
  Webhooks: 'What Ergon tells your systems: endpoints, signatures and deliveries.',
  Access: 'Keys, environments and the audit log.',
  Service: 'Health, readiness, metrics.',
} as const;
export type Tag = keyof typeof TAGS;

/** Schemas and needs of an operation, as far as the reference shows them. */
type Described = OperationDescription & {
  readonly scope?: Scope;
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodType;
  readonly answer: z.ZodType;
  /** Media types of the body, where it is not JSON alone. */
  readonly bodyTypes?: readonly string[];
  readonly isWrite?: boolean;
  readonly isBodyOptional?: boolean;
};

const EVERYWHERE: readonly ProblemCode[] = ['internal_error', 'unavailable'];
const WITH_KEY: readonly ProblemCode[] = ['unauthenticated', 'forbidden', 'rate_limited', 'invalid_request'];
const WITH_BODY: readonly ProblemCode[] = [
  'malformed_json',
  'undecodable_body',
  'unsupported_media_type',
  'body_too_large',
];

const fieldErrorSchema = z.strictObject({
  pointer: z.string().optional().openapi({ description: 'JSON pointer into the body' }),
  parameter: z.string().optional().openapi({ description: 'Path or query parameter' }),
  header: z.string().optional(),
  detail: z.string(),
  remedy: z.string().optional().openapi({ description: 'What to do about it' }),
});

/** RFC 9457 problem details, as every refusal answers. */
export const problemSchema = z
  .strictObject({
    type: z.string().openapi({ description: 'Its page on this server', example: '/docs/problems#not_found' }),
    title: z.string(),
    status: z.number().int(),
    detail: z.string(),
    instance: z.string(),
    code: z.string().openapi({ description: 'Stable; program against this', enum: Object.keys(PROBLEMS) }),
    errors: z.array(fieldErrorSchema).optional(),
    request_id: z.string(),
    retryable: z.boolean(),
  })
  .openapi('Problem');

const idempotencyHeader = z.object({
  'Idempotency-Key': z.string().max(255).optional().openapi({
    description: 'The same key with the same request answers what was answered first; with another request it is 409',
  }),
});

/** Adds an operation to the document at /openapi.json. */
export function describeOperation(app: OpenAPIHono<AppEnv>, operation: Described): void {
  const { params, query, body } = operation;
  const types = operation.bodyTypes ?? ['application/json'];
  app.openAPIRegistry.registerPath({
    method: operation.method,
    path: operation.path,
    operationId: operation.operationId,
    tags: [operation.tag],
    summary: operation.summary,
    description: described(operation),
    ...(operation.scope !== undefined && { security: [{ key: [] }] }),
    request: {
      ...(params !== undefined && { params }),
      ...(query !== undefined && { query }),
      ...(operation.isWrite === true && { headers: idempotencyHeader }),
      ...(body !== undefined && {
        body: {
          required: operation.isBodyOptional !== true,
          content: Object.fromEntries(types.map((type) => [type, { schema: body }])),
        },
      }),
    },
    responses: { ...successOf(operation), ...problemResponses(problemsOf(operation)) },
  });
}

function described(operation: Described): string {
  const needs = operation.scope === undefined ? 'Needs no key.' : `Needs the scope \`${operation.scope}\`.`;
  return operation.description === undefined ? needs : `${operation.description}\n\n${needs}`;
}

function successOf(operation: Described) {
  const status = operation.status ?? 200;
  return {
    [status]:
      status === 204
        ? { description: 'Done; no body' }
        : { description: 'The answer', content: { 'application/json': { schema: operation.answer } } },
  };
}

function problemsOf(operation: Described): Set<ProblemCode> {
  return new Set([
    ...(operation.scope === undefined ? [] : WITH_KEY),
    ...(operation.body === undefined ? [] : WITH_BODY),
    ...(operation.isWrite === true ? (['conflict', 'maybe_recorded'] as const) : []),
    ...(operation.problems ?? []),
    ...EVERYWHERE,
  ]);
}

/** One response for each status, naming the codes that come with it. */
function problemResponses(codes: ReadonlySet<ProblemCode>) {
  const byStatus = new Map<number, ProblemCode[]>();
  for (const code of codes) {
    const { status } = PROBLEMS[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return Object.fromEntries(
    [...byStatus].map(([status, list]) => [
      status,
      {
        description: list.map((code) => `\`${code}\`: ${PROBLEMS[code].title}`).join('; '),
        content: { 'application/problem+json': { schema: problemSchema } },
        'x-problem-codes': list,
      },
    ]),
  );
}

/** The OpenAPI 3.1 document of everything described so far. */
export function openApiDocument(app: OpenAPIHono<AppEnv>, version: string) {
  return app.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'Ergon',
      version,
      description:
        'Meters the work that AI does, prices it, keeps it inside its budget. An acknowledged event is already durable, ' +
        'deduplicated, attributed, metered, rated and debited. Amounts and quantities are decimal text; instants are UTC.',
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
    },
    servers: [{ url: '/' }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
  });
}
