import Table from 'cli-table3';
import { createStyle } from './style.ts';
import type { CliIo } from '../io.ts';

export type Column = { readonly name: string; readonly align?: 'left' | 'right' };

const NO_BORDER = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
};

/** Prints rows under a header; columns of figures are set to the right. */
export function printTable(io: CliIo, columns: readonly Column[], rows: readonly (readonly string[])[]): void {
  const style = createStyle(io);
  const table = new Table({
    head: columns.map((column) => style.dim(column.name)),
    colAligns: columns.map((column) => column.align ?? 'left'),
    chars: NO_BORDER,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  });
  for (const row of rows) table.push([...row]);
  io.writeOut(`${table.toString().replace(/[ \t]+$/gm, '')}\n`);
}

/** Prints names and values below one another. */
export function printPairs(io: CliIo, pairs: readonly (readonly [string, string])[]): void {
  const style = createStyle(io);
  const width = Math.max(...pairs.map(([name]) => name.length));
  for (const [name, value] of pairs) io.writeOut(`${style.dim(name.padEnd(width))}  ${value}\n`);
}
