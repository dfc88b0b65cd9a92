import type { Command } from 'commander';
import type { CommandContext } from '../command-context.ts';
import { amount } from '../print/number.ts';
import { printTable } from '../print/table.ts';
import { cursorHint, type ListFlags, withListOptions } from './list-options.ts';
import { readJsonInput } from './read-json-input.ts';

/** `ergon plans`, `ergon plan get|put`. */
export function addPlanCommands(program: Command, context: CommandContext): void {
  withListOptions(
    program.command('plans').description('what customers can subscribe to: the latest version of each'),
    50,
  ).action((flags: ListFlags) => listPlans(context, flags));
  const plan = program.command('plan').description('fees, usage charges, allowances and entitlements under one name');
  plan
    .command('get')
    .argument('<key>')
    .description('the latest version of a plan, as JSON')
    .action((key: string) =>
      context.withApi(async (api) => context.io.writeOut(`${JSON.stringify(await api.getPlan(key), null, 2)}\n`)),
    );
  plan
    .command('put')
    .argument('<key>')
    .argument('[file]', 'a JSON file; standard input without it')
    .description('publish a new version; subscriptions keep the one they took')
    .addHelpText('after', PLAN_HELP)
    .action((key: string, file: string | undefined) => putPlan(context, key, file));
}

const PLAN_HELP = `
Example:
  $ ergon plan put pro <<'END'
  {"currency": "USD", "rate_card": "pro", "fees": [{"key": "base", "amount": "20"}],
   "allowances": [{"key": "included", "amount": "5"}], "trial": {"days": 14}}
  END`;

async function listPlans(context: CommandContext, flags: ListFlags): Promise<void> {
  await context.withApi(async (api, isJson) => {
    const page = await api.listPlans({ limit: flags.limit, cursor: flags.cursor });
    if (isJson) {
      context.io.writeOut(`${JSON.stringify(page, null, 2)}\n`);
      return;
    }
    if (page.data.length === 0) {
      context.io.writeOut('No plans. `ergon plan put` makes one.\n');
      return;
    }
    printTable(
      context.io,
      [
        { name: 'plan' },
        { name: 'version', align: 'right' },
        { name: 'billed' },
        { name: 'fees', align: 'right' },
        { name: 'currency' },
        { name: 'rate card' },
      ],
      page.data.map(({ key, version, spec }) => [
        key,
        String(version),
        every(spec.cadence),
        spec.fees.map((fee) => amount(String(fee.amount))).join(' + ') || '-',
        spec.currency,
        spec.rate_card ?? "the customer's",
      ]),
    );
    cursorHint(context.io, page);
  });
}

/** "every month", "every 3 months". */
export function every({ unit, count }: { readonly unit: string; readonly count: number }): string {
  return count === 1 ? `every ${unit}` : `every ${count} ${unit}s`;
}

async function putPlan(context: CommandContext, key: string, file: string | undefined): Promise<void> {
  const plan = await readJsonInput(context, file, 'the plan', '`ergon plan put --help` shows one.');
  await context.withApi(async (api, isJson) => {
    const published = await api.putPlan(key, plan);
    context.io.writeOut(
      isJson
        ? `${JSON.stringify(published, null, 2)}\n`
        : `Published plan ${key} version ${published.version}, billed ${every(published.spec.cadence)}.\n`,
    );
  });
}
