import { hash } from 'node:crypto';
import {
  type BoundedReading,
  type CompiledModel,
  compileModel,
  computeUnitStep,
  type CompiledStep,
  findModel,
  type ModelReading,
  readModelConfig,
} from '@ergon/compute';
import { LIMITS } from '../limits.ts';

/** A model as far as its work can be counted: exactly, or only between bounds. */
export type ModelSource = {
  readonly name: string;
  readonly config: Readonly<Record<string, unknown>>;
  /** SHA-256 over what was read of the configuration, first 32 hexadecimal digits. */
  readonly hash: string;
} & (
  | { readonly kind: 'known'; readonly model: CompiledModel; readonly unitStep: CompiledStep }
  | { readonly kind: 'bounded'; readonly reading: BoundedReading; readonly proxy: CompiledModel }
);

export type KnownModel = Extract<ModelSource, { readonly kind: 'known' }>;

/** Why there is no model: a sentence for people, and the member of the request at fault. */
export type NoModel = { readonly kind: 'none'; readonly at: 'model' | 'model_config'; readonly detail: string };

const NAMES_CACHED_MAX = 10_000;
const byName = new Map<string, ModelSource | undefined>();

/** A model of the catalog by the name that events carry; `undefined` where the catalog does not know it. */
export function catalogModel(name: string | undefined): ModelSource | undefined {
  if (name === undefined) return undefined;
  const known = byName.get(name);
  if (known !== undefined || byName.has(name)) return known;
  const entry = findModel(name);
  const source = entry === undefined ? undefined : sourceOf(entry.name, entry.config);
  const found = source?.kind === 'none' ? undefined : source;
  if (byName.size >= NAMES_CACHED_MAX) byName.clear();
  byName.set(name, found);
  return found;
}

/** The model of a deployment or an estimate: its own configuration, or the catalog's. */
export function modelSource(
  name: string,
  config: Readonly<Record<string, unknown>> | undefined,
): ModelSource | NoModel {
  if (config !== undefined) return sourceOf(name, config);
  return (
    catalogModel(name) ?? { kind: 'none', at: 'model', detail: `the model catalog has no ${JSON.stringify(name)}` }
  );
}

function sourceOf(name: string, config: Readonly<Record<string, unknown>>): ModelSource | NoModel {
  const deep = tooDeep(config);
  if (deep !== undefined) return unreadable(deep);
  try {
    return compiled(name, config, readModelConfig(config));
  } catch (error) {
    // The reader asserts sizes that no model has; whoever sent the configuration can mend it.
    return unreadable(error instanceof Error ? error.message : 'its sizes do not fit together');
  }
}

function compiled(
  name: string,
  config: Readonly<Record<string, unknown>>,
  reading: ModelReading,
): ModelSource | NoModel {
  switch (reading.kind) {
    case 'known': {
      const model = compileModel(reading.spec);
      const unitStep = computeUnitStep(model);
      return { kind: 'known', name, config, hash: hashOf(reading.spec), model, unitStep };
    }
    case 'bounded': {
      const proxy = compileModel(reading.proxy);
      return { kind: 'bounded', name, config, hash: hashOf(reading), reading, proxy };
    }
    case 'unreadable':
      return unreadable(`these keys are missing: ${reading.missing.join(', ')}`);
  }
}

function unreadable(why: string): NoModel {
  return { kind: 'none', at: 'model_config', detail: `the configuration cannot be read: ${why.slice(0, 500)}` };
}

function hashOf(value: unknown): string {
  return hash('sha256', JSON.stringify(value), 'hex').slice(0, 32);
}

/** The reader walks layer by layer, so a hostile number of them must not reach it. */
function tooDeep(config: Readonly<Record<string, unknown>>, depth = 0): string | undefined {
  if (depth > 8) return 'it is nested too deep';
  for (const [key, value] of Object.entries(config)) {
    if (typeof value === 'number' && /layer/i.test(key) && value > LIMITS.modelLayersMax) {
      return `${key.slice(0, 64)} is above ${LIMITS.modelLayersMax}`;
    }
    // Hybrids spell their layers: a letter each.
    if (typeof value === 'string' && /pattern/i.test(key) && value.length > LIMITS.modelLayersMax) {
      return `${key.slice(0, 64)} is longer than ${LIMITS.modelLayersMax}`;
    }
    if (Array.isArray(value) && value.length > LIMITS.modelLayersMax * 4) return `${key.slice(0, 64)} is too long`;
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      const inner = tooDeep(Object.fromEntries(Object.entries(value)), depth + 1);
      if (inner !== undefined) return inner;
    }
  }
  return undefined;
}
