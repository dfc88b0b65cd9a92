import { LIMITS } from '../limits.ts';
import { RUN_QUANTITIES } from '../record/run-columns.ts';
import type { Queryable } from '../store/database.ts';

export type RunQuantity = (typeof RUN_QUANTITIES)[number];

/** Decimal text each. */
export type RunSums = { readonly [Name in RunQuantity]: string } & {
  readonly provider_cost: string;
  /** Amount by currency; sorted by currency, which is null for what was never rated. */
  readonly charges: readonly { readonly currency: string | null; readonly amount: string }[];
};

export type RunRow = {
  id: string;
  /** Parent within the tree; the root's own parent, for the root. */
  parent_id: string | null;
  customer: string | null;
  agent: string | null;
  first_at: string;
  last_at: string;
  own: RunSums;
  subtree: RunSums;
  /** Runs of the whole tree, shown or not. */
  tree_size: bigint;
};

const SUMS = [...RUN_QUANTITIES, 'provider_cost'] as const;

/**
 * A run and those below it, nearest the root first. Subtree sums are those of the whole tree, whatever of it is shown. A run
 * that came again on its own path is left out, so a cycle ends where it closes.
 */
export async function readRunTree(db: Queryable, environmentId: number, id: string): Promise<RunRow[]> {
  const result = await db.query<RunRow>(
    `with recursive tree as (
       select id, parent_id, 0 as depth, array[id] as path from run where environment_id = $1 and id = $2
       union all
       select r.id, r.parent_id, t.depth + 1, t.path || r.id
       from tree t join run r on r.environment_id = $1 and r.parent_id = t.id
       where t.depth < ${LIMITS.runDepthMax} and r.id <> all (t.path)
     ), shown as (
       select id, parent_id, depth, count(*) over () as tree_size from tree order by depth, id collate "C"
       limit ${LIMITS.runTreeMax}
     ), member as (
       select a.id as top, r.* from tree t cross join lateral unnest(t.path) a(id)
       join run r on r.environment_id = $1 and r.id = t.id
       where a.id in (select id from shown)
     ), total as (
       select top, json_build_object(${SUMS.map((name) => `'${name}', trim_scale(sum(${name})::numeric)::text`).join(', ')}) as sums
       from member group by top
     ), charge as (
       select top, json_agg(json_build_object('currency', currency, 'amount', amount) order by currency) as charges from (
         select top, currency, trim_scale(sum(charge))::text as amount from member
         where currency is not null or charge <> 0 group by top, currency) c
       group by top
     )
     select s.id, s.parent_id, c.external_id as customer, r.agent, r.first_at, r.last_at, s.tree_size,
       (json_build_object(${SUMS.map((name) => `'${name}', trim_scale(r.${name}::numeric)::text`).join(', ')},
         'charges', case when r.currency is null then '[]'::json
           else json_build_array(json_build_object('currency', r.currency, 'amount', trim_scale(r.charge)::text)) end)) as own,
       (total.sums::jsonb || jsonb_build_object('charges', coalesce(charge.charges::jsonb, '[]'::jsonb))) as subtree
     from shown s join run r on r.environment_id = $1 and r.id = s.id
       join total on total.top = s.id left join charge on charge.top = s.id
       left join customer c on c.environment_id = $1 and c.id = r.customer_id
     order by s.depth, r.first_at, s.id collate "C"`,
    [environmentId, id],
  );
  return result.rows;
}
