import type { UsageRecord } from '@ergon/usage';
import type { ModelInfo, Provider } from '@pydantic/genai-prices';
import { modifiersOf, type PriceVariants, priceVariants, variantFor } from './apply-modifiers.ts';
import { BoundedMemo } from './bounded-memo.ts';
import { compilePrice } from './compile-price.ts';
import { type FoundModel, modelFinder } from './find-model.ts';
import { compileOverrides, overrideFor, type PriceOverride } from './price-override.ts';
import { type PriceSchedule, periodAt, priceSchedule } from './price-schedule.ts';
import { type CostOptions, providerCost } from './provider-cost.ts';
import { trustedReportedCost } from './reported-cost.ts';
import type { PriceMiss, PriceQuery, ProviderCost, ProviderPrice } from './types.ts';

/** Longest provider or model name looked up. The longest in the table has 80 characters; a longer one is hostile. */
const NAME_LENGTH_MAX = 200;
/** Model names remembered per seller and generation, and seller names in all: with 43 sellers at most 13 MB under attack. */
const MODEL_MEMO_LIMIT = 500;
const SELLER_MEMO_LIMIT = 500;

export type TableSource = {
  readonly library: string;
  readonly version: string;
  /** The day that version was published, `YYYY-MM-DD`; absent for a version we have not recorded. */
  readonly publishedOn?: string;
};

/** The provider price table. Pure once loaded: the same question has the same answer. */
export interface ProviderPrices {
  readonly source: TableSource;
  /** The price in force, or `undefined` when it is unknown; {@link missReason} then says why. */
  lookup(query: PriceQuery): ProviderPrice | undefined;
  missReason(query: PriceQuery): PriceMiss | undefined;
  /**
   * What the provider charges for a record at `at` (microseconds since 1970): every iteration at its own model, or the
   * provider's own figure where it is trusted. `undefined`: unknown, which is not zero.
   */
  cost(record: UsageRecord, at: number, options?: Pick<CostOptions, 'explain'>): ProviderCost | undefined;
  /** The table's price of exactly this entry: a lookup by its id may find an earlier entry that matches the id too. */
  listedPrice(provider: string, model: ModelInfo, at: number): ProviderPrice | undefined;
  /** The same table under an operator's own prices. @throws RangeError when one is not well formed. */
  withOverrides(overrides: readonly PriceOverride[]): ProviderPrices;
  /** The library's providers, for reports. */
  readonly providers: readonly Provider[];
  readonly overrides: readonly PriceOverride[];
}

/** One model's dated prices, each compiled when first asked for. */
type Entry = { readonly found: FoundModel; readonly schedule: PriceSchedule; readonly periods: PriceVariants[] };

/**
 * Compiles the library's providers and the operator's overrides.
 *
 * @throws RangeError when an override is not well formed.
 */
export function compileProviderPrices(
  providers: readonly Provider[],
  source: TableSource,
  overrides: readonly PriceOverride[] = [],
): ProviderPrices {
  return overlaid({ providers, source, resolve: entryResolver(providers) }, overrides);
}

type Table = {
  readonly providers: readonly Provider[];
  readonly source: TableSource;
  readonly resolve: ReturnType<typeof entryResolver>;
};

