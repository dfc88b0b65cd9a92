import { formatInstant } from '../event/instant.ts';
import type { Queryable } from '../store/database.ts';

export type CreditUnitRow = { key: string; currency: string; rate: string; updated_at: string };

const COLUMNS = 'key, currency, rate, updated_at';

export async function findCreditUnit(
  db: Queryable,
  environmentId: number,
  key: string,
): Promise<CreditUnitRow | undefined> {
  const result = await db.query<CreditUnitRow>(
    `select ${COLUMNS} from credit_unit where environment_id = $1 and key = $2`,
    [environmentId, key],
  );
  return result.rows[0];
}

export async function listCreditUnits(db: Queryable, environmentId: number): Promise<CreditUnitRow[]> {
  const result = await db.query<CreditUnitRow>(
    `select ${COLUMNS} from credit_unit where environment_id = $1 order by key collate "C"`,
    [environmentId],
  );
  return result.rows;
}

export async function putCreditUnit(
  db: Queryable,
  environmentId: number,
  unit: { readonly key: string; readonly currency: string; readonly rate: string },
  now: number,
): Promise<CreditUnitRow> {
  const result = await db.query<CreditUnitRow>(
    `insert into credit_unit (environment_id, key, currency, rate, updated_at) values ($1, $2, $3, $4, $5)
     on conflict (environment_id, key) do update set currency = $3, rate = $4, updated_at = $5 returning ${COLUMNS}`,
    [environmentId, unit.key, unit.currency, unit.rate, formatInstant(now)],
  );
  const row = result.rows[0];
  if (row === undefined) throw new Error('the credit unit was not kept');
  return row;
}
