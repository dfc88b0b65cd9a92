import type { Queryable } from '../store/database.ts';

export type OverrideRow = {
  key: string;
  rate_card: string;
  prices: unknown;
  derived_card: string | null;
  effective_from: string;
  effective_to: string | null;
  created_at: string;
};

export const OVERRIDE_COLUMNS = 'key, rate_card, prices, derived_card, effective_from, effective_to, created_at';

export async function findOverride(
  db: Queryable,
  environmentId: number,
  customerId: bigint,
  key: string,
): Promise<OverrideRow | undefined> {
  const result = await db.query<OverrideRow>(
    `select ${OVERRIDE_COLUMNS} from customer_override where environment_id = $1 and customer_id = $2 and key = $3`,
    [environmentId, customerId, key],
  );
  return result.rows[0];
}

/**
 * The overrides of customers, by customer and key: of those named also the ended ones, because their keys are taken; of all
 * customers, where that is null, those that have not ended at the instant.
 */
export async function standingOverrides(
  db: Queryable,
  environmentId: number,
  at: { readonly instant: string; readonly customers: readonly string[] | null; readonly limit: number },
): Promise<(OverrideRow & { customer: string })[]> {
  const result = await db.query<OverrideRow & { customer: string }>(
    `select c.external_id as customer, o.key, o.rate_card, o.prices, o.derived_card, o.effective_from, o.effective_to, o.created_at
     from customer_override o join customer c on c.environment_id = o.environment_id and c.id = o.customer_id
     where o.environment_id = $1 and case when $3::text[] is null
       then o.effective_to is null or o.effective_to > $2 else c.external_id = any ($3) end
     order by c.external_id collate "C", o.key collate "C" limit $4`,
    [environmentId, at.instant, at.customers, at.limit],
  );
  return result.rows;
}
