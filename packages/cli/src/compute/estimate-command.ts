import { type Decimal, decimal, parseDecimal } from '@ergon/exact';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { CliError } from '../cli-error.ts';
import type { CommandContext } from '../command-context.ts';
import { EXIT_CODE } from '../exit-code.ts';
import { estimatesToJson, printEstimates } from './print-estimates.ts';
import { type EstimateQuestion, localEstimate } from './local-estimate.ts';
import { catalogModel, modelOfFile } from './read-model.ts';
import { estimateAtServer } from './server-estimate.ts';
import { acceleratorOf, type ServingFlags, withServingOptions } from './serving-options.ts';
import { whole } from './whole.ts';

type EstimateFlags = ServingFlags & {
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

/** A request of more tokens than any model takes is a slip of the hand. */
const TOKENS_MAX = 100_000_000;
const MODELS_MAX = 6;

/** `ergon estimate`: the work, time and cost of one request, models side by side. Needs no server, unless a customer or a deployment is named. */
export function addEstimateCommand(program: Command, context: CommandContext): void {
  const command = program
    .command('estimate')
    .argument('[models...]', 'models of the catalog (ergon models lists them)')
    .description('FLOPs, bytes, accelerator-seconds and cost of a request before it runs');
  withServingOptions(command)
    .option('--batch <sequences>', 'sequences that decode together: the operating point', whole(1, 65_536), 32)
    .option('--input <tokens>', 'prompt tokens read anew', whole(0, TOKENS_MAX), 1024)
    .option('--cached <tokens>', 'prompt tokens found in the cache', whole(0, TOKENS_MAX), 0)
    .option('--output <tokens>', 'tokens to write', whole(0, TOKENS_MAX), 256)
    .option('--price <usd>', 'USD a device-hour (default: typical of public lists)', money)
    .addOption(
      new Option('--utilisation <share>', 'share of the hours bought that do work, 0 to 1')
        .argParser(share)
        .default(decimal(1), '1'),
    )
    .option('--customer <id>', 'ask the server what this customer would be charged')
    .option('--deployment <key>', 'ask the server for a deployment published there, calibrated by its observations')
    .option('--roofline', 'draw the roofline of the device and where the phases stand')
    .addHelpText('after', HELP)
    .action((models: string[], flags: EstimateFlags) => estimate(context, command, models, flags));
}

const HELP = `
FLOPs are exact counts (2 a multiply-add, convention ergon-flops-1); times are modelled, with 90 % intervals.

Examples:
  $ ergon estimate qwen3-30b-a3b llama-3.1-8b --accelerator mi300x --price 2 --input 1024 --cached 7168 --output 200
  $ ergon estimate --config ./config.json --accelerator h200-sxm --roofline
  $ ergon estimate deepseek-v3 --json
  $ ergon estimate --deployment llama70-h100 --customer acme --input 500 --output 180
  $ ergon estimate gpt-5-mini claude-sonnet-4-5 --customer acme`;

async function estimate(
  context: CommandContext,
  command: Command,
  names: readonly string[],
  flags: EstimateFlags,
): Promise<void> {
  if (names.length + flags.config.length === 0 && flags.deployment === undefined) {
    throw new CliError(
      EXIT_CODE.usage,
      'no model to estimate',
      'Name one (`ergon models` lists them) or give --config.',
    );
  }
  if (names.length + flags.config.length > MODELS_MAX) {
    throw new CliError(
      EXIT_CODE.usage,
      `more than ${MODELS_MAX} models`,
      'They would not stand side by side; ask twice.',
    );
  }
  if (flags.customer !== undefined || flags.deployment !== undefined) {
    await estimateAtServer(context, command, names, flags);
    return;
  }
  const models = [...names.map(catalogModel), ...flags.config.map((path) => modelOfFile(path, context.io.cwd))];
  const question = questionOf(flags);
  const estimates = models.map((model) => localEstimate(model, question));
  if (context.globals().json === true) {
    context.io.writeOut(`${JSON.stringify(estimatesToJson(question, estimates), null, 2)}\n`);
  } else {
    printEstimates(context.io, question, estimates, flags.roofline === true);
  }
}

function questionOf(flags: EstimateFlags): EstimateQuestion {
  const accelerator = acceleratorOf(flags.accelerator);
  const typical = accelerator.price.typical;
  return {
    accelerator,
    serving: flags,
    batch: flags.batch,
    work: { newTokens: flags.input, cachedTokens: flags.cached, outputTokens: flags.output },
    pricePerHour: flags.price ?? (typical === null ? undefined : decimal(String(typical))),
    utilisation: flags.utilisation,
  };
}

function money(text: string): Decimal {
  const value = parseDecimal(text);
  if (value !== undefined && value.coefficient >= 0n && text.length <= 20) return value;
  throw new InvalidArgumentError('expected an amount of at least zero, e.g. 2.95');
}

function share(text: string): Decimal {
  const value = parseDecimal(text);
  const number = Number(text);
  if (value !== undefined && number > 0 && number <= 1 && text.length <= 20) return value;
  throw new InvalidArgumentError('expected a share above 0 and at most 1, e.g. 0.6');
}
