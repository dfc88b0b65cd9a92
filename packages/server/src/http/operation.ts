import type { OpenAPIHono } from '@hono/zod-openapi';
import { z } from '@hono/zod-openapi';
import { LIMITS } from '../limits.ts';
import { type Client, isConnectionLost } from '../store/database.ts';
import { type AppContext, type AppEnv, type AppServices, authorise } from './context.ts';
import { fieldErrors, type Origin } from './field-errors.ts';
import { Gate } from './gate.ts';
import { claimKey, idempotencyKey, keepAnswer, requestHash } from './idempotency.ts';
import type { Principal, Scope } from './keys.ts';
import { describeOperation, type OperationDescription } from './openapi.ts';
import { type FieldError, ProblemError, refuse } from './problem.ts';
import { parseJson, readBounded } from './read-json.ts';

export type App = OpenAPIHono<AppEnv>;

/** A route: what it takes, what it answers, what it needs. The schemas validate and are the API reference. */
export type Operation<
  Params extends z.ZodType,
  Query extends z.ZodType,
  Body extends z.ZodType,
  Answer extends z.ZodType,
> = OperationDescription & {
  readonly scope: Scope;
  readonly params?: Params & z.ZodObject;
  readonly query?: Query & z.ZodObject;
  readonly body?: Body;
  readonly isBodyOptional?: boolean;
  /** Where a body may be larger than other small ones. */
  readonly bodyBytesMax?: number;
  readonly answer: Answer;
};

export type OperationRequest<Params, Query, Body> = {
  readonly services: AppServices;
  readonly principal: Principal;
  readonly environmentId: number;
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
};

export type WriteRequest<Params, Query, Body> = OperationRequest<Params, Query, Body> & {
  /** The one transaction of this request; it commits before the answer leaves. */
  readonly client: Client;
  readonly idempotencyKey: string | undefined;
  /** Runs when the transaction has committed, before the answer leaves. */
  afterCommit(effect: () => void | Promise<void>): void;
};

/** A route that changes nothing. */
export function readRoute<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType, A extends z.ZodType>(
  app: App,
  services: AppServices,
  operation: Operation<P, Q, B, A>,
  run: (request: OperationRequest<z.output<P>, z.output<Q>, z.output<B>>) => Promise<z.output<A>>,
): void {
  describeOperation(app, operation);
  app.on(operation.method.toUpperCase(), honoPath(operation.path), async (context) => {
    const { request } = await accept(services, operation, context);
    return answered(context, operation.status ?? 200, JSON.stringify(await run(request)));
  });
}

/**
 * A route that writes, in one transaction. With an `Idempotency-Key` the same request gets the first answer, and another
 * request under the same key is refused: checked before any rule of the business.
 *
 * @param kept what is stored of the answer, where it differs: a secret is shown once.
 */
export function writeRoute<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType, A extends z.ZodType>(
  app: App,
  services: AppServices,
  operation: Operation<P, Q, B, A>,
  run: (request: WriteRequest<z.output<P>, z.output<Q>, z.output<B>>) => Promise<z.output<A>>,
  kept: (answer: z.output<A>) => unknown = (answer) => answer,
): void {
  describeOperation(app, { ...operation, isWrite: true });
  const status = operation.status ?? 200;
  app.on(operation.method.toUpperCase(), honoPath(operation.path), async (context) => {
    const { request, body } = await accept(services, operation, context);
    const key = idempotencyKey(context.req.raw.headers);
    const effects: (() => void | Promise<void>)[] = [];
    const outcome = await inTransaction(services, async (client) => {
      if (key !== undefined) {
        const { pathname, search } = new URL(context.req.url);
        const hash = requestHash(operation.method, pathname + search, body);
        const first = await claimKey(client, request.environmentId, key, hash);
        if (first !== undefined) return { ...first, isReplayed: true };
      }
      const answer = await run({
        ...request,
        client,
        idempotencyKey: key,
        afterCommit: (effect) => {
          effects.push(effect);
        },
      });
      if (key !== undefined) {
        await keepAnswer(client, request.environmentId, key, { status, body: JSON.stringify(kept(answer)) });
      }
      return { status, body: JSON.stringify(answer), isReplayed: false };
    });
    for (const effect of effects) await effect();
    if (outcome.isReplayed) context.header('idempotent-replayed', 'true');
    return answered(context, outcome.status, outcome.body);
  });
}

