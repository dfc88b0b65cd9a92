import { type Decimal, toText } from '@ergon/exact';
import type { Command } from 'commander';
import { CliError } from '../cli-error.ts';
import type { Estimate } from '../client/wire.ts';
import type { CommandContext } from '../command-context.ts';
import { EXIT_CODE } from '../exit-code.ts';
import { amount } from '../print/number.ts';
import { digits, duration, withPrefix } from '../print/quantity.ts';
import { type Column, printTable } from '../print/table.ts';
import type { ServingFlags } from './serving-options.ts';
import { modelOfFile } from './read-model.ts';

type ServerEstimateFlags = ServingFlags & {
  readonly customer?: string;
  readonly deployment?: string;
  readonly batch: number;
  readonly input: number;
  readonly cached: number;
  readonly output: number;
  readonly price?: Decimal;
  readonly utilisation: Decimal;
  readonly roofline?: boolean;
};

/** Flags that say where a model runs: a deployment says that by itself. */
const PLACE_FLAGS = ['accelerator', 'count', 'dtype', 'cacheDtype', 'engine', 'config', 'batch', 'price'] as const;

/**
 * Asks the service: by the deployment that is published there, at what this customer pays. Models go as they were
 * written, so that closed ones are priced too; a device is named only where the user named one.
 */
export async function estimateAtServer(
  context: CommandContext,
  command: Command,
  names: readonly string[],
  flags: ServerEstimateFlags,
): Promise<void> {
  const isGiven = (name: string) => command.getOptionValueSource(name) === 'cli';
  if (flags.roofline === true) {
    throw new CliError(
      EXIT_CODE.usage,
      '--roofline is drawn without a server',
      'Leave out --customer and --deployment.',
    );
  }
  const place = PLACE_FLAGS.find((name) => flags.deployment !== undefined && isGiven(name));
  if (place !== undefined) {
    throw new CliError(EXIT_CODE.usage, `--${place} and --deployment`, 'The deployment says what runs and where.');
  }
  const common = {
    ...(flags.customer !== undefined && { customer: flags.customer }),
    ...(flags.deployment !== undefined && { deployment: flags.deployment }),
    ...(isGiven('accelerator') && { accelerator: flags.accelerator }),
    ...(flags.count !== undefined && { accelerator_count: flags.count }),
    ...(flags.dtype !== undefined && { dtype: flags.dtype }),
    ...(isGiven('cacheDtype') && { kv_dtype: flags.cacheDtype }),
    ...(flags.engine !== undefined && { engine: flags.engine }),
    ...(isGiven('batch') && { batch_size: flags.batch }),
    ...(flags.price !== undefined && {
      price: { per_device_hour: toText(flags.price), currency: 'USD', utilisation: toText(flags.utilisation) },
    }),
    tokens: { input: flags.input, cache_read: flags.cached, output: flags.output },
  };
  const models = [
    ...names.map((model) => ({ model })),
    ...flags.config.map((path) => ({ model_config: modelOfFile(path, context.io.cwd).config })),
  ];
  await context.withApi(async (api, isJson) => {
    const estimates: Estimate[] = [];
    for (const model of models.length === 0 ? [{}] : models)
      estimates.push(await api.estimate({ ...common, ...model }));
    if (isJson) context.io.writeOut(`${JSON.stringify({ estimates }, null, 2)}\n`);
    else printAnswers(context, estimates);
  });
}

function printAnswers({ io }: CommandContext, estimates: readonly Estimate[]): void {
  const columns: Column[] = [
    { name: '' },
    ...estimates.map((one): Column => ({ name: one.model ?? '', align: 'right' })),
  ];
  const rows = ROWS.map(([name, show]) => [name, ...estimates.map(show)]);
  printTable(
    io,
    columns,
    rows.filter((row) => row.slice(1).some((cell) => cell !== '')),
  );
  for (const { model, unmeasured, unrated } of estimates) {
    if (unmeasured !== undefined) io.writeOut(`${model ?? 'the call'}: work is not measured: ${unmeasured}\n`);
    const reasons = new Set(unrated.map(({ reason }) => reason));
    for (const reason of reasons) {
      const meters = unrated.filter((one) => one.reason === reason).map(({ meter }) => meter);
      io.writeOut(`${model ?? 'the call'}: not charged (${reason}): ${meters.join(', ')}\n`);
    }
  }
}

type Work = NonNullable<Estimate['compute']>;
type Interval = Work['accelerator_seconds'];

const ofWork =
  (show: (work: Work) => string) =>
  ({ compute }: Estimate): string =>
    compute === null ? '' : show(compute);

const ROWS: readonly (readonly [string, (one: Estimate) => string])[] = [
  ['deployment', ofWork((work) => work.deployment ?? '')],
  [
    'devices',
    ofWork((work) => (work.accelerator === null ? '' : `${work.accelerator_count ?? 1} x ${work.accelerator}`)),
  ],
  ['FLOPs', ofWork(({ flops }) => flopsText(flops))],
  ['HBM bytes', ofWork(({ hbm_bytes: bytes }) => (bytes === null ? '' : withPrefix(Number(bytes.expected), 'B')))],
  ['accelerator-seconds', ofWork((work) => seconds(work.accelerator_seconds))],
  ['  90 % interval', ofWork((work) => secondsSpan(work.accelerator_seconds))],
  ['  billable', ofWork((work) => seconds(work.billable_accelerator_seconds))],
  ['compute units', ofWork(({ compute_units: units }) => (units === null ? '' : digits(Number(units.expected))))],
  [
    'first token, alone',
    ofWork((work) => (work.prefill_seconds === null ? '' : duration(Number(work.prefill_seconds)))),
  ],
  ['each further token', ofWork((work) => seconds(work.seconds_per_output_token))],
  ['times are', ofWork((work) => work.time_basis ?? '')],
  ['charge', ({ cost }) => money(cost.charge)],
  ['provider cost', ({ cost }) => money(cost.provider_cost)],
  ['physical cost', ({ cost }) => money(cost.physical_cost)],
];

function flopsText({ low, expected, high }: Work['flops']): string {
  if (expected !== undefined) return withPrefix(Number(expected), 'FLOP');
  return `${withPrefix(Number(low), 'FLOP')} to ${withPrefix(Number(high), 'FLOP')}`;
}

function seconds(interval: Interval): string {
  return interval === null ? '' : duration(Number(interval.expected));
}

function secondsSpan(interval: Interval): string {
  return interval === null ? '' : `${duration(Number(interval.low))} to ${duration(Number(interval.high))}`;
}

function money(bounds: Estimate['cost']['charge']): string {
  return bounds === null ? '' : `${amount(bounds.expected)} ${bounds.currency}`;
}
