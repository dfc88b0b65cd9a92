import { rateCardSchema } from '@ergon/rating';
import {
  DEFINITIONS,
  latestDefinitions,
  type OverrideSpec,
  overrideSpecOf,
  standingOverrides,
} from '../billing/index.ts';
import { type MeterSpec, meterSchema } from '../catalog/custom-meter.ts';
import {
  listMeters,
  listModelAliases,
  type PriceOverrideSpec,
  priceOverrideSchema,
  standingVersions,
} from '../catalog/index.ts';
import { formatInstant, microsFromPostgres } from '../event/instant.ts';
import { refuse } from '../http/problem.ts';
import { LIMITS } from '../limits.ts';
import type { Queryable } from '../store/database.ts';
import type { Kind } from './catalog-file.ts';

/** A version in force, or to come, under one key. */
export type Standing<Spec> = {
  /** Microseconds since 1970. */
  readonly effectiveFrom: number;
  /** `undefined` where the key was not asked for; null for a price taken back. */
  readonly spec: Spec | null | undefined;
};

export const DEFINITION_KINDS = { features: 'feature', plans: 'plan', add_ons: 'add_on', coupons: 'coupon' } as const;
export type DefinitionSection = keyof typeof DEFINITION_KINDS;

/** What an environment holds, by kind and key; a kind that was not asked for is not there. */
export type Catalog = {
  readonly meters?: ReadonlyMap<string, MeterSpec>;
  readonly rate_cards?: ReadonlyMap<string, readonly Standing<RateCardSpec>[]>;
  readonly provider_price_overrides?: ReadonlyMap<string, readonly Standing<PriceOverrideSpec>[]>;
  readonly model_aliases?: ReadonlyMap<string, string>;
  readonly customer_overrides?: ReadonlyMap<string, ReadonlyMap<string, OverrideSpec>>;
} & { readonly [Section in DefinitionSection]?: ReadonlyMap<string, unknown> };

export type RateCardSpec = ReturnType<typeof rateCardSchema.parse>;

/** The keys of each kind to read, null for all; customers, for overrides. */
export type CatalogQuestion = { readonly [Section in Kind]?: readonly string[] | null };

/** What the environment holds of the kinds asked for, as of `now`. */
export async function readCatalog(
  db: Queryable,
  environmentId: number,
  question: CatalogQuestion,
  now: number,
): Promise<Catalog> {
  const at = { instant: formatInstant(now), limit: LIMITS.catalogKeysMax + 1 };
  const { rate_cards: cards, provider_price_overrides: prices, customer_overrides: customers } = question;
  return {
    ...(question.meters !== undefined && {
      meters: new Map((await listMeters(db, environmentId)).map((row) => [row.key, meterSchema.parse(row.spec)])),
    }),
    ...(await readDefinitions(db, environmentId, question, at.limit)),
    ...(cards !== undefined && {
      rate_cards: byKey(
        bounded('rate_cards', await standingVersions(db, environmentId, 'rate_card_version', { ...at, keys: cards })),
        (spec) => (spec === null ? undefined : rateCardSchema.parse(spec)),
      ),
    }),
    ...(prices !== undefined && {
      provider_price_overrides: byKey(
        await standingVersions(db, environmentId, 'provider_price_version', { ...at, keys: null }),
        (spec) => (spec === null ? null : priceOverrideSchema.parse(spec)),
      ),
    }),
    ...(question.model_aliases !== undefined && {
      model_aliases: new Map((await listModelAliases(db, environmentId)).map((row) => [row.reported, row.model])),
    }),
    ...(customers !== undefined && {
      customer_overrides: await readOverrides(db, environmentId, { ...at, customers }),
    }),
  };
}

async function readDefinitions(
  db: Queryable,
  environmentId: number,
  question: CatalogQuestion,
  limit: number,
): Promise<{ [Section in DefinitionSection]?: ReadonlyMap<string, unknown> }> {
  const found: { [Section in DefinitionSection]?: ReadonlyMap<string, unknown> } = {};
  for (const kind of Object.values(DEFINITION_KINDS)) {
    const { path: section, spec } = DEFINITIONS[kind];
    const keys = question[section];
    if (keys === undefined) continue;
    const rows = bounded(section, await latestDefinitions(db, environmentId, { kind, keys, limit }));
    found[section] = new Map(rows.map((row) => [row.key, row.spec === null ? undefined : spec.parse(row.spec)]));
  }
  return found;
}

async function readOverrides(
  db: Queryable,
  environmentId: number,
  at: Parameters<typeof standingOverrides>[2],
): Promise<ReadonlyMap<string, ReadonlyMap<string, OverrideSpec>>> {
  const found = new Map<string, Map<string, OverrideSpec>>();
  for (const row of bounded('customer_overrides', await standingOverrides(db, environmentId, at))) {
    const known = found.get(row.customer) ?? new Map<string, OverrideSpec>();
    found.set(row.customer, known.set(row.key, overrideSpecOf(row)));
  }
  return found;
}

function byKey<Spec>(
  rows: readonly { readonly key: string; readonly effective_from: string; readonly spec: unknown }[],
  read: (spec: unknown) => Spec | null | undefined,
): ReadonlyMap<string, readonly Standing<Spec>[]> {
  const found = new Map<string, Standing<Spec>[]>();
  for (const row of rows) {
    const version = { effectiveFrom: microsFromPostgres(row.effective_from), spec: read(row.spec) };
    const known = found.get(row.key);
    if (known === undefined) found.set(row.key, [version]);
    else known.push(version);
  }
  return found;
}

function bounded<Row>(kind: Kind, rows: readonly Row[]): readonly Row[] {
  if (rows.length <= LIMITS.catalogKeysMax) return rows;
  throw refuse(
    'conflict',
    `the environment has more than ${LIMITS.catalogKeysMax} ${kind}; use the routes of that kind`,
  );
}
