import { decimal, subtract, toText } from '@ergon/exact';
import { z } from '@hono/zod-openapi';
import { lockCatalog, raiseRevision } from '../catalog/revision.ts';
import { formatInstant, microsFromPostgres } from '../event/instant.ts';
import type { AppServices } from '../http/context.ts';
import { cursorAfter, cursorNumber, page } from '../http/cursor.ts';
import { type App, readRoute, writeRoute } from '../http/operation.ts';
import { refuse } from '../http/problem.ts';
import { catalogKey, instantText, pageOf, pageQuery } from '../http/wire.ts';
import { LIMITS } from '../limits.ts';
import { recordAction } from '../store/audit-log.ts';
import type { Queryable } from '../store/database.ts';
import {
  type BudgetRow,
  countBudgets,
  endBudget,
  findBudget,
  insertBudget,
  listBudgets,
  presentCounters,
  replaceSpec,
} from './budget-store.ts';
import { windowAt } from './budget-window.ts';
import { type CompiledBudget, compileBudget, memberOf } from './compile-budget.ts';
import { addsUp } from '../catalog/counted-meter.ts';
import { budgetAnswer, budgetSpec, type BudgetSpec, isMeterMeasure, meterOf } from './schemas.ts';

const tag = 'Budgets';
const params = z.strictObject({ key: catalogKey });
const COUNTERS_SHOWN = 100;

/** What decides which usage counts where: it never changes under one key, so that a counter means one thing. */
const FIXED = ['scope', 'per', 'unit', 'measure', 'window', 'time_zone'] as const;

export function registerBudgetRoutes(app: App, services: AppServices): void {
  const { pool } = services.database;
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/budgets',
      operationId: 'listBudgets',
      tag,
      scope: 'billing:read',
      summary: 'List budgets',
      description: 'With what each has committed and held in its present window.',
      query: pageQuery,
      answer: pageOf(budgetAnswer),
    },
    async ({ environmentId, query: { limit, cursor } }) => {
      const rows = await listBudgets(pool, environmentId, { after: cursorNumber('budgets', cursor), limit: limit + 1 });
      const answers = await Promise.all(
        rows.map((row) => answerOf(pool, environmentId, row, services.clocks.now(environmentId))),
      );
      const byKey = new Map(answers.map((answer) => [answer.key, answer]));
      return page(
        rows,
        limit,
        (row) => byKey.get(row.key) ?? missing(row.key),
        (row) => cursorAfter('budgets', row.id),
      );
    },
  );
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/budgets/{key}',
      operationId: 'getBudget',
      tag,
      scope: 'billing:read',
      summary: 'Get a budget',
      params,
      answer: budgetAnswer,
      problems: ['not_found'],
    },
    async ({ environmentId, params: { key } }) => {
      const row = await findBudget(pool, environmentId, key);
      if (row === undefined) throw noBudget(key);
      return answerOf(pool, environmentId, row, services.clocks.now(environmentId));
    },
  );
  registerPost(app, services);
  registerDelete(app, services);
}

function registerPost(app: App, services: AppServices): void {
  writeRoute(
    app,
    services,
    {
      method: 'post',
      path: '/v1/budgets',
      operationId: 'putBudget',
      tag,
      scope: 'billing:write',
      summary: 'Create or change a budget',
      description:
        'Under a key that is there, limit, mode, thresholds and policies change, and what was counted stays; what it counts (scope, per, unit, measure, window, time zone) is fixed. A new budget counts from its creation.',
      body: budgetSpec,
      answer: budgetAnswer,
    },
    async ({ client, environmentId, principal, body }) => {
      checkBudget(body);
      await lockCatalog(client, environmentId);
      await checkMeter(client, environmentId, body);
      const known = await findBudget(client, environmentId, body.key);
      if (known === undefined) {
        if ((await countBudgets(client, environmentId)) >= LIMITS.budgetsMax) {
          throw refuse('conflict', `an environment has at most ${LIMITS.budgetsMax} budgets; delete one first`);
        }
        await insertBudget(client, environmentId, body, formatInstant(services.clocks.now(environmentId)));
      } else {
        refuseOtherCount(budgetSpec.parse(known.spec), body);
        await replaceSpec(client, environmentId, known.id, body);
      }
      await raiseRevision(client, environmentId);
      await recordAction(client, {
        environmentId,
        actor: principal.keyId,
        action: known === undefined ? 'budget.create' : 'budget.change',
        target: `/v1/budgets/${body.key}`,
        detail: body,
      });
      const row = await findBudget(client, environmentId, body.key);
      if (row === undefined) throw new Error('the budget is gone');
      return answerOf(client, environmentId, row, services.clocks.now(environmentId));
    },
  );
}

