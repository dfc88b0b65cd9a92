import { createHash } from 'node:crypto';

/**
 * Event ids for rows that have no id of their own. The id of a row is a hash over its values and those of all rows before
 * it, so that
 * - the same file gives the same ids under any name, compressed or not, imported once or ten times;
 * - a file that has grown at its end gives its old rows the ids they had;
 * - two equal rows of one file are two events, and a row that another file also holds is not mistaken for it.
 * A file whose earlier rows were changed, sorted or cut off is another file: name id columns for such exports.
 */
export function createRowIdentity(): (values: readonly string[]) => string {
  let previous: Uint8Array = new Uint8Array(32);
  return (values) => {
    previous = createHash('sha256').update(previous).update(JSON.stringify(values)).digest();
    return `row-${Buffer.from(previous.buffer, previous.byteOffset, 16).toString('hex')}`;
  };
}

/** An id from the values of columns: joined by `:`, where `%` and `:` inside a value are percent-encoded. */
export function joinIdentity(values: readonly string[]): string {
  if (values.length === 1) return values[0] ?? '';
  return values.map((value) => value.replace(/[%:]/g, (character) => (character === '%' ? '%25' : '%3A'))).join(':');
}
