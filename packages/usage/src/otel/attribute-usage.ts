import { ABSENT, count, type Findings, known } from '../normalise/count.ts';
import { type JsonObject, object } from '../normalise/json.ts';
import { readReportedCost } from '../normalise/read-cost.ts';
import { normaliseUsage } from '../normalise-usage.ts';
import type { UsageRecord } from '../record.ts';
import { firstOf, firstText } from './attributes.ts';
import { NAMES } from './names.ts';

/** Who wrote the attributes: the instrumentation scope, whose habits differ by version. */
export type Scope = { readonly name?: string | undefined; readonly version?: string | undefined };

/**
 * The usage that a span's or log record's attributes tell; `undefined` where they tell none. The conventions count cache
 * inside input and reasoning inside output, but several exporters pass Anthropic's exclusive figures on; the figures
 * themselves decide where they can. Raw provider usage, where an exporter attaches it, is preferred.
 */
export function attributeUsage(attributes: JsonObject): UsageRecord | undefined {
  const provider = firstText(attributes, NAMES.provider);
  const model = firstText(attributes, NAMES.model);
  const raw = rawUsage(attributes);
  const usage = raw ?? conventionalUsage(attributes);
  if (usage === undefined) return undefined;
  const isExclusive = raw === undefined && isCacheOutside(attributes, usage);
  const api = raw !== undefined ? undefined : isExclusive ? 'messages' : 'responses';
  const written = isExclusive ? anthropicNames(usage) : usage;
  const serviceTier = firstText(attributes, NAMES.tier);
  const record = normaliseUsage({
    provider: raw === undefined ? undefined : provider,
    model,
    api,
    usage: written,
    serviceTier,
  });
  const cost = readReportedCost({ cost: decimalText(firstOf(attributes, NAMES.cost)) });
  const { api: _, ...told } = record;
  return {
    ...(provider !== undefined && { provider }),
    ...told,
    ...(cost !== undefined && { providerReportedCost: cost }),
  };
}

/** The conventions' figures under the names of the Responses API, whose inclusive rules they share. */
function conventionalUsage(attributes: JsonObject): JsonObject | undefined {
  const input = firstOf(attributes, NAMES.input);
  const output = firstOf(attributes, NAMES.output);
  if (input === undefined && output === undefined) return undefined;
  const isEmbedding = output === undefined && isEmbeddings(attributes);
  return {
    input_tokens: input,
    output_tokens: isEmbedding ? 0 : output,
    total_tokens: firstOf(attributes, NAMES.total),
    input_tokens_details: {
      cached_tokens: firstOf(attributes, NAMES.cacheRead),
      cache_write_tokens: firstOf(attributes, NAMES.cacheWrite),
      audio_tokens: firstOf(attributes, NAMES.inputAudio),
      image_tokens: firstOf(attributes, NAMES.inputImage),
    },
    output_tokens_details: {
      reasoning_tokens: firstOf(attributes, NAMES.reasoning),
      audio_tokens: firstOf(attributes, NAMES.outputAudio),
    },
  };
}

function isEmbeddings(attributes: JsonObject): boolean {
  return (
    attributes['gen_ai.operation.name'] === 'embeddings' ||
    attributes['openinference.span.kind'] === 'EMBEDDING' ||
    attributes['llm.request.type'] === 'embedding' ||
    attributes['ai.usage.tokens'] !== undefined
  );
}

/**
 * Cache counts that do not fit inside the input are outside it, and so are those that the total needs beside it. The AI
 * SDK's old `promptTokens` follows the provider, which for Anthropic leaves the cache out.
 */
function isCacheOutside(attributes: JsonObject, usage: JsonObject): boolean {
  const findings: Findings = { flags: undefined, isPartial: false };
  const details = object(usage.input_tokens_details);
  const cached =
    known(count(details?.cached_tokens, '', findings)) + known(count(details?.cache_write_tokens, '', findings));
  if (cached === 0) return false;
  const input = count(usage.input_tokens, '', findings);
  const total = count(usage.total_tokens, '', findings);
  if (cached > known(input)) return true;
  if (total !== ABSENT && total === known(input) + cached + known(count(usage.output_tokens, '', findings)))
    return true;
  const isOldSdk =
    attributes['ai.usage.inputTokens'] === undefined && attributes['ai.usage.promptTokens'] !== undefined;
  return isOldSdk && (firstText(attributes, NAMES.provider) ?? '').includes('anthropic');
}

function anthropicNames(usage: JsonObject): JsonObject {
  const input = object(usage.input_tokens_details);
  return {
    input_tokens: usage.input_tokens,
    output_tokens: usage.output_tokens,
    cache_read_input_tokens: input?.cached_tokens,
    cache_creation_input_tokens: input?.cache_write_tokens,
    output_tokens_details: { thinking_tokens: object(usage.output_tokens_details)?.reasoning_tokens },
  };
}

/** The AI SDK attaches the provider's metadata as JSON text, for Anthropic with the usage object itself. */
function rawUsage(attributes: JsonObject): JsonObject | undefined {
  const metadata = attributes['ai.response.providerMetadata'];
  if (typeof metadata !== 'string' || metadata.length > 65_536) return undefined;
  let parsed: unknown;
  try {
    parsed = JSON.parse(metadata);
  } catch {
    return undefined;
  }
  const usage = object(object(object(parsed)?.anthropic)?.usage);
  return usage?.input_tokens === undefined || usage.output_tokens === undefined ? undefined : usage;
}

function decimalText(value: unknown): unknown {
  return typeof value === 'string' ? value.trim() : value;
}
