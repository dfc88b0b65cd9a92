import { compare, decimal, multiply, toText } from '@ergon/exact';
import {
  type BudgetSpec,
  budgetSpec,
  currencyOf,
  type Measure,
  measureOf,
  SCOPE_DIMENSIONS,
  type ScopeDimension,
} from './schemas.ts';

/** What a request or an event is, as far as budgets select by it. `runs` are its run and all runs above it. */
export type Subject = {
  readonly values: Readonly<Partial<Record<Exclude<ScopeDimension, 'run'>, string>>>;
  readonly runs: readonly string[];
  readonly tags: Readonly<Record<string, string | undefined>>;
};

export type CompiledBudget = {
  readonly id: number;
  readonly key: string;
  readonly spec: BudgetSpec;
  readonly measure: Measure;
  /** Of a money budget. */
  readonly currency: string | undefined;
  readonly limit: string;
  /** Thresholds as quantities, ascending: limit x share. */
  readonly thresholds: readonly string[];
  readonly isEnforced: boolean;
  /** Microseconds since 1970. */
  readonly countsFrom: number;
  /** The member's key where the budget applies: the values of `per`, or '' for a shared pool. */
  member(subject: Subject): string | undefined;
};

export function compileBudget(id: number, stored: unknown, countsFrom: number): CompiledBudget {
  const spec = budgetSpec.parse(stored);
  const limit = decimal(String(spec.limit));
  const wanted = SCOPE_DIMENSIONS.flatMap((name) => {
    const value = spec.scope[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  const tags = Object.entries(spec.scope.tags ?? {});
  return {
    id,
    key: spec.key,
    spec,
    measure: measureOf(spec),
    currency: currencyOf(spec),
    limit: toText(limit),
    thresholds: spec.thresholds
      .map((share) => decimal(share))
      .toSorted(compare)
      .map((share) => toText(multiply(limit, share))),
    isEnforced: spec.mode === 'enforce',
    countsFrom,
    member(subject) {
      for (const [name, pattern] of wanted) {
        const values = name === 'run' ? subject.runs : [subject.values[name]];
        if (!values.some((value) => value !== undefined && matches(pattern, value))) return undefined;
      }
      for (const [name, pattern] of tags) {
        // A tag may be called constructor.
        const value = Object.hasOwn(subject.tags, name) ? subject.tags[name] : undefined;
        if (value === undefined || !matches(pattern, value)) return undefined;
      }
      if (spec.per.length === 0) return '';
      const members = spec.per.map((name) => (name === 'run' ? subject.runs.at(-1) : subject.values[name]));
      return members.every((value) => value !== undefined) ? JSON.stringify(members) : undefined;
    },
  };
}

function matches(pattern: string, value: string): boolean {
  return pattern.endsWith('*') ? value.startsWith(pattern.slice(0, -1)) : pattern === value;
}

/** The member of a counter by dimension, as answers show it. */
export function memberOf(budget: CompiledBudget, member: string): Record<string, string> {
  if (member === '') return {};
  const values: unknown = JSON.parse(member);
  if (!Array.isArray(values)) return {};
  return Object.fromEntries(budget.spec.per.map((name, index) => [name, String(values[index])]));
}
