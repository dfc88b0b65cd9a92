import { type JsonObject, object, text } from '../normalise/json.ts';
import { readReportedCost } from '../normalise/read-cost.ts';
import { normaliseUsage } from '../normalise-usage.ts';
import type { UsageRecord } from '../record.ts';
import { type AgentCall, dropped, type LogLine, OTHER_LINE } from './agent-call.ts';
import { instantOfMilliseconds } from './instant.ts';
import { parseObject } from './parse-object.ts';

/** One message of opencode: a row of its database's table `message`, or a file under `storage/message`. */
export type OpencodeMessage = {
  /** Column `id`; a file names itself in its data. */
  readonly id?: string | undefined;
  /** Column `session_id`. */
  readonly sessionId?: string | undefined;
  /** Column `parent_id` of the session, for a subagent's session. */
  readonly parentSessionId?: string | undefined;
  /** Column `data`, or the file's text. */
  readonly data: string;
};

/** Reads one message of opencode, whose five figures are disjoint. Read the database first: its ids win over the files'. */
export function parseOpencodeMessage(message: OpencodeMessage): LogLine {
  const data = parseObject(message.data);
  if (data === undefined) return dropped('not_json');
  const tokens = object(data.tokens);
  if (tokens === undefined) return OTHER_LINE;
  const model = text(data.modelID);
  const provider = text(data.providerID);
  const record = opencodeRecord(tokens, data, model, provider);
  if (Object.values(record.tokens).every((count) => count === 0)) return OTHER_LINE;
  if (model === undefined || provider === undefined) return dropped('no_model');
  const id = message.id ?? text(data.id);
  const occurredAt = instantOfMilliseconds(object(data.time)?.created);
  if (id === undefined) return dropped('no_id');
  if (occurredAt === undefined) return dropped('no_timestamp');
  const sessionId = message.sessionId ?? text(data.sessionID);
  const cwd = text(object(data.path)?.cwd);
  const call: AgentCall = {
    id,
    messageId: id,
    occurredAt,
    record,
    isSidechain: false,
    ...(sessionId !== undefined && { sessionId }),
    ...(cwd !== undefined && { cwd }),
    ...(message.parentSessionId !== undefined && { parentId: message.parentSessionId }),
  };
  return { kind: 'call', call };
}

function opencodeRecord(
  tokens: JsonObject,
  data: JsonObject,
  model: string | undefined,
  provider: string | undefined,
): UsageRecord {
  const cache = object(tokens.cache);
  const parts = {
    input: tokens.input,
    output: tokens.output,
    reasoning: tokens.reasoning,
    cache_read: cache?.read,
    cache_write_5m: cache?.write,
  };
  const isTotalOnly = Object.values(parts).every((part) => part === undefined || part === null || part === 0);
  const record = normaliseUsage({ provider, model, tokens: isTotalOnly ? { hidden_output: tokens.total } : parts });
  const cost = readReportedCost({ cost: data.cost });
  return cost === undefined ? record : { ...record, providerReportedCost: cost };
}
