import type { ModelInfo, Provider } from '@pydantic/genai-prices';
import { type NameMatcher, nameMatcher } from './match-model.ts';
import { PROVIDER_ALIASES } from './price-rules.ts';

export type FoundModel = { readonly provider: string; readonly model: ModelInfo };

/** Finds sellers and models for names as callers write them. Names must be trimmed, lower case and bounded in length. */
export interface ModelFinder {
  /** The table's id of a seller, {@link ANY_SELLER} where the name leaves it open, `undefined` for an unknown one. */
  seller(name: string): string | undefined;
  model(sellerId: string, name: string): FoundModel | undefined;
}

/** No seller was named: the model's name decides. */
export const ANY_SELLER = '';

type Seller = {
  readonly id: string;
  readonly isNamed: NameMatcher | undefined;
  readonly sells: NameMatcher | undefined;
  readonly models: readonly { readonly matches: NameMatcher; readonly info: ModelInfo }[];
  readonly fallbacks: readonly string[];
};

/**
 * Compiles the library's rules for provider and model into one lookup. Where it differs from the library: names in
 * `PROVIDER_ALIASES` come first, and a model without a provider may carry one as a prefix (`openai/gpt-5`), as with LiteLLM.
 * A provider that is named and unknown stays unknown: a self-hosted model must not be priced as its vendor's.
 */
export function modelFinder(providers: readonly Provider[]): ModelFinder {
  const sellers = providers.map(seller);
  const byId = new Map(sellers.map((one) => [one.id, one]));

  const named = (name: string): Seller | undefined =>
    byId.get(PROVIDER_ALIASES.get(name) ?? name) ?? sellers.find((one) => one.isNamed?.(name) === true);

  const offered = (one: Seller, model: string, depth: number): ModelInfo | undefined => {
    const own = one.models.find((candidate) => candidate.matches(model));
    if (own !== undefined || depth === 0) return own?.info;
    for (const id of one.fallbacks) {
      const other = byId.get(id);
      const found = other && offered(other, model, depth - 1);
      if (found !== undefined) return found;
    }
    return undefined;
  };

  const offeredBy = (one: Seller, model: string): FoundModel | undefined => {
    const dashed = withDashedDates(model);
    const info =
      offered(one, model, FALLBACK_DEPTH) ?? (dashed === model ? undefined : offered(one, dashed, FALLBACK_DEPTH));
    return info && { provider: one.id, model: info };
  };

  const byPrefix = (model: string): FoundModel | undefined => {
    const slash = model.indexOf('/');
    const owner = slash > 0 ? named(model.slice(0, slash)) : undefined;
    return owner && offeredBy(owner, model.slice(slash + 1));
  };

  return {
    seller: (name) => (name === '' || name === 'litellm' ? ANY_SELLER : named(name)?.id),
    model: (sellerId, name) => {
      const owner = sellerId === ANY_SELLER ? sellers.find((one) => one.sells?.(name) === true) : byId.get(sellerId);
      const found = owner && offeredBy(owner, name);
      return found ?? (sellerId === ANY_SELLER ? byPrefix(name) : undefined);
    },
  };
}

/** Fallback chains in the data are one step; three bounds a cycle that a later version might bring. */
const FALLBACK_DEPTH = 3;

function seller(provider: Provider): Seller {
  return {
    id: provider.id,
    isNamed: provider.provider_match && nameMatcher(provider.provider_match),
    sells: provider.model_match && nameMatcher(provider.model_match),
    models: provider.models.map((info) => ({ matches: nameMatcher(info.match), info })),
    fallbacks: provider.fallback_model_providers ?? [],
  };
}

const COMPACT_DATE = /-(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)/g;

/** `gpt-5-20250807` as `gpt-5-2025-08-07`: some gateways write OpenAI's dates as Anthropic does. */
function withDashedDates(model: string): string {
  return model.replace(COMPACT_DATE, (text, year, month, day) => {
    const date = `${year}-${month}-${day}`;
    const parsed = new Date(`${date}T00:00:00Z`);
    return !Number.isNaN(parsed.getTime()) && parsed.toISOString().startsWith(date) ? `-${date}` : text;
  });
}
