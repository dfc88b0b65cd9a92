import { toText, type Decimal, decimal, isPositive } from '@ergon/exact';
import { BUILT_IN_METERS, builtInMeter, TOKEN_METERS } from '../catalog/built-in-meters.ts';
import { summedMeter } from '../catalog/counted-meter.ts';
import { formatInstant } from '../event/instant.ts';
import { refuse } from '../http/problem.ts';
import { LIMITS } from '../limits.ts';
import type { Queryable } from '../store/database.ts';
import { windowAt } from './budget-window.ts';
import type { CompiledBudget } from './compile-budget.ts';
import { type Counter, counterOrder } from './counters.ts';
import {
  type BudgetSpec,
  isMeterMeasure,
  measureOf,
  meterOf,
  SCOPE_DIMENSIONS,
  type ScopeDimension,
} from './schemas.ts';

/** Dimensions by which usage is summed up, so that what a new budget has missed can be read. */
const SUMMED: ReadonlySet<ScopeDimension> = new Set([
  'customer',
  'team',
  'user',
  'feature',
  'provider',
  'model',
  'agent',
]);

/** Of a custom meter, usage is summed by the customer, and else by the meter's own dimensions only. */
const SUMMED_BY_METER: ReadonlySet<ScopeDimension> = new Set(['customer']);

/** @throws when what the budget selects by is not kept in the sums, naming the member. */
export function checkCountBack(spec: BudgetSpec): void {
  if (spec.count_from !== 'window_start') return;
  const measure = measureOf(spec);
  const isCustom = isMeterMeasure(measure) && builtInMeter(meterOf(measure)) === undefined;
  const summed = isCustom ? SUMMED_BY_METER : SUMMED;
  const { tags = {} } = spec.scope;
  const [pointer] = [
    ...SCOPE_DIMENSIONS.flatMap((name) =>
      spec.scope[name] === undefined || summed.has(name) ? [] : [`/scope/${name}`],
    ),
    ...spec.per.flatMap((name, index) => (summed.has(name) ? [] : [`/per/${index}`])),
    ...Object.keys(tags).map(() => '/scope/tags'),
  ];
  if (pointer === undefined) return;
  throw refuse('invalid_request', 'the body is not valid', [
    {
      pointer,
      detail: `what was used before is summed by ${[...summed].join(', ')} only`,
      remedy: 'leave count_from out, so that the budget counts from its creation',
    },
  ]);
}

/**
 * Counts what was used in the present window before the budget was there, from the sums of usage: by the time of the events, to the
 * minute. Under the catalog's exclusive lock, so that nothing is counted twice or missed.
 */
export async function countBack(
  db: Queryable,
  environmentId: number,
  budget: CompiledBudget,
  now: number,
): Promise<void> {
  const { window, time_zone: timeZone, per } = budget.spec;
  const present = windowAt(window, timeZone, now);
  const sums = await readSums(db, environmentId, budget, { ...present, now });
  if (sums.length > LIMITS.countedBackMax) {
    throw refuse('conflict', `more than ${LIMITS.countedBackMax} counters would begin with what they have missed`, [
      { pointer: '/count_from', detail: 'too many members', remedy: 'leave count_from out, or narrow the scope' },
    ]);
  }
  const counters = sums.map(({ members, at, value }): Counter & { x: string } => {
    const own = windowAt(window, timeZone, Math.max(at, present.from));
    return {
      ...{ b: budget.id, m: per.length === 0 ? '' : JSON.stringify(members), u: budget.measure, limit: budget.limit },
      ...{ w: formatInstant(own.start), from: formatInstant(own.from) },
      // The limit is looked at once, when everything is counted.
      ...{ enforce: false, t: own.start === own.from ? budget.thresholds : [] },
      x: toText(value),
    };
  });
  const entries = counters
    .toSorted(counterOrder)
    .map((one) => ({ ...one, back: '0', cause: 'counted_back', hold: null }));
  await db.query('select ergon_spend_all($1, $2::jsonb, $3)', [
    environmentId,
    JSON.stringify(entries),
    formatInstant(now),
  ]);
  await recordOverage(db, environmentId, budget, 'counted_back', now);
}

/**
 * What an enforced budget has committed and held beyond its limit in the present window, as far as it is no overage yet, becomes one,
 * with its cause. Under the catalog's exclusive lock.
 */
export async function recordOverage(
  db: Queryable,
  environmentId: number,
  budget: CompiledBudget,
  cause: 'counted_back' | 'lowered_limit',
  now: number,
): Promise<void> {
  if (!budget.isEnforced) return;
  const { start, from } = windowAt(budget.spec.window, budget.spec.time_zone, now);
  await db.query(
    `insert into budget_overage (environment_id, budget_id, member, window_start, amount, cause, occurred_at)
     select $1, $2, k.member, $4, k.total - $5::numeric - coalesce(o.amount, 0), $6, $7
     from (select member, sum(committed + held) as total from budget_counter
       where environment_id = $1 and budget_id = $2 and window_start between $3 and $4 group by member) k
     left join (select member, sum(amount) as amount from budget_overage
       where environment_id = $1 and budget_id = $2 and window_start between $3 and $4 group by member) o on o.member = k.member
     where k.total - $5::numeric - coalesce(o.amount, 0) > 0 order by k.member`,
    [environmentId, budget.id, formatInstant(from), formatInstant(start), budget.limit, cause, formatInstant(now)],
  );
}

