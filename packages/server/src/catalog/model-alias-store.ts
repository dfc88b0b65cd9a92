import type { Queryable } from '../store/database.ts';

export type ModelAliasRow = { reported: string; model: string; created_at: string };

/** All aliases of an environment as the record uses them, by the name that is reported. */
export async function loadModelAliases(db: Queryable, environmentId: number): Promise<ReadonlyMap<string, string>> {
  const rows = await listModelAliases(db, environmentId);
  return new Map(rows.map((row) => [row.reported, row.model]));
}

/** By the reported name. */
export async function listModelAliases(db: Queryable, environmentId: number): Promise<ModelAliasRow[]> {
  const result = await db.query<ModelAliasRow>(
    'select reported, model, created_at from model_alias where environment_id = $1 order by reported collate "C"',
    [environmentId],
  );
  return result.rows;
}

export async function countModelAliases(db: Queryable, environmentId: number): Promise<number> {
  const result = await db.query<{ count: bigint }>(
    'select count(*) as count from model_alias where environment_id = $1',
    [environmentId],
  );
  return Number(result.rows[0]?.count ?? 0n);
}

export async function findModelAlias(
  db: Queryable,
  environmentId: number,
  reported: string,
): Promise<ModelAliasRow | undefined> {
  const result = await db.query<ModelAliasRow>(
    'select reported, model, created_at from model_alias where environment_id = $1 and reported = $2',
    [environmentId, reported],
  );
  return result.rows[0];
}

export async function putModelAlias(
  db: Queryable,
  environmentId: number,
  reported: string,
  model: string,
): Promise<ModelAliasRow> {
  const result = await db.query<ModelAliasRow>(
    `insert into model_alias (environment_id, reported, model) values ($1, $2, $3)
     on conflict (environment_id, reported) do update set model = excluded.model returning reported, model, created_at`,
    [environmentId, reported, model],
  );
  const row = result.rows[0];
  if (row === undefined) throw new Error('the model alias was not written');
  return row;
}

export async function deleteModelAlias(db: Queryable, environmentId: number, reported: string): Promise<void> {
  await db.query('delete from model_alias where environment_id = $1 and reported = $2', [environmentId, reported]);
}
