import { type JsonObject, object, text } from '../normalise/json.ts';
import { attributeUsage } from '../otel/attribute-usage.ts';
import { firstText, flattenAttributes } from '../otel/attributes.ts';
import { NAMES } from '../otel/names.ts';
import type { AgentCall, LogLine } from './agent-call.ts';
import type { SessionFile, SessionReader } from './codex-session.ts';
import { instant, instantOfMilliseconds } from './instant.ts';
import { parseObject } from './parse-object.ts';

/** The ways Copilot tells the same usage, the most exact first. */
const SOURCES = ['chat_span', 'inference_log', 'agent_turn', 'agent_summary'] as const;

type Source = (typeof SOURCES)[number];

type Candidate = {
  readonly source: Source;
  readonly traceId?: string | undefined;
  readonly responseId?: string | undefined;
  readonly call: AgentCall;
};

/**
 * One Copilot telemetry file (`~/.copilot/otel`), JSON lines of spans and log records. The same call appears as a chat span,
 * an inference log, an agent turn and an agent summary; of these the first in that order counts for each trace and each
 * response. That is known at the end of the file only, so the calls come with `finish`.
 */
export function createCopilotReader(file: SessionFile): SessionReader {
  const candidates: Candidate[] = [];
  const models = new Map<string, string>();
  let line = 0;

  function add(text: string): readonly LogLine[] {
    line += 1;
    if (!text.includes('"attributes"')) return [];
    const entry = parseObject(text);
    if (entry === undefined) return [{ kind: 'dropped', reason: 'not_json' }];
    const candidate = readEntry(entry, { file, line });
    const traceId = candidate?.traceId ?? traceOf(entry);
    const model = firstText(flattenAttributes(entry.attributes), NAMES.model);
    if (traceId !== undefined && model !== undefined && !models.has(traceId)) models.set(traceId, model);
    if (candidate !== undefined) candidates.push(candidate);
    return [];
  }

  function finish(): readonly LogLine[] {
    const calls = best(candidates).map(({ call, traceId }): LogLine => {
      const model = call.record.model ?? (traceId === undefined ? undefined : models.get(traceId));
      return { kind: 'call', call: model === undefined ? call : { ...call, record: { ...call.record, model } } };
    });
    candidates.length = 0;
    models.clear();
    return calls;
  }
  return { add, finish };
}

/** Those whose trace and response no better source tells. */
function best(candidates: readonly Candidate[]): readonly Candidate[] {
  const told = new Set<string>();
  const kept: Candidate[] = [];
  for (const source of SOURCES) {
    const fresh = candidates.filter((one) => one.source === source && !keysOf(one).some((key) => told.has(key)));
    for (const candidate of candidates)
      if (candidate.source === source) for (const key of keysOf(candidate)) told.add(key);
    kept.push(...fresh);
  }
  return kept;
}

function keysOf({ traceId, responseId }: Candidate): string[] {
  return [
    ...(traceId === undefined ? [] : [`trace ${traceId}`]),
    ...(responseId === undefined ? [] : [`response ${responseId}`]),
  ];
}

