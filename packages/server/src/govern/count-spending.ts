import { add, compare, type Decimal, decimal, negate, subtract, toText, ZERO } from '@ergon/exact';
import { formatInstant } from '../event/instant.ts';
import type { Queryable } from '../store/database.ts';
import { windowAt } from './budget-window.ts';
import type { CompiledBudget, Subject } from './compile-budget.ts';
import { type Counter, counterOrder, countersFor } from './counters.ts';
import type { Measure } from './schemas.ts';
import type { HeldCounter, TakenHold } from './take-holds.ts';

/** What one event spent, and by whom. */
export type Spending = {
  readonly subject: Subject;
  /** Currency of the charge. */
  readonly currency: string | undefined;
  readonly amounts: Readonly<Partial<Record<Measure, Decimal>>>;
  /** When it counts, microseconds since 1970. */
  readonly at: number;
  /** A void gives back. */
  readonly sign: 1 | -1;
  /** Of a void: when its event happened and was received. A budget that counted it back gives it back where it stands. */
  readonly voided: { readonly occurredAt: number; readonly receivedAt: number } | undefined;
  readonly hold: TakenHold | undefined;
  /** Of a later change of an event that has settled a hold: the counters of the hold, where the event stands. */
  readonly countedAt: readonly HeldCounter[] | undefined;
  /** Of an adjusted charge nothing but the money is new. */
  readonly isChargeOnly: boolean;
  readonly source: string;
  readonly eventId: string;
};

type Entry = Counter & { x: string; back: string; cause: string; hold: string | null };

/**
 * Counts what events have spent at every budget that applies, at once: with their transaction. An event of a hold counts in the
 * windows of its hold; what passes an enforced limit becomes overage, with its cause.
 */
export async function countSpending(
  db: Queryable,
  environmentId: number,
  budgets: readonly CompiledBudget[],
  spendings: readonly Spending[],
  now: number,
): Promise<void> {
  const byId = new Map(budgets.map((budget) => [budget.id, budget]));
  const sums = new Map<string, { entry: Entry; x: Decimal; back: Decimal }>();
  for (const spending of spendings) {
    for (const { counter, x, back, cause } of entriesOf(spending, budgets, byId)) {
      const hold = spending.hold?.id ?? null;
      const key = `${counter.b}|${counter.m}|${counter.w}|${cause}|${hold ?? ''}`;
      const sum = sums.get(key);
      if (sum === undefined) sums.set(key, { entry: { ...counter, x: '0', back: '0', cause, hold }, x, back });
      else sums.set(key, { entry: sum.entry, x: add(sum.x, x), back: add(sum.back, back) });
    }
  }
  const entries = [...sums.values()]
    .map(({ entry, x, back }) => ({ ...entry, x: toText(x), back: toText(back) }))
    .toSorted(counterOrder);
  if (entries.length > 0) {
    await db.query({
      name: 'spend_all',
      text: 'select ergon_spend_all($1, $2::jsonb, $3)',
      values: [environmentId, JSON.stringify(entries), formatInstant(now)],
    });
  }
  const settled = spendings.flatMap(({ hold, amounts, source, eventId }) =>
    hold === undefined
      ? []
      : [
          {
            id: hold.id,
            amounts: textsOf(amounts),
            source,
            event: eventId,
          },
        ],
  );
  if (settled.length > 0) {
    await db.query({
      name: 'settled_by_events',
      text: 'select ergon_settled_by_events($1, $2::jsonb, $3)',
      values: [environmentId, JSON.stringify(settled), formatInstant(now)],
    });
  }
}

function textsOf(amounts: Spending['amounts']): Record<string, string> {
  const texts: Record<string, string> = {};
  for (const [name, value] of Object.entries(amounts)) if (value !== undefined) texts[name] = toText(value);
  return texts;
}

type Part = { readonly counter: Counter; readonly x: Decimal; readonly back: Decimal; readonly cause: string };

