import { parseDecimal } from '@ergon/exact';
import { type Command, Option } from 'commander';
import type { Budget } from '../client/index.ts';
import { CliError } from '../cli-error.ts';
import type { CommandContext } from '../command-context.ts';
import { EXIT_CODE } from '../exit-code.ts';
import type { CliIo } from '../io.ts';
import { amount } from '../print/number.ts';
import { createStyle } from '../print/style.ts';
import { printPairs, printTable } from '../print/table.ts';
import { cursorHint, type ListFlags, withListOptions } from './list-options.ts';
import { type ScopeFlags, scopeOf, withScopeOptions } from './scope-options.ts';

/** `ergon budgets`, `ergon budget show|set|end`. */
export function addBudgetCommands(program: Command, context: CommandContext): void {
  withListOptions(
    program.command('budgets').description('limits, with what each has committed, held and left in its present window'),
  ).action((flags: ListFlags) => listBudgets(context, flags));
  const budget = program.command('budget').description('one limit: show it, set it, end it');
  budget
    .command('show')
    .argument('<key>')
    .description('a budget and its counters')
    .action((key: string) => showBudget(context, key));
  addSet(budget, context);
  budget
    .command('end')
    .argument('<key>')
    .description('end a budget: it limits nothing any more, what it counted stays in the records')
    .action((key: string) => endBudget(context, key));
}

function addSet(budget: Command, context: CommandContext): void {
  const set = budget
    .command('set')
    .argument('<key>')
    .argument('<limit>', 'a decimal amount of the unit, e.g. 50')
    .description('create a budget, or change the limit, mode and thresholds of the one that is there')
    .option('--unit <unit>', 'a currency, credit:<name>, tokens, requests, flops, accelerator_seconds', 'USD')
    .addOption(
      new Option('--measure <measure>', 'which money a currency limits').choices([
        'charge',
        'provider_cost',
        'physical_cost',
      ]),
    )
    .option('--window <window>', 'minute, hour, day, week, month, quarter, year, lifetime or rolling:24h', 'day')
    .option('--time-zone <zone>', 'where a day begins, e.g. Europe/Athens', 'UTC')
    .addOption(new Option('--mode <mode>').choices(['shadow', 'warn', 'enforce']).default('enforce'))
    .addOption(new Option('--on-exceed <act>').choices(['deny', 'clamp']).default('deny'))
    .option('--threshold <share...>', 'shares of the limit that are told when crossed (default: 0.5 0.8 1)')
    .option('--per <dimension...>', 'a counter of its own for each value, e.g. user');
  withScopeOptions(set)
    .addHelpText(
      'after',
      '\nExamples:\n  $ ergon budget set acme-daily 50 --customer acme --time-zone Europe/Athens' +
        '\n  $ ergon budget set each-user 100000 --unit tokens --window rolling:24h --per user',
    )
    .action((key: string, limit: string, flags: SetFlags) => setBudget(context, key, limit, flags));
}

type SetFlags = ScopeFlags & {
  readonly unit: string;
  readonly measure?: string;
  readonly window: string;
  readonly timeZone: string;
  readonly mode: string;
  readonly onExceed: string;
  readonly threshold?: readonly string[];
  readonly per?: readonly string[];
};

async function listBudgets(context: CommandContext, flags: ListFlags): Promise<void> {
  await context.withApi(async (api, isJson) => {
    const page = await api.listBudgets({ limit: flags.limit, cursor: flags.cursor });
    if (isJson) context.io.writeOut(`${JSON.stringify(page, null, 2)}\n`);
    else if (page.data.length === 0)
      context.io.writeOut('No budgets: nothing is limited. `ergon budget set all 50` limits a day to 50 USD.\n');
    else {
      printTable(
        context.io,
        [
          { name: 'budget' },
          { name: 'scope' },
          { name: 'window' },
          { name: 'mode' },
          { name: 'limit', align: 'right' },
          { name: '' },
          { name: 'committed', align: 'right' },
          { name: 'held', align: 'right' },
          { name: 'left', align: 'right' },
        ],
        page.data.map((budget) => [
          budget.key,
          scopeText(budget),
          budget.window,
          budget.mode,
          amount(budget.limit),
          unitText(budget),
          ...fullest(budget),
        ]),
      );
      cursorHint(context.io, page);
    }
  });
}

