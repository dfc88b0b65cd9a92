import type { Command } from 'commander';
import type { Subscription, SubscriptionLine, SubscriptionPeriod } from '../client/index.ts';
import type { CommandContext } from '../command-context.ts';
import { whole } from '../compute/whole.ts';
import type { CliIo } from '../io.ts';
import { amount } from '../print/number.ts';
import { createStyle } from '../print/style.ts';
import { printPairs, printTable } from '../print/table.ts';
import { cursorHint, type ListFlags, withListOptions } from './list-options.ts';
import { parseInstantFlag } from './parse-instant-flag.ts';
import { every } from './plans.ts';

/** `ergon subscribe`, `ergon subscriptions`, `ergon subscription show|lines|change|cancel`, `ergon entitlement`. */
export function addSubscriptionCommands(program: Command, context: CommandContext): void {
  program
    .command('subscribe')
    .argument('<customer>')
    .argument('<plan>')
    .description('subscribe a customer to a plan, from now on')
    .option('--as <key>', 'your name for the subscription')
    .option('--starts <time>', 'when it begins, e.g. 2026-12-01')
    .option('--anchor <day>', 'a day on which a period begins, e.g. 2026-12-01')
    .option('--time-zone <zone>', "where its periods are cut (default: the customer's)")
    .option('--rate-card <card>', "instead of the plan's card")
    .option('--trial-days <n>', "instead of the plan's", whole(0, 366))
    .option('--coupon <key...>', 'coupons')
    .option('--add-on <key...>', 'add-ons, one of each')
    .addHelpText(
      'after',
      '\nExamples:\n  $ ergon subscribe acme pro\n  $ ergon subscribe acme pro --anchor 2026-12-01 --coupon welcome',
    )
    .action((customer: string, plan: string, flags: SubscribeFlags) => subscribe(context, customer, plan, flags));
  withListOptions(
    program
      .command('subscriptions')
      .description('who is subscribed to what, and when it falls due')
      .option('--customer <id>'),
    50,
  ).action((flags: ListFlags & { customer?: string }) => listSubscriptions(context, flags));
  addOne(program.command('subscription').description('one subscription: its periods, their lines, changes'), context);
  program
    .command('entitlement')
    .argument('<customer>')
    .argument('<feature>')
    .description('may a customer use a feature, and how much is left')
    .action((customer: string, feature: string) => showEntitlement(context, customer, feature));
}

function addOne(subscription: Command, context: CommandContext): void {
  subscription
    .command('show')
    .argument('<key>')
    .description('a subscription and its latest periods')
    .action((key: string) => show(context, key));
  subscription
    .command('lines')
    .argument('<key>')
    .argument('<period>', 'its number')
    .description('what a period comes to, line by line')
    .action((key: string, period: string) => showLines(context, key, period));
  subscription
    .command('change')
    .argument('<key>')
    .argument('<plan>')
    .description('upgrade or downgrade; the days left of the period are charged, the unused ones come back')
    .option('--at-period-end', 'from the next period on')
    .action((key: string, plan: string, flags: WhenFlags) =>
      change(context, (api) =>
        api.changeSubscription(key, { plan, at: flags.atPeriodEnd === true ? 'period_end' : 'now' }),
      ),
    );
  subscription
    .command('cancel')
    .argument('<key>')
    .description('end it with its period')
    .option('--now', 'end it at once; unused days come back')
    .action((key: string, flags: WhenFlags) =>
      change(context, (api) => api.cancelSubscription(key, { at: flags.now === true ? 'now' : 'period_end' })),
    );
}

type WhenFlags = { readonly now?: boolean; readonly atPeriodEnd?: boolean };
type SubscribeFlags = {
  readonly as?: string;
  readonly starts?: string;
  readonly anchor?: string;
  readonly timeZone?: string;
  readonly rateCard?: string;
  readonly trialDays?: number;
  readonly coupon?: readonly string[];
  readonly addOn?: readonly string[];
};
type Api = Parameters<Parameters<CommandContext['withApi']>[0]>[0];

async function subscribe(
  context: CommandContext,
  customer: string,
  plan: string,
  flags: SubscribeFlags,
): Promise<void> {
  await change(context, (api) =>
    api.subscribe({
      customer,
      plan,
      key: flags.as,
      starts_at: flags.starts === undefined ? undefined : parseInstantFlag(flags.starts, '--starts'),
      anchor_on: flags.anchor,
      time_zone: flags.timeZone,
      rate_card: flags.rateCard,
      trial_days: flags.trialDays,
      coupons: flags.coupon,
      add_ons: flags.addOn?.map((key) => ({ key })),
    }),
  );
}

