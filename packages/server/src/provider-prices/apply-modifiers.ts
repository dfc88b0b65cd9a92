import { decimal } from '@ergon/exact';
import type { UsageFlag } from '@ergon/usage';
import { withTokenFactor } from './compile-price.ts';
import { PREPAID_TIERS, STANDARD_TIERS, TOKEN_FACTOR_RULES, type TokenFactorRule } from './price-rules.ts';
import type { ProviderPrice } from './types.ts';

/** What about a call changes its rates, reduced to a few known values, so that hostile text cannot make many variants. */
export type Modifiers = {
  readonly tier: 'standard' | 'batch' | 'flex' | 'priority' | 'other' | 'prepaid';
  readonly isFast: boolean;
  /** A region that some rule names, else `undefined`. */
  readonly region: string | undefined;
};

const RULED_REGIONS: ReadonlySet<string> = new Set(TOKEN_FACTOR_RULES.flatMap((rule) => rule.when.region ?? []));
const TEXT_MAX = 40;

/** `undefined` for the ordinary case, which needs no further look. */
export function modifiersOf(
  serviceTier: string | undefined,
  region: string | undefined,
  speed: string | undefined,
): Modifiers | undefined {
  const tier = serviceTier === undefined || STANDARD_TIERS.has(serviceTier) ? 'standard' : tierKind(serviceTier);
  const isFast = speed !== undefined && plain(speed) === 'fast';
  const named = region === undefined ? undefined : plain(region);
  const ruled = named !== undefined && RULED_REGIONS.has(named) ? named : undefined;
  return tier === 'standard' && !isFast && ruled === undefined ? undefined : { tier, isFast, region: ruled };
}

/** A price at standard conditions and what modifiers made of it, each computed once. */
export type PriceVariants = { readonly base: ProviderPrice; readonly variants: Map<string, ProviderPrice> };

export function priceVariants(base: ProviderPrice): PriceVariants {
  return { base, variants: new Map() };
}

export function variantFor(prices: PriceVariants, modifiers: Modifiers | undefined): ProviderPrice {
  if (modifiers === undefined) return prices.base;
  const key = modifierKey(modifiers);
  const known = prices.variants.get(key);
  if (known !== undefined) return known;
  const price = applyModifiers(prices.base, modifiers);
  prices.variants.set(key, price);
  return price;
}

function modifierKey({ tier, isFast, region }: Modifiers): string {
  return `${tier}|${isFast ? 'fast' : ''}|${region ?? ''}`;
}

/** The price with every matching rule applied and flagged; a tier or speed that no rule covers is flagged as standard price. */
function applyModifiers(price: ProviderPrice, modifiers: Modifiers): ProviderPrice {
  let result = price;
  const apply = (rule: TokenFactorRule | undefined, code: string, what: string): void => {
    if (rule === undefined) {
      const detail = `${price.provider} ${price.model}: no price for ${what} is known; standard rates used`;
      result = { ...result, flags: [...result.flags, { code: `${code}_unpriced`, detail }] };
      return;
    }
    const detail = `${what}: every token rate x ${rule.factor} (${rule.source}; checked ${rule.checkedOn})`;
    const flag: UsageFlag = { code: `${code}_applied`, detail };
    result = withTokenFactor(result, decimal(rule.factor), flag);
  };
  const { tier, isFast, region } = modifiers;
  if (tier !== 'standard' && !(tier === 'priority' && isFast)) {
    apply(
      ruleFor(price, (rule) => rule.when.tier === tier),
      'service_tier',
      `service tier ${tier}`,
    );
  }
  if (isFast)
    apply(
      ruleFor(price, (rule) => rule.when.speed === 'fast'),
      'speed',
      'fast mode',
    );
  if (region !== undefined) {
    const rule = ruleFor(price, (candidate) => candidate.when.region === region);
    // A region without a rule costs what the table says; only a rule is worth a word.
    if (rule !== undefined) apply(rule, 'region', `region ${region}`);
  }
  return result;
}

function ruleFor(price: ProviderPrice, isMeant: (rule: TokenFactorRule) => boolean): TokenFactorRule | undefined {
  return TOKEN_FACTOR_RULES.find(
    (rule) => isMeant(rule) && rule.providers.includes(price.provider) && (rule.models?.includes(price.model) ?? true),
  );
}

/** As the rules are written; what callers send is bounded first. */
function plain(text: string): string {
  return text.slice(0, TEXT_MAX).toLowerCase();
}

function tierKind(text: string): Modifiers['tier'] {
  const tier = plain(text);
  if (tier === '' || STANDARD_TIERS.has(tier)) return 'standard';
  if (PREPAID_TIERS.has(tier)) return 'prepaid';
  switch (tier.startsWith('on_demand_') ? tier.slice('on_demand_'.length) : tier) {
    case 'batch':
    case 'batches':
      return 'batch';
    case 'flex':
      return 'flex';
    case 'priority':
    case 'fast':
      return 'priority';
    default:
      return 'other';
  }
}
