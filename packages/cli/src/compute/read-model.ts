import { type CatalogModel, findModel, MODELS, type ModelReading, readModelConfig } from '@ergon/compute';
import { readFileSync, statSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { CliError } from '../cli-error.ts';
import { EXIT_CODE } from '../exit-code.ts';

export type ReadableReading = Exclude<ModelReading, { readonly kind: 'unreadable' }>;

export type NamedModel = {
  readonly name: string;
  /** The `config.json` as it was read. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly reading: ReadableReading;
};

/** Largest config.json seen is 60 KB (per-layer quantization lists). */
const CONFIG_BYTES_MAX = 4 * 1024 * 1024;

/** A model of the catalog, by any of its names. */
export function catalogModel(name: string): NamedModel {
  const found = findModel(name);
  if (found === undefined) {
    throw new CliError(EXIT_CODE.usage, `no model ${JSON.stringify(name)} in the catalog`, suggestion(name));
  }
  return { name: found.name, config: found.config, reading: readable(found.name, readModelConfig(found.config)) };
}

/** A model described by a Hugging Face config.json. */
export function modelOfFile(path: string, cwd: string): NamedModel {
  const file = resolve(cwd, path);
  const config = readJsonObject(file);
  const named = ['_name_or_path', 'model_type'].map((key) => config[key]).find((value) => typeof value === 'string');
  const name = typeof named === 'string' && named !== '' ? named : basename(dirname(file));
  return { name, config, reading: readable(file, readModelConfig(config)) };
}

function readable(name: string, reading: ModelReading): ReadableReading {
  if (reading.kind !== 'unreadable') return reading;
  throw new CliError(
    EXIT_CODE.failed,
    `${name} does not say how large the model is`,
    `Missing: ${reading.missing.join(', ')}. Expected the config.json of a model on Hugging Face.`,
  );
}

export function readJsonObject(file: string): Record<string, unknown> {
  const hint = 'Expected a JSON object, such as the config.json of a model on Hugging Face.';
  let text: string;
  try {
    if (statSync(file).size > CONFIG_BYTES_MAX) {
      throw new CliError(EXIT_CODE.failed, `${file} is larger than ${CONFIG_BYTES_MAX} bytes`, hint);
    }
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw new CliError(EXIT_CODE.failed, `cannot read ${file}`, error instanceof Error ? error.message : undefined);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new CliError(EXIT_CODE.failed, `${file} is not JSON`, hint);
  }
  if (!isRecord(value)) throw new CliError(EXIT_CODE.failed, `${file} is not a JSON object`, hint);
  return value;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Models whose names share a part with what was asked for. */
function suggestion(name: string): string {
  const parts = name
    .toLowerCase()
    .split(/[^a-z0-9.]+/)
    .filter((part) => part.length > 1);
  const near = MODELS.filter((model) => parts.some((part) => model.name.toLowerCase().includes(part))).map(nameOf);
  const list = near.length > 0 ? `Near it: ${near.slice(0, 8).join(', ')}. ` : '';
  return `${list}\`ergon models\` lists all; --config takes a config.json of any other.`;
}

function nameOf(model: CatalogModel): string {
  return model.name;
}
