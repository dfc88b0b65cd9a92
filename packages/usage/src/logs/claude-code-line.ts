import { type JsonObject, object, text } from '../normalise/json.ts';
import { normaliseUsage } from '../normalise-usage.ts';
import type { UsageFlag, UsageRecord } from '../record.ts';
import { type AgentCall, dropped, type LogLine, OTHER_LINE } from './agent-call.ts';
import { instant } from './instant.ts';
import { parseObject } from './parse-object.ts';

/** Where a line stands, for lines that carry no identity of their own. */
export type LinePlace = {
  /** Session named by the file's path, used where the line names none. */
  readonly sessionId?: string | undefined;
  /** Path of the file from the log's root, and the line's number in it: the identity of a call without a message id. */
  readonly file: string;
  readonly line: number;
};

/** Fields whose JSON null makes the reference importer drop a line; absent is fine. */
const NOT_NULL = {
  line: ['cwd', 'costUSD', 'version', 'sessionId', 'requestId', 'isApiErrorMessage'],
  message: ['id', 'model'],
  usage: ['speed', 'cache_read_input_tokens', 'cache_creation_input_tokens'],
} as const;

const SEMVER_START = /^\d{1,9}\.\d{1,9}\.\d/;

/**
 * One line of a Claude Code session file (`~/.claude/projects/**.jsonl`). A message is repeated on several lines, so the calls
 * must go through {@link createCallDeduplicator}. Subagents' messages inside `agent_progress` lines are calls of their own.
 */
export function parseClaudeCodeLine(line: string, place: LinePlace): LogLine {
  // Most lines of a session are not answers; this finds them without parsing megabytes of tool output.
  if (!line.includes('"usage":{')) return OTHER_LINE;
  const outer = parseObject(line);
  if (outer === undefined) return dropped('not_json');
  const progress = object(outer.data);
  const inner = progress?.type === 'agent_progress' ? object(progress.message) : outer;
  const message = object(inner?.message);
  const usage = object(message?.usage);
  if (inner === undefined || message === undefined || usage === undefined) return OTHER_LINE;
  const reason = nullField(outer, inner, message, usage) ?? unusable(inner, message);
  if (reason !== undefined) return dropped(reason);
  const occurredAt = instant(inner.timestamp) ?? instant(outer.timestamp);
  if (occurredAt === undefined) return dropped('no_timestamp');
  const call = composeCall({ outer, inner, message, usage, progress }, occurredAt, place);
  return { kind: 'call', call, usage };
}

function nullField(outer: JsonObject, inner: JsonObject, message: JsonObject, usage: JsonObject): string | undefined {
  for (const field of NOT_NULL.line) if (outer[field] === null || inner[field] === null) return `${field}_is_null`;
  for (const field of NOT_NULL.message) if (message[field] === null) return `${field}_is_null`;
  for (const field of NOT_NULL.usage) if (usage[field] === null) return `${field}_is_null`;
  return undefined;
}

function unusable(line: JsonObject, message: JsonObject): string | undefined {
  if (line.sessionId === '' || line.requestId === '' || message.id === '' || message.model === '') return 'empty_id';
  if (typeof line.version === 'string' && !SEMVER_START.test(line.version)) return 'version_not_semver';
  return undefined;
}

type Line = {
  readonly outer: JsonObject;
  readonly inner: JsonObject;
  readonly message: JsonObject;
  readonly usage: JsonObject;
  readonly progress: JsonObject | undefined;
};

type MutableCall = { -readonly [Member in keyof AgentCall]: AgentCall[Member] };

function composeCall(
  { outer, inner, message, usage, progress }: Line,
  occurredAt: string,
  place: LinePlace,
): AgentCall {
  const requestId = text(inner.requestId);
  const messageId = text(message.id);
  const sessionId = text(outer.sessionId) ?? place.sessionId;
  const call: MutableCall = {
    id: messageId === undefined ? `${place.file}:${place.line}` : `${messageId}:${requestId ?? ''}`,
    occurredAt,
    record: lineRecord(message, usage),
    isSidechain: inner.isSidechain === true,
  };
  if (sessionId !== undefined) call.sessionId = sessionId;
  if (requestId !== undefined) call.requestId = requestId;
  if (messageId !== undefined) call.messageId = messageId;
  const cwd = text(outer.cwd);
  const gitBranch = text(outer.gitBranch);
  const version = text(outer.version);
  const agentId = text(progress?.agentId) ?? text(outer.agentId);
  const parentId = text(outer.parentToolUseID);
  if (cwd !== undefined) call.cwd = cwd;
  if (gitBranch !== undefined) call.gitBranch = gitBranch;
  if (version !== undefined) call.version = version;
  if (agentId !== undefined) call.agentId = agentId;
  if (parentId !== undefined && agentId !== undefined) call.parentId = parentId;
  return call;
}

const PLACEHOLDER: UsageFlag = Object.freeze({
  code: 'output_may_be_placeholder',
  detail: 'the line was written before the answer ended (no stop_reason), so its output figure is a lower bound',
});

/** Anthropic's rules, with the honesty the log needs: before `stop_reason` is known the output figure is provisional. */
function lineRecord(message: JsonObject, usage: JsonObject): UsageRecord {
  const record = normaliseUsage({ provider: 'anthropic', api: 'messages', model: text(message.model), usage });
  if (typeof message.stop_reason === 'string' || record.quality !== 'reported') return record;
  return { ...record, quality: 'lower_bound', flags: [...record.flags, PLACEHOLDER] };
}
