import { raiseRevision } from '../catalog/revision.ts';
import { addsUp } from '../catalog/counted-meter.ts';
import { decimal, compare } from '@ergon/exact';
import { formatInstant, microsFromPostgres } from '../event/instant.ts';
import { refuse } from '../http/problem.ts';
import { LIMITS } from '../limits.ts';
import { recordAction } from '../store/audit-log.ts';
import type { Client, Queryable } from '../store/database.ts';
import { type BudgetRow, countBudgets, findBudget, insertBudget, replaceSpec } from './budget-store.ts';
import { compileBudget } from './compile-budget.ts';
import { checkCountBack, countBack, recordOverage } from './count-back.ts';
import { stableText } from './hold-request.ts';
import { budgetSpec, type BudgetSpec, isMeterMeasure, meterOf } from './schemas.ts';

/** What decides which usage counts where, and since when: it never changes under one key, so that a counter means one thing. */
const FIXED = ['scope', 'per', 'unit', 'measure', 'window', 'time_zone', 'count_from'] as const;

/**
 * Creates the budget, or changes what may change of the one that has its key. Under the catalog's exclusive lock: nobody holds or
 * spends meanwhile.
 *
 * @throws ProblemError naming the member at fault.
 */
export async function putBudget(
  client: Client,
  environmentId: number,
  actor: string,
  spec: BudgetSpec,
  now: number,
): Promise<BudgetRow> {
  checkBudget(spec);
  checkCountBack(spec);
  await checkMeter(client, environmentId, spec);
  await checkEnvironment(client, environmentId, spec);
  const known = await findBudget(client, environmentId, spec.key);
  if (known === undefined) await create(client, environmentId, spec, now);
  else await replace(client, environmentId, known, spec, now);
  await raiseRevision(client, environmentId);
  await recordAction(client, {
    environmentId,
    actor,
    action: known === undefined ? 'budget.create' : 'budget.change',
    target: `/v1/budgets/${spec.key}`,
    detail: spec,
  });
  const row = await findBudget(client, environmentId, spec.key);
  if (row === undefined) throw new Error('the budget is gone');
  return row;
}

async function create(client: Client, environmentId: number, spec: BudgetSpec, now: number): Promise<void> {
  if ((await countBudgets(client, environmentId)) >= LIMITS.budgetsMax) {
    throw refuse('conflict', `an environment has at most ${LIMITS.budgetsMax} budgets; delete one first`);
  }
  const row = await insertBudget(client, environmentId, spec, formatInstant(now));
  if (spec.count_from === 'creation') return;
  await countBack(client, environmentId, compileBudget(Number(row.id), row.spec, now), now);
}

async function replace(
  client: Client,
  environmentId: number,
  known: BudgetRow,
  spec: BudgetSpec,
  now: number,
): Promise<void> {
  const before = budgetSpec.parse(known.spec);
  refuseOtherCount(before, spec);
  await replaceSpec(client, environmentId, known.id, spec);
  const isLower = compare(decimal(String(spec.limit)), decimal(String(before.limit))) < 0;
  if (!isLower && before.mode === 'enforce') return;
  const budget = compileBudget(Number(known.id), spec, microsFromPostgres(known.counts_from));
  await recordOverage(client, environmentId, budget, 'lowered_limit', now);
}

function checkBudget(spec: BudgetSpec): void {
  const isMoney = /^[A-Z]{3}$|^credit:/.test(spec.unit);
  if (spec.measure !== undefined && !isMoney) {
    throw refuse('invalid_request', 'the body is not valid', [
      { pointer: '/measure', detail: `${spec.unit} is no money`, remedy: 'leave measure out, or make unit a currency' },
    ]);
  }
  const unknown = [spec.unknown_quantity, spec.unknown_price, spec.unknown_length];
  if (unknown.includes('fallback') && spec.fallback_quantity === undefined) {
    throw refuse('invalid_request', 'the body is not valid', [
      { pointer: '/fallback_quantity', detail: 'is missing', remedy: 'say what to count when the quantity is unknown' },
    ]);
  }
  if (spec.on_store_failure === 'fallback' && spec.fallback_allowance === undefined) {
    throw refuse('invalid_request', 'the body is not valid', [
      {
        pointer: '/fallback_allowance',
        detail: 'is missing',
        remedy: 'say how much may be held while the database cannot be reached',
      },
    ]);
  }
}

async function checkMeter(db: Queryable, environmentId: number, { unit }: BudgetSpec): Promise<void> {
  if (!isMeterMeasure(unit) || (await addsUp(db, environmentId, meterOf(unit)))) return;
  throw refuse('invalid_request', 'the body is not valid', [
    {
      pointer: '/unit',
      detail: `there is no meter ${meterOf(unit)} that counts or sums`,
      remedy: 'name a meter of GET /v1/meters whose aggregation is count or sum',
    },
  ]);
}

function refuseOtherCount(before: BudgetSpec, after: BudgetSpec): void {
  // The database keeps the members of a scope in an order of its own.
  const changed = FIXED.find((name) => stableText(before[name]) !== stableText(after[name]));
  if (changed === undefined) return;
  throw refuse(
    'conflict',
    `the budget ${after.key} counts by another ${changed}, and that never changes under one key`,
    [{ pointer: `/${changed}`, detail: 'differs from the budget that is there', remedy: 'end it, or use another key' }],
  );
}

/** A budget counts in its own environment alone; one that names another would never count. */
async function checkEnvironment(db: Queryable, environmentId: number, { scope }: BudgetSpec): Promise<void> {
  const wanted = scope.environment;
  if (wanted === undefined) return;
  const result = await db.query<{ key: string }>('select key from environment where id = $1', [environmentId]);
  const key = result.rows[0]?.key ?? '';
  if (wanted.endsWith('*') ? key.startsWith(wanted.slice(0, -1)) : key === wanted) return;
  throw refuse('invalid_request', 'the body is not valid', [
    {
      pointer: '/scope/environment',
      detail: `the budget would be made in the environment ${key}, and counts there alone`,
      remedy: `make it with a key of the environment ${wanted}`,
    },
  ]);
}
