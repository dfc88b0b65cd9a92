import type { Queryable } from '../../store/database.ts';

/** What a customer was charged in a month under the cards that were in force, from the running totals. */
export type RecordedTotal = {
  customer_id: bigint;
  customer: string;
  card_version_id: bigint;
  period: string;
  currency: string;
  /** Name of a bucket, its quantity and what was charged. */
  bucket: string;
  quantity: string;
  charged: string;
};

/** Running totals of the billing periods that began in a month, `YYYY-MM`. */
export async function recordedTotals(
  db: Queryable,
  environmentId: number,
  month: string,
  customer: string | undefined,
): Promise<RecordedTotal[]> {
  const result = await db.query<RecordedTotal>(
    `select a.customer_id, c.external_id as customer, a.card_version_id, a.period, v.spec ->> 'currency' as currency,
       t.key as bucket, t.value ->> 'q' as quantity, t.value ->> 'a' as charged
     from accumulator a join customer c on c.environment_id = a.environment_id and c.id = a.customer_id
       join rate_card_version v on v.environment_id = a.environment_id and v.id = a.card_version_id
       cross join json_each(a.totals::json) t
     where a.environment_id = $1 and starts_with(a.period, $2) and ($3::text is null or c.external_id = $3)`,
    [environmentId, `${month}-`, customer ?? null],
  );
  return result.rows;
}

export type SummedUsage = { customer: string; dimensions: Record<string, string>; all_requests: bigint } & Record<
  string,
  unknown
>;

/** Quantities of the given columns, which may name `requests` too, in a calendar month of each customer's zone, by dimensions. */
export async function summedUsage(
  db: Queryable,
  environmentId: number,
  month: string,
  customer: string | undefined,
  columns: readonly string[],
): Promise<SummedUsage[]> {
  const result = await db.query<SummedUsage>(
    `select s.customer, d.dimensions, s.all_requests, ${columns.map((name) => `s.${name}`).join(', ')}
     from (select c.external_id as customer, r.dimension_set_id, coalesce(sum(r.requests), 0)::int8 as all_requests,
         ${columns.map((name) => `coalesce(sum(r.${name}), 0)::text as ${name}`).join(', ')}
       from customer c join usage_rollup r on r.environment_id = c.environment_id and r.customer_id = c.id
         and r.minute >= (($2 || '-01')::timestamp at time zone c.time_zone)
         and r.minute < (($2 || '-01')::timestamp + interval '1 month') at time zone c.time_zone
       where c.environment_id = $1 and ($3::text is null or c.external_id = $3)
       group by c.external_id, r.dimension_set_id) s
     join dimension_set d on d.environment_id = $1 and d.id = s.dimension_set_id`,
    [environmentId, month, customer ?? null],
  );
  return result.rows;
}
