import type { GroupCommit, RecordFailure } from '../record/group-commit.ts';
import type { EventFate, IngestWarning, PendingRequest } from '../record/types.ts';
import { captureEvent, nameFault } from '../event/capture-event.ts';
import { type CapturedEvent, type EventError, OWN_SOURCE, VOID_TYPE } from '../event/event.ts';
import { type BodyProblem, decodeBody, parseBody } from './parse-body.ts';

export type IngestRequest = {
  readonly environmentId: number;
  readonly body: Buffer;
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
  /** Microseconds since 1970. */
  readonly receivedAt: number;
  readonly oldest: number;
  readonly mayVoid: boolean;
  /** Id of the key that sent it. */
  readonly actor: string;
  /** Hears how many bytes the decoded body takes beside the one that was sent; may refuse them by throwing. */
  readonly onDecoded: (bytesMore: number) => void;
};

export type EventResult = {
  readonly index: number;
  readonly id: string | null;
  readonly status: EventFate | 'rejected';
  readonly error?: EventError;
};

export type IngestAnswer = {
  readonly accepted: number;
  readonly duplicates: number;
  readonly conflicts: number;
  readonly rejected: number;
  /** Every event that was not plainly accepted. */
  readonly results: readonly EventResult[];
  readonly warnings: readonly IngestWarning[];
};

export type IngestOutcome =
  | { readonly ok: true; readonly answer: IngestAnswer }
  | { readonly ok: false; readonly problem: BodyProblem }
  | { readonly ok: false; readonly failure: RecordFailure };

/** From the bytes of a request to its answer; the answer exists only after the commit. */
export async function ingest(groupCommit: GroupCommit, request: IngestRequest): Promise<IngestOutcome> {
  const decoded = await decodeBody(request.body, request.contentEncoding);
  if (!Buffer.isBuffer(decoded)) return { ok: false, problem: decoded };
  if (decoded !== request.body) request.onDecoded(decoded.length);
  const parsed = parseBody(decoded, request.contentType);
  if (!parsed.ok) return { ok: false, problem: parsed.problem };
  const events: CapturedEvent[] = [];
  const results: EventResult[] = [];
  let hasVoid = false;
  parsed.items.forEach((item, index) => {
    if (!item.ok) {
      results.push({ index, id: null, status: 'rejected', error: { code: 'malformed_json', detail: item.detail } });
      return;
    }
    const captured = captureEvent(item.value, index, request);
    if (!captured.ok) {
      results.push({ index, id: captured.id ?? null, status: 'rejected', error: captured.error });
      return;
    }
    const { event } = captured;
    const refusal = refusalOf(event, request.mayVoid);
    if (refusal !== undefined) {
      results.push({ index, id: event.id, status: 'rejected', error: refusal });
      return;
    }
    hasVoid ||= event.type === VOID_TYPE;
    events.push(event);
  });
  const pending: PendingRequest = { events, fates: [], warnings: [], actor: request.actor, hasVoid };
  if (events.length > 0) {
    const outcome = await groupCommit.submit(request.environmentId, pending);
    if (!outcome.ok) return { ok: false, failure: outcome.failure };
  }
  return { ok: true, answer: answerOf(pending, results) };
}

function refusalOf(event: CapturedEvent, mayVoid: boolean): EventError | undefined {
  if (event.source === OWN_SOURCE)
    return {
      code: 'invalid_field',
      detail: `the source ${OWN_SOURCE} is for records of Ergon's own`,
      pointer: '/source',
    };
  return event.type === VOID_TYPE ? voidRefusal(event, mayVoid) : undefined;
}

function voidRefusal(event: CapturedEvent, mayVoid: boolean): EventError | undefined {
  if (!mayVoid)
    return { code: 'forbidden', detail: 'voiding needs a key with the scope events:void', pointer: '/type' };
  const { source, id } = event.data;
  if (typeof source !== 'string' || source === '' || typeof id !== 'string' || id === '') {
    return { code: 'missing_field', detail: 'a void names its target: data.source and data.id', pointer: '/data/id' };
  }
  for (const [name, text] of Object.entries({ source, id })) {
    const fault = nameFault(text);
    if (fault !== undefined) return { code: 'invalid_field', detail: `${name} ${fault}`, pointer: `/data/${name}` };
  }
  return undefined;
}

function answerOf(pending: PendingRequest, rejected: readonly EventResult[]): IngestAnswer {
  const counts = { accepted: 0, duplicate: 0, conflict: 0 };
  const results = [...rejected];
  pending.events.forEach((event, position) => {
    const fate = pending.fates[position] ?? 'accepted';
    counts[fate] += 1;
    if (fate !== 'accepted') results.push(resultOf(event, fate));
  });
  results.sort((a, b) => a.index - b.index);
  return {
    accepted: counts.accepted,
    duplicates: counts.duplicate,
    conflicts: counts.conflict,
    rejected: rejected.length,
    results,
    warnings: pending.warnings,
  };
}

function resultOf(event: CapturedEvent, fate: EventFate): EventResult {
  const base = { index: event.index, id: event.id, status: fate };
  if (fate !== 'conflict') return base;
  const detail =
    'another body was already recorded under this source and id; void it and send the new one under a new id';
  return { ...base, error: { code: 'identity_conflict', detail } };
}
