import { currency, parseDecimal } from '@ergon/exact';
import { type Command, Option } from 'commander';
import { randomUUID } from 'node:crypto';
import type { Wallet } from '../client/index.ts';
import { CliError } from '../cli-error.ts';
import type { CommandContext } from '../command-context.ts';
import { EXIT_CODE } from '../exit-code.ts';
import type { CliIo } from '../io.ts';
import { amount } from '../print/number.ts';
import { createStyle } from '../print/style.ts';
import { printPairs, printTable } from '../print/table.ts';
import { cursorHint, type ListFlags, withListOptions } from './list-options.ts';
import { parseInstantFlag } from './parse-instant-flag.ts';

/** `ergon wallet`, `ergon grant`, `ergon entries`. */
export function addWalletCommands(program: Command, context: CommandContext): void {
  program
    .command('wallet')
    .argument('<customer>')
    .argument('[wallet]', 'one wallet; without it, all of the customer')
    .description('what a customer has: posted, held, available, owed, and the grants behind it')
    .addHelpText('after', '\nExamples:\n  $ ergon wallet acme\n  $ ergon wallet acme default --json')
    .action((customer: string, wallet: string | undefined) => showWallet(context, customer, wallet));
  program
    .command('grant')
    .argument('<customer>')
    .argument('<amount>', 'a decimal amount, e.g. 100 or 12.50')
    .description('put money into a wallet; the wallet is made where there is none')
    .option('--currency <code>', 'ISO 4217', 'USD')
    .option('--wallet <wallet>', 'the wallet', 'default')
    .addOption(
      new Option('--kind <kind>', 'paid money or a promotion').choices(['paid', 'promotional']).default('paid'),
    )
    .option('--priority <n>', 'grants of a lower number burn first')
    .option('--expires <time>', 'when it ends, e.g. 2027-01-01')
    .option('--idempotency-key <key>', 'makes the grant once however often it is sent (default: a new one each time)')
    .addHelpText(
      'after',
      '\nExamples:\n  $ ergon grant acme 100\n  $ ergon grant acme 5 --kind promotional --priority 1 --expires 2027-01-01',
    )
    .action((customer: string, text: string, flags: GrantFlags) => createGrant(context, customer, text, flags));
  withListOptions(
    program
      .command('entries')
      .argument('<customer>')
      .argument('[wallet]', 'the wallet', 'default')
      .description('the ledger of a wallet, newest first: one line moves an amount from one account to another'),
  ).action((customer: string, wallet: string, flags: ListFlags) => listEntries(context, customer, wallet, flags));
}

type GrantFlags = {
  readonly currency: string;
  readonly wallet: string;
  readonly kind: string;
  readonly priority?: string;
  readonly expires?: string;
  readonly idempotencyKey?: string;
};

async function showWallet(context: CommandContext, customer: string, wallet: string | undefined): Promise<void> {
  await context.withApi(async (api, isJson) => {
    if (wallet !== undefined) {
      const found = await api.getWallet(customer, wallet);
      if (isJson) context.io.writeOut(`${JSON.stringify(found, null, 2)}\n`);
      else printWallet(context.io, found);
      return;
    }
    const page = await api.listWallets(customer);
    if (isJson) context.io.writeOut(`${JSON.stringify(page, null, 2)}\n`);
    else if (page.data.length === 0) {
      context.io.writeOut(
        `${customer} has no wallet, so it is postpaid: what it uses is owed. \`ergon grant ${customer} 100\` makes one.\n`,
      );
    } else {
      for (const [index, { key }] of page.data.entries()) {
        if (index > 0) context.io.writeOut('\n');
        printWallet(context.io, await api.getWallet(customer, key));
      }
    }
  });
}

