import {
  boundedParameters,
  type CatalogModel,
  checkpointBytes,
  compileModel,
  kvBytesPerToken,
  MODELS,
  parameters,
  readModelConfig,
  readWeightFormat,
} from '@ergon/compute';
import type { Command } from 'commander';
import type { CommandContext } from '../command-context.ts';
import { plural, withGroups } from '../print/number.ts';
import { withPrefix } from '../print/quantity.ts';
import { createStyle } from '../print/style.ts';
import { printTable } from '../print/table.ts';

/** What the catalog tells of a model. Counts are exact texts, or `{low, high}` where the family has no tested rule. */
type ListedModel = {
  readonly name: string;
  readonly hf_id: string;
  readonly basis: 'architecture' | 'inferred';
  readonly parameters: string | { readonly low: string; readonly high: string };
  readonly active_parameters: string | null;
  readonly kv_bytes_per_token: number | null;
  readonly checkpoint_bytes: string | null;
  readonly published_parameters: number | null;
  readonly unread_keys: readonly string[];
  readonly config_source: string;
  readonly published_source: string;
};

/** `ergon models`: the open models whose architecture is known. Needs no server. */
export function addModelsCommand(program: Command, context: CommandContext): void {
  program
    .command('models')
    .argument('[part]', 'only those with this in their name')
    .description('open models whose work can be counted: sizes, cache, sources')
    .option('--sources', 'where each config and each published total was found')
    .addHelpText('after', HELP)
    .action((part: string | undefined, flags: { readonly sources?: boolean }) => {
      const wanted = (part ?? '').toLowerCase();
      const found = MODELS.filter((model) => `${model.name} ${model.hfId}`.toLowerCase().includes(wanted));
      const listed = found.map(describe);
      if (context.globals().json === true) context.io.writeOut(`${JSON.stringify({ models: listed }, null, 2)}\n`);
      else if (listed.length === 0) context.io.writeOut(`No model with ${JSON.stringify(part)} in its name.\n`);
      else if (flags.sources === true) printSources(context, listed);
      else printModels(context, listed);
    });
}

const HELP = `
Active parameters are those one token touches, without the input embedding. Counts come from each model's own config.

Examples:
  $ ergon models qwen
  $ ergon models --sources --json`;

function describe(model: CatalogModel): ListedModel {
  const reading = readModelConfig(model.config);
  const common = {
    name: model.name,
    hf_id: model.hfId,
    published_parameters: model.published.totalParams,
    config_source: model.configSource,
    published_source: model.published.source,
  };
  if (reading.kind !== 'known') {
    const bounds = reading.kind === 'bounded' ? boundedParameters(reading) : { low: 0n, high: 0n };
    return {
      ...common,
      basis: 'inferred',
      parameters: { low: String(bounds.low), high: String(bounds.high) },
      active_parameters: null,
      kv_bytes_per_token: null,
      checkpoint_bytes: null,
      unread_keys: reading.kind === 'bounded' ? reading.unread : reading.missing,
    };
  }
  const compiled = compileModel(reading.spec);
  const counted = parameters(compiled);
  return {
    ...common,
    basis: 'architecture',
    parameters: String(counted.total),
    active_parameters: String(counted.activeWithoutEmbedding),
    kv_bytes_per_token: kvBytesPerToken(compiled, 'bf16'),
    checkpoint_bytes: String(checkpointBytes(compiled, readWeightFormat(model.config))),
    unread_keys: [],
  };
}

function printModels({ io }: CommandContext, listed: readonly ListedModel[]): void {
  const style = createStyle(io);
  printTable(
    io,
    [
      { name: 'model' },
      { name: 'parameters', align: 'right' },
      { name: 'active', align: 'right' },
      { name: 'KV bytes a token', align: 'right' },
      { name: 'checkpoint', align: 'right' },
    ],
    listed.map((model) => [
      model.name,
      typeof model.parameters === 'string'
        ? withPrefix(BigInt(model.parameters), '')
        : style.dim(
            `${withPrefix(BigInt(model.parameters.low), '')} to ${withPrefix(BigInt(model.parameters.high), '')}`,
          ),
      model.active_parameters === null ? '' : withPrefix(BigInt(model.active_parameters), ''),
      model.kv_bytes_per_token === null ? '' : withGroups(model.kv_bytes_per_token),
      model.checkpoint_bytes === null ? '' : withPrefix(BigInt(model.checkpoint_bytes), 'B'),
    ]),
  );
  const inferred = listed.filter((model) => model.basis === 'inferred').length;
  const note = inferred === 0 ? '' : `; ${inferred} of families without a tested rule, as intervals`;
  io.writeOut(style.dim(`${plural(listed.length, 'model')}, counted from their configs${note}\n`));
}

function printSources({ io }: CommandContext, listed: readonly ListedModel[]): void {
  for (const model of listed) {
    io.writeOut(`${model.name}  ${model.hf_id}\n  config     ${model.config_source}\n`);
    const published = model.published_parameters === null ? 'none' : withPrefix(model.published_parameters, '');
    io.writeOut(`  published  ${published}; ${model.published_source}\n`);
    if (model.unread_keys.length > 0) io.writeOut(`  not read   ${model.unread_keys.join(', ')}\n`);
  }
}
