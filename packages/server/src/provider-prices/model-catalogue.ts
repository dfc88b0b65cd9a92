import { createModelResolver, type KnownModel, type ModelResolver } from '@ergon/usage';
import type { Provider } from '@pydantic/genai-prices';
import { BoundedMemo } from './bounded-memo.ts';
import { bundledProviders } from './load-provider-prices.ts';
import { nameMatcher } from './match-model.ts';

/** Who makes the models they sell: their ids are the canonical ones, the first of two that share an id. */
const MAKERS = [
  'anthropic',
  'openai',
  'google',
  'mistral',
  'deepseek',
  'x-ai',
  'cohere',
  'perplexity',
  'moonshotai',
  'minimax',
  'zai',
  'voyageai',
  'aws',
] as const;

/** Names remembered, twice at most: bounded under a flood of names, never asked again in ordinary use. */
const NAMES_MAX = 5_000;

let loaded: Promise<ModelResolver> | undefined;

/** The resolver over the price library's models. Compiled once a process; names it has seen cost a look-up. */
export function loadModelResolver(): Promise<ModelResolver> {
  loaded ??= bundledProviders().then((providers) => remembering(createModelResolver(knownModels(providers))));
  return loaded;
}

/**
 * The models of the library: each maker's by its own ids and rules, then what only hosts sell (open weights) by the name without
 * the maker's prefix.
 */
export function knownModels(providers: readonly Provider[]): readonly KnownModel[] {
  const made = MAKERS.flatMap((id) => providers.find((provider) => provider.id === id)?.models ?? []).map(
    (model): KnownModel => ({ id: model.id, matches: nameMatcher(model.match) }),
  );
  const resolve = createModelResolver(made);
  const hosted = new Set<string>();
  for (const model of providers.find((provider) => provider.id === 'openrouter')?.models ?? []) {
    const bare = model.id.replace(/^.*\//, '').replace(/:[a-z]+$/, '');
    if (resolve(model.id).canonical === undefined && resolve(bare).canonical === undefined) hosted.add(bare);
  }
  return [...made, ...[...hosted].map((id) => ({ id }))];
}

function remembering(resolve: ModelResolver): ModelResolver {
  const memo = new BoundedMemo<ReturnType<ModelResolver>>(NAMES_MAX);
  return (reported) => {
    const known = memo.get(reported);
    if (known !== undefined) return known;
    const resolved = resolve(reported);
    memo.set(reported, resolved);
    return resolved;
  };
}
