import { instant } from '../logs/instant.ts';
import { type JsonObject, text } from '../normalise/json.ts';
import { normaliseUsage } from '../normalise-usage.ts';
import { readReportedCost } from '../normalise/read-cost.ts';
import type { UsageRecord } from '../record.ts';
import { attributeUsage } from './attribute-usage.ts';
import { firstOf, firstText, flattenAttributes } from './attributes.ts';
import { NAMES } from './names.ts';
import { attribution, instantOfNanoseconds, nanoseconds, type OtelCall } from './span-calls.ts';

/** One log record, as OTLP's JSON has it. */
export type OtelLogRecord = {
  readonly eventName?: string | undefined;
  readonly timeUnixNano?: unknown;
  readonly observedTimeUnixNano?: unknown;
  readonly traceId?: string | undefined;
  readonly spanId?: string | undefined;
  readonly body?: unknown;
  /** OTLP's list of key and value, or a flat object. */
  readonly attributes?: unknown;
};

/** The log events that tell one model call each, and how to read them. Everything else is talk about calls. */
const READERS: { readonly [event: string]: (attributes: JsonObject) => UsageRecord | undefined } = {
  'gen_ai.client.inference.operation.details': attributeUsage,
  'claude_code.api_request': claudeRequest,
  'gemini_cli.api_response': geminiResponse,
  'codex.sse_event': codexEvent,
};

/** The call that a log record tells, or `undefined`. */
export function logCall(log: OtelLogRecord): OtelCall | undefined {
  const attributes = flattenAttributes(log.attributes);
  const name = eventName(log, attributes);
  const record = name === undefined ? undefined : READERS[name]?.(attributes);
  if (record === undefined) return undefined;
  const sessionId = firstText(attributes, NAMES.session);
  const responseId = firstText(attributes, ['request_id', ...NAMES.response]);
  const time = nanoseconds(log.timeUnixNano) ?? nanoseconds(log.observedTimeUnixNano);
  const occurredAt =
    instant(attributes['event.timestamp']) ?? (time === undefined ? undefined : instantOfNanoseconds(time));
  const traceId = text(log.traceId);
  const spanId = text(log.spanId);
  const sequence = sequenceOf(attributes);
  return {
    id: idOf({ name, traceId, spanId, responseId, sessionId, occurredAt, sequence }),
    isError: false,
    record,
    ...(traceId !== undefined && { traceId }),
    ...(spanId !== undefined && { spanId }),
    ...(responseId !== undefined && { responseId }),
    ...(occurredAt !== undefined && { occurredAt }),
    ...attribution(attributes),
  };
}

/** Claude Code names its events with and without its prefix, in the record's name, an attribute or the body. */
function eventName(log: OtelLogRecord, attributes: JsonObject): string | undefined {
  const named = text(log.eventName) ?? text(attributes['event.name']);
  const body =
    typeof log.body === 'string' ? log.body : text(flattenAttributes([{ key: 'body', value: log.body }]).body);
  for (const name of [named, body]) {
    if (name === undefined) continue;
    if (Object.hasOwn(READERS, name)) return name;
    const prefixed = `claude_code.${name}`;
    if (Object.hasOwn(READERS, prefixed)) return prefixed;
  }
  return undefined;
}

type Identity = { readonly [part: string]: string | undefined };

/** The span's identity where there is one, so that a span and a log of the same call agree; else what repeats with a re-send. */
function idOf({ name, traceId, spanId, responseId, sessionId, occurredAt, sequence }: Identity): string {
  if (traceId !== undefined && (responseId ?? spanId) !== undefined) return `${traceId}:${responseId ?? spanId}`;
  return [name, sessionId, responseId, occurredAt, sequence].filter((part) => part !== undefined).join(':');
}

/** What tells two events of one session and instant apart. */
function sequenceOf(attributes: JsonObject): string | undefined {
  const sequence = firstOf(attributes, ['event.sequence', 'prompt_id']);
  return typeof sequence === 'number' ? String(sequence) : text(sequence);
}

/** Claude Code's figures are Anthropic's own: input leaves the cache out. Its cost is an estimate from list prices. */
function claudeRequest(attributes: JsonObject): UsageRecord | undefined {
  const usage = {
    input_tokens: attributes.input_tokens,
    output_tokens: attributes.output_tokens,
    cache_read_input_tokens: attributes.cache_read_tokens,
    cache_creation_input_tokens: attributes.cache_creation_tokens,
  };
  const model = text(attributes.model);
  const record = normaliseUsage({
    provider: 'anthropic',
    api: 'messages',
    model,
    usage,
    speed: text(attributes.speed),
  });
  const cost = readReportedCost({ cost: attributes.cost_usd });
  return cost === undefined ? record : { ...record, providerReportedCost: cost };
}

function geminiResponse(attributes: JsonObject): UsageRecord | undefined {
  const usage = {
    promptTokenCount: attributes.input_token_count,
    candidatesTokenCount: attributes.output_token_count,
    cachedContentTokenCount: attributes.cached_content_token_count,
    thoughtsTokenCount: attributes.thoughts_token_count,
    toolUsePromptTokenCount: attributes.tool_token_count,
    totalTokenCount: attributes.total_token_count,
  };
  return normaliseUsage({ provider: 'google', api: 'generate_content', model: text(attributes.model), usage });
}

/** Only the event that ends a response carries counts. */
function codexEvent(attributes: JsonObject): UsageRecord | undefined {
  if (attributes['event.kind'] !== 'response.completed' || attributes.input_token_count === undefined) return undefined;
  const usage = {
    input_tokens: attributes.input_token_count,
    input_tokens_details: { cached_tokens: attributes.cached_token_count },
    output_tokens: attributes.output_token_count,
    output_tokens_details: { reasoning_tokens: attributes.reasoning_token_count },
  };
  const model = text(attributes.model) ?? text(attributes.slug);
  return normaliseUsage({ provider: 'openai', api: 'responses', model, usage });
}
