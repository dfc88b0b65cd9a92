import { cursorAfter, cursorPosition } from '../../http/cursor.ts';
import type { Queryable } from '../../store/database.ts';
import { instantArray } from '../../store/pg-arrays.ts';
import { badParameter, StatementValues } from '../parameters.ts';

/** Every member that is there must match; instants in microseconds since 1970, `[from, to)` of the event's time. */
export type UnratedFilter = {
  readonly customer?: string | undefined;
  readonly meter?: string | undefined;
  readonly reason?: string | undefined;
  readonly model?: string | undefined;
  readonly from?: number | undefined;
  readonly to?: number | undefined;
};

export type UnratedGroupRow = {
  customer: string | null;
  meter: string;
  reason: string;
  model: string;
  events: bigint;
  quantity: string;
  first_minute: string;
  last_minute: string;
  customer_id: bigint;
  rest: string;
};

/** Unrated usage by customer, meter, reason and model. The order is total and stable: customers by number, then the rest by its hash. */
export async function listGroups(
  db: Queryable,
  environmentId: number,
  filter: UnratedFilter,
  cursor: string | undefined,
  limit: number,
): Promise<UnratedGroupRow[]> {
  const values = new StatementValues();
  const where = conditions(environmentId, filter, values);
  const after = positionOf(cursor);
  const having =
    after === undefined
      ? ''
      : `where (customer_id, rest) > (${values.add(after.customer, 'int8')}, ${values.add(after.rest, 'text')})`;
  const result = await db.query<UnratedGroupRow>(
    `select * from (
       select u.customer_id, c.external_id as customer, u.meter, u.reason, u.model,
         md5(u.meter || chr(1) || u.reason || chr(1) || u.model) as rest,
         sum(u.event_count)::int8 as events, sum(u.quantity)::text as quantity,
         min(u.minute) as first_minute, max(u.minute) as last_minute
       from unrated_usage u left join customer c on c.environment_id = u.environment_id and c.id = u.customer_id
       where ${where} and u.event_count > 0 group by 1, 2, 3, 4, 5) g ${having}
     order by customer_id, rest limit ${values.add(limit, 'int4')}`,
    values.values,
  );
  return result.rows;
}

export function cursorOf({ customer_id, rest }: UnratedGroupRow): string {
  return cursorAfter('unrated', `${customer_id}.${rest}`);
}

function positionOf(cursor: string | undefined): { customer: string; rest: string } | undefined {
  const text = cursorPosition('unrated', cursor);
  if (text === undefined) return undefined;
  const [, customer, rest] = /^(\d{1,18})\.([0-9a-f]{32})$/.exec(text) ?? [];
  if (customer === undefined || rest === undefined)
    throw badParameter('cursor', 'not a cursor of this list', 'pass next_cursor unchanged');
  return { customer, rest };
}

/** The minutes that hold any of it: where its events are to be looked for; `undefined` when there is none. */
export async function unratedSpan(
  db: Queryable,
  environmentId: number,
  filter: UnratedFilter,
): Promise<{ first: string; last: string } | undefined> {
  const values = new StatementValues();
  const where = conditions(environmentId, filter, values);
  const result = await db.query<{ first: string | null; last: string | null }>(
    `select min(u.minute) as first, max(u.minute) as last from unrated_usage u
       left join customer c on c.environment_id = u.environment_id and c.id = u.customer_id
     where ${where} and u.event_count > 0`,
    values.values,
  );
  const [row] = result.rows;
  return row === undefined || row.first === null || row.last === null
    ? undefined
    : { first: row.first, last: row.last };
}

function conditions(environmentId: number, filter: UnratedFilter, values: StatementValues): string {
  const { customer, meter, reason, model, from, to } = filter;
  const all = [`u.environment_id = ${values.add(environmentId, 'int4')}`];
  if (customer !== undefined) all.push(`c.external_id = ${values.add(customer, 'text')}`);
  if (meter !== undefined) all.push(`u.meter = ${values.add(meter, 'text')}`);
  if (reason !== undefined) all.push(`u.reason = ${values.add(reason, 'text')}`);
  if (model !== undefined) all.push(`u.model = ${values.add(model, 'text')}`);
  if (from !== undefined) all.push(`u.minute >= (${values.add(instantArray([from]), 'timestamptz[]')})[1]`);
  if (to !== undefined) all.push(`u.minute < (${values.add(instantArray([to]), 'timestamptz[]')})[1]`);
  return all.join(' and ');
}