async function showBudget(context: CommandContext, key: string): Promise<void> {
  await context.withApi(async (api, isJson) => {
    const budget = await api.getBudget(key);
    if (isJson) context.io.writeOut(`${JSON.stringify(budget, null, 2)}\n`);
    else printBudget(context.io, budget);
  });
}

async function setBudget(context: CommandContext, key: string, limit: string, flags: SetFlags): Promise<void> {
  const parsed = parseDecimal(limit);
  if (parsed === undefined || parsed.coefficient < 0n) {
    throw new CliError(EXIT_CODE.usage, `${JSON.stringify(limit)} is no limit`, 'Expected a decimal, such as 50.');
  }
  await context.withApi(async (api, isJson) => {
    const budget = await api.putBudget({
      key,
      scope: scopeOf(flags),
      unit: flags.unit,
      window: flags.window,
      time_zone: flags.timeZone,
      limit,
      mode: flags.mode,
      on_exceed: flags.onExceed,
      ...(flags.measure !== undefined && { measure: flags.measure }),
      ...(flags.threshold !== undefined && { thresholds: flags.threshold }),
      ...(flags.per !== undefined && { per: flags.per }),
    });
    if (isJson) context.io.writeOut(`${JSON.stringify(budget, null, 2)}\n`);
    else printBudget(context.io, budget);
  });
}

async function endBudget(context: CommandContext, key: string): Promise<void> {
  await context.withApi(async (api, isJson) => {
    await api.endBudget(key);
    context.io.writeOut(isJson ? `${JSON.stringify({ ended: key })}\n` : `Ended ${key}.\n`);
  });
}

function printBudget(io: CliIo, budget: Budget): void {
  const style = createStyle(io);
  printPairs(io, [
    ['budget', style.bold(budget.key)],
    ['scope', scopeText(budget)],
    ['limit', style.bold(`${amount(budget.limit)} ${unitText(budget)}`)],
    ['window', budget.window === 'lifetime' ? budget.window : `${budget.window}, ${budget.time_zone}`],
    ['mode', budget.mode === 'enforce' ? `enforce, ${budget.on_exceed}` : budget.mode],
    ['thresholds', budget.thresholds.join(', ')],
  ]);
  if (budget.counters.length === 0) {
    io.writeOut('\nNothing counted in this window.\n');
    return;
  }
  io.writeOut('\n');
  printTable(
    io,
    [
      { name: 'counter' },
      { name: 'since' },
      { name: 'committed', align: 'right' },
      { name: 'held', align: 'right' },
      { name: 'left', align: 'right' },
    ],
    budget.counters.map((counter) => [
      memberText(counter.member),
      counter.window_start,
      amount(counter.committed),
      amount(counter.held),
      amount(counter.available),
    ]),
  );
}

/** Figures of the fullest counter: of a budget per user, the user who has least left. */
function fullest(budget: Budget): [string, string, string] {
  const [first] = budget.counters;
  if (first === undefined) return ['0', '0', amount(budget.limit)];
  return [amount(first.committed), amount(first.held), amount(first.available)];
}

function scopeText({ scope, per }: Budget): string {
  const { tags, ...dimensions } = scope;
  const parts = Object.entries(dimensions).map(([name, value]) => `${name}=${value}`);
  for (const [name, value] of Object.entries(tags ?? {})) parts.push(`${name}:${value}`);
  const shared = parts.length === 0 ? 'everything' : parts.join(' ');
  return per.length === 0 ? shared : `${shared}, each ${per.join(' and ')}`;
}

function unitText({ unit, measure }: Budget): string {
  return measure === undefined || measure === 'charge' ? unit : `${unit} of ${measure}`;
}

function memberText(member: Readonly<Record<string, string>>): string {
  const parts = Object.entries(member).map(([name, value]) => `${name}=${value}`);
  return parts.length === 0 ? 'all' : parts.join(' ');
}
