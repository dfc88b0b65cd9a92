import { ingest, type IngestOutcome } from '../capture/ingest.ts';
import { LIMITS } from '../limits.ts';
import { type AppServices, authorise } from './context.ts';
import { BodyMemory } from './body-memory.ts';
import type { Principal } from './keys.ts';
import { type Problem, ProblemError } from './problem.ts';
import { readBounded } from './read-json.ts';

export type HttpAnswer = { readonly status: number; readonly headers: Record<string, string>; readonly body: string };

const DAY_MICROS = 86_400_000_000;

/** POST /v1/events: the hot path. The caller is known before a byte of the body is read. */
export async function postEvents(services: AppServices, request: Request, requestId: string): Promise<HttpAnswer> {
  const { headers } = request;
  const principal = await authorise(services, headers, 'events:write');
  const memory = new BodyMemory();
  try {
    const body = await readBody(request, memory);
    return await record(services, principal, { headers, body, memory }, requestId);
  } finally {
    memory.release();
  }
}

/** A body of known length at once, any other piece by piece, so that none takes more room than it has announced or sent. */
async function readBody(request: Request, memory: BodyMemory): Promise<Buffer> {
  const length = Number(request.headers.get('content-length') ?? Number.NaN);
  if (!(length <= LIMITS.bodyBytesMax)) return readBounded(request, LIMITS.bodyBytesMax, (bytes) => memory.take(bytes));
  memory.take(length);
  return Buffer.from(await request.arrayBuffer());
}

type ReceivedBody = { readonly headers: Headers; readonly body: Buffer; readonly memory: BodyMemory };

async function record(
  services: AppServices,
  principal: Principal,
  { headers, body, memory }: ReceivedBody,
  requestId: string,
): Promise<HttpAnswer> {
  const receivedAt = await services.clocks.read(services.database.pool, principal.environmentId);
  const outcome = await ingest(services.groupCommit, {
    environmentId: principal.environmentId,
    body,
    contentType: headers.get('content-type') ?? undefined,
    contentEncoding: headers.get('content-encoding') ?? undefined,
    receivedAt,
    oldest: principal.scopes.has('events:backfill') ? 0 : receivedAt - services.lateDays * DAY_MICROS,
    mayVoid: principal.scopes.has('events:void'),
    actor: principal.keyId,
    onDecoded: (bytes) => memory.take(bytes),
  });
  if (!outcome.ok) throw new ProblemError(problemOf(outcome, services, requestId));
  const { answer } = outcome;
  services.metrics.events.inc({ fate: 'accepted' }, answer.accepted);
  services.metrics.events.inc({ fate: 'duplicate' }, answer.duplicates);
  services.metrics.events.inc({ fate: 'conflict' }, answer.conflicts);
  services.metrics.events.inc({ fate: 'rejected' }, answer.rejected);
  return {
    status: 200,
    headers: { 'content-type': 'application/json', 'x-request-id': requestId },
    body: JSON.stringify(answer),
  };
}

function problemOf(outcome: Exclude<IngestOutcome, { ok: true }>, services: AppServices, requestId: string): Problem {
  if ('problem' in outcome) return { code: outcome.problem.code, detail: outcome.problem.detail };
  const { reason, cause } = outcome.failure;
  switch (reason) {
    case 'overloaded':
      return {
        code: 'overloaded',
        detail: `${LIMITS.queuedRequestsMax} requests are waiting already; send it again later`,
        retryAfterSeconds: 1,
      };
    case 'unavailable':
      return { code: 'unavailable', detail: 'nothing was recorded; send it again', retryAfterSeconds: 1 };
    case 'maybe_recorded':
      return {
        code: 'maybe_recorded',
        detail: 'the connection was lost at the commit; send it again, duplicates are harmless',
        retryAfterSeconds: 1,
      };
    case 'failed':
      services.logError(cause, requestId);
      return { code: 'internal_error', detail: 'nothing of this request was recorded; the log has the request id' };
  }
}
