import { formatInstant, microsFromPostgres } from '../event/instant.ts';
import type { PriceOverride } from '../provider-prices/index.ts';
import type { Queryable } from '../store/database.ts';
import { latestVersion, VERSION_COLUMNS, type VersionRow, versionsOf } from '../store/version-rows.ts';
import { type PriceOverrideSpec, priceOverrideOf, priceOverrideSchema } from './price-override-schema.ts';

/** Its spec is null where it was taken back from then on. */
export type PriceOverrideRow = VersionRow;

/** The latest version of each key, by key; what was taken back is not there. */
export async function listPriceOverrides(
  db: Queryable,
  environmentId: number,
  after: string | undefined,
  limit: number,
): Promise<PriceOverrideRow[]> {
  const result = await db.query<PriceOverrideRow>(
    `select * from (
       select distinct on (key collate "C") ${VERSION_COLUMNS} from provider_price_version
       where environment_id = $1 and ($2::text is null or key collate "C" > $2)
       order by key collate "C", version desc
     ) latest where spec is not null order by key collate "C" limit $3`,
    [environmentId, after ?? null, limit],
  );
  return result.rows;
}

/** Versions of one key, newest first. */
export async function listPriceOverrideVersions(
  db: Queryable,
  environmentId: number,
  key: string,
  before: bigint | undefined,
  limit: number,
): Promise<PriceOverrideRow[]> {
  return versionsOf(db, 'provider_price_version', { environmentId, key }, { before, limit });
}

/** The latest version, and whether `spec` is its very spec. */
export async function findPriceOverride(
  db: Queryable,
  environmentId: number,
  key: string,
  spec: PriceOverrideSpec | null = null,
): Promise<(PriceOverrideRow & { is_same: boolean | null }) | undefined> {
  return latestVersion(db, 'provider_price_version', { environmentId, key }, spec);
}

/** When prices of one key come into force that are published and not yet in force, soonest first. */
export async function comingPriceOverrides(
  db: Queryable,
  environmentId: number,
  key: string,
  now: number,
): Promise<string[]> {
  const result = await db.query<{ effective_from: string }>(
    `select effective_from from (
       select distinct on (effective_from) effective_from, spec from provider_price_version
       where environment_id = $1 and key = $2 and effective_from > $3 order by effective_from, version desc
     ) coming where spec is not null order by effective_from`,
    [environmentId, key, formatInstant(now)],
  );
  return result.rows.map((row) => row.effective_from);
}

export async function insertPriceOverride(
  db: Queryable,
  environmentId: number,
  price: { key: string; version: number; effectiveFrom: string; spec: PriceOverrideSpec | null },
): Promise<PriceOverrideRow> {
  const result = await db.query<PriceOverrideRow>(
    `insert into provider_price_version (environment_id, key, version, effective_from, spec)
     values ($1, $2, $3, $4, $5::jsonb) returning ${VERSION_COLUMNS}`,
    [
      environmentId,
      price.key,
      price.version,
      price.effectiveFrom,
      price.spec === null ? null : JSON.stringify(price.spec),
    ],
  );
  const row = result.rows[0];
  if (row === undefined) throw new Error('the provider price was not inserted');
  return row;
}

/** How many versions there are, and how many keys stand. */
export async function countPriceOverrides(db: Queryable, environmentId: number): Promise<number> {
  const result = await db.query<{ count: bigint }>(
    'select count(*) as count from provider_price_version where environment_id = $1',
    [environmentId],
  );
  return Number(result.rows[0]?.count ?? 0n);
}

/**
 * Every stretch of time in which a version is in force: from its date to the next date of its key. Of two versions from one
 * instant the later published one holds.
 */
export async function loadPriceOverrides(db: Queryable, environmentId: number): Promise<PriceOverride[]> {
  const result = await db.query<PriceOverrideRow>(
    `select ${VERSION_COLUMNS} from provider_price_version where environment_id = $1 order by key, effective_from, version`,
    [environmentId],
  );
  return result.rows.flatMap((row, index, rows) => {
    const next = rows[index + 1];
    const to = next?.key === row.key ? microsFromPostgres(next.effective_from) : undefined;
    const from = microsFromPostgres(row.effective_from);
    if (row.spec === null || to === from) return [];
    return [priceOverrideOf(priceOverrideSchema.parse(row.spec), from, to)];
  });
}
