import {
  ACCELERATORS,
  type Accelerator,
  type CacheDtype,
  checkpointBytes,
  type CompiledModel,
  compileModel,
  type CompiledStep,
  compileStep,
  type Engine,
  findAccelerator,
  readWeightFormat,
  STEP_FIT,
  type WeightDtype,
  weightFormat,
} from '@ergon/compute';
import { type Command, Option } from 'commander';
import { CliError } from '../cli-error.ts';
import { EXIT_CODE } from '../exit-code.ts';
import { catalogModel, modelOfFile, type NamedModel } from './read-model.ts';
import { whole } from './whole.ts';

/** Where and how a model runs, as flags say it. */
export type ServingFlags = {
  readonly config: readonly string[];
  readonly accelerator: string;
  readonly count?: number;
  readonly dtype?: WeightDtype;
  readonly cacheDtype: CacheDtype;
  readonly engine?: Engine;
};

const DTYPES: readonly WeightDtype[] = ['fp32', 'bf16', 'fp8', 'fp8_block', 'int8', 'int4', 'mxfp4', 'nvfp4'];

export function withServingOptions(command: Command): Command {
  return command
    .option('--config <file>', 'a config.json of another model; again for each', collect, [])
    .option('--accelerator <id>', 'the device (ergon accelerators lists them)', 'h100-sxm')
    .option('--count <devices>', 'devices of one replica (default: the fewest that hold the model)', whole(1, 1024))
    .addOption(new Option('--dtype <dtype>', 'precision of the weights (default: the config says)').choices(DTYPES))
    .addOption(
      new Option('--cache-dtype <dtype>', 'precision of the KV cache').choices(['bf16', 'fp8']).default('bf16'),
    )
    .addOption(new Option('--engine <engine>', 'the serving engine').choices(['vllm', 'sglang', 'trtllm']));
}

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

export function acceleratorOf(name: string): Accelerator {
  const found = findAccelerator(name);
  if (found !== undefined) return found;
  throw new CliError(
    EXIT_CODE.usage,
    `no accelerator ${JSON.stringify(name)}`,
    `Expected one of ${ACCELERATORS.map((device) => device.id).join(', ')}.`,
  );
}

/** The one model that a command is about, compiled for where it runs. */
export function servingStep(
  flags: ServingFlags,
  name: string | undefined,
  cwd: string,
): { readonly step: CompiledStep; readonly isMoe: boolean } {
  const [file] = flags.config;
  const named = name !== undefined ? catalogModel(name) : modelOfFile(file ?? '', cwd);
  if (named.reading.kind === 'bounded') {
    throw new CliError(
      EXIT_CODE.failed,
      `${named.name} is of a family without a tested rule, so its time is not modelled`,
      `Not read: ${named.reading.unread.join(', ')}.`,
    );
  }
  const model = compileModel(named.reading.spec);
  return { step: compileServing(named, model, acceleratorOf(flags.accelerator), flags), isMoe: model.moe.length > 0 };
}

/** A model on a device: the fewest devices that hold it when none are given. */
export function compileServing(
  named: NamedModel,
  model: CompiledModel,
  accelerator: Accelerator,
  flags: Pick<ServingFlags, 'count' | 'dtype' | 'cacheDtype' | 'engine'>,
): CompiledStep {
  const weights = flags.dtype === undefined ? readWeightFormat(named.config) : weightFormat(flags.dtype);
  const serving = {
    accelerator,
    tensorParallel: flags.count ?? fewestDevices(checkpointBytes(model, weights), accelerator),
    weights,
    cache: flags.cacheDtype,
    ...(flags.engine !== undefined && { engine: flags.engine }),
  };
  return compileStep(model, serving, STEP_FIT.constants);
}

/** What engines leave of a device's memory to weights and cache. */
const USABLE_MEMORY = 0.9;
const REPLICA_SIZES = [1, 2, 4, 8, 16];

/** The fewest devices whose memory holds the weights; a model larger than the largest replica gets that one. */
function fewestDevices(bytes: bigint, accelerator: Accelerator): number {
  const enough = REPLICA_SIZES.find((size) => Number(bytes) <= accelerator.memoryBytes * USABLE_MEMORY * size);
  return enough ?? REPLICA_SIZES.at(-1) ?? 1;
}
