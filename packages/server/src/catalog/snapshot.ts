import { type CompiledRateCard, compileRateCard, rateCardSchema } from '@ergon/rating';
import type { ModelResolver } from '@ergon/usage';
import type { Deployments } from '../deployments/deployments.ts';
import { loadDeployments } from '../deployments/load-deployments.ts';
import { microsFromPostgres } from '../event/instant.ts';
import { loadBudgets } from '../govern/budget-store.ts';
import type { CompiledBudget } from '../govern/compile-budget.ts';
import { loadModelResolver, type PriceOverride } from '../provider-prices/index.ts';
import type { Queryable } from '../store/database.ts';
import { type CompiledMeter, compileMeter, meterSchema } from './custom-meter.ts';
import { loadModelAliases } from './model-alias-store.ts';
import { loadPriceOverrides } from './price-override-store.ts';

/** One published, never edited version of a rate card. */
export type CardVersion = {
  readonly id: number;
  readonly key: string;
  readonly version: number;
  /** Microseconds since 1970; in force until the next version's. */
  readonly effectiveFrom: number;
  readonly card: CompiledRateCard;
  /** Whether a price of the card looks at the time of day where the customer is. */
  readonly needsLocalTime: boolean;
};

/** Everything of an environment's catalog that metering and rating need, as of one revision. */
export type CatalogSnapshot = {
  readonly environmentId: number;
  readonly revision: bigint;
  readonly meters: readonly CompiledMeter[];
  /** Versions of each card, newest effective first; of two from one instant the later published comes first. */
  readonly cards: ReadonlyMap<string, readonly CardVersion[]>;
  /** Where models run: events that name one are counted by it. */
  readonly deployments: Deployments;
  /** Which model a reported name stands for: the operator's aliases, then the price library's names. */
  readonly resolveModel: ModelResolver;
  readonly modelAliases: ReadonlyMap<string, string>;
  /** The operator's own provider prices. */
  readonly priceOverrides: readonly PriceOverride[];
  readonly budgets: readonly CompiledBudget[];
};

/** The card of every customer who has no other. */
export const DEFAULT_CARD = 'default';

/** Charge models that ask for the dimension local_time. */
const LOCAL_TIME_MODELS = /"type":"time_of_day"|"window":"/;

/** Published cards compile once per process, when first asked: a version never changes. */
const compiledCards = new Map<number, CompiledRateCard>();

export async function loadSnapshot(db: Queryable, environmentId: number): Promise<CatalogSnapshot> {
  const revision = await catalogRevision(db, environmentId);
  const meters = await db.query<{ id: bigint; key: string; spec: unknown }>(
    'select id, key, spec from meter where environment_id = $1 and archived_at is null order by id',
    [environmentId],
  );
  const cards = await db.query<{ id: bigint; key: string; version: number; effective_from: string; spec: unknown }>(
    'select id, key, version, effective_from, spec from rate_card_version where environment_id = $1 order by effective_from desc, id desc',
    [environmentId],
  );
  const byKey = new Map<string, CardVersion[]>();
  for (const row of cards.rows) {
    const version: CardVersion = {
      id: Number(row.id),
      key: row.key,
      version: row.version,
      effectiveFrom: microsFromPostgres(row.effective_from),
      get card() {
        return compiled(Number(row.id), row.spec);
      },
      needsLocalTime: LOCAL_TIME_MODELS.test(JSON.stringify(row.spec)),
    };
    const versions = byKey.get(row.key);
    if (versions === undefined) byKey.set(row.key, [version]);
    else versions.push(version);
  }
  const modelAliases = await loadModelAliases(db, environmentId);
  return {
    environmentId,
    revision,
    budgets: await loadBudgets(db, environmentId),
    meters: meters.rows.map((row) => compileMeter(Number(row.id), row.key, meterSchema.parse(row.spec))),
    cards: byKey,
    deployments: await loadDeployments(db, environmentId),
    resolveModel: withAliases(await loadModelResolver(), modelAliases),
    modelAliases,
    priceOverrides: await loadPriceOverrides(db, environmentId),
  };
}

function withAliases(resolve: ModelResolver, aliases: ReadonlyMap<string, string>): ModelResolver {
  if (aliases.size === 0) return resolve;
  return (reported) => {
    const alias = aliases.get(reported);
    if (alias === undefined) return resolve(reported);
    // What an operator names is the model, whether the library knows it or not.
    return { canonical: alias, ...resolve(alias), reported };
  };
}

export async function catalogRevision(db: Queryable, environmentId: number): Promise<bigint> {
  const result = await db.query<{ catalog_revision: bigint }>(
    'select catalog_revision from environment where id = $1',
    [environmentId],
  );
  return result.rows[0]?.catalog_revision ?? 0n;
}

function compiled(id: number, spec: unknown): CompiledRateCard {
  const known = compiledCards.get(id);
  if (known !== undefined) return known;
  const result = compileRateCard(rateCardSchema.parse(spec));
  if (!result.ok) throw new Error(`rate card version ${id} does not compile: ${result.errors[0]?.detail ?? ''}`);
  compiledCards.set(id, result.value);
  return result.value;
}

/** A version by its number, as ratings name it. */
export function cardVersion(snapshot: CatalogSnapshot, id: number | null): CardVersion | undefined {
  if (id === null) return undefined;
  for (const versions of snapshot.cards.values()) for (const version of versions) if (version.id === id) return version;
  return undefined;
}

const pricingCost = new WeakMap<CompiledRateCard, boolean>();

/** Whether a card charges for what the provider charges: then each event's cost has to be known before it is rated. */
export function pricesProviderCost(card: CompiledRateCard): boolean {
  let isPriced = pricingCost.get(card);
  if (isPriced === undefined) {
    isPriced = card.prices.some((price) => price.meter === 'provider_cost');
    pricingCost.set(card, isPriced);
  }
  return isPriced;
}

/** The version of a card in force at an instant; `undefined` before its first. */
export function versionAt(snapshot: CatalogSnapshot, cardKey: string, micros: number): CardVersion | undefined {
  const versions = snapshot.cards.get(cardKey);
  if (versions === undefined) return undefined;
  for (const version of versions) if (version.effectiveFrom <= micros) return version;
  return undefined;
}