function overlaid(table: Table, overrides: readonly PriceOverride[]): ProviderPrices {
  const { providers, source, resolve } = table;
  const compiledOverrides = compileOverrides(overrides);
  const sourceText = `${source.library} ${source.version}`;

  const find = (query: PriceQuery): ProviderPrice | PriceMiss => {
    const { model } = query;
    if (model === '') return 'no_model';
    const modifiers = modifiersOf(query.serviceTier, query.region, query.speed);
    if (modifiers?.tier === 'prepaid') return 'prepaid_capacity';
    if (compiledOverrides.size > 0) {
      const own = overrideFor(compiledOverrides, query);
      if (own !== undefined) return variantFor(own, modifiers);
    }
    const entry = resolve(query.provider, model);
    if (typeof entry === 'string') return entry;
    const index = entry.schedule.length === 1 ? 0 : periodAt(entry.schedule, query.at);
    const prices = entry.periods[index] ?? compilePeriod(entry, index, sourceText);
    if (prices === undefined) return 'no_figures';
    return variantFor(prices, modifiers);
  };

  const lookup = (query: PriceQuery): ProviderPrice | undefined => {
    const found = find(query);
    return typeof found === 'string' ? undefined : found;
  };

  return {
    source,
    providers,
    overrides,
    withOverrides: (own) => overlaid(table, own),
    lookup,
    listedPrice: (provider, model, at) => {
      const schedule = priceSchedule(model.prices);
      const figures = schedule[periodAt(schedule, at)]?.figures ?? {};
      return compilePrice(provider, model.id, figures, sourceText);
    },
    missReason: (query) => {
      const found = find(query);
      return typeof found === 'string' ? found : undefined;
    },
    cost: (record, at, options) => recordCost(lookup, record, at, options?.explain === true),
  };
}

function recordCost(
  lookup: ProviderPrices['lookup'],
  record: UsageRecord,
  at: number,
  explain: boolean,
): ProviderCost | undefined {
  const price = lookup(queryOf(record, record.model ?? '', at));
  const computed =
    price === undefined && record.iterations === undefined
      ? undefined
      : providerCost(price, record, {
          explain,
          priceOf: (model) => lookup(queryOf(record, model, at)),
        });
  return record.providerReportedCost === undefined ? computed : trustedReportedCost(record, price?.provider, computed);
}

function queryOf(record: UsageRecord, model: string, at: number): PriceQuery {
  const { provider, serviceTier, region, speed } = record;
  return { provider, model, at, serviceTier, region, speed };
}

/** What one seller's names have led to so far. */
type SellerMemo = { readonly id: string; readonly models: BoundedMemo<Entry | 'unknown_model'> };

function entryResolver(
  providers: readonly Provider[],
): (provider: string | undefined, model: string) => Entry | PriceMiss {
  const finder = modelFinder(providers);
  const entries = new Map<string, Entry>();
  const sellers = new Map<string, SellerMemo>();
  const sellerNames = new BoundedMemo<SellerMemo | 'unknown_provider'>(SELLER_MEMO_LIMIT);

  const findSeller = (name: string): SellerMemo | 'unknown_provider' => {
    const id = finder.seller(name.toLowerCase().trim());
    if (id === undefined) return 'unknown_provider';
    const seller = sellers.get(id) ?? { id, models: new BoundedMemo(MODEL_MEMO_LIMIT) };
    sellers.set(id, seller);
    return seller;
  };

  const findEntry = (sellerId: string, name: string): Entry | 'unknown_model' => {
    const found = finder.model(sellerId, name.toLowerCase().trim());
    if (found === undefined) return 'unknown_model';
    const key = `${found.provider}\n${found.model.id}`;
    const entry = entries.get(key) ?? { found, schedule: priceSchedule(found.model.prices), periods: [] };
    entries.set(key, entry);
    return entry;
  };

  return (provider = '', model) => {
    if (model.length > NAME_LENGTH_MAX || provider.length > NAME_LENGTH_MAX) return 'name_too_long';
    let seller = sellerNames.get(provider);
    if (seller === undefined) {
      seller = findSeller(provider);
      sellerNames.set(provider, seller);
    }
    if (seller === 'unknown_provider') return seller;
    let entry = seller.models.get(model);
    if (entry === undefined) {
      entry = findEntry(seller.id, model);
      seller.models.set(model, entry);
    }
    return entry;
  };
}

function compilePeriod(entry: Entry, index: number, source: string): PriceVariants | undefined {
  const period = entry.schedule[index];
  const base = period && compilePrice(entry.found.provider, entry.found.model.id, period.figures, source);
  if (base === undefined) return undefined;
  const prices = priceVariants(base);
  entry.periods[index] = prices;
  return prices;
}
