import { LIMITS } from '../limits.ts';
import { instantArray, textArray } from '../store/pg-arrays.ts';
import { StatementValues } from './parameters.ts';
import type { UsageMeter, UsageQuestion } from './usage-question.ts';

export type UsageStatement = { readonly text: string; readonly values: readonly unknown[] };

/** One row of the answer: g0, g1, ... are the dimensions asked for; the window is null where there is none. */
export type UsageRow = { window_start: string | null; value: string } & Record<`g${number}`, string | null>;

/** Decimals of an average, half away from zero: it is the one aggregate that may not end. */
const AVERAGE_PLACES = 12;
/** Decimals carried through the division, far beyond those: two roundings then give what one would. */
const DIVISION_ZERO = `0.${'0'.repeat(60)}`;

/**
 * The question as one statement, one snapshot of the rollups. `starts` are the windows' starts, ascending; undefined without
 * windows. It asks for one row more than an answer may hold.
 */
export function usageStatement(
  environmentId: number,
  question: UsageQuestion,
  starts: readonly number[] | undefined,
): UsageStatement {
  const values = new StatementValues();
  const environment = values.add(environmentId, 'int4');
  const parts: Parts = {
    environment,
    meter: question.meter,
    to: values.add(instantArray([question.to]), 'timestamptz[]'),
    groups: question.groupBy.map((name) => dimensionSql(values, name)),
    conditions: conditions(values, environment, question),
  };
  const { meter } = question;
  const inner =
    meter.kind === 'custom' && meter.aggregation === 'weighted_sum'
      ? weightedStatement(values, parts, question, starts)
      : aggregateStatement(values, parts, question, starts);
  const order = parts.groups.map((_, index) => `, g${index} collate "C" nulls first`).join('');
  return {
    text: `select window_start, ${groupList(parts, '')} trim_scale(value)::text as value from (${inner}) answer
      order by window_start nulls first${order} limit ${LIMITS.usageRowsMax + 1}`,
    values: values.values,
  };
}

type Parts = {
  readonly environment: string;
  readonly meter: UsageMeter;
  readonly to: string;
  /** Expression of each dimension in the group. */
  readonly groups: readonly string[];
  /** Each begins with `and`. */
  readonly conditions: string;
};

function dimensionSql(values: StatementValues, name: string): string {
  return name === 'customer' ? 'c.external_id' : `(d.dimensions ->> ${values.add(name, 'text')})`;
}

function conditions(values: StatementValues, environment: string, question: UsageQuestion): string {
  let text = '';
  if (question.meter.kind === 'custom') text += ` and r.meter_id = ${values.add(question.meter.id.toString(), 'int8')}`;
  if (question.customer !== undefined) {
    text += ` and r.customer_id = (select id from customer
      where environment_id = ${environment} and external_id = ${values.add(question.customer, 'text')})`;
  }
  for (const { dimension, values: equal, prefixes } of question.filters) {
    const expression = dimensionSql(values, dimension);
    const ways: string[] = [];
    if (equal.length > 0) ways.push(`${expression} = any(${values.add(textArray(equal), 'text[]')})`);
    if (prefixes.length > 0) {
      const list = values.add(textArray(prefixes), 'text[]');
      ways.push(`exists (select from unnest(${list}) p where starts_with(${expression}, p))`);
    }
    text += ` and (${ways.join(' or ')})`;
  }
  return text;
}

function source(table: string, parts: Parts): string {
  return `${table} r
    join dimension_set d on d.environment_id = r.environment_id and d.id = r.dimension_set_id
    left join customer c on c.environment_id = r.environment_id and c.id = r.customer_id
    where r.environment_id = ${parts.environment} and r.minute < (${parts.to})[1]${parts.conditions}`;
}

/** `g0, g1, ` with a prefix before each, for a select list that goes on. */
function groupList(parts: Parts, prefix: string): string {
  return parts.groups.map((_, index) => `${prefix}g${index}, `).join('');
}

function groupColumns(parts: Parts): string {
  return parts.groups.map((expression, index) => `${expression} as g${index}, `).join('');
}

function aggregateStatement(
  values: StatementValues,
  parts: Parts,
  question: UsageQuestion,
  starts: readonly number[] | undefined,
): string {
  const from = values.add(instantArray([question.from]), 'timestamptz[]');
  const positions = [1, ...parts.groups.map((_, index) => index + 2)];
  const { table, value, isPresent } = aggregateOf(question.meter);
  return `select ${windowSql(values, question, starts)} as window_start, ${groupColumns(parts)} ${value} as value
    from ${source(table, parts)} and r.minute >= (${from})[1]
    group by ${positions.join(', ')} having ${isPresent}`;
}

