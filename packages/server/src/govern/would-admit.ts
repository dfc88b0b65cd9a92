import { compare, type Decimal, decimal, multiply, subtract, toText, ZERO } from '@ergon/exact';
import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import { formatInstant } from '../event/instant.ts';
import { LIMITS } from '../limits.ts';
import type { Queryable } from '../store/database.ts';
import { type Amounts, prepareHold, subjectOf } from './hold-request.ts';
import { type HoldBody, holdBody, type Measure } from './schemas.ts';

/** Who would ask and what for; amounts as far as they are known. */
export type AskedCall = Pick<HoldBody, 'customer' | 'team' | 'user' | 'feature' | 'provider' | 'model' | 'agent'> & {
  readonly amounts: Amounts;
  readonly currency: string;
};

export type WouldAdmit = {
  readonly wouldAdmit: boolean;
  /** The limit under which the call would fit the fewest times; absent where none applies. */
  readonly tightest?: {
    readonly kind: 'budget' | 'wallet';
    readonly key: string;
    readonly measure: Measure;
    /** Null where the budget limits a quantity that is not known of the call. */
    readonly available: string | null;
  };
};

type Limit = NonNullable<WouldAdmit['tightest']> & { readonly left: Decimal; readonly asked: Decimal };

/**
 * Whether a hold of these amounts would be admitted at this instant. Nothing is set aside and nothing is locked, so another may take
 * what is left before the hold is asked for.
 *
 * @param at microseconds since 1970.
 */
export async function wouldAdmit(
  db: Queryable,
  catalog: CatalogSnapshot,
  asked: AskedCall & { readonly customerId: number | null; readonly apiKey: string; readonly at: number },
): Promise<WouldAdmit> {
  const { amounts, customerId, apiKey, at, ...who } = asked;
  const body = holdBody.parse({ id: 'estimate', ...who });
  const subject = subjectOf(body, apiKey, []);
  const prepared = prepareHold(body, amounts, customerId, subject, catalog.budgets, {
    at,
    applyMax: LIMITS.budgetsApplyMax,
  });
  if (prepared.kind === 'too_many_budgets') return { wouldAdmit: false };
  if (prepared.kind === 'unknown_quantity') {
    const { key, measure } = prepared.budget;
    return { wouldAdmit: false, tightest: { kind: 'budget', key, measure, available: null } };
  }
  const { request, budgets } = prepared;
  const { rows } = await db.query<{ budget: string | null; measure: Measure; left: string; asked: string }>({
    name: 'would_admit',
    text: `select c ->> 'b' as budget, c ->> 'u' as measure, c ->> 'x' as asked,
        ((c ->> 'limit')::numeric - k.committed - k.held)::text as left
      from jsonb_array_elements($2::jsonb) c cross join ergon_counted($1, (c ->> 'b')::bigint, c ->> 'm',
        (c ->> 'from')::timestamptz, (c ->> 'w')::timestamptz) k where (c ->> 'enforce')::boolean
      union all
      select null, 'charge', $4::text, (select coalesce(sum(p.balance), 0) from ergon_payers($1, $3::int8, $5, $8::timestamptz, $6, $7) p)::text
      where $4::text::numeric > 0 and exists (select from wallet w where w.environment_id = $1 and w.customer_id = $3::int8 and w.currency = $5)`,
    values: [
      catalog.environmentId,
      JSON.stringify(request.counters),
      customerId,
      request.charge,
      request.currency,
      request.feature,
      request.model,
      formatInstant(at),
    ],
  });
  const limits = rows.map((row): Limit => {
    const left = decimal(row.left);
    const budget = budgets.find(({ id }) => String(id) === row.budget);
    const named =
      budget === undefined
        ? { kind: 'wallet' as const, key: `${body.customer ?? ''}/${asked.currency}` }
        : { kind: 'budget' as const, key: budget.key };
    return {
      ...named,
      measure: budget?.measure ?? row.measure,
      available: toText(left),
      left,
      asked: decimal(row.asked),
    };
  });
  const [first] = limits.toSorted(byTimesItFits);
  const isAdmitted = limits.every(({ left, asked: one }) => compare(subtract(left, one), ZERO) >= 0);
  if (first === undefined) return { wouldAdmit: isAdmitted };
  const { kind, key, measure, available } = first;
  return { wouldAdmit: isAdmitted, tightest: { kind, key, measure, available } };
}

/** left / asked, compared without dividing; what asks for nothing fits for ever. */
function byTimesItFits(one: Limit, other: Limit): number {
  return compare(multiply(one.left, other.asked), multiply(other.left, one.asked));
}