/** Runs the transaction; a lost connection becomes a 503 that says whether anything may have been written. */
async function inTransaction<T>(services: AppServices, work: (client: Client) => Promise<T>): Promise<T> {
  let isDone = false;
  try {
    return await gateOf(services).through(() =>
      services.database.transaction(async (client) => {
        const result = await work(client);
        isDone = true;
        return result;
      }),
    );
  } catch (error) {
    if (!isConnectionLost(error)) throw error;
    throw new ProblemError(
      isDone
        ? {
            code: 'maybe_recorded',
            detail: 'the connection was lost at the commit; send it again with the same Idempotency-Key',
            retryAfterSeconds: 1,
          }
        : { code: 'unavailable', detail: 'nothing was written; send it again', retryAfterSeconds: 1 },
    );
  }
}

/**
 * Writes that wait for the catalog's lock each hold a connection. Were there as many as the pool has, the ingest they wait for
 * could find none for itself.
 */
const gates = new WeakMap<AppServices, Gate>();

function gateOf(services: AppServices): Gate {
  let gate = gates.get(services);
  if (gate === undefined) {
    const connections = services.database.pool.options.max ?? 10;
    gate = new Gate(Math.max(1, Math.floor(connections / 3)));
    gates.set(services, gate);
  }
  return gate;
}

/** A schema is compiled when it is made: these are made once. */
const NO_PARAMS = z.unknown();
const NO_QUERY = z.strictObject({});

/** Who asks comes before what they ask: key, scope, rate limit, then path, query and body. */
export async function accept<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType, A extends z.ZodType>(
  services: AppServices,
  operation: Operation<P, Q, B, A>,
  context: AppContext,
): Promise<{ request: OperationRequest<z.output<P>, z.output<Q>, z.output<B>>; body: Buffer }> {
  const principal = await authorise(services, context.req.raw.headers, operation.scope);
  const params = checked(operation.params ?? NO_PARAMS, context.req.param(), 'parameter');
  const query = checked(operation.query ?? NO_QUERY, singleValues(context.req.queries()), 'parameter');
  const body = await readBounded(context.req.raw, operation.bodyBytesMax ?? LIMITS.smallBodyBytesMax);
  const value =
    operation.body === undefined
      ? undefined
      : checked(operation.body, parseJson(body, context.req.header('content-type') ?? null), 'body');
  // The three schemas above are the operation's own, or absent and then nobody reads their part.
  const request = { params, query, body: value } as Pick<
    OperationRequest<z.output<P>, z.output<Q>, z.output<B>>,
    'params' | 'query' | 'body'
  >;
  return { request: { services, principal, environmentId: principal.environmentId, ...request }, body };
}

function checked<Schema extends z.ZodType>(schema: Schema, value: unknown, origin: Origin): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const errors: FieldError[] = fieldErrors(result.error, origin);
  const what = origin === 'body' ? 'the body' : 'a parameter';
  throw refuse('invalid_request', value === undefined ? 'the request needs a body' : `${what} is not valid`, errors);
}

function singleValues(queries: Record<string, string[]>): Record<string, string> {
  const values: Record<string, string> = {};
  for (const [name, given] of Object.entries(queries)) {
    const [value = '', ...more] = given;
    if (more.length > 0) {
      throw refuse('invalid_request', 'a parameter is given twice', [
        { parameter: name.slice(0, 128), detail: 'given more than once' },
      ]);
    }
    Object.defineProperty(values, name, { value, enumerable: true });
  }
  return values;
}

export function answered(context: AppContext, status: number, body: string): Response {
  context.status(status as 200);
  if (status === 204) return context.body(null);
  context.header('content-type', 'application/json');
  return context.body(body);
}

/** `/v1/customers/{id}` as Hono writes it. */
export function honoPath(path: string): string {
  return path.replace(/\{(\w+)\}/g, ':$1');
}
