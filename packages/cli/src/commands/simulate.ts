import type { Command } from 'commander';
import type { Simulation } from '../client/index.ts';
import type { CommandContext } from '../command-context.ts';
import type { CliIo } from '../io.ts';
import { amount, plural, withGroups } from '../print/number.ts';
import { createStyle } from '../print/style.ts';
import { printTable } from '../print/table.ts';
import { readJsonInput } from './read-json-input.ts';
import { showProgress } from './simulate-progress.ts';

type SimulateFlags = { readonly month?: string; readonly customer?: string; readonly card?: string };

const CUSTOMERS_SHOWN = 20;

/** `ergon rate-card simulate`. */
export function addSimulateCommand(card: Command, context: CommandContext): void {
  card
    .command('simulate')
    .argument('<key>', 'a published card; with --card its key is only a name')
    .description("price a month's real usage under another card: old, new and difference of each customer")
    .option('--month <month>', 'YYYY-MM (default: this month)')
    .option('--customer <id>', 'this customer only')
    .option('--card <file>', 'a card that is not published; - is standard input')
    .addHelpText('after', HELP)
    .action((key: string, flags: SimulateFlags) => run(context, key, flags));
}

const HELP = `
Reads only; nothing is charged. What falls due only at the close of a period is in neither figure.

Examples:
  $ ergon rate-card simulate default --card draft.json --month 2026-10
  $ ergon rate-card simulate enterprise --customer acme --json`;

async function run(context: CommandContext, key: string, flags: SimulateFlags): Promise<void> {
  const card = flags.card === undefined ? undefined : await readJsonInput(context, flags.card, 'the rate card', HELP);
  const month = flags.month ?? new Date(context.io.nowMs()).toISOString().slice(0, 7);
  await context.withApi(async (api, isJson) => {
    const progress = showProgress(context.io);
    const found = await api
      .simulate(key, { month, customer: flags.customer, card }, progress.update)
      .finally(progress.stop);
    if (isJson) context.io.writeOut(`${JSON.stringify(found, null, 2)}\n`);
    else print(context.io, found);
  });
}

function print(io: CliIo, found: Simulation): void {
  const style = createStyle(io);
  const shown = found.customers.slice(0, CUSTOMERS_SHOWN);
  const row = (name: string, one: { old: string; new: string; difference: string }): string[] => [
    name,
    amount(one.old),
    amount(one.new),
    amount(one.difference),
  ];
  printTable(
    io,
    [
      { name: 'customer' },
      { name: `old ${found.currency}`, align: 'right' },
      { name: 'new', align: 'right' },
      { name: 'difference', align: 'right' },
    ],
    [...shown.map((one) => row(one.customer, one)), row(style.bold(`all ${found.totals.customers}`), found.totals)],
  );
  for (const { meter, quantity } of found.unrated) {
    io.writeOut(style.yellow(`not priced by the card: ${withGroups(quantity)} ${meter}\n`));
  }
  io.writeOut(style.dim(`${found.month}, from ${sourceOf(found)}\n`));
}

function sourceOf({ requests, events, reason }: Simulation): string {
  if (events !== null) return `${plural(BigInt(events), 'event')}: ${reason ?? ''}`;
  return requests === null ? 'running totals' : `the sums of ${plural(BigInt(requests), 'request')}`;
}
