import type { Queryable } from '../store/database.ts';

export type StandingVersionRow = {
  key: string;
  effective_from: string;
  /** Null where the key was not asked for, and for a provider price taken back. */
  spec: unknown;
};

/** Versions that customers' own prices make of a card follow it by themselves. */
const PUBLISHED = { rate_card_version: 'and v.base_id is null', provider_price_version: '' } as const;

/**
 * Of each key the version in force at an instant and those to come, by key and instant; of two from one instant the later
 * published one. Every key is there; what is said under it only of `keys`, or of all where that is null.
 */
export async function standingVersions(
  db: Queryable,
  environmentId: number,
  table: keyof typeof PUBLISHED,
  at: { readonly instant: string; readonly keys: readonly string[] | null; readonly limit: number },
): Promise<StandingVersionRow[]> {
  const result = await db.query<StandingVersionRow>(
    `select distinct on (v.key collate "C", v.effective_from) v.key, v.effective_from,
       case when $3::text[] is null or v.key = any ($3) then v.spec end as spec
     from ${table} v
     where v.environment_id = $1 ${PUBLISHED[table]} and v.effective_from >= coalesce(
       (select max(p.effective_from) from ${table} p
        where p.environment_id = $1 and p.key = v.key and p.effective_from <= $2), '-infinity')
     order by v.key collate "C", v.effective_from, v.version desc limit $4`,
    [environmentId, at.instant, at.keys, at.limit],
  );
  return result.rows;
}
