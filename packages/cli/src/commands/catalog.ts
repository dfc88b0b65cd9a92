import type { Command } from 'commander';
import type { CommandContext } from '../command-context.ts';
import { printTable } from '../print/table.ts';
import { cursorHint, type ListFlags, withListOptions } from './list-options.ts';
import { readJsonInput } from './read-json-input.ts';
import { addSimulateCommand } from './simulate.ts';

/** `ergon customers`, `ergon meters`, `ergon rate-card`. */
export function addCatalogCommands(program: Command, context: CommandContext): void {
  withListOptions(
    program.command('customers').description('who is billed; provisional ones were first seen in an event'),
    50,
  ).action((flags: ListFlags) => listCustomers(context, flags));
  program
    .command('meters')
    .description('what can be measured: the built-in meters and your own')
    .action(() => listMeters(context));
  const card = program.command('rate-card').description('versioned price lists');
  card
    .command('list')
    .description('all rate cards')
    .action(() => listRateCards(context));
  card
    .command('get')
    .argument('<key>')
    .description('the latest version of a rate card, as JSON')
    .action((key: string) =>
      context.withApi(async (api) => context.io.writeOut(`${JSON.stringify(await api.getRateCard(key), null, 2)}\n`)),
    );
  card
    .command('put')
    .argument('<key>', 'the card; "default" applies to every customer without another')
    .argument('[file]', 'a JSON file; standard input without it')
    .description('publish a new version; earlier ones stay as they are')
    .addHelpText('after', CARD_HELP)
    .action((key: string, file: string | undefined) => putRateCard(context, key, file));
  addSimulateCommand(card, context);
}

const CARD_HELP = `
Example:
  $ ergon rate-card put default <<'END'
  {"currency": "USD", "prices": [
    {"meter": "input_tokens", "match": {"model": "gpt-5*"}, "charge_model": {"type": "per_unit", "unit_amount": "0.00000025"}},
    {"meter": "output_tokens", "match": {"model": "gpt-5*"}, "charge_model": {"type": "per_unit", "unit_amount": "0.000002"}}]}
  END

A correction of the past: with "effective_from" in the past and "rerate": true, usage since then is re-rated.`;

async function listCustomers(context: CommandContext, flags: ListFlags): Promise<void> {
  await context.withApi(async (api, isJson) => {
    const page = await api.listCustomers({ limit: flags.limit, cursor: flags.cursor });
    if (isJson) {
      context.io.writeOut(`${JSON.stringify(page, null, 2)}\n`);
      return;
    }
    printTable(
      context.io,
      [{ name: 'customer' }, { name: 'name' }, { name: 'rate card' }, { name: 'time zone' }, { name: '' }],
      page.data.map((one) => [
        one.id,
        one.name ?? '-',
        one.rate_card ?? 'default',
        one.time_zone ?? 'UTC',
        one.provisional === true ? 'provisional' : '',
      ]),
    );
    cursorHint(context.io, page);
  });
}

async function listMeters(context: CommandContext): Promise<void> {
  await context.withApi(async (api, isJson) => {
    const page = await api.listMeters();
    if (isJson) {
      context.io.writeOut(`${JSON.stringify(page, null, 2)}\n`);
      return;
    }
    printTable(
      context.io,
      [{ name: 'meter' }, { name: 'aggregation' }, { name: 'unit' }, { name: 'events' }],
      page.data.map((one) => [one.key, one.aggregation ?? '', one.unit ?? '', (one.event_types ?? []).join(', ')]),
    );
  });
}

async function listRateCards(context: CommandContext): Promise<void> {
  await context.withApi(async (api, isJson) => {
    const page = await api.listRateCards();
    if (isJson) {
      context.io.writeOut(`${JSON.stringify(page, null, 2)}\n`);
      return;
    }
    printTable(
      context.io,
      [
        { name: 'rate card' },
        { name: 'version', align: 'right' },
        { name: 'currency' },
        { name: 'effective from' },
        { name: 'prices', align: 'right' },
      ],
      page.data.map((one) => [
        one.key,
        String(one.version ?? ''),
        one.currency,
        one.effective_from ?? '',
        String(one.prices?.length ?? ''),
      ]),
    );
  });
}

async function putRateCard(context: CommandContext, key: string, file: string | undefined): Promise<void> {
  const card = await readJsonInput(context, file, 'the rate card', '`ergon rate-card put --help` shows one.');
  await context.withApi(async (api, isJson) => {
    const published = await api.putRateCard(key, card);
    if (isJson) context.io.writeOut(`${JSON.stringify(published, null, 2)}\n`);
    else {
      const from = published.effective_from === undefined ? '' : `, effective from ${published.effective_from}`;
      context.io.writeOut(`Published rate card ${key} version ${published.version ?? '1'}${from}.\n`);
      if (published.rerate !== undefined)
        context.io.writeOut(`Re-rating ${published.rerate} has begun: ergon rerate --list\n`);
    }
  });
}