function registerDelete(app: App, services: AppServices): void {
  writeRoute(
    app,
    services,
    {
      method: 'delete',
      path: '/v1/budgets/{key}',
      operationId: 'deleteBudget',
      tag,
      scope: 'billing:write',
      summary: 'End a budget',
      description: 'It limits nothing any more; what it counted stays in the records.',
      status: 204,
      params,
      answer: z.null(),
      problems: ['not_found'],
    },
    async ({ client, environmentId, principal, params: { key } }) => {
      await lockCatalog(client, environmentId);
      const row = await findBudget(client, environmentId, key);
      if (row === undefined) throw noBudget(key);
      await endBudget(client, environmentId, row.id, formatInstant(services.clocks.now(environmentId)));
      await raiseRevision(client, environmentId);
      await recordAction(client, {
        environmentId,
        actor: principal.keyId,
        action: 'budget.end',
        target: `/v1/budgets/${key}`,
      });
      return null;
    },
  );
}

function checkBudget(spec: BudgetSpec): void {
  const isMoney = /^[A-Z]{3}$|^credit:/.test(spec.unit);
  if (spec.measure !== undefined && !isMoney) {
    throw refuse('invalid_request', 'the body is not valid', [
      { pointer: '/measure', detail: `${spec.unit} is no money`, remedy: 'leave measure out, or make unit a currency' },
    ]);
  }
  if (spec.unknown_quantity === 'fallback' && spec.fallback_quantity === undefined) {
    throw refuse('invalid_request', 'the body is not valid', [
      { pointer: '/fallback_quantity', detail: 'is missing', remedy: 'say what to count when the quantity is unknown' },
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
  const changed = FIXED.find((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]));
  if (changed === undefined) return;
  throw refuse(
    'conflict',
    `the budget ${after.key} counts by another ${changed}, and that never changes under one key`,
    [{ pointer: `/${changed}`, detail: 'differs from the budget that is there', remedy: 'end it, or use another key' }],
  );
}

function noBudget(key: string) {
  return refuse('not_found', `there is no budget ${key}`);
}

function missing(key: string): never {
  throw new Error(`the budget ${key} was not read`);
}

async function answerOf(db: Queryable, environmentId: number, row: BudgetRow, now: number) {
  const budget: CompiledBudget = compileBudget(Number(row.id), row.spec, microsFromPostgres(row.counts_from));
  const { start, from } = windowAt(budget.spec.window, budget.spec.time_zone, now);
  const window = { start: formatInstant(start), from: formatInstant(from) };
  const counters = await presentCounters(db, environmentId, budget, window, COUNTERS_SHOWN);
  const { fallback_quantity: fallback, ...spec } = budget.spec;
  return {
    ...spec,
    limit: budget.limit,
    fallback_quantity: fallback === undefined ? null : toText(decimal(String(fallback))),
    created_at: instantText(row.created_at),
    counters: counters.map(({ member, committed, held }) => ({
      member: memberOf(budget, member),
      window_start: window.start,
      committed,
      held,
      available: toText(subtract(subtract(decimal(budget.limit), decimal(committed)), decimal(held))),
    })),
  };
}