async function change(context: CommandContext, run: (api: Api) => Promise<Subscription>): Promise<void> {
  await context.withApi(async (api, isJson) => {
    const subscription = await run(api);
    if (isJson) context.io.writeOut(`${JSON.stringify(subscription, null, 2)}\n`);
    else printSubscription(context.io, subscription);
  });
}

async function listSubscriptions(context: CommandContext, flags: ListFlags & { customer?: string }): Promise<void> {
  await context.withApi(async (api, isJson) => {
    const page = await api.listSubscriptions({ limit: flags.limit, cursor: flags.cursor, customer: flags.customer });
    if (isJson) {
      context.io.writeOut(`${JSON.stringify(page, null, 2)}\n`);
      return;
    }
    if (page.data.length === 0) {
      context.io.writeOut('No subscriptions.\n');
      return;
    }
    printTable(
      context.io,
      [{ name: 'subscription' }, { name: 'customer' }, { name: 'plan' }, { name: 'status' }, { name: 'next' }],
      page.data.map((one) => [one.key, one.customer, planOf(one), one.status, one.next_at ?? '-']),
    );
    cursorHint(context.io, page);
  });
}

async function show(context: CommandContext, key: string): Promise<void> {
  await context.withApi(async (api, isJson) => {
    const subscription = await api.getSubscription(key);
    const periods = await api.listPeriods(key, { limit: 12 });
    if (isJson) {
      context.io.writeOut(`${JSON.stringify({ ...subscription, periods: periods.data }, null, 2)}\n`);
      return;
    }
    printSubscription(context.io, subscription);
    context.io.writeOut('\n');
    printPeriods(context.io, periods.data);
  });
}

function printSubscription(io: CliIo, subscription: Subscription): void {
  const { key, customer, status, cadence, time_zone: zone, anchor_on: anchor } = subscription;
  printPairs(io, [
    ['subscription', createStyle(io).bold(key)],
    ['customer', customer],
    ['status', status],
    ['plan', planOf(subscription)],
    ['billed', `${every(cadence)} from ${anchor}, ${zone}`],
    ['begins', subscription.starts_at],
    ...(subscription.ends_at === null ? [] : [['ends', subscription.ends_at] as const]),
    ...(subscription.next_at === null ? [] : [['next', subscription.next_at] as const]),
  ]);
}

function planOf({ phases }: Subscription): string {
  return phases
    .map(({ plan, version, trial, rate_card: card }) => {
      const name = `${plan} v${version}${card === null ? '' : ` by ${card}`}`;
      return trial ? `${name} (trial)` : name;
    })
    .join(' -> ');
}

function printPeriods(io: CliIo, periods: readonly SubscriptionPeriod[]): void {
  printTable(
    io,
    [
      { name: 'period', align: 'right' },
      { name: 'from' },
      { name: 'to' },
      { name: 'status' },
      { name: 'total', align: 'right' },
      { name: '' },
    ],
    periods.map((one) => [
      String(one.number),
      one.from,
      one.to,
      one.status,
      one.total === null ? '' : amount(one.total),
      one.currency,
    ]),
  );
}

async function showLines(context: CommandContext, key: string, period: string): Promise<void> {
  await context.withApi(async (api, isJson) => {
    const page = await api.listLines(key, period);
    if (isJson) context.io.writeOut(`${JSON.stringify(page, null, 2)}\n`);
    else printLines(context.io, page.data);
  });
}

function printLines(io: CliIo, lines: readonly SubscriptionLine[]): void {
  printTable(
    io,
    [
      { name: 'for' },
      { name: 'what' },
      { name: 'quantity', align: 'right' },
      { name: 'amount', align: 'right' },
      { name: '' },
      { name: '' },
    ],
    lines.map((one) => [
      one.kind,
      one.description,
      one.quantity ?? '',
      amount(one.amount),
      one.currency,
      one.adjusts === null ? '' : `adjusts period ${one.adjusts}`,
    ]),
  );
}

async function showEntitlement(context: CommandContext, customer: string, feature: string): Promise<void> {
  await context.withApi(async (api, isJson) => {
    const found = await api.getEntitlement(customer, feature);
    if (isJson) {
      context.io.writeOut(`${JSON.stringify(found, null, 2)}\n`);
      return;
    }
    printPairs(context.io, [
      ['feature', createStyle(context.io).bold(feature)],
      ['access', found.has_access ? 'yes' : 'no'],
      ...(found.value === undefined ? [] : [['value', found.value] as const]),
      ...(found.limit === undefined
        ? []
        : [
            ['used', `${found.used ?? '0'} of ${found.limit} ${found.meter ?? ''}, ${found.mode ?? ''}`] as const,
            ['resets', found.resets_at ?? ''] as const,
            [
              'enforced by',
              found.budget === null || found.budget === undefined ? 'nothing' : `budget ${found.budget}`,
            ] as const,
          ]),
    ]);
  });
}
