import { compare, decimal, divide, equals, multiply, parseDecimal, scaled, toText } from '@ergon/exact';
import { TOKEN_CLASSES, type TokenClass } from '@ergon/usage';
import type { ModelInfo } from '@pydantic/genai-prices';
import { exactFigure } from './compile-price.ts';
import { CACHE_WRITE_RULES } from './price-rules.ts';
import { priceSchedule } from './price-schedule.ts';
import type { ProviderPrices, TableSource } from './provider-prices.ts';
import type { ContextTier, ProviderPrice } from './types.ts';

/** One figure that two sources give differently. */
export type PriceDisagreement = {
  readonly provider: string;
  readonly model: string;
  readonly kind: 'figure_rounded' | 'cache_write_rule' | 'vendor_differs' | 'context_tier_differs';
  /** What the table says and we use; USD per million tokens, or a number of tokens for a context tier. */
  readonly used: string;
  readonly other: string;
  readonly detail: string;
};

export type PriceTableReport = {
  readonly source: TableSource;
  /** Whole days since the table was published; absent when its day is not known. */
  readonly ageDays?: number;
  readonly providers: number;
  readonly models: number;
  /** Models named in the table without any figure: their cost is unknown. `provider/model`. */
  readonly modelsWithoutFigures: readonly string[];
  readonly modelsWithContextTiers: number;
  /** Price changes the table already knows of that lie after the report's instant, earliest first. */
  readonly changesAhead: readonly { readonly provider: string; readonly model: string; readonly from: string }[];
  readonly overrides: number;
  readonly disagreements: readonly PriceDisagreement[];
};

/**
 * How old the table is, what it lacks, what will change, and where its sources disagree with each other or with the
 * vendors' stated rules.
 *
 * @param at Microseconds since 1970: the instant whose prices are compared.
 */
export function priceTableReport(prices: ProviderPrices, at: number): PriceTableReport {
  const { source, providers, overrides } = prices;
  const listed = providers.flatMap(({ id, models }) => models.map((model) => ({ provider: id, model })));
  const priced = listed.map(({ provider, model }) => ({
    provider,
    model,
    price: prices.listedPrice(provider, model, at),
  }));
  const published = source.publishedOn === undefined ? undefined : Date.parse(source.publishedOn);
  return {
    source,
    ...(published === undefined ? {} : { ageDays: Math.floor((at / 1000 - published) / 86_400_000) }),
    providers: providers.length,
    models: listed.length,
    modelsWithoutFigures: priced.flatMap(({ provider, model, price }) => (price ? [] : [`${provider}/${model.id}`])),
    modelsWithContextTiers: priced.filter(({ price }) => price !== undefined && price.tiers.length > 1).length,
    changesAhead: listed.flatMap(({ provider, model }) => changesAhead(provider, model, at)).sort(byDate),
    overrides: overrides.length,
    disagreements: priced.flatMap(({ provider, model, price }) => [
      ...roundedFigures(provider, model),
      ...(price === undefined ? [] : cacheWriteDifferences(price)),
      ...(price === undefined ? [] : vendorDifferences(prices, price, at)),
    ]),
  };
}

function changesAhead(provider: string, model: ModelInfo, at: number): PriceTableReport['changesAhead'] {
  const entries = Array.isArray(model.prices) ? model.prices : [];
  return entries.flatMap(({ constraint }) => {
    if (constraint?.type !== 'start_date') return [];
    return Date.parse(constraint.start_date) * 1000 > at
      ? [{ provider, model: model.id, from: constraint.start_date }]
      : [];
  });
}

function byDate(a: { readonly from: string }, b: { readonly from: string }): number {
  return a.from < b.from ? -1 : a.from > b.from ? 1 : 0;
}

/** Figures with more digits than a unit price keeps: residues of float arithmetic upstream, and quotients such as 1/12. */
function roundedFigures(provider: string, model: ModelInfo): PriceDisagreement[] {
  return priceSchedule(model.prices).flatMap(({ figures }) =>
    Object.entries(figures).flatMap(([key, value]) => {
      const numbers = typeof value === 'object' ? [value.base, ...value.tiers.map((tier) => tier.price)] : [value ?? 0];
      return numbers.flatMap((number): PriceDisagreement[] => {
        const used = exactFigure(number);
        const literal = parseDecimal(String(number));
        if (used === undefined || literal === undefined || equals(used, literal)) return [];
        const detail = `${key} has more than 12 places, a residue of arithmetic upstream; rounded`;
        return [
          { provider, model: model.id, kind: 'figure_rounded', used: toText(used), other: toText(literal), detail },
        ];
      });
    }),
  );
}

function cacheWriteDifferences(price: ProviderPrice): PriceDisagreement[] {
  return CACHE_WRITE_RULES.flatMap((rule): PriceDisagreement[] => {
    const name = `cache_write_${rule.lifetime}` as const;
    const used = perMillion(price, price.tiers[0], name);
    const input = perMillion(price, price.tiers[0], 'input');
    if (!price.model.includes(rule.modelPart) || used === undefined || input === undefined) return [];
    const expected = multiply(input, decimal(rule.factor));
    if (equals(used, expected)) return [];
    const detail = `${name}: the table has a figure of its own; the rule says ${rule.factor} x input (${rule.source})`;
    const { provider, model } = price;
    return [{ provider, model, kind: 'cache_write_rule', used: toText(used), other: toText(expected), detail }];
  });
}

/** A router's names for other products than the vendor's plain model. */
const ROUTER_VARIANT = /:|-fast$/;
const COMPARED: readonly TokenClass[] = ['input', 'output', 'cache_read'];

/**
 * A router's entry beside the vendor's own for the same model. They come from different pages, so a difference is either the
 * router's own price or one of the two being out of date: a person has to look.
 */
function vendorDifferences(prices: ProviderPrices, price: ProviderPrice, at: number): PriceDisagreement[] {
  const slash = price.model.indexOf('/');
  if (price.provider !== 'openrouter' || slash < 1 || ROUTER_VARIANT.test(price.model)) return [];
  const vendor = prices.lookup({ provider: price.model.slice(0, slash), model: price.model.slice(slash + 1), at });
  if (vendor === undefined || vendor.provider === price.provider) return [];
  const { provider, model } = price;
  const rates = COMPARED.flatMap((name): PriceDisagreement[] => {
    const used = perMillion(price, price.tiers[0], name);
    const other = perMillion(vendor, vendor.tiers[0], name);
    if (used === undefined || other === undefined || compare(used, other) === 0) return [];
    const detail = `${name}: ${vendor.provider} lists ${vendor.model} at another price`;
    return [{ provider, model, kind: 'vendor_differs', used: toText(used), other: toText(other), detail }];
  });
  const used = thresholds(price);
  const other = thresholds(vendor);
  if (used === other) return rates;
  const detail = `prompt tokens above which a context tier begins, beside ${vendor.provider}'s ${vendor.model}`;
  return [...rates, { provider, model, kind: 'context_tier_differs', used, other, detail }];
}

function thresholds(price: ProviderPrice): string {
  const [, ...tiers] = price.tiers;
  return tiers.map((tier) => tier.promptTokensAbove).join(', ') || 'none';
}

/** A class's own figure; a figure that only stands in for it does not count as one. */
function perMillion(price: ProviderPrice, tier: ContextTier, name: TokenClass) {
  const rate = tier.rates[TOKEN_CLASSES.indexOf(name)];
  if (rate === undefined || rate.flag !== undefined) return undefined;
  const perToken = scaled(rate.coefficient, price.scale);
  return divide(perToken, decimal('0.000001'), { places: 12, mode: 'half-away-from-zero' });
}
