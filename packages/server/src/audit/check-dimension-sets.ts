import { nameSet } from '../record/dimension-sets.ts';
import type { Client } from '../store/database.ts';
import { cursorRows } from './cursor-rows.ts';
import type { Differences } from './differences.ts';

type SetRow = { id: string; dimensions: Readonly<Record<string, string>> };

/** A set is named by a hash over its dimensions: rollups name the set, and are read by what it holds. */
export async function checkDimensionSets(
  client: Client,
  environmentId: number,
  differences: Differences,
): Promise<void> {
  const rows = cursorRows<SetRow>(
    client,
    'audit_dimension_sets',
    `select replace(id::text, '-', '') as id, dimensions from dimension_set where environment_id = $1`,
    [environmentId],
  );
  for await (const { id, dimensions } of rows) {
    const found = nameSet(dimensions);
    if (found.id !== id) differences.add('dimension set', id, 'the dimensions that its name is a hash of', found.json);
  }
}