type Sum = { readonly members: readonly string[]; readonly at: number; readonly value: Decimal };

const MINUTE = 60_000_000;

async function readSums(
  db: Queryable,
  environmentId: number,
  budget: CompiledBudget,
  { start, from, now }: { readonly start: number; readonly from: number; readonly now: number },
): Promise<Sum[]> {
  const source = await sourceOf(db, environmentId, budget);
  if (source === undefined) return [];
  const values: unknown[] = [environmentId, formatInstant(Math.floor(from / MINUTE) * MINUTE), formatInstant(now)];
  const param = (value: unknown): string => `$${values.push(value)}`;
  const expression = (name: ScopeDimension): string =>
    name === 'customer' ? 'c.external_id' : `(d.dimensions ->> ${param(name)})`;
  const conditions = SCOPE_DIMENSIONS.flatMap((name) => {
    const pattern = budget.spec.scope[name];
    if (pattern === undefined) return [];
    const value = expression(name);
    return [
      pattern.endsWith('*') ? `starts_with(${value}, ${param(pattern.slice(0, -1))})` : `${value} = ${param(pattern)}`,
    ];
  });
  if (source.meterId !== undefined) conditions.push(`r.meter_id = ${param(source.meterId.toString())}`);
  if (source.currency !== undefined) conditions.push(`d.dimensions ->> 'currency' = ${param(source.currency)}`);
  if (source.isCredits === true) conditions.push(`starts_with(d.dimensions ->> 'currency', 'credit:')`);
  const groups = budget.spec.per.map(expression);
  conditions.push(...groups.map((group) => `${group} is not null`));
  const isRolling = start !== from;
  const width = isRolling ? (start - from) / 60 : 1;
  // A minute counts in the slice of its end, so that none leaves the window before all of it has.
  const end = `(extract(epoch from r.minute) * 1000000)::int8 + ${MINUTE - 1}`;
  const slice = isRolling ? `least(${end}, ${param(now)}::int8) / ${param(width)}::int8` : '0::int8';
  const columns = groups.map((group, index) => `${group} as g${index}, `).join('');
  const result = await db.query<{ slice: bigint; value: string } & Record<`g${number}`, string>>(
    `select ${columns}${slice} as slice, sum(${source.value})::text as value
     from ${source.table} r join dimension_set d on d.environment_id = r.environment_id and d.id = r.dimension_set_id
       join customer c on c.environment_id = r.environment_id and c.id = r.customer_id
     where r.environment_id = $1 and r.minute >= $2 and r.minute <= $3 and ${[...conditions, 'true'].join(' and ')}
     group by ${[...groups.map((_, index) => index + 1), groups.length + 1].join(', ')}
     having sum(${source.value}) > 0 limit ${LIMITS.countedBackMax + 1}`,
    values,
  );
  return result.rows
    .map((row) => ({
      members: groups.map((_, index) => row[`g${index}`] ?? ''),
      at: isRolling ? Number(row.slice) * width : now,
      value: decimal(row.value),
    }))
    .filter(({ value }) => isPositive(value));
}

type Source = {
  readonly table: 'usage_rollup' | 'meter_rollup';
  readonly value: string;
  readonly meterId?: bigint;
  /** Of the charge. */
  readonly currency?: string;
  readonly isCredits?: true;
};

/** Where the measure is summed up; undefined where nothing of it can have been used. */
async function sourceOf(
  db: Queryable,
  environmentId: number,
  { measure, currency }: CompiledBudget,
): Promise<Source | undefined> {
  const tokens: Source = {
    table: 'usage_rollup',
    value: TOKEN_METERS.map(({ column }) => `coalesce(r.${column}, 0)`).join(' + '),
  };
  if (measure === 'charge') return { table: 'usage_rollup', value: 'r.charge', currency: currency ?? '' };
  if (measure === 'credits') return { table: 'usage_rollup', value: 'r.charge', isCredits: true };
  if (measure === 'tokens' || measure === 'meter:total_tokens') return tokens;
  const key = isMeterMeasure(measure) ? meterOf(measure) : measure;
  // Costs are in US dollars, whatever the customer pays in.
  if (currency !== undefined && currency !== 'USD') return undefined;
  const column = key === 'provider_cost' ? key : BUILT_IN_METERS.find((meter) => meter.key === key)?.column;
  if (column !== undefined && column !== null) return { table: 'usage_rollup', value: `r.${column}` };
  const own = await summedMeter(db, environmentId, key);
  if (own === undefined) return undefined;
  return { table: 'meter_rollup', value: own.aggregation === 'count' ? 'r.event_count' : 'r.total', meterId: own.id };
}
