import { amount } from '../print/number.ts';
import type { Command } from 'commander';
import type { CommandContext } from '../command-context.ts';
import { printExplanation } from '../print/explanation.ts';
import { printTable } from '../print/table.ts';
import { parseInstantFlag } from './parse-instant-flag.ts';
import { cursorHint, type ListFlags, withListOptions } from './list-options.ts';

const FILTERS = [
  'customer',
  'type',
  'source',
  'model',
  'provider',
  'feature',
  'user',
  'run',
  'status',
  'from',
  'to',
] as const;

type EventFlags = ListFlags & { readonly [Name in (typeof FILTERS)[number]]?: string };

/** `ergon events`, `ergon explain`. */
export function addEventCommands(program: Command, context: CommandContext): void {
  const events = program.command('events').description('recorded events, newest first');
  for (const name of FILTERS) events.option(`--${name} <value>`, FILTER_HELP[name] ?? `of this ${name} only`);
  withListOptions(events)
    .addHelpText(
      'after',
      '\nExamples:\n  $ ergon events --customer acme --limit 5\n  $ ergon events --model claude-opus-4-6 --json',
    )
    .action((flags: EventFlags) => listEvents(context, flags));
  program
    .command('explain')
    .argument('<source>', 'where the event came from, e.g. claude-code')
    .argument('<id>', 'its id in that source')
    .description('one event, and how its amount came about: quantities, prices, tiers, grants')
    .addHelpText('after', '\nExample:\n  $ ergon explain claude-code msg_01…:req_01…')
    .action((source: string, id: string) =>
      context.withApi(async (api, isJson) => {
        const found = await api.lookupEvent(source, id);
        if (isJson) context.io.writeOut(`${JSON.stringify(found, null, 2)}\n`);
        else printExplanation(context.io, found);
      }),
    );
}

const FILTER_HELP: Readonly<Record<string, string>> = {
  from: 'from this time on (2026-11-01 or 2026-11-01T10:00:00Z)',
  to: 'before this time',
  run: 'of this run (a session of Claude Code is one)',
  status: 'ok, error or cancelled',
};

async function listEvents(context: CommandContext, flags: EventFlags): Promise<void> {
  await context.withApi(async (api, isJson) => {
    const filters = {
      ...Object.fromEntries(FILTERS.map((name) => [name, flags[name]])),
      ...(flags.from !== undefined && { from: parseInstantFlag(flags.from, '--from') }),
      ...(flags.to !== undefined && { to: parseInstantFlag(flags.to, '--to') }),
    };
    const page = await api.listEvents({ ...filters, limit: flags.limit, cursor: flags.cursor });
    if (isJson) {
      context.io.writeOut(`${JSON.stringify(page, null, 2)}\n`);
      return;
    }
    if (page.data.length === 0) {
      context.io.writeOut('No events.\n');
      return;
    }
    printTable(
      context.io,
      [
        ...['time', 'customer', 'type', 'model', 'source', 'id'].map((name) => ({ name })),
        { name: 'amount', align: 'right' },
        { name: '' },
      ],
      page.data.map(({ event, ...rest }) => [
        event.time ?? rest.received_at,
        rest.customer ?? '-',
        event.type,
        typeof event.data?.['model'] === 'string' ? event.data['model'] : '-',
        event.source,
        event.id,
        rest.amount === null ? '-' : `${amount(rest.amount)} ${rest.currency ?? ''}`,
        rest.voided ? 'voided' : '',
      ]),
    );
    cursorHint(context.io, page);
  });
}
