import { type Command, Option } from 'commander';
import type { Api, PriceLookup, PriceTable } from '../client/index.ts';
import type { CommandContext } from '../command-context.ts';
import type { CliIo } from '../io.ts';
import { amount, plural, withGroups } from '../print/number.ts';
import { createStyle } from '../print/style.ts';
import { type Column, printPairs, printTable } from '../print/table.ts';
import { cursorHint, type ListFlags, withListOptions } from './list-options.ts';
import { addModelCommands } from './price-models.ts';
import { parseInstantFlag } from './parse-instant-flag.ts';
import { readJsonInput } from './read-json-input.ts';

type LookupFlags = {
  readonly provider?: string;
  readonly at?: string;
  readonly tier?: string;
  readonly region?: string;
  readonly speed?: string;
};

/** `ergon prices`. */
export function addPriceCommands(program: Command, context: CommandContext): void {
  const group = program
    .command('prices')
    .description('what providers charge: the price table and its age, your own prices, and where sources disagree')
    .addHelpText('after', HELP)
    .action(() => context.withApi((api, isJson) => describeTable(context.io, api, isJson)));
  group
    .command('show')
    .argument('<model>', 'as usage reports it')
    .description('the price of a model: USD per million tokens, by context tier')
    .option('--provider <name>', "who sells it (default: the model's maker)")
    .option('--at <time>', 'the price at this time (default: now)')
    .addOption(new Option('--tier <tier>', 'service tier: batch, flex, priority, ...'))
    .option('--region <region>', 'processing region')
    .option('--speed <speed>', 'fast')
    .action((model: string, flags: LookupFlags) =>
      context.withApi(async (api, isJson) => {
        const { provider, at, tier, region, speed } = flags;
        const time = at === undefined ? undefined : parseInstantFlag(at, '--at');
        const found = await api.lookUpPrice({ model, provider, at: time, service_tier: tier, region, speed });
        if (isJson) context.io.writeOut(`${JSON.stringify(found, null, 2)}\n`);
        else printLookup(context.io, model, found);
      }),
    );
  withListOptions(
    group
      .command('disagreements')
      .description('where two sources give different prices: a router beside its vendor, a rule'),
    50,
  ).action((flags: ListFlags) => context.withApi((api, isJson) => listDisagreements(context.io, api, flags, isJson)));
  withListOptions(group.command('overrides').description('your own provider prices')).action((flags: ListFlags) =>
    context.withApi((api, isJson) => listOverrides(context.io, api, flags, isJson)),
  );
  addWrites(group, context);
  addModelCommands(group, context);
}

const HELP = `
A price of your own is a JSON document: provider, model (or the beginning of one and *), USD per million tokens, and where
the figures come from. It holds for events recorded after it, from effective_from on; docs/usage.md has the rules.

Examples:
  $ ergon prices
  $ ergon prices show claude-sonnet-4-5 --provider anthropic
  $ ergon prices show gpt-5-mini --tier batch
  $ ergon prices disagreements
  $ ergon prices models
  $ echo '{"provider":"openai","model":"gpt-5*","per_million_tokens":{"input":"1","output":"8"},"source":"contract"}' |
      ergon prices set openai-contract -`;

const PRICE_HINT = '`ergon prices --help` shows one.';

function addWrites(group: Command, context: CommandContext): void {
  group
    .command('set')
    .argument('<key>', 'a name of yours for the price')
    .argument('<file>', 'a JSON document; - is standard input')
    .description('set a provider price of your own: a contract, or a model the table lacks')
    .action((key: string, file: string) =>
      context.withApi(async (api, isJson) => {
        const price = await api.putPriceOverride(key, await readJsonInput(context, file, 'the price', PRICE_HINT));
        if (isJson) context.io.writeOut(`${JSON.stringify(price, null, 2)}\n`);
        else context.io.writeOut(`Set ${key} version ${price.version}, effective from ${price.effective_from}.\n`);
      }),
    );
  group
    .command('unset')
    .argument('<key>')
    .description("take a price of your own back: the table's holds again from now on")
    .action((key: string) =>
      context.withApi(async (api, isJson) => {
        await api.deletePriceOverride(key);
        context.io.writeOut(isJson ? `${JSON.stringify({ key, unset: true })}\n` : `Took ${key} back.\n`);
      }),
    );
}

