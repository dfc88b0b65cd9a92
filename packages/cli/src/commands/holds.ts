import { parseDecimal } from '@ergon/exact';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Hold } from '../client/index.ts';
import { CliError } from '../cli-error.ts';
import type { CommandContext } from '../command-context.ts';
import { EXIT_CODE } from '../exit-code.ts';
import type { CliIo } from '../io.ts';
import { amount } from '../print/number.ts';
import { createStyle } from '../print/style.ts';
import { printPairs } from '../print/table.ts';
import { tagsOf } from './scope-options.ts';

/** `ergon hold`, `ergon settle`, `ergon release`. */
export function addHoldCommands(program: Command, context: CommandContext): void {
  addHold(program, context);
  program
    .command('settle')
    .argument('<id>', 'the hold')
    .argument('[amount]', 'what was charged')
    .option('--amounts <measure=value...>', 'other measures, e.g. tokens=2500')
    .description('settle a hold at what was used: once; the rest of it goes back')
    .addHelpText('after', '\nExample:\n  $ ergon settle call_77 0.0071 --amounts tokens=2210')
    .action((id: string, text: string | undefined, flags: AmountFlags) => settleHold(context, id, text, flags));
  program
    .command('release')
    .argument('<id>', 'the hold')
    .description('give back all that a hold has set aside')
    .action((id: string) => show(context, (api) => api.releaseHold(id)));
}

type AmountFlags = { readonly amounts?: readonly string[] };

type HoldFlags = AmountFlags & {
  readonly customer?: string;
  readonly team?: string;
  readonly user?: string;
  readonly feature?: string;
  readonly provider?: string;
  readonly model?: string;
  readonly agent?: string;
  readonly run?: string;
  readonly parentRun?: string;
  readonly workItem?: string;
  readonly tag?: readonly string[];
  readonly currency: string;
  readonly expiresIn?: number;
  readonly above: string;
};

function addHold(program: Command, context: CommandContext): void {
  program
    .command('hold')
    .argument('<id>', 'a name of yours: the same again does nothing')
    .argument('[amount]', 'the charge to set aside; without both arguments and flags the hold is shown')
    .description('set an amount aside at every budget and wallet that applies, or be refused')
    .option('--customer <customer>')
    .option('--team <team>')
    .option('--user <user>')
    .option('--feature <feature>')
    .option('--provider <provider>')
    .option('--model <model>')
    .option('--agent <agent>')
    .option('--run <run>')
    .option('--parent-run <run>')
    .option('--work-item <item>')
    .option('--tag <name=value...>')
    .option('--amounts <measure=value...>', 'other measures, e.g. tokens=2500 provider_cost=0.009')
    .option('--currency <code>', 'of the charge', 'USD')
    .option('--expires-in <seconds>', 'when it expires by itself (default: 300)', wholeSeconds)
    .addOption(
      new Option('--above <policy>', 'what a settlement above it does')
        .choices(['overage', 'cap', 'refuse'])
        .default('overage'),
    )
    .addHelpText('after', '\nExample:\n  $ ergon hold call_77 0.0132 --customer acme --model gpt-5-mini')
    .action((id: string, text: string | undefined, flags: HoldFlags) => createHold(context, id, text, flags));
}

async function createHold(
  context: CommandContext,
  id: string,
  text: string | undefined,
  flags: HoldFlags,
): Promise<void> {
  const amounts = amountsOf(text, flags);
  if (Object.keys(amounts).length === 0) {
    await show(context, (api) => api.getHold(id));
    return;
  }
  const { customer, team, user, feature, provider, model, agent, run, parentRun, workItem, tag } = flags;
  await show(context, (api) =>
    api.createHold({
      id,
      customer,
      team,
      user,
      feature,
      provider,
      model,
      agent,
      run_id: run,
      parent_run_id: parentRun,
      work_item: workItem,
      tags: tag === undefined ? undefined : tagsOf(tag),
      amounts,
      currency: flags.currency,
      expires_in_seconds: flags.expiresIn,
      above: flags.above,
    }),
  );
}

async function settleHold(
  context: CommandContext,
  id: string,
  text: string | undefined,
  flags: AmountFlags,
): Promise<void> {
  const amounts = amountsOf(text, flags);
  if (Object.keys(amounts).length === 0) {
    throw new CliError(EXIT_CODE.usage, 'nothing to settle at', 'Give the amount, or --amounts tokens=2500.');
  }
  await show(context, (api) => api.settleHold(id, { amounts }));
}

type Api = Parameters<Parameters<CommandContext['withApi']>[0]>[0];

async function show(context: CommandContext, ask: (api: Api) => Promise<Hold>): Promise<void> {
  await context.withApi(async (api, isJson) => {
    const hold = await ask(api);
    if (isJson) context.io.writeOut(`${JSON.stringify(hold, null, 2)}\n`);
    else printHold(context.io, hold);
  });
}

function printHold(io: CliIo, hold: Hold): void {
  const style = createStyle(io);
  const isOpen = hold.status === 'pending' || hold.status === 'dispatched';
  printPairs(io, [
    ['hold', style.bold(hold.id)],
    ['status', style.bold(hold.late ? `${hold.status}, late` : hold.status)],
    ['set aside', vectorText(hold.amounts, hold.currency)],
    ...(hold.settled === null ? [] : [['settled at', vectorText(hold.settled, hold.currency)] as const]),
    ['counts at', hold.scopes.map(({ kind, key }) => `${kind} ${key}`).join(', ') || 'no limit applies'],
    ...(isOpen ? [['expires', hold.expires_at] as const] : []),
  ]);
}

function vectorText(amounts: Readonly<Record<string, string>>, currency: string | null): string {
  return Object.entries(amounts)
    .map(([measure, value]) => (measure === 'charge' ? `${amount(value)} ${currency ?? ''}` : `${value} ${measure}`))
    .join(', ');
}

function amountsOf(text: string | undefined, { amounts = [] }: AmountFlags): Readonly<Record<string, string>> {
  const pairs = [...(text === undefined ? [] : [`charge=${text}`]), ...amounts];
  return Object.fromEntries(
    pairs.map((pair) => {
      const [measure = '', value = '', ...rest] = pair.split('=');
      const parsed = parseDecimal(value);
      if (measure === '' || rest.length > 0 || parsed === undefined || parsed.coefficient < 0n) {
        const hint = 'Expected a decimal of at least zero, such as 0.0132, and measures as tokens=2500.';
        throw new CliError(EXIT_CODE.usage, `${JSON.stringify(pair)} is no amount`, hint);
      }
      return [measure, value];
    }),
  );
}

function wholeSeconds(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('expected a whole number of seconds');
  return value;
}
