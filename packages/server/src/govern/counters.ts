import { formatInstant } from '../event/instant.ts';
import { windowAt } from './budget-window.ts';
import type { CompiledBudget, Subject } from './compile-budget.ts';

/** One counter that a request or an event moves, as the SQL functions take it. */
export type Counter = {
  /** Budget, member, window, and where the window's slices begin. */
  readonly b: number;
  readonly m: string;
  readonly w: string;
  readonly from: string;
  /** Measure. */
  readonly u: string;
  readonly limit: string;
  readonly enforce: boolean;
  /** Thresholds, as quantities, ascending. */
  readonly t: readonly string[];
};

/** Budgets that apply, with the counter each counts in at an instant. */
export function countersFor(
  budgets: readonly CompiledBudget[],
  subject: Subject,
  at: number,
): { readonly budget: CompiledBudget; readonly counter: Counter }[] {
  return budgets.flatMap((budget) => {
    const member = budget.member(subject);
    if (member === undefined) return [];
    const { start, from } = windowAt(budget.spec.window, budget.spec.time_zone, at);
    const counter: Counter = {
      b: budget.id,
      m: member,
      w: formatInstant(start),
      from: formatInstant(from),
      u: budget.measure,
      limit: budget.limit,
      enforce: budget.isEnforced,
      t: budget.thresholds,
    };
    return [{ budget, counter }];
  });
}

/** The order in which counters are locked. */
export function counterOrder(one: Counter, other: Counter): number {
  return one.b - other.b || compareText(one.m, other.m) || compareText(one.w, other.w);
}

function compareText(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
