import type pg from 'pg';
import type { Client } from '../store/database.ts';

const ROWS_PER_FETCH = 5_000;
let cursors = 0;

/** The rows of a statement through a cursor of the open transaction, so that a table of any size takes little memory. */
export async function* pages<Row extends pg.QueryResultRow>(client: Client, statement: string): AsyncGenerator<Row> {
  cursors += 1;
  const name = `pages_${cursors}`;
  await client.query(`declare ${name} no scroll cursor for ${statement}`);
  for (;;) {
    const result = await client.query<Row>(`fetch ${ROWS_PER_FETCH} from ${name}`);
    yield* result.rows;
    if (result.rows.length < ROWS_PER_FETCH) break;
  }
  await client.query(`close ${name}`);
}
