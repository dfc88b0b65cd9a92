import type { Queryable } from '../store/database.ts';

export type DefinitionKind = 'feature' | 'plan' | 'add_on' | 'coupon';

export type DefinitionRow = { id: bigint; key: string; version: number; spec: unknown; created_at: string };

const COLUMNS = 'id, key, version, spec, created_at';

/** Latest versions, by key. */
export async function listDefinitions(
  db: Queryable,
  environmentId: number,
  kind: DefinitionKind,
  after: string | undefined,
  limit: number,
): Promise<DefinitionRow[]> {
  const result = await db.query<DefinitionRow>(
    `select distinct on (key collate "C") ${COLUMNS} from billing_definition
     where environment_id = $1 and kind = $2 and ($3::text is null or key collate "C" > $3)
     order by key collate "C", version desc limit $4`,
    [environmentId, kind, after ?? null, limit],
  );
  return result.rows;
}

/** Versions of one definition, newest first. */
export async function listDefinitionVersions(
  db: Queryable,
  environmentId: number,
  at: { kind: DefinitionKind; key: string; before: bigint | undefined; limit: number },
): Promise<DefinitionRow[]> {
  const result = await db.query<DefinitionRow>(
    `select ${COLUMNS} from billing_definition
     where environment_id = $1 and kind = $2 and key = $3 and ($4::int8 is null or version < $4) order by version desc limit $5`,
    [environmentId, at.kind, at.key, at.before ?? null, at.limit],
  );
  return result.rows;
}

/** A version, the latest one where none is named; and whether `spec` is its very spec. */
export async function findDefinition(
  db: Queryable,
  environmentId: number,
  at: { kind: DefinitionKind; key: string; version?: number | undefined; spec?: unknown },
): Promise<(DefinitionRow & { is_same: boolean }) | undefined> {
  const result = await db.query<DefinitionRow & { is_same: boolean }>(
    `select ${COLUMNS}, spec = $5::jsonb as is_same from billing_definition
     where environment_id = $1 and kind = $2 and key = $3 and ($4::int is null or version = $4) order by version desc limit 1`,
    [environmentId, at.kind, at.key, at.version ?? null, JSON.stringify(at.spec ?? null)],
  );
  return result.rows[0];
}

export async function insertDefinition(
  db: Queryable,
  environmentId: number,
  one: { kind: DefinitionKind; key: string; version: number; spec: unknown },
): Promise<DefinitionRow> {
  const result = await db.query<DefinitionRow>(
    `insert into billing_definition (environment_id, kind, key, version, spec) values ($1, $2, $3, $4, $5::jsonb)
     returning ${COLUMNS}`,
    [environmentId, one.kind, one.key, one.version, JSON.stringify(one.spec)],
  );
  const row = result.rows[0];
  if (row === undefined) throw new Error('the definition was not inserted');
  return row;
}

/** The latest version of every key, by key; its spec only of `keys`, or of all where that is null. */
export async function latestDefinitions(
  db: Queryable,
  environmentId: number,
  at: { kind: DefinitionKind; keys: readonly string[] | null; limit: number },
): Promise<{ key: string; spec: unknown }[]> {
  const result = await db.query<{ key: string; spec: unknown }>(
    `select distinct on (key collate "C") key, case when $3::text[] is null or key = any ($3) then spec end as spec
     from billing_definition where environment_id = $1 and kind = $2 order by key collate "C", version desc limit $4`,
    [environmentId, at.kind, at.keys, at.limit],
  );
  return result.rows;
}
