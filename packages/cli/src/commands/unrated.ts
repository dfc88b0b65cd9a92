import type { Command } from 'commander';
import type { Page, UnratedEvent, UnratedGroup } from '../client/index.ts';
import type { CommandContext } from '../command-context.ts';
import type { CliIo } from '../io.ts';
import { withGroups } from '../print/number.ts';
import { printTable } from '../print/table.ts';
import { cursorHint, type ListFlags, withListOptions } from './list-options.ts';
import { parseInstantFlag } from './parse-instant-flag.ts';

type Flags = ListFlags & {
  readonly [Name in 'customer' | 'meter' | 'reason' | 'model' | 'from' | 'to']?: string;
} & { readonly events?: boolean };

/** `ergon unrated`. */
export function addUnratedCommand(program: Command, context: CommandContext): void {
  const command = program
    .command('unrated')
    .description('usage that was recorded and has no price, with the reason')
    .option('--customer <id>', 'of this customer only')
    .option('--meter <key>', 'of this meter only')
    .option(
      '--reason <reason>',
      'no_customer, no_rate_card, no_price, no_matching_cell, amount_too_large or no_provider_price',
    )
    .option('--model <model>', 'of this model only, as the events name it')
    .option('--from <time>', 'from this minute on (2026-11-01 or 2026-11-01T10:00:00Z)')
    .option('--to <time>', 'before this minute')
    .option('--events', 'the single events, latest recorded first');
  withListOptions(command)
    .addHelpText(
      'after',
      '\nExamples:\n  $ ergon unrated\n  $ ergon unrated --customer acme --reason no_price --events',
    )
    .action((flags: Flags) => run(context, flags));
}

async function run(context: CommandContext, flags: Flags): Promise<void> {
  await context.withApi(async (api, isJson) => {
    const { customer, meter, reason, model, limit, cursor } = flags;
    const query = {
      ...{ customer, meter, reason, model, limit, cursor },
      from: flags.from === undefined ? undefined : parseInstantFlag(flags.from, '--from'),
      to: flags.to === undefined ? undefined : parseInstantFlag(flags.to, '--to'),
    };
    const show = <Row>(page: Page<Row>, print: (io: CliIo, rows: readonly Row[]) => void): void => {
      if (isJson) context.io.writeOut(`${JSON.stringify(page, null, 2)}\n`);
      else if (page.data.length === 0) context.io.writeOut('No unrated usage.\n');
      else print(context.io, page.data);
      if (!isJson) cursorHint(context.io, page);
    };
    if (flags.events === true) show(await api.listUnratedEvents(query), printEvents);
    else show(await api.listUnrated(query), printGroups);
  });
}

function printGroups(io: CliIo, groups: readonly UnratedGroup[]): void {
  printTable(
    io,
    [
      ...['customer', 'meter', 'reason', 'model'].map((name) => ({ name })),
      { name: 'events', align: 'right' },
      { name: 'quantity', align: 'right' },
      { name: 'first' },
      { name: 'last' },
    ],
    groups.map((one) => [
      one.customer ?? '-',
      one.meter,
      one.reason,
      one.model ?? '-',
      withGroups(one.events),
      withGroups(one.quantity),
      one.first_at,
      one.last_at,
    ]),
  );
}

function printEvents(io: CliIo, events: readonly UnratedEvent[]): void {
  printTable(
    io,
    ['time', 'customer', 'type', 'source', 'id', 'unrated'].map((name) => ({ name })),
    events.map(({ event, received_at, customer, unrated }) => [
      event.time ?? received_at,
      customer ?? '-',
      event.type,
      event.source,
      event.id,
      unrated.map(({ meter, quantity, reason }) => `${meter} ${withGroups(quantity)} (${reason})`).join(', '),
    ]),
  );
}
