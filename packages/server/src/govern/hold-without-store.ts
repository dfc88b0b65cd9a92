import { add, compare, decimal, type Decimal, toText, ZERO } from '@ergon/exact';
import type { CompiledBudget } from './compile-budget.ts';
import { amountsOf, type HoldRequest, prepareHold, subjectOf } from './hold-request.ts';
import type { HoldBody } from './schemas.ts';
import { LIMITS } from '../limits.ts';

/** What this process knows of the world while the database cannot be reached. */
export type LastKnown = {
  readonly budgets: readonly CompiledBudget[];
  /** Whether policies are known, and there are none: their decisions are kept on record, which needs the database. */
  readonly hasNoPolicies: boolean;
  /** Whether the customer was last seen without a wallet in the currency. */
  readonly isPostpaid: (customer: string, currency: string) => boolean;
  /** What each budget's allowance has been used for in this outage, by the budget's id. */
  readonly usedAllowances: ReadonlyMap<number, Decimal>;
};

export type WithoutStore =
  | { readonly kind: 'closed'; readonly reason: string }
  | {
      readonly kind: 'admitted';
      readonly request: HoldRequest;
      readonly budgets: readonly CompiledBudget[];
      readonly flags: readonly string[];
      /** What it takes of allowances: the budget's id, and all that is used then. */
      readonly allowances: readonly (readonly [number, Decimal])[];
    };

/**
 * Decides on a hold by the budgets' `on_store_failure`, without the database. The strictest of the enforced budgets that apply
 * decides, and whatever only the database knows closes. Pure.
 *
 * @param at when it is asked, microseconds since 1970.
 */
export function holdWithoutStore(body: HoldBody, keyId: string, at: number, known: LastKnown): WithoutStore {
  if (body.estimate !== undefined) return closed('an estimate needs it');
  if (!known.hasNoPolicies) return closed('policies keep their decisions there');
  const runs = [body.run_id, body.parent_run_id].filter((id) => id !== undefined);
  if (runs.length > 0 && known.budgets.some(({ spec }) => spec.scope.run !== undefined || spec.per.includes('run'))) {
    return closed('budgets count by run, and the runs above this one are known there');
  }
  const amounts = amountsOf(body);
  const isCharged = amounts.charge !== undefined && compare(decimal(amounts.charge), ZERO) > 0;
  if (isCharged && body.customer !== undefined && !known.isPostpaid(body.customer, body.currency ?? '')) {
    return closed(`funds of ${body.customer} are set aside there`);
  }
  const subject = subjectOf(body, keyId, runs);
  const prepared = prepareHold(body, amounts, null, subject, known.budgets, { at, applyMax: LIMITS.budgetsApplyMax });
  if (prepared.kind !== 'ready') return closed('the budgets would refuse it');
  const enforced = prepared.budgets.filter(({ isEnforced }) => isEnforced);
  if (enforced.length === 0) return closed('no budget says what to do then');
  const strict = enforced.find(({ spec }) => spec.on_store_failure === 'closed');
  if (strict !== undefined) return closed(`the budget ${strict.key} is closed then`);
  const allowances: [number, Decimal][] = [];
  for (const { id, key, spec } of enforced) {
    if (spec.on_store_failure !== 'fallback') continue;
    const asked = prepared.request.counters.find(({ b }) => b === id)?.x ?? '0';
    const used = add(known.usedAllowances.get(id) ?? ZERO, decimal(asked));
    const allowance = decimal(String(spec.fallback_allowance ?? '0'));
    if (compare(used, allowance) > 0) {
      return closed(`the budget ${key} allows ${toText(allowance)} then, and that is used up`);
    }
    allowances.push([id, used]);
  }
  return {
    kind: 'admitted',
    request: prepared.request,
    budgets: prepared.budgets,
    flags: [...prepared.flags, ...enforced.map(({ key }) => `store_failure:${key}`)],
    allowances,
  };
}

function closed(reason: string): WithoutStore {
  return { kind: 'closed', reason };
}
