import type { Queryable } from '../store/database.ts';
import { latestVersion, VERSION_COLUMNS, type VersionRow, versionsOf } from '../store/version-rows.ts';

export type CardVersionRow = VersionRow;

/** Latest versions, by key. */
export async function listLatest(
  db: Queryable,
  environmentId: number,
  after: string | undefined,
  limit: number,
): Promise<CardVersionRow[]> {
  const result = await db.query<CardVersionRow>(
    `select distinct on (key collate "C") ${VERSION_COLUMNS} from rate_card_version
     where environment_id = $1 and base_id is null and ($2::text is null or key collate "C" > $2)
     order by key collate "C", version desc limit $3`,
    [environmentId, after ?? null, limit],
  );
  return result.rows;
}

/** Versions of one card, newest first. */
export async function listVersions(
  db: Queryable,
  environmentId: number,
  key: string,
  before: bigint | undefined,
  limit: number,
): Promise<CardVersionRow[]> {
  return versionsOf(db, 'rate_card_version', { environmentId, key }, { before, limit });
}

/** The latest version, and whether `spec` is its very spec. */
export async function findLatest(
  db: Queryable,
  environmentId: number,
  key: string,
  spec: unknown = null,
): Promise<(CardVersionRow & { is_same: boolean | null }) | undefined> {
  return latestVersion(db, 'rate_card_version', { environmentId, key }, spec);
}

export async function insertVersion(
  db: Queryable,
  environmentId: number,
  card: { key: string; version: number; effectiveFrom: string; spec: unknown },
): Promise<CardVersionRow> {
  const result = await db.query<CardVersionRow>(
    `insert into rate_card_version (environment_id, key, version, effective_from, spec)
     values ($1, $2, $3, $4, $5::jsonb) returning ${VERSION_COLUMNS}`,
    [environmentId, card.key, card.version, card.effectiveFrom, JSON.stringify(card.spec)],
  );
  const row = result.rows[0];
  if (row === undefined) throw new Error('the rate card version was not inserted');
  return row;
}

export async function cardExists(db: Queryable, environmentId: number, key: string): Promise<boolean> {
  const result = await db.query('select from rate_card_version where environment_id = $1 and key = $2 limit 1', [
    environmentId,
    key,
  ]);
  return result.rowCount === 1;
}
