/**
 * The canonical usage record: what one model call (or one other unit of metered work) consumed, in classes that never
 * overlap. Everything downstream (meters, prices, FLOPs) reads this shape and no other.
 */

/** Token classes of DESIGN section 8. They are disjoint: each token is counted in exactly one, so a total is their sum. */
export const TOKEN_CLASSES = [
  'input',
  'tool_use',
  'cache_write_5m',
  'cache_write_1h',
  'cache_read',
  'output',
  'reasoning',
  'hidden_output',
  'rejected_prediction',
  'input_audio',
  'input_image',
  'input_video',
  'output_audio',
  'output_image',
] as const;

export type TokenClass = (typeof TOKEN_CLASSES)[number];

/** Whole tokens per class, each a safe integer >= 0. An absent class was not reported, which is not zero. */
export type Tokens = { readonly [Class in TokenClass]?: number };

/** Per-call units other than tokens. Quantities are whole numbers, except seconds, which may carry decimals. */
export const UNIT_NAMES = [
  'web_searches',
  'web_fetches',
  'social_searches',
  'code_executions',
  'file_searches',
  'search_units',
  'citation_tokens',
  'images',
  'audio_seconds',
  'pages',
  'characters',
] as const;

export type UnitName = (typeof UNIT_NAMES)[number];

/** Decimal literals, so that seconds stay exact. */
export type Units = { readonly [Name in UnitName]?: string };

/** How far a quantity can be trusted (DESIGN section 4). Missing is `none`, never zero. */
export type Quality = 'reported' | 'partial' | 'estimated' | 'lower_bound' | 'upper_bound' | 'none';

/**
 * Something about the provider's figures that does not hold together. Flags never stop a record; they travel with it and
 * are shown to whoever reads it.
 */
export type UsageFlag = {
  /** snake_case, stable, e.g. `cached_above_prompt`, `total_mismatch`. */
  readonly code: string;
  /** One sentence with the figures concerned. */
  readonly detail: string;
};

/** One billed pass of the model inside a call (Anthropic `iterations[]`): compaction, advisor, fallback, message. */
export type UsageIteration = {
  readonly kind: string;
  readonly model?: string;
  readonly tokens: Tokens;
};

export type UsageRecord = {
  readonly provider?: string;
  readonly api?: string;
  /** The model that answered, as the provider names it; the requested one when the answer named none. */
  readonly model?: string;
  /** Sum over all billed iterations. */
  readonly tokens: Tokens;
  readonly units: Units;
  readonly quality: Quality;
  /**
   * Present when a call was billed in several passes, each at its own model and each deciding its own context tier. The
   * classes of `tokens` are then the sums over these.
   */
  readonly iterations?: readonly UsageIteration[];
  /** True when `tokens` sums several prompts that the provider did not itemise, so no context tier can be decided on it. */
  readonly isPromptSummed?: boolean;
  readonly serviceTier?: string;
  readonly speed?: string;
  readonly region?: string;
  /** What the provider says it charged, kept beside our own figure. */
  readonly providerReportedCost?: { readonly amount: string; readonly currency: string };
  readonly flags: readonly UsageFlag[];
};
