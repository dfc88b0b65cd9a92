import type { Queryable } from '../store/database.ts';

/**
 * The part of the customers and runs that one pass looks at: every pass reads all blocks, and keeps sums for its own part
 * only, so that memory does not grow with the environment.
 */
export type Partition = { readonly index: number; readonly count: number };

/** Rows to be recomputed in one pass; a row takes 0.3 to 1.5 KB, so a pass stays within some 150 MB. */
export const ROWS_PER_PASS = 100_000;

export async function partitions(db: Queryable, environmentId: number, rowsPerPass: number): Promise<Partition[]> {
  const tables = ['usage_rollup', 'meter_rollup', 'meter_value', 'accumulator_value', 'run'];
  const counts = tables.map((table) => `(select count(*) from ${table} where environment_id = $1)`);
  const result = await db.query<{ rows: bigint }>(
    `select ${counts.join(' + ')} + (select count(*) from accumulator, json_object_keys(totals) where environment_id = $1) as rows`,
    [environmentId],
  );
  const count = Math.max(1, Math.ceil(Number(result.rows[0]?.rows ?? 0n) / rowsPerPass));
  return Array.from({ length: count }, (_, index) => ({ index, count }));
}

export function hasCustomer(partition: Partition, customerId: number): boolean {
  return partition.count === 1 || customerId % partition.count === partition.index;
}

export function hasRun(partition: Partition, runId: string): boolean {
  if (partition.count === 1) return true;
  let sum = 0;
  for (let index = 0; index < runId.length; index++) sum = (sum * 31 + runId.charCodeAt(index)) % 2_147_483_647;
  return sum % partition.count === partition.index;
}