function entriesOf(
  spending: Spending,
  budgets: readonly CompiledBudget[],
  byId: ReadonlyMap<number, CompiledBudget>,
): Part[] {
  const { hold, countedAt = [], sign } = spending;
  const parts = [...settledParts(spending, byId), ...changedParts(spending, byId)];
  const counted = new Set([...(hold?.counters ?? []), ...countedAt].map((one) => one.b));
  for (const { budget, counter } of countersFor(budgets, spending.subject, spending.at)) {
    if (counted.has(budget.id)) continue;
    const own = spending.at < budget.countsFrom ? countedBack(budget, spending) : counter;
    const spent = own === undefined ? undefined : amountFor(budget, spending);
    if (own === undefined || spent === undefined || compare(spent, ZERO) === 0) continue;
    parts.push({ counter: own, x: sign === 1 ? spent : negate(spent), back: ZERO, cause: 'unheld' });
  }
  return parts;
}

/** What the event of a hold spent, at the counters of the hold. */
function settledParts(spending: Spending, byId: ReadonlyMap<number, CompiledBudget>): Part[] {
  const { hold } = spending;
  if (hold === undefined) return [];
  const isOpen = hold.status === 'pending' || hold.status === 'dispatched';
  return hold.counters.map((held) => {
    const budget = byId.get(held.b);
    const spent = budget === undefined ? decimal(held.x) : spentAt(budget, spending, held);
    // Settled by amount before: only the difference is new.
    const before = hold.settled === null ? ZERO : decimal(hold.settled[held.u] ?? held.x);
    return {
      counter: budget === undefined ? { ...held, enforce: false } : presentOf(held, budget),
      x: subtract(spent, before),
      back: isOpen ? decimal(held.x) : ZERO,
      cause: isOpen || before !== ZERO ? 'above_hold' : 'late',
    };
  });
}

/** What an event that had settled a hold gives back, or is charged anew, where it was counted: at the counters of the hold. */
function changedParts(spending: Spending, byId: ReadonlyMap<number, CompiledBudget>): Part[] {
  return (spending.countedAt ?? []).flatMap((held) => {
    const budget = byId.get(held.b);
    if (budget === undefined) return [];
    const spent = spentAt(budget, spending, held);
    if (compare(spent, ZERO) === 0) return [];
    const x = spending.sign === 1 ? spent : negate(spent);
    return [{ counter: presentOf(held, budget), x, back: ZERO, cause: 'above_hold' }];
  });
}

/** The counter of a hold, with what its budget says of it now. */
function presentOf(held: HeldCounter, { limit, thresholds, isEnforced }: CompiledBudget): Counter {
  return { ...held, limit, t: thresholds, enforce: isEnforced };
}

/** What is known of an event counts, and else what its hold had set aside. Of the charge all is known: what is not charged is none. */
function spentAt(budget: CompiledBudget, spending: Spending, held: HeldCounter): Decimal {
  const isCharge = budget.measure === 'charge' || budget.measure === 'credits';
  return amountFor(budget, spending) ?? (isCharge || spending.isChargeOnly ? ZERO : decimal(held.x));
}

/** Where a budget that began with what its window had seen has counted an event, which is voided now. */
function countedBack(budget: CompiledBudget, { subject, voided }: Spending): Counter | undefined {
  const { spec, countsFrom } = budget;
  if (spec.count_from !== 'window_start' || voided === undefined || voided.receivedAt >= countsFrom) return undefined;
  const { from } = windowAt(spec.window, spec.time_zone, countsFrom);
  if (voided.occurredAt < from || voided.occurredAt >= countsFrom) return undefined;
  return countersFor([budget], subject, voided.occurredAt)[0]?.counter;
}

/** What the event spent in the budget's measure; undefined where that is not known, or is in another currency. */
function amountFor(budget: CompiledBudget, { amounts, currency }: Spending): Decimal | undefined {
  const amount = amounts[budget.measure];
  if (budget.currency === undefined) return amount;
  return (budget.measure === 'charge' ? currency : 'USD') === budget.currency ? amount : undefined;
}
