import { createHash } from 'node:crypto';
import { type Calibration, calibrate, servingPoint } from '@ergon/compute';
import { type Command, Option } from 'commander';
import { CliError } from '../cli-error.ts';
import type { CommandContext } from '../command-context.ts';
import { EXIT_CODE } from '../exit-code.ts';
import { plural, withGroups } from '../print/number.ts';
import { digits, duration } from '../print/quantity.ts';
import { createStyle } from '../print/style.ts';
import { printTable } from '../print/table.ts';
import { withServingOptions, type ServingFlags, servingStep } from './serving-options.ts';
import { lookAt } from './look.ts';
import type { MeasuredLoad, Unusable } from './measured-load.ts';
import { whole } from './whole.ts';

type CalibrateFlags = ServingFlags & {
  readonly model?: string;
  readonly deployment?: string;
  readonly interval: number;
};

/** Loads sent to the service in one request. */
const OBSERVATIONS_MAX = 1_000;

/** `ergon calibrate`: what was measured on a deployment, against what is modelled. */
export function addCalibrateCommand(program: Command, context: CommandContext): void {
  const command = program
    .command('calibrate')
    .argument('<sources...>', "result files of vLLM's, SGLang's, GuideLLM's or AIPerf's benchmarks, or metrics pages")
    .description('correct modelled times by measured ones, from benchmark results or a /metrics page')
    .option('--deployment <key>', 'keep them as observations of this deployment of the server')
    .addOption(new Option('--model <name>', 'a model of the catalog, to calibrate without a server'))
    .option('--interval <seconds>', 'between two looks at a URL', whole(1, 3600), 30);
  withServingOptions(command)
    .addHelpText('after', HELP)
    .action((sources: string[], flags: CalibrateFlags) => run(context, sources, flags));
}

const HELP = `
Observations are only ever added. Five already narrow the interval; from nineteen on it is the deployment's own.

Examples:
  $ ergon calibrate results/*.json --deployment llama70-h100
  $ ergon calibrate http://10.0.0.7:8000/metrics --interval 60 --deployment llama70-h100
  $ ergon calibrate vllm-bench.json --model llama-3.1-70b --accelerator h100-sxm --count 8 --dtype fp8`;

async function run(context: CommandContext, sources: readonly string[], flags: CalibrateFlags): Promise<void> {
  const isLocal = flags.model !== undefined || flags.config.length > 0;
  if (isLocal === (flags.deployment !== undefined)) {
    throw new CliError(
      EXIT_CODE.usage,
      'say what was measured',
      'Expected either --deployment KEY, or --model (or --config) with --accelerator.',
    );
  }
  const loads: MeasuredLoad[] = [];
  const unusable: Unusable[] = [];
  for (const source of sources) {
    const found = await lookAt(context.io, source, flags.interval);
    loads.push(...found.loads);
    unusable.push(...found.unusable);
  }
  for (const { source, reason } of unusable) context.io.writeError(`left out: ${source}: ${reason}\n`);
  if (loads.length === 0) throw new CliError(EXIT_CODE.failed, 'nothing to calibrate with');
  if (loads.length > OBSERVATIONS_MAX) {
    throw new CliError(EXIT_CODE.failed, `more than ${OBSERVATIONS_MAX} observations`, 'Give fewer files at a time.');
  }
  if (flags.deployment === undefined) calibrateHere(context, loads, flags);
  else await calibrateDeployment(context, loads, flags.deployment);
}

type Compared = MeasuredLoad & { readonly predicted: number };

function calibrateHere(context: CommandContext, loads: readonly MeasuredLoad[], flags: CalibrateFlags): void {
  const { step, isMoe } = servingStep(flags, flags.model, context.io.cwd);
  const compared: Compared[] = loads.map((load) => ({
    ...load,
    predicted: servingPoint(step, {
      concurrency: load.concurrency,
      newTokens: load.inputTokens,
      cachedTokens: load.cachedTokens,
      outputTokens: load.outputTokens,
    }).tpot,
  }));
  const before = calibrate([], isMoe ? 'moe' : 'dense');
  const after = calibrate(
    compared.map((one) => ({ predicted: one.predicted, measured: one.secondsPerOutputToken })),
    isMoe ? 'moe' : 'dense',
  );
  if (context.globals().json === true) {
    context.io.writeOut(`${JSON.stringify({ calibration: after, observations: compared }, null, 2)}\n`);
    return;
  }
  printCompared(context, compared);
  context.io.writeOut(`before  ${calibrationText(before)}\nafter   ${calibrationText(after)}\n`);
}

function calibrationText({ factor, low, high, observations, timeBasis }: Calibration): string {
  const from = observations === 0 ? 'no observation' : plural(observations, 'observation');
  return `x ${digits(factor)}, 90 % of measurements at ${digits(low)} to ${digits(high)} of the model (${timeBasis}, ${from})`;
}

function printCompared({ io }: CommandContext, compared: readonly Compared[]): void {
  printTable(
    io,
    [
      { name: 'source' },
      { name: 'in flight', align: 'right' },
      { name: 'in', align: 'right' },
      { name: 'cached', align: 'right' },
      { name: 'out', align: 'right' },
      { name: 'a token, measured', align: 'right' },
      { name: 'modelled', align: 'right' },
      { name: 'ratio', align: 'right' },
    ],
    compared.map((one) => [
      one.source,
      withGroups(one.concurrency),
      withGroups(one.inputTokens),
      withGroups(one.cachedTokens),
      withGroups(one.outputTokens),
      duration(one.secondsPerOutputToken),
      duration(one.predicted),
      digits(one.secondsPerOutputToken / one.predicted),
    ]),
  );
}

async function calibrateDeployment(
  context: CommandContext,
  loads: readonly MeasuredLoad[],
  key: string,
): Promise<void> {
  await context.withApi(async (api, isJson) => {
    const observations = loads.map((load) => ({
      concurrency: load.concurrency,
      input_tokens: load.inputTokens,
      cached_tokens: load.cachedTokens,
      output_tokens: load.outputTokens,
      seconds_per_output_token: load.secondsPerOutputToken,
      source: load.source.slice(-256),
    }));
    // The same files given twice are the same observations, not more of them.
    const idempotencyKey = createHash('sha256')
      .update(JSON.stringify([key, observations]))
      .digest('hex');
    await api.addObservations(key, observations, idempotencyKey);
    const deployment = await api.getDeployment(key);
    if (isJson) {
      context.io.writeOut(`${JSON.stringify(deployment, null, 2)}\n`);
      return;
    }
    const { calibration, drift } = deployment;
    context.io.writeOut(`${plural(loads.length, 'observation')} added to ${key}\n`);
    if (calibration !== null) {
      const { factor, low, high, observations, time_basis: timeBasis } = calibration;
      context.io.writeOut(`${calibrationText({ factor, low, high, observations, timeBasis })}\n`);
    }
    if (drift.alarm) {
      const style = createStyle(context.io);
      context.io.writeOut(
        style.yellow(
          `drift: ${drift.outside} of the latest ${drift.recent} left the interval; has the deployment changed? Publish its new version.\n`,
        ),
      );
    }
  });
}
