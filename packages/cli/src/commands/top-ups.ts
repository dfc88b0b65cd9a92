import { type Command, Option } from 'commander';
import { randomUUID } from 'node:crypto';
import type { TopUp, WalletPlace } from '../client/index.ts';
import { CliError } from '../cli-error.ts';
import type { CommandContext } from '../command-context.ts';
import { EXIT_CODE } from '../exit-code.ts';
import { amount } from '../print/number.ts';
import { printTable } from '../print/table.ts';
import { cursorHint, type ListFlags, withListOptions } from './list-options.ts';
import { parseInstantFlag } from './parse-instant-flag.ts';

type WalletFlag = { readonly wallet: string };
type AutoFlags = WalletFlag & {
  readonly below?: string;
  readonly every?: string;
  readonly from?: string;
  readonly cap?: string;
  readonly per: string;
  readonly connector: string;
};

const connectorOption = () =>
  new Option('--connector <connector>', 'who takes the payment').choices(['manual', 'webhook']).default('manual');

/** `ergon top-ups`. */
export function addTopUpCommands(program: Command, context: CommandContext): void {
  const topUps = program
    .command('top-ups')
    .description('payments into wallets: by hand, below a threshold, on a schedule');
  withListOptions(
    topUps
      .command('list')
      .argument('<customer>')
      .argument('[wallet]', 'the wallet', 'default')
      .description('newest first'),
  ).action((customer: string, wallet: string, flags: ListFlags) => listTopUps(context, { customer, wallet }, flags));
  inWallet(topUps.command('request').argument('<customer>').argument('<amount>', 'a decimal amount, e.g. 50'))
    .description('ask for a payment; nothing can be spent before it is paid')
    .addOption(connectorOption())
    .addHelpText('after', '\nExample:\n  $ ergon top-ups request acme 50')
    .action((customer: string, text: string, flags: WalletFlag & { connector: string }) =>
      show(context, `Asked for ${text}`, (api) =>
        api.requestTopUp(
          { customer, wallet: flags.wallet },
          { amount: text, connector: flags.connector },
          randomUUID(),
        ),
      ),
    );
  inWallet(topUps.command('paid').argument('<customer>').argument('<id>'))
    .description('say that one was paid: its grant comes into the wallet, once')
    .option('--reference <text>', 'of the payment')
    .action((customer: string, id: string, flags: WalletFlag & { reference?: string }) =>
      show(context, 'Paid', (api) =>
        api.answerTopUp({ customer, wallet: flags.wallet }, id, 'paid', {
          ...(flags.reference !== undefined && { reference: flags.reference }),
        }),
      ),
    );
  inWallet(topUps.command('failed').argument('<customer>').argument('<id>'))
    .description('say that one was not paid')
    .option('--reason <text>', 'why', 'payment failed')
    .action((customer: string, id: string, flags: WalletFlag & { reason: string }) =>
      show(context, 'Failed', (api) =>
        api.answerTopUp({ customer, wallet: flags.wallet }, id, 'failed', { reason: flags.reason }),
      ),
    );
  addAutoCommands(topUps, context);
}

function addAutoCommands(topUps: Command, context: CommandContext): void {
  inWallet(
    topUps.command('auto').argument('<customer>').argument('[amount]', 'what each adds; without it, the rule is shown'),
  )
    .description('top a wallet up by itself')
    .option('--below <amount>', 'when less than this is available')
    .addOption(new Option('--every <period>', 'on a schedule').choices(['day', 'week', 'month']))
    .option('--from <time>', 'the first of the schedule, e.g. 2027-01-01')
    .option('--cap <amount>', 'at most this much in a day or month')
    .addOption(new Option('--per <period>', 'of the cap').choices(['day', 'month']).default('month'))
    .addOption(connectorOption())
    .addHelpText(
      'after',
      '\nExamples:\n  $ ergon top-ups auto acme 50 --below 10 --cap 200\n  $ ergon top-ups auto acme',
    )
    .action((customer: string, text: string | undefined, flags: AutoFlags) => setAuto(context, customer, text, flags));
  inWallet(topUps.command('stop').argument('<customer>'))
    .description('stop topping a wallet up by itself; what is pending stays so')
    .action((customer: string, flags: WalletFlag) =>
      context.withApi(async (api, isJson) => {
        await api.deleteAutoTopUp({ customer, wallet: flags.wallet });
        context.io.writeOut(isJson ? `${JSON.stringify({ auto_top_up: null })}\n` : `No automatic top-up any more.\n`);
      }),
    );
}

