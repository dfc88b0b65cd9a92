import { type Decimal, decimal, isNegative, parseDecimal } from '@ergon/exact';
import { TOKEN_CLASSES, type TokenClass, UNIT_NAMES, type UnitName } from '@ergon/usage';
import { type PriceVariants, priceVariants } from './apply-modifiers.ts';
import { compileFigures, type Figures, type Step } from './compile-price.ts';
import { PROVIDER_ALIASES } from './price-rules.ts';
import type { PriceQuery, ProviderPrice, UnitRate } from './types.ts';

type PerMillionTokens = { readonly [Class in TokenClass]?: string };

/** An operator's own price: a negotiated rate, or a model the table lacks. It replaces the table's price as a whole. */
export type PriceOverride = {
  readonly provider: string;
  /** A model name, or a prefix ending in `*`. The exact name wins over a prefix, the longer prefix over the shorter. */
  readonly model: string;
  /** Half-open, microseconds since 1970; absent: always. */
  readonly from?: number;
  readonly to?: number;
  /** USD per million tokens, decimal literals. Classes left out fall back as everywhere. */
  readonly perMillionTokens: PerMillionTokens;
  /** Rates for the whole request when its prompt has more than so many tokens. */
  readonly contextTiers?: readonly {
    readonly promptTokensAbove: number;
    readonly perMillionTokens: PerMillionTokens;
  }[];
  /** USD for one of each. */
  readonly perUnit?: { readonly [Name in UnitName]?: string };
  /** Where the figures come from: a contract, a page and a day. */
  readonly source: string;
};

type CompiledOverride = {
  readonly provider: string;
  readonly name: string;
  readonly isPrefix: boolean;
  readonly from: number;
  readonly to: number;
  readonly prices: PriceVariants;
};

/** Overrides by seller, so that a long list costs a look-up no more than a short one. */
export type OverrideTable = ReadonlyMap<string, SellerOverrides>;
type SellerOverrides = {
  readonly exact: Map<string, CompiledOverride[]>;
  readonly prefixes: CompiledOverride[];
};

/** The override in force for a query, the most specific first. */
export function overrideFor(overrides: OverrideTable, query: PriceQuery): PriceVariants | undefined {
  const given = (query.provider ?? '').slice(0, 200).toLowerCase().trim();
  const ofSeller = overrides.get(PROVIDER_ALIASES.get(given) ?? given);
  if (ofSeller === undefined) return undefined;
  const model = query.model.slice(0, 200).toLowerCase().trim();
  const isInForce = (one: CompiledOverride): boolean => query.at >= one.from && query.at < one.to;
  const exact = ofSeller.exact.get(model)?.find(isInForce);
  return (exact ?? ofSeller.prefixes.find((one) => model.startsWith(one.name) && isInForce(one)))?.prices;
}

/** @throws RangeError naming the override and the figure that is not a price. */
export function compileOverrides(overrides: readonly PriceOverride[]): OverrideTable {
  const table = new Map<string, SellerOverrides>();
  const compiled = overrides.map(compileOverride).sort((a, b) => b.name.length - a.name.length || b.from - a.from);
  for (const one of compiled) {
    const ofSeller: SellerOverrides = table.get(one.provider) ?? { exact: new Map(), prefixes: [] };
    table.set(one.provider, ofSeller);
    if (one.isPrefix) ofSeller.prefixes.push(one);
    else ofSeller.exact.set(one.name, [...(ofSeller.exact.get(one.name) ?? []), one]);
  }
  return table;
}

/** The table's keys for our classes; the two classes without one always cost what `output` does. */
const KEYS: Readonly<Partial<Record<TokenClass, string>>> = {
  input: 'input_mtok',
  tool_use: 'input_tool_mtok',
  cache_write_5m: 'cache_write_5m_mtok',
  cache_write_1h: 'cache_write_1h_mtok',
  cache_read: 'cache_read_mtok',
  output: 'output_mtok',
  reasoning: 'output_reasoning_mtok',
  input_audio: 'input_audio_mtok',
  input_image: 'input_image_mtok',
  input_video: 'input_video_mtok',
  output_audio: 'output_audio_mtok',
  output_image: 'output_image_mtok',
};

function compileOverride(override: PriceOverride): CompiledOverride {
  const name = override.model.toLowerCase().trim();
  const isPrefix = name.endsWith('*');
  const provider = override.provider.toLowerCase().trim();
  const base = compileFigures(provider, name, figuresOf(override), override.source);
  if (base === undefined)
    throw new RangeError(`price override ${provider}/${name} has no figures; give at least input`);
  return {
    provider: PROVIDER_ALIASES.get(provider) ?? provider,
    name: isPrefix ? name.slice(0, -1) : name,
    isPrefix,
    from: override.from ?? Number.NEGATIVE_INFINITY,
    to: override.to ?? Number.POSITIVE_INFINITY,
    prices: priceVariants({ ...base, units: unitsOf(override, base) }),
  };
}

function figuresOf(override: PriceOverride): Figures {
  const base = new Map<string, Decimal>();
  const tiers = new Map<string, Step[]>();
  for (const name of TOKEN_CLASSES) {
    const key = KEYS[name];
    const text = override.perMillionTokens[name];
    if (key === undefined || text === undefined) continue;
    base.set(key, price(text, override, name));
    tiers.set(key, []);
  }
  for (const { promptTokensAbove, perMillionTokens } of override.contextTiers ?? []) {
    for (const name of TOKEN_CLASSES) {
      const key = KEYS[name];
      const text = perMillionTokens[name];
      if (key === undefined || text === undefined) continue;
      const steps = tiers.get(key);
      if (steps === undefined)
        throw new RangeError(`price override ${label(override)}: ${name} has a tier and no base price`);
      steps.push({ above: promptTokensAbove, price: price(text, override, name) });
    }
  }
  return { base, tiers };
}

function unitsOf(override: PriceOverride, base: ProviderPrice): ProviderPrice['units'] {
  const units: { [Name in UnitName]?: UnitRate } = { ...base.units };
  for (const name of UNIT_NAMES) {
    const text = override.perUnit?.[name];
    if (text !== undefined) units[name] = { amount: price(text, override, name), per: decimal(1) };
  }
  return units;
}

function price(text: string, override: PriceOverride, name: string): Decimal {
  const parsed = parseDecimal(text);
  if (parsed === undefined || isNegative(parsed) || parsed.scale > 12) {
    throw new RangeError(
      `price override ${label(override)}: ${name} is ${JSON.stringify(text.slice(0, 60))}; give a decimal >= 0 with up to 12 places`,
    );
  }
  return parsed;
}

function label(override: PriceOverride): string {
  return `${override.provider}/${override.model}`;
}