function printWallet(io: CliIo, wallet: Wallet): void {
  const style = createStyle(io);
  const money = (value: string): string => `${amount(value)} ${wallet.currency}`;
  printPairs(io, [
    ['wallet', style.bold(wallet.key)],
    ['posted', money(wallet.posted)],
    ['held', money(wallet.held)],
    ['available', style.bold(money(wallet.available))],
    ...(isZero(wallet.incoming) ? [] : [['incoming', money(wallet.incoming ?? '0')] as const]),
    ...(wallet.value === undefined || wallet.value === null
      ? []
      : [['worth', `${amount(wallet.value.available)} ${wallet.value.currency}`] as const]),
    ...lasting(wallet),
    ...(wallet.receivable === undefined ? [] : [['owed', money(wallet.receivable)] as const]),
    ...(isZero(wallet.customer_credit) ? [] : [['credit', money(wallet.customer_credit ?? '0')] as const]),
  ]);
  const grants = wallet.grants ?? [];
  if (grants.length === 0) return;
  io.writeOut('\n');
  printTable(
    io,
    [
      { name: 'grant' },
      { name: 'kind' },
      { name: 'status' },
      { name: 'granted', align: 'right' },
      { name: 'left', align: 'right' },
      { name: 'priority', align: 'right' },
      { name: 'expires' },
    ],
    grants.map((grant) => [
      grant.id,
      grant.kind ?? '',
      grant.status ?? '',
      amount(grant.amount),
      grant.balance === undefined ? '' : amount(grant.balance),
      grant.priority === null || grant.priority === undefined ? '-' : String(grant.priority),
      grant.expires_at ?? 'never',
    ]),
  );
}

/** How long it lasts at the rate of the last day; nothing where nothing is burnt. */
function lasting({ forecast, currency: code }: Wallet): readonly (readonly [string, string])[] {
  if (forecast === undefined || forecast.hours_left === null) return [];
  return [['lasts', `${forecast.hours_left} hours at ${amount(forecast.burn_per_hour)} ${code} an hour`]];
}

async function createGrant(context: CommandContext, customer: string, text: string, flags: GrantFlags): Promise<void> {
  const parsed = parseDecimal(text);
  if (parsed === undefined || parsed.coefficient <= 0n) {
    throw new CliError(
      EXIT_CODE.usage,
      `${JSON.stringify(text)} is no amount`,
      'Expected a decimal above zero, such as 100 or 12.50.',
    );
  }
  try {
    currency(flags.currency);
  } catch {
    throw new CliError(
      EXIT_CODE.usage,
      `${JSON.stringify(flags.currency)} is no currency`,
      'Expected an ISO 4217 code such as USD.',
    );
  }
  if (flags.priority !== undefined && !/^\d{1,9}$/.test(flags.priority)) {
    throw new CliError(EXIT_CODE.usage, `--priority ${JSON.stringify(flags.priority)}: expected a whole number`);
  }
  await context.withApi(async (api, isJson) => {
    const grant = await api.createGrant(
      customer,
      flags.wallet,
      {
        amount: text,
        currency: flags.currency,
        kind: flags.kind,
        ...(flags.priority !== undefined && { priority: Number(flags.priority) }),
        ...(flags.expires !== undefined && { expires_at: parseInstantFlag(flags.expires, '--expires') }),
      },
      flags.idempotencyKey ?? randomUUID(),
    );
    if (isJson) context.io.writeOut(`${JSON.stringify(grant, null, 2)}\n`);
    else
      context.io.writeOut(
        `Granted ${amount(text)} ${flags.currency} to ${customer} (wallet ${flags.wallet}, grant ${grant.id}).\n`,
      );
  });
}

async function listEntries(context: CommandContext, customer: string, wallet: string, flags: ListFlags): Promise<void> {
  await context.withApi(async (api, isJson) => {
    const page = await api.listEntries(customer, wallet, { limit: flags.limit, cursor: flags.cursor });
    if (isJson) {
      context.io.writeOut(`${JSON.stringify(page, null, 2)}\n`);
      return;
    }
    if (page.data.length === 0) {
      context.io.writeOut('No entries.\n');
      return;
    }
    printTable(
      context.io,
      [
        { name: 'posted' },
        { name: 'kind' },
        { name: 'meter' },
        { name: 'amount', align: 'right' },
        { name: '' },
        { name: 'debit' },
        { name: 'credit' },
      ],
      page.data.map((entry) => [
        entry.posted_at,
        entry.kind,
        entry.meter ?? '',
        amount(entry.amount),
        entry.currency,
        entry.debit_account,
        entry.credit_account,
      ]),
    );
    cursorHint(context.io, page);
  });
}

function isZero(value: string | undefined): boolean {
  return value === undefined || /^-?[0.]*$/.test(value);
}
