import type { Queryable } from './database.ts';

/** One published version of something with a key: never edited, in force from an instant. */
export type VersionRow = {
  id: bigint;
  key: string;
  version: number;
  effective_from: string;
  spec: unknown;
  created_at: string;
};

/** Tables of versions. */
type VersionTable = 'rate_card_version' | 'deployment_version' | 'provider_price_version';

export const VERSION_COLUMNS = 'id, key, version, effective_from, spec, created_at';

/** Versions of one key, newest first. */
export async function versionsOf(
  db: Queryable,
  table: VersionTable,
  { environmentId, key }: { readonly environmentId: number; readonly key: string },
  { before, limit }: { readonly before: bigint | undefined; readonly limit: number },
): Promise<VersionRow[]> {
  const result = await db.query<VersionRow>(
    `select ${VERSION_COLUMNS} from ${table}
     where environment_id = $1 and key = $2 and ($3::int8 is null or version < $3) order by version desc limit $4`,
    [environmentId, key, before ?? null, limit],
  );
  return result.rows;
}

/** The latest version of one key, and whether `spec` is its very spec; null where either has none. */
export async function latestVersion(
  db: Queryable,
  table: VersionTable,
  { environmentId, key }: { readonly environmentId: number; readonly key: string },
  spec: unknown,
): Promise<(VersionRow & { is_same: boolean | null }) | undefined> {
  const result = await db.query<VersionRow & { is_same: boolean | null }>(
    `select ${VERSION_COLUMNS}, spec = $3::jsonb as is_same from ${table}
     where environment_id = $1 and key = $2 order by version desc limit 1`,
    [environmentId, key, spec === null ? null : JSON.stringify(spec)],
  );
  return result.rows[0];
}
