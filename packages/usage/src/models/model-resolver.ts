import { modelFamily } from './model-family.ts';
import { modelSpellings } from './model-spellings.ts';

/** What a provider, router or log called a model, and which model that is. */
export type ResolvedModel = {
  readonly reported: string;
  /** The catalogue's id; absent where the catalogue has no such model: unknown stays unknown and is shown as reported. */
  readonly canonical?: string;
  /** E.g. `claude-opus`; from the catalogue, else from the name. */
  readonly family?: string;
  readonly isFineTuned: boolean;
};

/** A model the resolver may answer with: an id of a maintained library, with its family and other names where it has them. */
export type KnownModel = {
  readonly id: string;
  readonly family?: string | undefined;
  readonly aliases?: readonly string[] | undefined;
  /** The library's own rule, where it has one, on a lower-case name. Asked only when no id or alias fits. */
  readonly matches?: ((name: string) => boolean) | undefined;
};

export type ModelResolver = (reported: string) => ResolvedModel;

/**
 * A resolver over a catalogue (e.g. the ids of `@pydantic/genai-prices`). A name is tried as reported and then with one
 * decoration after another taken off: router and region prefixes, fine-tune wrapping, versions, snapshot dates; the first
 * spelling the catalogue knows is the model, so a snapshot the catalogue lists is never mistaken for its family head.
 *
 * @param overrides exact reported names (deployments, private aliases) and the catalogue id each stands for; they win.
 * @example createModelResolver([{ id: 'claude-opus-4-5' }])('us.anthropic.claude-opus-4-5-20251101-v1:0').canonical
 */
export function createModelResolver(
  known: Iterable<KnownModel>,
  overrides: ReadonlyMap<string, string> = new Map(),
): ModelResolver {
  const catalogue = [...known];
  const models = indexed(catalogue);
  const rules = catalogue.filter((model) => model.matches !== undefined);

  return (reported) => {
    const overridden = overrides.get(reported);
    const spellings = overridden === undefined ? modelSpellings(reported) : [overridden.toLowerCase()];
    const isFineTuned = reported.startsWith('ft:');
    const model = byName(spellings, models) ?? byRule(spellings, rules);
    if (model === undefined) {
      const family = modelFamily(spellings.at(-1) ?? '');
      return { reported, isFineTuned, ...(family !== undefined && { family }) };
    }
    const family = model.family ?? modelFamily(modelSpellings(model.id).at(-1) ?? model.id);
    return { reported, canonical: model.id, isFineTuned, ...(family !== undefined && { family }) };
  };
}

function byName(spellings: readonly string[], models: ReadonlyMap<string, KnownModel>): KnownModel | undefined {
  for (const spelling of spellings) {
    const model = models.get(spelling);
    if (model !== undefined) return model;
  }
  return undefined;
}

function byRule(spellings: readonly string[], rules: readonly KnownModel[]): KnownModel | undefined {
  for (const spelling of spellings) {
    const model = rules.find((one) => one.matches?.(spelling));
    if (model !== undefined) return model;
  }
  return undefined;
}

/** An id comes before any alias; an id that calls itself the latest or a preview also stands for its snapshots. */
function indexed(known: readonly KnownModel[]): ReadonlyMap<string, KnownModel> {
  const models = new Map<string, KnownModel>();
  for (const model of known) models.set(model.id.toLowerCase(), model);
  for (const model of known) {
    const head = model.id.toLowerCase().replace(/-(?:latest|preview)$/, '');
    for (const name of [...(model.aliases ?? []), head]) {
      if (!models.has(name.toLowerCase())) models.set(name.toLowerCase(), model);
    }
  }
  return models;
}
