import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Page } from '../client/index.ts';
import type { CliIo } from '../io.ts';
import { createStyle } from '../print/style.ts';

export type ListFlags = { readonly limit: number; readonly cursor?: string };

/** `--limit` and `--cursor`, as every list has them. */
export function withListOptions(command: Command, limit = 20): Command {
  return command
    .addOption(new Option('--limit <n>', 'rows of a page').default(limit).argParser(pageSize))
    .option('--cursor <cursor>', 'the next page, as the page before named it');
}

function pageSize(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 1_000)
    throw new InvalidArgumentError('expected a whole number from 1 to 1000');
  return value;
}

/** Says how to get the next page, where there is one. */
export function cursorHint(io: CliIo, page: Page<unknown>): void {
  if (typeof page.next_cursor !== 'string') return;
  io.writeOut(`${createStyle(io).dim(`more: --cursor ${page.next_cursor}`)}\n`);
}
