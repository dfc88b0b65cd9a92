import type { Command } from 'commander';
import type { Api, Rerate, RerateCharge } from '../client/index.ts';
import type { CommandContext } from '../command-context.ts';
import { CliError } from '../cli-error.ts';
import { EXIT_CODE } from '../exit-code.ts';
import type { CliIo } from '../io.ts';
import { amount, plural, withGroups } from '../print/number.ts';
import { createStyle } from '../print/style.ts';
import { printTable } from '../print/table.ts';
import { parseInstantFlag } from './parse-instant-flag.ts';

type Flags = {
  readonly from?: string;
  readonly to?: string;
  readonly customer?: string;
  readonly meter?: readonly string[];
  readonly all?: boolean;
  readonly dryRun?: boolean;
  readonly list?: boolean;
};

const CUSTOMERS_SHOWN = 20;
const POLL_MS = 200;

const HELP = `
Without --all only usage without a price is rated; --all rates everything in the time by the catalog as it is now. Each event
is rated by the card version in force at its own time. Differences are posted as adjusting entries; nothing is edited.

Examples:
  $ ergon rerate --from 2026-11-01 --to 2026-12-01 --dry-run
  $ ergon rerate --from 2026-11-01 --to 2026-12-01 --customer acme --all
  $ ergon rerate --list`;

/** `ergon rerate`. */
export function addRerateCommand(program: Command, context: CommandContext): void {
  program
    .command('rerate')
    .description('rate recorded usage by the catalog as it is now, by adjusting entries')
    .option('--from <time>', 'events from this time on (2026-11-01 or 2026-11-01T10:00:00Z)')
    .option('--to <time>', 'events before this time')
    .option('--customer <id>', 'of this customer only')
    .option('--meter <key...>', 'events with usage of this meter only')
    .option('--all', 'what was rated already, too: after a correction')
    .option('--dry-run', 'say what it would come to, and change nothing')
    .option('--list', 'the latest re-ratings')
    .addHelpText('after', HELP)
    .action((flags: Flags) => run(context, flags));
}

async function run(context: CommandContext, flags: Flags): Promise<void> {
  await context.withApi(async (api, isJson) => {
    if (flags.list === true) return list(context.io, api, isJson);
    const { from, to } = flags;
    if (from === undefined || to === undefined)
      throw new CliError(EXIT_CODE.usage, 'a re-rating needs --from and --to', 'They are times of events.');
    const asked = await api.rerate({
      from: parseInstantFlag(from, '--from'),
      to: parseInstantFlag(to, '--to'),
      ...(flags.customer !== undefined && { customer: flags.customer }),
      ...(flags.meter !== undefined && { meters: flags.meter }),
      only: flags.all === true ? 'all' : 'unrated',
      dry_run: flags.dryRun === true,
    });
    const done = await ended(context.io, api, asked);
    const { data } = await api.listRerateCustomers(done.id);
    if (isJson) context.io.writeOut(`${JSON.stringify({ ...done, customers: data }, null, 2)}\n`);
    else print(context.io, done, data);
    if (done.status === 'failed') await context.end(Promise.resolve(EXIT_CODE.failed));
  });
}

async function ended(io: CliIo, api: Api, asked: Rerate): Promise<Rerate> {
  let found = asked;
  while (found.status === 'running' && !io.signal.aborted) {
    await io.sleep(POLL_MS, io.signal);
    found = await api.getRerate(asked.id);
  }
  return found;
}

function print(io: CliIo, done: Rerate, customers: readonly RerateCharge[]): void {
  const what = done.dry_run ? 'Would adjust' : 'Adjusted';
  const rating = done.dry_run ? 'nothing was posted' : `re-rating ${done.id}`;
  io.writeOut(
    done.failure === null
      ? `${what} ${plural(BigInt(done.events_adjusted), 'event')} of ${withGroups(done.events_examined)}; ${rating}.\n`
      : `Re-rating ${done.id} failed: ${done.failure}.\n`,
  );
  if (customers.length === 0) return;
  printTable(
    io,
    [
      { name: 'customer' },
      { name: 'currency' },
      ...['events', 'old', 'new', 'difference'].map((name) => ({ name, align: 'right' as const })),
    ],
    customers
      .slice(0, CUSTOMERS_SHOWN)
      .map((one) => [
        one.customer,
        one.currency,
        withGroups(one.events),
        amount(one.old),
        amount(one.new),
        amount(one.difference),
      ]),
  );
  const { bold } = createStyle(io);
  for (const { currency, difference } of done.totals)
    io.writeOut(`${bold(`${amount(difference)} ${currency}`)} in all\n`);
}

async function list(io: CliIo, api: Api, isJson: boolean): Promise<void> {
  const page = await api.listRerates({ limit: 20 });
  if (isJson) io.writeOut(`${JSON.stringify(page, null, 2)}\n`);
  else if (page.data.length === 0) io.writeOut('No re-ratings.\n');
  else
    printTable(
      io,
      [
        ...['id', 'status', 'asked for', 'of', 'only', 'customer'].map((name) => ({ name })),
        { name: 'adjusted', align: 'right' },
        { name: 'difference', align: 'right' },
      ],
      page.data.map((one) => [
        one.id,
        one.dry_run ? `${one.status}, dry run` : one.status,
        one.requested_at,
        one.automatic ? 'a change of the catalog' : 'a request',
        one.only,
        one.customer ?? '-',
        withGroups(one.events_adjusted),
        one.totals.map(({ currency, difference }) => `${amount(difference)} ${currency}`).join(', '),
      ]),
    );
}
