import type { Decimal } from '@ergon/exact';
import type { TokenClass, UnitName, UsageFlag } from '@ergon/usage';

/** Which price is asked for. Texts are taken as providers and callers write them; matching ignores case. */
export type PriceQuery = {
  readonly provider?: string | undefined;
  /** The model that answered, as the provider names it. */
  readonly model: string;
  /** When the call happened: microseconds since 1970, UTC. */
  readonly at: number;
  readonly serviceTier?: string | undefined;
  /** The provider's processing region (Anthropic `inference_geo`); a cloud's region is in its model names instead. */
  readonly region?: string | undefined;
  readonly speed?: string | undefined;
};

/** Why there is no price. A cost without a price is unknown, never zero. */
export type PriceMiss =
  | 'no_model'
  | 'name_too_long'
  | 'unknown_provider'
  | 'unknown_model'
  /** The table names the model but holds no figure for it, or only figures that cannot be read. */
  | 'no_figures'
  /** Reserved or provisioned capacity is not billed by the token. */
  | 'prepaid_capacity';

/** The price of one token of a class: `coefficient / 10^price.scale` USD. */
export type TokenRate = {
  readonly coefficient: bigint;
  /** Raised on a cost that uses this rate: the class had no price of its own and another one stands in. */
  readonly flag?: UsageFlag;
};

/** Rates by index into `TOKEN_CLASSES`; `undefined` where nothing can stand in. */
export type RateTable = readonly (TokenRate | undefined)[];

/** A context tier: these rates hold for the *whole* request when its prompt has more than `promptTokensAbove` tokens. */
export type ContextTier = { readonly promptTokensAbove: number; readonly rates: RateTable };

/** A price of something other than tokens: `amount` USD for each `per` of it. */
export type UnitRate = {
  readonly amount: Decimal;
  readonly per: Decimal;
  /** Least quantity billed for a call that used any. */
  readonly minimum?: Decimal;
};

/** One provider's price for one model at one time, tier and region. Immutable; the same object for the same answer. */
export type ProviderPrice = {
  /** The seller, by the table's id (`anthropic`, `aws`, `azure`...). */
  readonly provider: string;
  /** The table's id of the model. */
  readonly model: string;
  /** Where the figures come from: library and version, or the override's own words. */
  readonly source: string;
  /** Digits after the point of every token rate in {@link tiers}. */
  readonly scale: number;
  /** The base rates first, then context tiers by rising threshold. Never empty. */
  readonly tiers: readonly [ContextTier, ...ContextTier[]];
  readonly units: { readonly [Name in UnitName]?: UnitRate };
  /** A fee for each call, whatever its size. */
  readonly requestFee?: UnitRate;
  /** What was applied to the table's figures (batch, region, fast mode), or could not be. */
  readonly flags: readonly UsageFlag[];
};

/** A line of the explanation: `quantity x unitAmount = amount`, in USD, exact. */
export type CostLine = {
  readonly class: TokenClass | UnitName | 'requests';
  /** The model of the line, where an iteration ran on another one. */
  readonly model: string;
  readonly quantity: Decimal;
  /** For one unit; rounded to 18 places where it has no finite decimal (a price per hour, billed by the second). */
  readonly unitAmount: Decimal;
  readonly amount: Decimal;
};

export type ProviderCost = {
  /** USD, 12 places, rounded once, half away from zero. */
  readonly amount: Decimal;
  readonly currency: 'USD';
  /** False when part of the usage has no price: `amount` is then a lower bound and a flag names the part. */
  readonly isComplete: boolean;
  /** The context tier that applied, when it was not the base; the highest one over iterations. */
  readonly tier?: { readonly promptTokensAbove: number };
  readonly basis: 'table' | 'provider_reported';
  /** Where the figures come from, for the record: library and version, an override's own words, or who reported it. */
  readonly source: string;
  readonly flags: readonly UsageFlag[];
  /** Only when asked for. Their exact sum, rounded, is `amount` (when `basis` is `table`). */
  readonly lines?: readonly CostLine[];
};