function readEntry(entry: JsonObject, place: { file: SessionFile; line: number }): Candidate | undefined {
  const attributes = flattenAttributes(entry.attributes);
  const source = sourceOf(entry, attributes);
  const record = source === undefined ? undefined : attributeUsage(attributes);
  if (source === undefined || record === undefined) return undefined;
  if (Object.values(record.tokens).every((tokens) => tokens === 0)) return undefined;
  const traceId = traceOf(entry);
  const responseId = firstText(attributes, NAMES.response);
  const spanId = text(entry.spanId) ?? text(object(entry.spanContext)?.spanId);
  const sessionId = firstText(attributes, SESSIONS) ?? traceId ?? place.file.sessionId;
  const turn = attributes['turn.index'] ?? attributes['copilot_chat.turn.index'];
  const id =
    source === 'agent_turn'
      ? `agent-turn:${traceId ?? sessionId}:${String(typeof turn === 'number' || typeof turn === 'string' ? turn : place.line)}`
      : traceId !== undefined && spanId !== undefined
        ? `${source === 'inference_log' ? 'log:' : ''}${traceId}:${spanId}`
        : `${place.file.sessionId}:${place.line}`;
  const gitBranch = firstText(attributes, ['github.copilot.git.branch', 'copilot_chat.repo.head_branch_name']);
  const gitCommit = firstText(attributes, ['github.copilot.git.commit', 'copilot_chat.repo.head_commit_hash']);
  const call: AgentCall = {
    id,
    messageId: id,
    occurredAt: timeOf(entry) ?? place.file.modifiedAt,
    sessionId,
    record: source === 'agent_turn' || source === 'agent_summary' ? { ...record, isPromptSummed: true } : record,
    isSidechain: false,
    ...(gitBranch !== undefined && { gitBranch }),
    ...(gitCommit !== undefined && { gitCommit }),
  };
  return { source, traceId, responseId, call };
}

/** What Copilot itself calls a session, before the names everyone shares. */
const SESSIONS = [
  'gen_ai.conversation.id',
  'copilot_chat.session_id',
  'copilot_chat.chat_session_id',
  'session.id',
  'github.copilot.interaction_id',
  'gen_ai.response.id',
];

function sourceOf(entry: JsonObject, attributes: JsonObject): Source | undefined {
  const operation = attributes['gen_ai.operation.name'];
  const name = text(entry.name) ?? '';
  if (isSpan(entry)) {
    if (operation === 'chat' || name.startsWith('chat ')) return 'chat_span';
    return operation === 'invoke_agent' || name.startsWith('invoke_agent ') ? 'agent_summary' : undefined;
  }
  const event = attributes['event.name'];
  const body = text(entry.body) ?? text(entry._body) ?? '';
  if (event === 'gen_ai.client.inference.operation.details' || body.startsWith('GenAI inference:'))
    return 'inference_log';
  return event === 'copilot_chat.agent.turn' || body.startsWith('copilot_chat.agent.turn') ? 'agent_turn' : undefined;
}

function isSpan(entry: JsonObject): boolean {
  const type = text(entry.type);
  if (type !== undefined) return type === 'span';
  const isTimed = entry.startTime !== undefined || entry.endTime !== undefined || entry.duration !== undefined;
  return (
    text(entry.name) !== undefined &&
    (isTimed || entry.spanId !== undefined || entry.traceId !== undefined || entry.kind !== undefined)
  );
}

function traceOf(entry: JsonObject): string | undefined {
  return text(entry.traceId) ?? text(object(entry.spanContext)?.traceId);
}

function timeOf(entry: JsonObject): string | undefined {
  for (const value of [entry.endTime, entry.hrTime, entry.timestamp, entry.time, entry.startTime]) {
    const found = Array.isArray(value) ? secondsAndNanos(value) : (instant(value) ?? milliseconds(value));
    if (found !== undefined) return found;
  }
  return undefined;
}

/** OpenTelemetry's JavaScript pair of seconds and nanoseconds. */
function secondsAndNanos(pair: readonly unknown[]): string | undefined {
  const [seconds, nanos = 0] = pair;
  if (typeof seconds !== 'number' || typeof nanos !== 'number') return undefined;
  return instantOfMilliseconds(Math.floor(seconds * 1000 + nanos / 1_000_000));
}

/** Exporters write milliseconds, microseconds or nanoseconds; the size tells which. */
function milliseconds(value: unknown): string | undefined {
  if (typeof value !== 'number' || !(value > 1e11)) return undefined;
  if (value < 1e14) return instantOfMilliseconds(Math.floor(value));
  return instantOfMilliseconds(Math.floor(value < 1e17 ? value / 1e3 : value / 1e6));
}