async function describeTable(io: CliIo, api: Api, isJson: boolean): Promise<void> {
  const report = await api.getPriceTable();
  if (isJson) {
    io.writeOut(`${JSON.stringify(report, null, 2)}\n`);
    return;
  }
  const own = await api.listPriceOverrides({ limit: 1_000 });
  const { providers, models, models_without_figures: missing, changes_ahead: ahead } = report;
  printPairs(io, [
    ['table', describeAge(report.table)],
    [
      'models',
      `${withGroups(models)} of ${plural(providers, 'provider')}, ${withGroups(missing.length)} without a price`,
    ],
    ['context tiers', plural(report.models_with_context_tiers, 'model')],
    [
      'your own',
      own.next_cursor === null ? plural(own.data.length, 'price') : `more than ${plural(own.data.length, 'price')}`,
    ],
    ['disagreements', `${withGroups(report.disagreements)}  (ergon prices disagreements)`],
    [
      'to come',
      ahead
        .slice(0, 3)
        .map((one) => `${one.provider} ${one.model} from ${one.from}`)
        .join(', ') || 'no change known',
    ],
  ]);
}

function describeAge({ library, version, published_on: day, age_days: age }: PriceTable): string {
  return `${library} ${version}${day === null || age === null ? '' : `, published ${day}, ${plural(age, 'day')} old`}`;
}

function printLookup(io: CliIo, model: string, found: PriceLookup): void {
  const { price, reason, canonical_model: canonical, model_family: family, table } = found;
  if (price === null) {
    io.writeOut(
      `No price of ${model} is known: ${reason ?? 'unknown'}. Unknown is not zero; \`ergon prices set\` gives it one.\n`,
    );
    return;
  }
  const style = createStyle(io);
  printPairs(io, [
    ['model', `${style.bold(price.model)}, sold by ${price.provider}`],
    [
      'stands for',
      canonical === null ? 'no model known by that name' : `${canonical}${family === null ? '' : ` (${family})`}`,
    ],
    ['source', price.source.startsWith(table.library) ? describeAge(table) : price.source],
  ]);
  const classes = [...new Set(price.tiers.flatMap((tier) => Object.keys(tier.per_million_tokens)))];
  const columns: Column[] = [
    { name: 'USD per million' },
    ...price.tiers.map(
      ({ prompt_tokens_above: above }): Column => ({
        name: above === 0 ? (price.tiers.length > 1 ? 'base' : 'price') : `prompt > ${withGroups(above)}`,
        align: 'right',
      }),
    ),
  ];
  io.writeOut('\n');
  printTable(
    io,
    columns,
    classes.map((name) => [
      name,
      ...price.tiers.map((tier) => {
        const rate = tier.per_million_tokens[name];
        return rate === undefined ? '-' : amount(rate);
      }),
    ]),
  );
  for (const [name, { amount: usd, per }] of Object.entries(price.per_unit)) {
    io.writeOut(`${name}  ${amount(usd)} USD ${per === '1' ? 'each' : `per ${withGroups(per)}`}\n`);
  }
  for (const { detail } of price.flags) io.writeOut(`${style.dim('note')}  ${detail}\n`);
}

async function listDisagreements(io: CliIo, api: Api, flags: ListFlags, isJson: boolean): Promise<void> {
  const page = await api.listPriceDisagreements({ limit: flags.limit, cursor: flags.cursor });
  if (isJson) {
    io.writeOut(`${JSON.stringify(page, null, 2)}\n`);
    return;
  }
  printTable(
    io,
    [
      { name: 'seller' },
      { name: 'model' },
      { name: 'used', align: 'right' },
      { name: 'other', align: 'right' },
      { name: 'what' },
    ],
    page.data.map(({ provider, model, used, other, detail }) => [provider, model, used, other, detail]),
  );
  cursorHint(io, page);
}

async function listOverrides(io: CliIo, api: Api, flags: ListFlags, isJson: boolean): Promise<void> {
  const page = await api.listPriceOverrides({ limit: flags.limit, cursor: flags.cursor });
  if (isJson) io.writeOut(`${JSON.stringify(page, null, 2)}\n`);
  else if (page.data.length === 0) io.writeOut("You have set no provider price: the table's hold.\n");
  else {
    printTable(
      io,
      [
        { name: 'key' },
        { name: 'version', align: 'right' },
        { name: 'from' },
        { name: 'provider' },
        { name: 'model' },
        { name: 'source' },
      ],
      page.data.map(({ key, version, effective_from, price }) => [
        key,
        String(version),
        effective_from,
        price?.provider ?? '-',
        price?.model ?? '-',
        price?.source ?? '-',
      ]),
    );
    cursorHint(io, page);
  }
}
