import { microsFromPostgres } from '../event/instant.ts';
import type { Queryable } from '../store/database.ts';
import { type CompiledBudget, compileBudget } from './compile-budget.ts';
import type { BudgetSpec } from './schemas.ts';

export type BudgetRow = { id: bigint; key: string; spec: unknown; counts_from: string; created_at: string };

const COLUMNS = 'id, key, spec, counts_from, created_at';

/** The budgets in force, compiled: what admission and ingest ask. */
export async function loadBudgets(db: Queryable, environmentId: number): Promise<CompiledBudget[]> {
  const result = await db.query<BudgetRow>(
    `select ${COLUMNS} from budget where environment_id = $1 and ended_at is null order by id`,
    [environmentId],
  );
  return result.rows.map((row) => compileBudget(Number(row.id), row.spec, microsFromPostgres(row.counts_from)));
}

export async function listBudgets(
  db: Queryable,
  environmentId: number,
  { after, limit }: { after: bigint | undefined; limit: number },
): Promise<BudgetRow[]> {
  const result = await db.query<BudgetRow>(
    `select ${COLUMNS} from budget where environment_id = $1 and ended_at is null and id > $2 order by id limit $3`,
    [environmentId, after ?? 0n, limit],
  );
  return result.rows;
}

export async function findBudget(db: Queryable, environmentId: number, key: string): Promise<BudgetRow | undefined> {
  const result = await db.query<BudgetRow>(
    `select ${COLUMNS} from budget where environment_id = $1 and key = $2 and ended_at is null`,
    [environmentId, key],
  );
  return result.rows[0];
}

export async function countBudgets(db: Queryable, environmentId: number): Promise<number> {
  const result = await db.query<{ count: number }>(
    'select count(*)::int4 as count from budget where environment_id = $1 and ended_at is null',
    [environmentId],
  );
  return result.rows[0]?.count ?? 0;
}

export async function insertBudget(
  db: Queryable,
  environmentId: number,
  spec: BudgetSpec,
  countsFrom: string,
): Promise<BudgetRow> {
  const result = await db.query<BudgetRow>(
    `insert into budget (environment_id, key, spec, counts_from) values ($1, $2, $3::jsonb, $4) returning ${COLUMNS}`,
    [environmentId, spec.key, JSON.stringify(spec), countsFrom],
  );
  const row = result.rows[0];
  if (row === undefined) throw new Error('the budget was not inserted');
  return row;
}

/** What a budget counts stays; its limit, mode and thresholds may change. */
export async function replaceSpec(db: Queryable, environmentId: number, id: bigint, spec: BudgetSpec): Promise<void> {
  await db.query('update budget set spec = $3::jsonb where environment_id = $1 and id = $2', [
    environmentId,
    id,
    JSON.stringify(spec),
  ]);
}

export async function endBudget(db: Queryable, environmentId: number, id: bigint, at: string): Promise<void> {
  await db.query('update budget set ended_at = $3 where environment_id = $1 and id = $2', [environmentId, id, at]);
}

export type CounterRow = { budget_id: bigint; member: string; committed: string; held: string };

/** Sums of a budget's members over its present window, the fullest first. */
export async function presentCounters(
  db: Queryable,
  environmentId: number,
  budget: CompiledBudget,
  window: { readonly from: string; readonly start: string },
  limit: number,
): Promise<CounterRow[]> {
  const result = await db.query<CounterRow>(
    `select member, trim_scale(sum(committed))::text as committed, trim_scale(sum(held))::text as held from budget_counter
     where environment_id = $1 and budget_id = $2 and window_start >= $3 and window_start <= $4
     group by member order by sum(committed) + sum(held) desc, member limit $5`,
    [environmentId, budget.id, window.from, window.start, limit],
  );
  return result.rows;
}
