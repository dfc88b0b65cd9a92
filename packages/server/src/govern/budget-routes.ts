import { decimal, subtract, toText } from '@ergon/exact';
import { z } from '@hono/zod-openapi';
import { lockCatalog, raiseRevision } from '../catalog/revision.ts';
import { formatInstant, microsFromPostgres } from '../event/instant.ts';
import type { AppServices } from '../http/context.ts';
import { cursorAfter, cursorNumber, page } from '../http/cursor.ts';
import { type App, readRoute, writeRoute } from '../http/operation.ts';
import { refuse } from '../http/problem.ts';
import { catalogKey, instantText, pageOf, pageQuery } from '../http/wire.ts';
import { recordAction } from '../store/audit-log.ts';
import type { Client, Queryable } from '../store/database.ts';
import {
  type BudgetRow,
  endBudget,
  findBudget,
  listBudgets,
  listOverages,
  type OverageRow,
  presentCounters,
} from './budget-store.ts';
import { windowAt } from './budget-window.ts';
import { type CompiledBudget, compileBudget, memberOf } from './compile-budget.ts';
import { putBudget } from './put-budget.ts';
import { budgetAnswer, budgetSpec, type BudgetSpec, overageAnswer } from './schemas.ts';

const tag = 'Budgets';
const params = z.strictObject({ key: catalogKey });
const COUNTERS_SHOWN = 100;

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
  registerOverages(app, services);
  registerPost(app, services);
  registerDelete(app, services);
}

function registerOverages(app: App, services: AppServices): void {
  const { pool } = services.database;
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/budgets/{key}/overages',
      operationId: 'listBudgetOverages',
      tag,
      scope: 'billing:read',
      summary: 'List what passed a budget without having been admitted',
      description: 'Each with its cause, newest first. Facts: never edited.',
      params,
      query: pageQuery,
      answer: pageOf(overageAnswer),
      problems: ['not_found'],
    },
    async ({ environmentId, params: { key }, query: { limit, cursor } }) => {
      const row = await findBudget(pool, environmentId, key);
      if (row === undefined) throw noBudget(key);
      const before = cursorNumber('overages', cursor);
      const rows = await listOverages(pool, environmentId, row.id, { before, limit: limit + 1 });
      const budget = compileBudget(Number(row.id), row.spec, microsFromPostgres(row.counts_from));
      return page(
        rows,
        limit,
        (one) => overageOf(budget, one),
        (one) => cursorAfter('overages', one.id),
      );
    },
  );
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
        'Under a key that is there, limit, mode, thresholds and policies change, and what was counted stays; what it counts (scope, per, unit, measure, window, time zone) is fixed. A new budget counts from its creation, or with `count_from` from the beginning of its present window. A lowered limit that is passed already is an overage.',
      body: budgetSpec,
      answer: budgetAnswer,
    },
    ({ client, environmentId, principal, body, afterCommit }) => {
      afterCommit(() => services.leases.recallAll(environmentId));
      return change(services, client, environmentId, principal.keyId, body);
    },
  );
  writeRoute(
    app,
    services,
    {
      method: 'put',
      path: '/v1/budgets/{key}',
      operationId: 'replaceBudget',
      tag,
      scope: 'billing:write',
      summary: 'Create or change a budget under its key',
      description: 'As POST /v1/budgets, with the key in the path.',
      params,
      body: budgetSpec.omit({ key: true }),
      answer: budgetAnswer,
    },
    ({ client, environmentId, principal, params: { key }, body, afterCommit }) => {
      afterCommit(() => services.leases.recallAll(environmentId));
      return change(services, client, environmentId, principal.keyId, { ...body, key });
    },
  );
}

async function change(
  services: AppServices,
  client: Client,
  environmentId: number,
  actor: string,
  spec: BudgetSpec,
): Promise<z.infer<typeof budgetAnswer>> {
  await lockCatalog(client, environmentId);
  const now = services.clocks.now(environmentId);
  const row = await putBudget(client, environmentId, actor, spec, now);
  return answerOf(client, environmentId, row, now);
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
    async ({ client, environmentId, principal, params: { key }, afterCommit }) => {
      afterCommit(() => services.leases.recallAll(environmentId));
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
    counters: counters.map(({ member, committed, held, overage }) => ({
      member: memberOf(budget, member),
      window_start: window.start,
      committed,
      held,
      overage,
      available: toText(subtract(subtract(decimal(budget.limit), decimal(committed)), decimal(held))),
    })),
  };
}

function overageOf(budget: CompiledBudget, row: OverageRow): z.infer<typeof overageAnswer> {
  return {
    member: memberOf(budget, row.member),
    window_start: instantText(row.window_start),
    amount: row.amount,
    cause: row.cause,
    hold: row.hold_id,
    occurred_at: instantText(row.occurred_at),
  };
}
