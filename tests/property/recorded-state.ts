import type pg from 'pg';
import { units } from '../../packages/server/bench/support/audit.ts';

/** Everything about an environment that must not depend on how its events arrived: by customer, in exact units of 10^-18. */
export type RecordedState = {
  /** "customer|meter|model|feature" to quantity. */
  readonly usage: Readonly<Record<string, bigint>>;
  /** "customer|price" to its running totals and charges, sorted: a matrix price has one for each cell. */
  readonly accumulators: Readonly<Record<string, readonly string[]>>;
  /** What each customer was charged in all, by their postings. */
  readonly charged: Readonly<Record<string, bigint>>;
};

export async function recordedState(sql: pg.Client, environmentId: number): Promise<RecordedState> {
  return {
    usage: await usage(sql, environmentId),
    accumulators: await accumulators(sql, environmentId),
    charged: await charged(sql, environmentId),
  };
}

async function usage(sql: pg.Client, environmentId: number): Promise<Record<string, bigint>> {
  const { rows } = await sql.query<{ key: string; value: string }>(
    `select concat_ws('|', c.external_id, m.key, d.dimensions ->> 'model', d.dimensions ->> 'feature') as key, sum(m.value::numeric)::text as value
     from usage_rollup r
       join customer c on c.environment_id = r.environment_id and c.id = r.customer_id
       join dimension_set d on d.environment_id = r.environment_id and d.id = r.dimension_set_id,
       jsonb_each_text(jsonb_build_object('requests', r.requests, 'input_tokens', r.input_tokens,
         'cache_read_tokens', r.cache_read_tokens, 'output_tokens', r.output_tokens)) m
     where r.environment_id = $1 and m.value is not null group by 1`,
    [environmentId],
  );
  return Object.fromEntries(rows.map((row) => [row.key, units(row.value)]).filter(([, value]) => value !== 0n));
}

async function accumulators(sql: pg.Client, environmentId: number): Promise<Record<string, string[]>> {
  const { rows } = await sql.query<{ key: string; q: string; a: string }>(
    `select c.external_id || '|' || split_part(t.key, '/', 1) as key, t.value ->> 'q' as q, t.value ->> 'a' as a
     from accumulator a join customer c on c.environment_id = a.environment_id and c.id = a.customer_id, json_each(a.totals) t
     where a.environment_id = $1`,
    [environmentId],
  );
  const found: Record<string, string[]> = {};
  for (const { key, q, a } of rows)
    if (units(q) !== 0n || units(a) !== 0n) (found[key] ??= []).push(`${units(q)} costs ${units(a)}`);
  for (const list of Object.values(found)) list.sort();
  return found;
}

async function charged(sql: pg.Client, environmentId: number): Promise<Record<string, bigint>> {
  const { rows } = await sql.query<{ key: string; value: string }>(
    `select c.external_id as key, sum(case p.kind when 'usage' then p.amount else -p.amount end)::text as value
     from posting p join customer c on c.environment_id = p.environment_id and c.id = p.customer_id
     where p.environment_id = $1 and p.kind in ('usage', 'reversal') group by 1`,
    [environmentId],
  );
  return Object.fromEntries(rows.map((row) => [row.key, units(row.value)]).filter(([, value]) => value !== 0n));
}
