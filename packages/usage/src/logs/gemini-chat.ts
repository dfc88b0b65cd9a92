import { type JsonObject, object, text } from '../normalise/json.ts';
import { normaliseUsage } from '../normalise-usage.ts';
import type { UsageRecord } from '../record.ts';
import type { AgentCall, LogLine } from './agent-call.ts';
import type { SessionFile, SessionReader } from './codex-session.ts';
import { instant } from './instant.ts';
import { parseObject } from './parse-object.ts';

/**
 * One Gemini CLI chat (`~/.gemini/tmp/<hash>/chats/*.jsonl`), line by line. A message is written again whenever it changes, so
 * the last line of an id counts; the calls come with `finish`.
 */
export function createGeminiReader(file: SessionFile): SessionReader {
  const messages = new Map<string, LogLine>();
  /** The sums at a run's end repeat its messages, so they count only where the file has none. */
  let sums: LogLine[] = [];
  let hasMessages = false;
  let sessionId = file.sessionId;
  let model: string | undefined;
  let project: string | undefined;

  function add(line: string): readonly LogLine[] {
    if (line.trim() === '') return [];
    const entry = parseObject(line);
    if (entry === undefined) return [{ kind: 'dropped', reason: 'not_json' }];
    sessionId = text(entry.sessionId) ?? text(entry.session_id) ?? sessionId;
    model = text(entry.model) ?? model;
    project = text(entry.projectHash) ?? project;
    const context = { sessionId, model, project, at: file.modifiedAt };
    if (entry.type !== 'gemini') {
      sums.push(...summaries(entry, context));
      return [];
    }
    const call = message(entry, context);
    const id = text(entry.id);
    if (call === undefined) return [];
    hasMessages = true;
    if (id === undefined) return [call];
    messages.set(id, call);
    return [];
  }

  function finish(): readonly LogLine[] {
    const calls = [...messages.values(), ...(hasMessages ? [] : sums)];
    messages.clear();
    sums = [];
    return calls;
  }
  return { add, finish };
}

/** One Gemini CLI chat kept as a single JSON document (`*.json`). */
export function parseGeminiChat(document: string, file: SessionFile): readonly LogLine[] {
  const chat = parseObject(document);
  if (chat === undefined) return [{ kind: 'dropped', reason: 'not_json' }];
  const sessionId = text(chat.sessionId) ?? text(chat.session_id) ?? file.sessionId;
  const at = instant(chat.startTime) ?? instant(chat.lastUpdated) ?? file.modifiedAt;
  const context = { sessionId, model: text(chat.model), project: text(chat.projectHash), at };
  if (chat.type === 'gemini') {
    const call = message(chat, context);
    return call === undefined ? [] : [call];
  }
  if (!Array.isArray(chat.messages)) return summaries(chat, context);
  const calls = new Map<unknown, LogLine>();
  for (const entry of chat.messages) {
    const one = object(entry);
    const call = one?.type === 'gemini' ? message(one, context) : undefined;
    if (call !== undefined) calls.set(text(one?.id) ?? one, call);
  }
  return [...calls.values()];
}

type Context = {
  readonly sessionId: string;
  readonly model: string | undefined;
  readonly project: string | undefined;
  readonly at: string;
};

function message(entry: JsonObject, context: Context): LogLine | undefined {
  const tokens = object(entry.tokens);
  const model = text(entry.model) ?? context.model;
  if (tokens === undefined) return undefined;
  if (model === undefined) return { kind: 'dropped', reason: 'no_model' };
  const record = geminiRecord(tokens, model, isCacheInside(tokens));
  if (isNothing(record)) return undefined;
  const occurredAt = instant(entry.timestamp) ?? instant(entry.created_at) ?? context.at;
  // Ids are unique within a session only; a message without one is known by its time and figures.
  const id = `${context.sessionId}:${text(entry.id) ?? [occurredAt, ...Object.values(record.tokens)].join(':')}`;
  return { kind: 'call', call: composeCall(id, occurredAt, record, context) };
}

/** The stats that end a headless run: one sum per model, so no context tier can be decided on it. */
function summaries(entry: JsonObject, context: Context): readonly LogLine[] {
  const stats = object(entry.stats) ?? object(object(entry.result)?.stats);
  const models = object(stats?.models);
  if (models === undefined) return [];
  const occurredAt = instant(entry.timestamp) ?? context.at;
  return Object.keys(models).flatMap((model): LogLine[] => {
    const tokens = object(object(models[model])?.tokens);
    const record = tokens === undefined ? undefined : geminiRecord(tokens, model, true);
    if (record === undefined || isNothing(record)) return [];
    const id = `${context.sessionId}:${occurredAt}:${model}`;
    return [{ kind: 'call', call: composeCall(id, occurredAt, { ...record, isPromptSummed: true }, context) }];
  });
}

function composeCall(id: string, occurredAt: string, record: UsageRecord, context: Context): AgentCall {
  const { sessionId, project } = context;
  const call = { id, messageId: id, occurredAt, sessionId, record, isSidechain: false };
  return project === undefined ? call : { ...call, project };
}

/** Newer versions count the cache inside the input; the total tells which. */
function isCacheInside(tokens: JsonObject): boolean {
  const [input, output, thoughts, tool] = [tokens.input, tokens.output, tokens.thoughts, tokens.tool].map(figure);
  return figure(tokens.total) === (input ?? 0) + (output ?? 0) + (thoughts ?? 0) + (tool ?? 0);
}

function geminiRecord(tokens: JsonObject, model: string, isInside: boolean): UsageRecord {
  const input = tokens.input ?? tokens.prompt ?? tokens.input_tokens ?? tokens.prompt_tokens;
  const cached = tokens.cached ?? tokens.cached_tokens;
  const usage = {
    promptTokenCount: isInside ? input : figure(input) + figure(cached),
    cachedContentTokenCount: cached,
    toolUsePromptTokenCount: tokens.tool ?? tokens.tool_tokens,
    candidatesTokenCount: tokens.output ?? tokens.candidates ?? tokens.output_tokens ?? tokens.candidates_tokens,
    thoughtsTokenCount: tokens.thoughts ?? tokens.reasoning ?? tokens.thoughts_tokens ?? tokens.reasoning_tokens,
    totalTokenCount: tokens.total ?? tokens.total_tokens,
  };
  return normaliseUsage({ provider: 'google', api: 'generate_content', model, usage });
}

function figure(value: unknown): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : 0;
}

function isNothing(record: UsageRecord): boolean {
  return Object.values(record.tokens).every((tokens) => tokens === 0);
}
