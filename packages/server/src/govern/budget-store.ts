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

export type CounterRow = { member: string; committed: string; held: string; overage: string };

/** Sums of a budget's members over its present window, the fullest first. */
export async function presentCounters(
  db: Queryable,
  environmentId: number,
  budget: CompiledBudget,
  window: { readonly from: string; readonly start: string },
  limit: number,
): Promise<CounterRow[]> {
  const result = await db.query<CounterRow>(
    `select k.member, trim_scale(k.committed)::text as committed, trim_scale(k.held)::text as held,
       coalesce((select trim_scale(sum(o.amount))::text from budget_overage o where o.environment_id = $1 and o.budget_id = $2
         and o.member = k.member and o.window_start between $3 and $4), '0') as overage
     from (select member, sum(committed) as committed, sum(held) as held from budget_counter
       where environment_id = $1 and budget_id = $2 and window_start >= $3 and window_start <= $4
       group by member order by sum(committed) + sum(held) desc, member limit $5) k
     order by k.committed + k.held desc, k.member`,
    [environmentId, budget.id, window.from, window.start, limit],
  );
  return result.rows;
}

export type OverageRow = {
  id: bigint;
  member: string;
  window_start: string;
  amount: string;
  cause: 'unheld' | 'above_hold' | 'late' | 'lowered_limit' | 'counted_back' | 'store_failure';
  hold_id: string | null;
  occurred_at: string;
};

/** Newest first. */
export async function listOverages(
  db: Queryable,
  environmentId: number,
  budgetId: bigint,
  { before, limit }: { before: bigint | undefined; limit: number },
): Promise<OverageRow[]> {
  const result = await db.query<OverageRow>(
    `select id, member, window_start, trim_scale(amount)::text as amount, cause, hold_id, occurred_at from budget_overage
     where environment_id = $1 and budget_id = $2 and ($3::int8 is null or id < $3) order by id desc limit $4`,
    [environmentId, budgetId, before ?? null, limit],
  );
  return result.rows;
}
