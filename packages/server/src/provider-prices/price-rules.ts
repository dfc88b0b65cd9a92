import type { UnitName } from '@ergon/usage';

/**
 * Our own price data: what the library does not hold and the providers document. Each row names its source and the day it
 * was checked. Only multipliers that hold for every model named are here; a tier without a row is priced at the standard
 * rate and flagged, never guessed.
 */

/** A multiplier on every token rate of a call. */
export type TokenFactorRule = {
  readonly providers: readonly string[];
  readonly when: { readonly tier?: 'batch' | 'flex'; readonly speed?: 'fast'; readonly region?: string };
  /** Ids of the table's models; absent: all of the provider's. */
  readonly models?: readonly string[];
  readonly factor: string;
  readonly source: string;
  readonly checkedOn: string;
};

const OPENAI_PRICING = 'OpenAI API pricing page, batch and flex columns';
const ANTHROPIC_PRICING = 'Anthropic pricing page';
const FAST_MODE = "platform.claude.com/docs build-with-claude/fast-mode; the same as the table's OpenRouter entries";

export const TOKEN_FACTOR_RULES: readonly TokenFactorRule[] = [
  { providers: ['openai'], when: { tier: 'batch' }, factor: '0.5', source: OPENAI_PRICING, checkedOn: '2026-11-21' },
  { providers: ['openai'], when: { tier: 'flex' }, factor: '0.5', source: OPENAI_PRICING, checkedOn: '2026-11-21' },
  {
    providers: ['anthropic'],
    when: { tier: 'batch' },
    factor: '0.5',
    source: `${ANTHROPIC_PRICING}, batch processing`,
    checkedOn: '2026-11-21',
  },
  {
    providers: ['anthropic'],
    when: { speed: 'fast' },
    models: ['claude-opus-4-6', 'claude-opus-4-7'],
    factor: '6',
    source: `${FAST_MODE}: 6 x standard rates`,
    checkedOn: '2026-11-21',
  },
  {
    providers: ['anthropic'],
    when: { speed: 'fast' },
    models: ['claude-opus-4-8', 'claude-opus-5'],
    factor: '2',
    source: `${FAST_MODE}: 10 / 50 USD per million`,
    checkedOn: '2026-11-21',
  },
  {
    providers: ['anthropic'],
    when: { region: 'us' },
    models: [
      'claude-opus-4-6',
      'claude-opus-4-7',
      'claude-opus-4-8',
      'claude-opus-5',
      'claude-opus-5-5',
      'claude-sonnet-4-6',
      'claude-sonnet-5',
      'claude-fable-5',
      'claude-fable-5-1',
    ],
    factor: '1.1',
    source: `${ANTHROPIC_PRICING}, data residency: inference_geo us on Opus 4.6 and every later model`,
    checkedOn: '2026-11-21',
  },
];

/** Cache-write multipliers on the input price, where the table has no figure. */
export const CACHE_WRITE_RULES: readonly {
  readonly modelPart: string;
  readonly lifetime: '5m' | '1h';
  readonly factor: string;
  readonly source: string;
}[] = [
  {
    modelPart: 'claude',
    lifetime: '5m',
    factor: '1.25',
    source: `${ANTHROPIC_PRICING}, prompt caching, checked 2026-11-21`,
  },
  {
    modelPart: 'claude',
    lifetime: '1h',
    factor: '2',
    source: `${ANTHROPIC_PRICING}, prompt caching, checked 2026-11-21`,
  },
];

/** Least quantity billed. The library applies the same one in its code rather than in its data. */
export const MINIMUM_RULES: readonly {
  readonly provider: string;
  readonly models: readonly string[];
  readonly unit: UnitName;
  readonly minimum: string;
  readonly source: string;
}[] = [
  {
    provider: 'groq',
    models: ['whisper-large-v3', 'whisper-large-v3-turbo'],
    unit: 'audio_seconds',
    minimum: '10',
    source: 'Groq speech-to-text documentation: 10 seconds a request',
  },
];

/** Units that a provider counts and does not charge for beyond their tokens. */
export const UNITS_WITHOUT_CHARGE: readonly {
  readonly provider: string;
  readonly unit: UnitName;
  readonly source: string;
}[] = [
  { provider: 'anthropic', unit: 'web_fetches', source: `${ANTHROPIC_PRICING}: web fetch has no charge beyond tokens` },
];

/**
 * Names that callers and telemetry use for a seller, to the table's ids. The library's own matching comes after these: it
 * would read `azure_openai` as OpenAI.
 */
export const PROVIDER_ALIASES: ReadonlyMap<string, string> = new Map([
  ['azure_openai', 'azure'],
  ['azure-openai', 'azure'],
  ['azure.openai', 'azure'],
  ['az.ai.openai', 'azure'],
  ['az.ai.inference', 'azure'],
  ['azure.ai.openai', 'azure'],
  ['azure.ai.inference', 'azure'],
  ['bedrock', 'aws'],
  ['aws.bedrock', 'aws'],
  ['aws_bedrock', 'aws'],
  ['amazon-bedrock', 'aws'],
  ['amazon_bedrock', 'aws'],
  ['anthropic-bedrock', 'aws'],
  ['anthropic-vertex', 'google'],
  ['gcp.gemini', 'google'],
  ['gcp.gen_ai', 'google'],
  ['gcp.vertex_ai', 'google'],
  ['xai', 'x-ai'],
  ['x_ai', 'x-ai'],
  ['moonshot', 'moonshotai'],
  ['mistral_ai', 'mistral'],
  ['mistralai', 'mistral'],
  ['fireworks_ai', 'fireworks'],
  ['fireworks-ai', 'fireworks'],
  ['togetherai', 'together'],
  ['voyage', 'voyageai'],
  ['copilot', 'github-copilot'],
]);

/** What providers call the ordinary tier. */
export const STANDARD_TIERS: ReadonlySet<string> = new Set([
  'standard',
  'default',
  'auto',
  'on_demand',
  'standard_only',
]);
/** Capacity paid for by the hour or by commitment: no price per token exists. */
export const PREPAID_TIERS: ReadonlySet<string> = new Set([
  'provisioned_throughput',
  'provisioned',
  'reserved',
  'scale',
]);
