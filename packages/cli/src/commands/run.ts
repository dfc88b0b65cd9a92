import type { Command } from 'commander';
import type { Run } from '../client/index.ts';
import type { CommandContext } from '../command-context.ts';
import { amount, withGroups } from '../print/number.ts';
import { type Column, printTable } from '../print/table.ts';

/** `ergon run`. */
export function addRunCommand(program: Command, context: CommandContext): void {
  program
    .command('run')
    .argument('<id>', 'the run; an imported session of Claude Code is one, its subagents are runs below it')
    .description('an agent run as a tree, with what it and everything below it used and cost')
    .addHelpText('after', '\nExample:\n  $ ergon run 7ef17b32-b369-4858-bf72-eab23db52601')
    .action((id: string) =>
      context.withApi(async (api, isJson) => {
        const run = await api.getRun(id);
        if (isJson) context.io.writeOut(`${JSON.stringify(run, null, 2)}\n`);
        else printTable(context.io, COLUMNS, treeRows(run, '', ''));
      }),
    );
}

const COLUMNS: readonly Column[] = [
  { name: 'run' },
  { name: 'agent' },
  { name: 'requests', align: 'right' },
  { name: 'errors', align: 'right' },
  { name: 'retries', align: 'right' },
  { name: 'tokens', align: 'right' },
  { name: 'charge', align: 'right' },
  { name: 'provider cost', align: 'right' },
  { name: 'charge with subruns', align: 'right' },
];

function treeRows(run: Run, lead: string, indent: string): string[][] {
  const { totals, subtree_totals: subtree = totals, children = [] } = run;
  const row = [
    lead + run.id,
    run.agent ?? '-',
    figure(totals['requests']),
    figure(totals['errors']),
    figure(totals['retries']),
    figure(totals['total_tokens'] ?? tokenSum(totals)),
    money(totals['charge']),
    money(totals['provider_cost']),
    money(subtree['charge']),
  ];
  const below = children.flatMap((child, index) => {
    const isLast = index === children.length - 1;
    return treeRows(child, `${indent}${isLast ? '└ ' : '├ '}`, `${indent}${isLast ? '  ' : '│ '}`);
  });
  return [row, ...below];
}

function tokenSum(totals: Run['totals']): string {
  const sum = Object.entries(totals)
    .filter(([name, value]) => name.endsWith('_tokens') && /^\d+$/.test(String(value)))
    .reduce((total, [, value]) => total + BigInt(String(value)), 0n);
  return String(sum);
}

function figure(value: string | number | null | undefined): string {
  return value === null || value === undefined ? '0' : withGroups(value);
}

function money(value: string | number | null | undefined): string {
  return value === null || value === undefined ? '-' : amount(String(value));
}