function inWallet(command: Command): Command {
  return command.option('--wallet <wallet>', 'the wallet', 'default');
}

async function listTopUps(context: CommandContext, at: WalletPlace, flags: ListFlags): Promise<void> {
  await context.withApi(async (api, isJson) => {
    const page = await api.listTopUps(at, { limit: flags.limit, cursor: flags.cursor });
    if (isJson) {
      context.io.writeOut(`${JSON.stringify(page, null, 2)}\n`);
      return;
    }
    if (page.data.length === 0) {
      context.io.writeOut('No top-ups.\n');
      return;
    }
    printTable(
      context.io,
      [
        { name: 'top-up' },
        { name: 'requested' },
        { name: 'by' },
        { name: 'amount', align: 'right' },
        { name: '' },
        { name: 'to pay', align: 'right' },
        { name: '' },
        { name: 'status' },
      ],
      page.data.map((one) => [
        one.id,
        one.requested_at,
        one.trigger,
        amount(one.amount),
        one.currency,
        amount(one.pay_amount),
        one.pay_currency,
        one.failure === null ? one.status : `${one.status}: ${one.failure}`,
      ]),
    );
    cursorHint(context.io, page);
  });
}

type Api = Parameters<Parameters<CommandContext['withApi']>[0]>[0];

async function show(context: CommandContext, done: string, act: (api: Api) => Promise<TopUp>): Promise<void> {
  await context.withApi(async (api, isJson) => {
    const topUp = await act(api);
    const grant = topUp.grant === null ? '' : `, grant ${topUp.grant}`;
    context.io.writeOut(
      isJson
        ? `${JSON.stringify(topUp, null, 2)}\n`
        : `${done}: top-up ${topUp.id} of ${amount(topUp.amount)} ${topUp.currency}, ${topUp.status}${grant}.\n`,
    );
  });
}

async function setAuto(
  context: CommandContext,
  customer: string,
  text: string | undefined,
  flags: AutoFlags,
): Promise<void> {
  const at = { customer, wallet: flags.wallet };
  if (text === undefined) {
    if ([flags.below, flags.every, flags.from, flags.cap].some((flag) => flag !== undefined))
      throw new CliError(
        EXIT_CODE.usage,
        'a rule needs its amount',
        `ergon top-ups auto ${customer} AMOUNT --below ...`,
      );
    await context.withApi(async (api) => {
      context.io.writeOut(`${JSON.stringify(await api.getAutoTopUp(at), null, 2)}\n`);
    });
    return;
  }
  if (flags.every !== undefined && flags.from === undefined)
    throw new CliError(
      EXIT_CODE.usage,
      '--every needs --from',
      'Say when the first one is due, e.g. --from 2027-01-01.',
    );
  const anchor = flags.from === undefined ? undefined : parseInstantFlag(flags.from, '--from');
  const rule = {
    amount: text,
    connector: flags.connector,
    ...(flags.below !== undefined && { threshold: flags.below }),
    ...(flags.every !== undefined && { schedule: { every: flags.every, anchor_at: anchor } }),
    ...(flags.cap !== undefined && { cap: { per: flags.per, amount: flags.cap } }),
  };
  await context.withApi(async (api, isJson) => {
    const kept = await api.putAutoTopUp(at, rule);
    const below = flags.below === undefined ? '' : ` below ${flags.below}`;
    const every = flags.every === undefined ? '' : ` every ${flags.every}`;
    context.io.writeOut(
      isJson
        ? `${JSON.stringify(kept, null, 2)}\n`
        : `${customer} (wallet ${flags.wallet}) is topped up by ${text}${below}${every}.\n`,
    );
  });
}