function windowSql(values: StatementValues, { window }: UsageQuestion, starts: readonly number[] | undefined): string {
  if (window === undefined || starts === undefined) return 'null::timestamptz';
  if (window === 'minute') return 'r.minute';
  if (window === 'hour') return `date_trunc('hour', r.minute, 'UTC')`;
  const list = values.add(instantArray(starts), 'timestamptz[]');
  return `(${list})[width_bucket(r.minute, ${list})]`;
}

type Aggregate = { readonly table: string; readonly value: string; readonly isPresent: string };

/** A group has a row where something was metered, even when voids have brought it back to zero. */
function aggregateOf(meter: UsageMeter): Aggregate {
  if (meter.kind === 'built_in') {
    const sums = meter.columns.map((column) => `coalesce(sum(r.${column}), 0)`);
    const counts = meter.columns.map((column) => `count(r.${column})`);
    return { table: 'usage_rollup', value: sums.join(' + '), isPresent: `${counts.join(' + ')} > 0` };
  }
  const table = 'meter_rollup';
  switch (meter.aggregation) {
    case 'count':
      return { table, value: 'sum(r.event_count)', isPresent: 'true' };
    case 'sum':
    case 'weighted_sum':
      return { table, value: 'sum(r.total)', isPresent: 'count(r.total) > 0' };
    case 'max':
      return { table, value: 'max(r.greatest)', isPresent: 'count(r.greatest) > 0' };
    case 'min':
      return { table, value: 'min(r.least)', isPresent: 'count(r.least) > 0' };
    case 'avg': {
      const quotient = `(sum(r.total) + ${DIVISION_ZERO}) / sum(r.event_count)`;
      return { table, value: `round(${quotient}, ${AVERAGE_PLACES})`, isPresent: 'count(r.total) > 0' };
    }
    case 'latest': {
      const value = '(array_agg(r.latest order by r.latest_order desc) filter (where r.latest_order is not null))[1]';
      return { table, value, isPresent: 'count(r.latest) > 0' };
    }
    case 'unique':
      return { table: 'meter_value', value: 'count(distinct r.value)::numeric', isPresent: 'true' };
  }
}

/**
 * Value x seconds held in each window `[a, b)`: what was held before a counts in full, what changed at t counts from t on.
 * With T the sum of the changes in the window and M the sum of change x time, that is level(a) (b - a) + b T - M.
 */
function weightedStatement(
  values: StatementValues,
  parts: Parts,
  question: UsageQuestion,
  starts: readonly number[] | undefined,
): string {
  const list = starts ?? [question.from];
  const from = list.map((start) => Math.max(start, question.from));
  const to = list.map((_, index) => list[index + 1] ?? question.to);
  const clipped = values.add(instantArray(from), 'timestamptz[]');
  const ends = values.add(instantArray(to), 'timestamptz[]');
  const start =
    starts === undefined ? 'null::timestamptz' : `(${values.add(instantArray(starts), 'timestamptz[]')})[h.w]`;
  const groups = groupList(parts, '');
  const byCell = [1, ...parts.groups.map((_, index) => index + 2)].join(', ');
  const byGroup = parts.groups.map((_, index) => `g${index}`).join(', ');
  const first = byGroup === '' ? 'having count(*) > 0' : `group by ${byGroup}`;
  const partition = byGroup === '' ? '' : `partition by ${byGroup}`;
  // Every window from a group's first change on is a row of the answer, so the limit of those is the limit of these.
  return `with change as materialized (
      select width_bucket(r.minute, ${clipped}) as w, ${groupColumns(parts)}
        sum(r.total) as total, sum(r.moment) as moment
      from ${source('meter_rollup', parts)} group by ${byCell}
    ), quiet as (
      select n.w, ${groupList(parts, 'k.')} 0 as total, 0 as moment
      from (select ${groups} min(w) as first from change ${first}) k, generate_series(greatest(k.first, 1), ${list.length}) n(w)
      limit ${LIMITS.usageRowsMax + 1}
    ), cell as (
      select w, ${groups} sum(total) as total, sum(moment) as moment
      from (select * from change union all select * from quiet) either group by ${byCell}
    ), held as (
      select w, ${groups} total, moment,
        coalesce(sum(total) over (${partition} order by w rows between unbounded preceding and 1 preceding), 0) as opening
      from cell
    )
    select ${start} as window_start, ${groupList(parts, 'h.')} h.opening * (s.b - s.a) + s.b * h.total - h.moment as value
    from held h, lateral (select extract(epoch from (${clipped})[h.w]) as a, extract(epoch from (${ends})[h.w]) as b) s
    where h.w > 0`;
}
