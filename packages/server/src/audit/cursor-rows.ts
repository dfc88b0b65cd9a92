import type { Queryable } from '../store/database.ts';

const ROWS_PER_FETCH = 2_000;

/** The rows of a query, a few thousand in memory at a time. The caller's transaction must stay open meanwhile. */
export async function* cursorRows<Row extends object>(
  db: Queryable,
  name: string,
  text: string,
  values: readonly unknown[],
  rowsPerFetch = ROWS_PER_FETCH,
): AsyncGenerator<Row> {
  await db.query(`declare ${name} no scroll cursor for ${text}`, [...values]);
  for (;;) {
    const piece = await db.query<Row>(`fetch ${rowsPerFetch} from ${name}`);
    yield* piece.rows;
    if (piece.rows.length < rowsPerFetch) break;
  }
  await db.query(`close ${name}`);
}
