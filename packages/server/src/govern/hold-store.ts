import type { Queryable } from '../store/database.ts';
import { textArray } from '../store/pg-arrays.ts';

export type HoldRow = {
  id: string;
  status: 'pending' | 'dispatched' | 'settled' | 'released' | 'expired';
  customer: string | null;
  currency: string | null;
  amounts: Readonly<Record<string, string>>;
  settled: Readonly<Record<string, string>> | null;
  settled_by: 'amount' | 'event' | 'estimate' | null;
  is_late: boolean;
  /** The output bound it was admitted with. */
  bound: number | null;
  funded: boolean;
  budget_keys: readonly string[] | null;
  created_at: string;
  expires_at: string;
  resolved_at: string | null;
};

const COLUMNS = `h.id, h.status, c.external_id as customer, h.currency, h.amounts, h.settled, h.settled_by, h.is_late,
  h.dimensions -> 'max_output_tokens' as bound, jsonb_array_length(h.funds) > 0 as funded, h.created_at, h.expires_at, h.resolved_at,
  (select array_agg(b.key order by b.key collate "C") from budget b where b.environment_id = h.environment_id
    and b.id in (select (k ->> 'b')::bigint from jsonb_array_elements(h.counters) k)) as budget_keys`;

export async function findHold(db: Queryable, environmentId: number, id: string): Promise<HoldRow | undefined> {
  return (await findHolds(db, environmentId, [id])).get(id);
}

export async function findHolds(
  db: Queryable,
  environmentId: number,
  ids: readonly string[],
): Promise<Map<string, HoldRow>> {
  if (ids.length === 0) return new Map();
  const result = await db.query<HoldRow>({
    name: 'find_holds',
    text: `select ${COLUMNS} from hold h left join customer c on c.environment_id = h.environment_id and c.id = h.customer_id
     where h.environment_id = $1 and h.id = any($2::text[])`,
    values: [environmentId, textArray(ids)],
  });
  return new Map(result.rows.map((row) => [row.id, row]));
}

/** Open holds whose time is over, in every environment by its own clock. */
export async function dueHolds(
  db: Queryable,
  at: string,
  limit: number,
): Promise<{ environment_id: number; id: string }[]> {
  const result = await db.query<{ environment_id: number; id: string }>(
    `select h.environment_id, h.id from hold h join environment e on e.id = h.environment_id
     where h.status in ('pending', 'dispatched') and h.expires_at <= coalesce(e.clock_at, $1) order by h.expires_at limit $2`,
    [at, limit],
  );
  return result.rows;
}

/** A run and the runs above it, nearest first, as far as they are known. */
export async function runPath(
  db: Queryable,
  environmentId: number,
  runId: string | undefined,
  parentId: string | undefined,
): Promise<string[]> {
  const named = [runId, parentId].filter((id) => id !== undefined);
  if (named.length === 0) return [];
  const result = await db.query<{ id: string; ancestors: string[] }>(
    'select id, ancestors from run where environment_id = $1 and id = any($2::text[])',
    [environmentId, named],
  );
  return [...new Set([...named, ...result.rows.flatMap((row) => row.ancestors)])];
}
