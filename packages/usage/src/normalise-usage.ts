import { canonicalTokens } from './normalise/canonical-tokens.ts';
import { type Findings, fault, note, shown } from './normalise/count.ts';
import { READERS, resolveDialect } from './normalise/dialects.ts';
import { disjointTokens, emptyFigures } from './normalise/figures.ts';
import { type JsonObject, object, text } from './normalise/json.ts';
import { type Iterations, readIterations } from './normalise/read-anthropic.ts';
import { readReportedCost } from './normalise/read-cost.ts';
import { readUnits } from './normalise/read-units.ts';
import type { Quality, Tokens, Units, UsageFlag, UsageRecord } from './record.ts';

/** What is known about one call. Everything is optional and nothing is trusted. */
export type UsageInput = {
  /** Who served the call, e.g. `openai`, `anthropic`; OpenTelemetry's and LiteLLM's names are understood. */
  readonly provider?: string | undefined;
  /** Which of the provider's APIs, e.g. `chat.completions`, `responses`, `messages`. */
  readonly api?: string | undefined;
  /** The model of the response; of the request where the response named none. */
  readonly model?: string | undefined;
  /** The provider's own usage object, untouched. */
  readonly usage?: unknown;
  /** Canonical token classes instead of a provider's usage object. */
  readonly tokens?: unknown;
  /** Canonical per-call units, beside `tokens` or beside what the usage object tells. */
  readonly units?: unknown;
  /** What the sender says of its own figures; never raises what the reader found. Applies to `tokens`. */
  readonly quality?: Quality | undefined;
  /** Tier that served the call, where the response tells it outside the usage object. */
  readonly serviceTier?: string | undefined;
  readonly speed?: string | undefined;
  readonly region?: string | undefined;
  /** `cache_control.ttl` of the request: the lifetime of cache writes whose lifetime the answer does not tell. */
  readonly cacheTtl?: '5m' | '1h' | undefined;
};

const NO_USAGE: JsonObject = Object.freeze({});
const NO_TOKENS: Tokens = Object.freeze({});
const NO_UNITS: Units = Object.freeze({});
const NO_FLAGS: readonly UsageFlag[] = Object.freeze([]);

/**
 * The canonical usage record of one call. Never throws and takes time linear in the input; whatever does not hold together
 * becomes a flag and lowers the quality. Figures that were not sent are absent, never zero.
 *
 * @example normaliseUsage({ provider: 'openai', api: 'chat.completions', usage: { prompt_tokens: 12, completion_tokens: 3 } })
 */
export function normaliseUsage(input: UsageInput): UsageRecord {
  const findings: Findings = { flags: undefined, isPartial: false };
  const usage = object(input.usage);
  const reading: Reading = { tokens: NO_TOKENS, iterations: undefined };
  if (input.tokens !== undefined && input.tokens !== null) {
    reading.tokens = canonicalTokens(input.tokens, findings);
    if (usage !== undefined) note(findings, 'tokens_and_usage', 'both tokens and usage were sent; tokens were taken');
  } else if (usage !== undefined) {
    readUsage(input, usage, reading, findings);
  } else if (input.usage === undefined || input.usage === null) {
    note(findings, 'usage_missing', 'no usage was sent');
  } else {
    fault(findings, 'usage_not_an_object', `usage is ${shown(input.usage)}, not an object`);
  }
  return composeRecord(input, usage, reading, findings);
}

type Reading = { tokens: Tokens; iterations: Iterations | undefined };

function readUsage(input: UsageInput, usage: JsonObject, reading: Reading, findings: Findings): void {
  const dialect = resolveDialect(input, usage, findings);
  if (dialect === undefined) {
    fault(findings, 'usage_not_recognised', 'the usage object has none of the known field names');
    return;
  }
  const isHourCache = input.cacheTtl === '1h';
  if (dialect.shape === 'anthropic' && usage.iterations !== undefined) {
    reading.iterations = readIterations(usage, dialect, isHourCache, findings);
    if (reading.iterations !== undefined) {
      reading.tokens = reading.iterations.tokens;
      return;
    }
  }
  const figures = emptyFigures();
  figures.isHourCache = isHourCache;
  READERS[dialect.shape](usage, figures, findings);
  reading.tokens = disjointTokens(figures, dialect, findings);
}

type MutableRecord = { -readonly [Member in keyof UsageRecord]: UsageRecord[Member] };

function composeRecord(
  input: UsageInput,
  usage: JsonObject | undefined,
  reading: Reading,
  findings: Findings,
): UsageRecord {
  const { tokens, iterations } = reading;
  const units = readUnits(usage, input.units, findings) ?? NO_UNITS;
  const record: MutableRecord = {
    tokens,
    units,
    quality: qualityOf(tokens, units, input.quality, findings),
    flags: findings.flags ?? NO_FLAGS,
  };
  const provider = text(input.provider);
  const api = text(input.api);
  const model = answeringModel(iterations) ?? text(input.model);
  if (provider !== undefined) record.provider = provider;
  if (api !== undefined) record.api = api;
  if (model !== undefined) record.model = model;
  if (iterations !== undefined) record.iterations = iterations.billed;
  // A server-tool loop sums several prompts into one input figure (reference: 950,648 tokens of a 200k model).
  else if (units !== NO_UNITS && usage?.server_tool_use !== undefined && !isEmpty(units)) record.isPromptSummed = true;
  describe(record, input, usage ?? NO_USAGE);
  return record;
}

/** Tier, speed, region and the provider's own cost: what the response says first, then what the usage object says. */
function describe(record: MutableRecord, input: UsageInput, usage: JsonObject): void {
  const serviceTier =
    text(input.serviceTier) ?? text(usage.service_tier) ?? text(usage.serviceTier) ?? text(usage.trafficType);
  const speed = text(input.speed) ?? text(usage.speed);
  const region = text(input.region) ?? geography(usage.inference_geo);
  const cost = readReportedCost(usage);
  if (serviceTier !== undefined) record.serviceTier = serviceTier;
  if (speed !== undefined) record.speed = speed;
  if (region !== undefined) record.region = region;
  if (cost !== undefined) record.providerReportedCost = cost;
}

/** With a server-side fallback, the model that answered is the fallback's, whatever the request asked for. */
function answeringModel(iterations: Iterations | undefined): string | undefined {
  return iterations?.billed.findLast((pass) => pass.kind === 'fallback_message')?.model;
}

function geography(value: unknown): string | undefined {
  const region = text(value);
  return region === 'not_available' ? undefined : region;
}

function qualityOf(tokens: Tokens, units: Units, stated: Quality | undefined, findings: Findings): Quality {
  if (isEmpty(tokens) && isEmpty(units)) return 'none';
  if (stated !== undefined && stated !== 'reported') return stated;
  return findings.isPartial ? 'partial' : 'reported';
}

function isEmpty(quantities: Tokens | Units): boolean {
  for (const _ in quantities) return false;
  return true;
}
