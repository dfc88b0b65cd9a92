import { refuse } from './problem.ts';

const CURSOR = /^([a-z_]{1,32}):([\u0021-\u007e]{1,64})$/;

/** An opaque cursor: which list, and the last row given. */
export function cursorAfter(list: string, position: bigint | string): string {
  return Buffer.from(`${list}:${position}`).toString('base64url');
}

/** The position of a cursor of this list. @throws a problem when the cursor is of another list, or none. */
export function cursorPosition(list: string, cursor: string | undefined): string | undefined {
  if (cursor === undefined) return undefined;
  const [, name, position] = CURSOR.exec(Buffer.from(cursor, 'base64url').toString('latin1')) ?? [];
  if (name !== list || position === undefined) throw badCursor();
  return position;
}

/** The same for lists ordered by a bigint. */
export function cursorNumber(list: string, cursor: string | undefined): bigint | undefined {
  const position = cursorPosition(list, cursor);
  if (position === undefined) return undefined;
  if (!/^\d{1,18}$/.test(position)) throw badCursor();
  return BigInt(position);
}

function badCursor() {
  return refuse('invalid_request', 'the cursor is not one of this list', [
    {
      parameter: 'cursor',
      detail: 'not a cursor of this list',
      remedy: 'pass next_cursor of the page before, unchanged',
    },
  ]);
}

/** Cuts the one row too many that says whether there is a next page. */
export function page<Row, Item>(
  rows: readonly Row[],
  limit: number,
  item: (row: Row) => Item,
  cursor: (row: Row) => string,
): { data: Item[]; next_cursor: string | null } {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  return { data: shown.map(item), next_cursor: rows.length > limit && last !== undefined ? cursor(last) : null };
}
