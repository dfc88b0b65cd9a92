import type { Queryable } from '../store/database.ts';

export type MeterRow = {
  id: bigint;
  key: string;
  spec: unknown;
  created_at: string;
  archived_at: string | null;
};

export async function listMeters(db: Queryable, environmentId: number): Promise<MeterRow[]> {
  const result = await db.query<MeterRow>(
    `select id, key, spec, created_at, archived_at from meter
     where environment_id = $1 and archived_at is null order by key collate "C"`,
    [environmentId],
  );
  return result.rows;
}

export async function findMeter(db: Queryable, environmentId: number, key: string): Promise<MeterRow | undefined> {
  const result = await db.query<MeterRow>(
    `select id, key, spec, created_at, archived_at from meter
     where environment_id = $1 and key = $2 and archived_at is null`,
    [environmentId, key],
  );
  return result.rows[0];
}

/** The newest meter that ever had the key, archived or not, and whether `spec` is its very spec. */
export async function findMeterEver(
  db: Queryable,
  environmentId: number,
  key: string,
  spec: unknown,
): Promise<(MeterRow & { is_same: boolean }) | undefined> {
  const result = await db.query<MeterRow & { is_same: boolean }>(
    `select id, key, spec, created_at, archived_at, spec = $3::jsonb as is_same from meter
     where environment_id = $1 and key = $2 order by id desc limit 1`,
    [environmentId, key, JSON.stringify(spec)],
  );
  return result.rows[0];
}

export async function insertMeter(
  db: Queryable,
  environmentId: number,
  key: string,
  spec: unknown,
): Promise<MeterRow | undefined> {
  const result = await db.query<MeterRow>(
    `insert into meter (environment_id, key, spec) values ($1, $2, $3::jsonb)
     returning id, key, spec, created_at, archived_at`,
    [environmentId, key, JSON.stringify(spec)],
  );
  return result.rows[0];
}

export async function setArchived(
  db: Queryable,
  environmentId: number,
  id: bigint,
  isArchived: boolean,
): Promise<void> {
  await db.query('update meter set archived_at = case when $3 then now() end where environment_id = $1 and id = $2', [
    environmentId,
    id,
    isArchived,
  ]);
}

/** Keys of the rate cards whose latest version prices the meter, and of those that a customer's own prices make. */
export async function cardsPricing(db: Queryable, environmentId: number, meter: string): Promise<string[]> {
  const result = await db.query<{ key: string }>(
    `select key from (
       select distinct on (key) key, spec from rate_card_version where environment_id = $1 and base_id is null order by key, version desc
     ) latest
     where exists (select from jsonb_array_elements(spec -> 'prices') p where p ->> 'meter' = $2)
     union select derived_card from customer_override where environment_id = $1 and (effective_to is null or effective_to > now())
       and exists (select from jsonb_array_elements(prices) p where p ->> 'meter' = $2)
     order by key`,
    [environmentId, meter],
  );
  return result.rows.map((row) => row.key);
}

/** Keys of the budgets in force whose unit is the meter. */
export async function budgetsCounting(db: Queryable, environmentId: number, meter: string): Promise<string[]> {
  const result = await db.query<{ key: string }>(
    `select key from budget where environment_id = $1 and ended_at is null and spec ->> 'unit' = 'meter:' || $2 order by key`,
    [environmentId, meter],
  );
  return result.rows.map((row) => row.key);
}
