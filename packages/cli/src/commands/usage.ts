import { decimal, parseDecimal, toApproximateNumber, toText, sum } from '@ergon/exact';
import { type Command, Option } from 'commander';
import type { UsageReport } from '../client/index.ts';
import { CliError } from '../cli-error.ts';
import type { CommandContext } from '../command-context.ts';
import { EXIT_CODE } from '../exit-code.ts';
import type { CliIo } from '../io.ts';
import { parseInstantFlag } from './parse-instant-flag.ts';
import { bars } from '../print/bars.ts';
import { amount, withGroups } from '../print/number.ts';
import { createStyle } from '../print/style.ts';
import { type Column, printTable } from '../print/table.ts';

type UsageFlags = {
  readonly meter: string;
  readonly by?: string;
  readonly window?: string;
  readonly from?: string;
  readonly to?: string;
  readonly customer?: string;
  readonly filter: readonly string[];
  readonly chart: boolean;
};

/** `ergon usage`. */
export function addUsageCommand(program: Command, context: CommandContext): void {
  program
    .command('usage')
    .description('quantities of a meter over time, by any dimension')
    .option('--meter <key>', 'a meter, or charge or provider_cost (ergon meters lists them)', 'total_tokens')
    .option('--by <dimensions>', 'group by these, joined by commas: model, feature, user, ...')
    .addOption(new Option('--window <window>', 'one row for each').choices(['minute', 'hour', 'day', 'month']))
    .option('--from <time>', 'from this time on, e.g. 2026-11-01 or 2026-11-01T10:00:00Z (default: the beginning)')
    .option('--to <time>', 'before this time (default: now)')
    .option('--customer <id>', 'of this customer only')
    .option(
      '--filter <dimension=value>',
      'of these values only; again for each',
      (value: string, before: string[]) => [...before, value],
      [],
    )
    .option('--no-chart', 'figures only')
    .addHelpText('after', USAGE_HELP)
    .action((flags: UsageFlags) => usage(context, flags));
}

const USAGE_HELP = `
Examples:
  $ ergon usage --customer acme
  $ ergon usage --meter output_tokens --by model --window hour --from 2023-11-16 --to 2023-11-17 --customer acme
  $ ergon usage --meter charge --by customer,model --window day --json`;

/** The earliest time an event may have: what was imported is old, and the service answers for the last day by itself. */
const BEGINNING = '2000-01-01T00:00:00Z';

async function usage(context: CommandContext, flags: UsageFlags): Promise<void> {
  const query: Record<string, string | undefined> = {
    meter: flags.meter,
    window: flags.window,
    group_by: flags.by?.replaceAll(' ', ''),
    from: flags.from === undefined ? BEGINNING : parseInstantFlag(flags.from, '--from'),
    to: flags.to === undefined ? undefined : parseInstantFlag(flags.to, '--to'),
    customer: flags.customer,
  };
  for (const filter of flags.filter) {
    const [name, ...value] = filter.split('=');
    if (name === undefined || value.length === 0) {
      throw new CliError(
        EXIT_CODE.usage,
        `${JSON.stringify(filter)} is no filter`,
        'Expected --filter DIMENSION=VALUE, e.g. model=gpt-5-mini.',
      );
    }
    const before = query[`filter[${name}]`];
    query[`filter[${name}]`] = `${before === undefined ? '' : `${before},`}${value.join('=')}`;
  }
  await context.withApi(async (api, isJson) => {
    const report = await api.usage(query);
    if (isJson) context.io.writeOut(`${JSON.stringify(report, null, 2)}\n`);
    else printUsage(context.io, report, flags);
  });
}

const BAR_WIDTH = 24;

function printUsage(io: CliIo, report: UsageReport, flags: UsageFlags): void {
  if (report.rows.length === 0) {
    io.writeOut(
      `No ${report.meter} recorded${flags.customer === undefined ? '' : ` for ${flags.customer}`} in this time.\n`,
    );
    return;
  }
  const groups = [...new Set(report.rows.flatMap((row) => Object.keys(row.group)))];
  const hasWindow = typeof report.window === 'string';
  const isMoney = report.meter === 'charge' || report.meter === 'provider_cost';
  const show = (value: string): string => (isMoney ? amount(value) : withGroups(value));
  const drawn = flags.chart
    ? bars(
        report.rows.map((row) => approximate(row.value)),
        BAR_WIDTH,
      )
    : [];
  const columns: Column[] = [
    ...(hasWindow ? [{ name: report.window ?? 'time' }] : []),
    ...groups.map((name) => ({ name })),
    { name: report.unit === 'currency' ? report.meter : `${report.meter} (${report.unit})`, align: 'right' },
    ...(flags.chart ? [{ name: '' }] : []),
  ];
  const style = createStyle(io);
  const rows = report.rows.map((row, index) => [
    ...(hasWindow ? [shortTime(row.window_start ?? '', report.window ?? '')] : []),
    ...groups.map((name) => row.group[name] ?? '-'),
    row.value === null ? 'none' : show(row.value),
    ...(flags.chart ? [style.cyan(drawn[index] ?? '')] : []),
  ]);
  printTable(io, columns, rows);
  const values = report.rows.map((row) => (row.value === null ? decimal(0) : parseDecimal(row.value)));
  const currencies = new Set(report.rows.map((row) => row.group['currency']));
  const isSum = report.unit === 'token' || isMoney || report.meter === 'requests';
  if (isSum && values.length > 1 && currencies.size === 1) {
    const total = toText(sum(values.filter((value) => value !== undefined)));
    io.writeOut(`${style.dim('total')} ${show(total)}\n`);
  }
}

function approximate(value: string | null): number {
  const parsed = value === null ? undefined : parseDecimal(value);
  return parsed === undefined ? 0 : toApproximateNumber(parsed);
}

function shortTime(text: string, window: string): string {
  const length = { minute: 16, hour: 16, day: 10, month: 7 }[window];
  return length === undefined ? text : text.slice(0, length).replace('T', ' ');
}
