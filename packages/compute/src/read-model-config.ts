import { FAMILIES, FAMILY_ALIASES } from './config-families.ts';
import { denseFfn, readFfns, readMoe } from './config-ffns.ts';
import { type ConfigKeys, configKeys, isRecord } from './config-keys.ts';
import { readFullAttention, readMamba, readMixers, type Shape } from './config-mixers.ts';
import { readEncoderDecoder } from './read-encoder-decoder.ts';
import type { ModelReading } from './model-reading.ts';
import type { Ffn, LayerRun, LayerSpec, Mixer, ModelSpec } from './model-spec.ts';

/** The proxy shares hidden size, depth and experts; latent experts halve work, unread branches at most double it. */
const BOUND = { low: 0.25, high: 2 };

export function readModelConfig(input: unknown): ModelReading {
  if (!isRecord(input)) return { kind: 'unreadable', missing: ['model_type'] };
  const config = languageConfig(input);
  const named = typeof config['model_type'] === 'string' ? config['model_type'] : '';
  const encoderDecoder = readEncoderDecoder(named, config);
  if (encoderDecoder !== undefined) return encoderDecoder;
  const family = FAMILY_ALIASES[named] ?? named;
  const traits = FAMILIES[family] ?? FAMILIES['llama'];
  const keys = configKeys(config);
  keys.text('model_type');
  if (traits === undefined) return { kind: 'unreadable', missing: ['model_type'] };
  const shape = readShape(keys, family, traits);
  const layers = readLayers(keys, shape);
  const vocabulary = keys.required('vocab_size', 'padded_vocab_size');
  const spec: ModelSpec = {
    family: named,
    hidden: shape.hidden,
    vocabulary,
    head: readHead(keys, shape, config),
    layers: runs(layers),
    loose: looseParameters(keys, shape, vocabulary),
    pooler: isEncoder(family) ? shape.hidden * shape.hidden + shape.hidden : 0,
  };
  if (keys.missing.length > 0) return { kind: 'unreadable', missing: keys.missing };
  const unread = unreadKeys(keys, config, family);
  if (FAMILIES[family] === undefined) {
    return {
      kind: 'bounded',
      proxy: spec,
      factor: BOUND,
      unread: ['model_type', ...unread],
      reason: 'unknown_family',
    };
  }
  if (unread.length > 0) return { kind: 'bounded', proxy: spec, factor: BOUND, unread, reason: 'unread_keys' };
  return { kind: 'known', spec, assumptions: assumptionsOf(input, config) };
}

/** The language model of a multimodal wrapper; a key of the wrapper counts where the nested config has none. */
function languageConfig(input: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const names = ['text_config', 'language_config', 'llm_config'];
  const nested = names.map((name) => input[name]).find(isRecord);
  if (nested === undefined) return input;
  const inherited = ['tie_word_embeddings', 'quantization_config', 'model_type', 'architectures']
    .filter((name) => nested[name] === undefined && input[name] !== undefined)
    .map((name) => [name, input[name]]);
  return { ...nested, ...Object.fromEntries(inherited) };
}

function readShape(keys: ConfigKeys, family: string, traits: Shape['traits']): Shape {
  const attention = keys.object('attn_config');
  const nestedKv = isRecord(attention) ? attention['kv_n_heads'] : undefined;
  const hidden = keys.required('hidden_size', 'n_embd', 'd_model');
  const heads = keys.required('num_attention_heads', 'n_head', 'n_heads');
  const blocks = keys.list('layers_block_type') ?? keys.text('hybrid_override_pattern');
  const counted = keys.number('num_hidden_layers', 'n_layer', 'num_layers', 'n_layers');
  const headDim =
    keys.number('head_dim', 'attention_head_dim', 'kv_channels') ?? (heads === 0 ? 0 : Math.floor(hidden / heads));
  const grouped = keys.flag('multi_query_attention') === true ? keys.number('multi_query_group_num') : undefined;
  keys.number('multi_query_group_num');
  return {
    family,
    traits,
    hidden,
    heads,
    layers: counted ?? blocks?.length ?? keys.required('num_hidden_layers'),
    kvHeads:
      grouped ??
      keys.number('num_key_value_heads', 'num_kv_heads') ??
      (typeof nestedKv === 'number' ? nestedKv : heads),
    headDim,
    valueDim: keys.number('v_head_dim') ?? headDim,
  };
}

function readLayers(keys: ConfigKeys, shape: Shape): LayerSpec[] {
  const { family, traits, hidden } = shape;
  const normParameters = traits.norms * hidden * (traits.normBias ? 2 : 1);
  if (family === 'nemotron_h') return readHybridBlocks(keys, shape);
  const blocks = keys.list('block_configs');
  if (blocks !== undefined) return blocks.map((block) => readSearchedBlock(keys, shape, block));
  const mixers = readMixers(keys, shape);
  const ffns = readFfns(keys, shape);
  const layerScale = family === 'gemma4_text' ? 1 : 0;
  return mixers.map((mixer, index) => ({
    mixer: isEncoder(family) && mixer.kind === 'attention' ? { ...mixer, keys: { kind: 'bidirectional' } } : mixer,
    ffns: ffns[index] ?? [],
    normParameters: normParameters + layerScale,
  }));
}

/** Nemotron-H: one block is a mixer or a network, never both. */
function readHybridBlocks(keys: ConfigKeys, shape: Shape): LayerSpec[] {
  const listed = keys.list('layers_block_type');
  const letters: Readonly<Record<string, string>> = { M: 'mamba', '*': 'attention', '-': 'mlp', E: 'moe' };
  const pattern = (keys.text('hybrid_override_pattern') ?? '').split('').map((letter) => letters[letter] ?? letter);
  const kinds = listed ?? pattern;
  if (kinds.length === 0) keys.required('hybrid_override_pattern');
  const mamba = readMamba(keys);
  const attention = readFullAttention(keys, shape);
  const moe = kinds.includes('moe') ? readMoe(keys, shape) : undefined;
  keys.number('expand', 'moe_intermediate_size');
  const dense = denseFfn(keys, shape, keys.number('intermediate_size') ?? 0);
  const none: Mixer = { kind: 'none' };
  return kinds.map((kind) => {
    const normParameters = shape.hidden;
    if (kind === 'mamba') return { mixer: mamba, ffns: [], normParameters };
    if (kind === 'attention') return { mixer: attention, ffns: [], normParameters };
    return { mixer: none, ffns: kind === 'moe' && moe !== undefined ? [moe] : [dense], normParameters };
  });
}

/** A block of an architecture search (DeciLM, Nemotron-Super): attention and network each kept, shrunk or dropped. */
function readSearchedBlock(keys: ConfigKeys, shape: Shape, block: unknown): LayerSpec {
  const part = (name: string): Readonly<Record<string, unknown>> => {
    const value = isRecord(block) ? block[name] : undefined;
    return isRecord(value) ? value : {};
  };
  const attention = part('attention');
  const network = part('ffn');
  const group = attention['n_heads_in_group'];
  const mult = network['ffn_mult'];
  const mixer = (): Mixer => {
    if (attention['no_op'] === true) return { kind: 'none' };
    if (attention['replace_with_linear'] === true) return { kind: 'linear' };
    const kvHeads = typeof group === 'number' ? shape.heads / group : shape.kvHeads;
    return { ...readFullAttention(keys, { ...shape, kvHeads }) };
  };
  // DeciLM rounds 2/3 of the multiple up to a multiple of 256.
  const inner = typeof mult === 'number' ? Math.ceil(Math.floor((2 * mult * shape.hidden) / 3) / 256) * 256 : 0;
  const isDropped = network['no_op'] === true;
  const chosen = mixer();
  const ffns: Ffn[] = isDropped ? [] : [denseFfn(keys, shape, inner)];
  const norms = (chosen.kind === 'none' ? 0 : 1) + (isDropped ? 0 : 1);
  return { mixer: chosen, ffns, normParameters: norms * shape.hidden };
}

function isEncoder(family: string): boolean {
  return family === 'bert' || family === 'roberta' || family === 'xlm-roberta';
}

function readHead(keys: ConfigKeys, shape: Shape, config: Readonly<Record<string, unknown>>): ModelSpec['head'] {
  const tied = keys.flag('tie_word_embeddings') ?? shape.traits.tied;
  const classes = config['architectures'];
  // `LlamaModel`, `Qwen3Model`: embedding models and headless towers score no tokens.
  const isHeadless =
    Array.isArray(classes) && classes.length > 0 && classes.every((name) => String(name).endsWith('Model'));
  if (isEncoder(shape.family) || (isHeadless && !/LMHead/.test(String(classes)))) return 'none';
  return tied ? 'tied' : 'separate';
}

function looseParameters(keys: ConfigKeys, shape: Shape, vocabulary: number): number {
  const { family, hidden, traits } = shape;
  const norm = hidden * (traits.normBias ? 2 : 1);
  const positions = keys.number('n_positions', 'max_position_embeddings', 'n_ctx');
  if (isEncoder(family)) {
    const types = keys.number('type_vocab_size') ?? 2;
    return ((positions ?? 512) + types) * hidden + norm; // the norm is the embedding's: layers end with theirs
  }
  if (family === 'gpt2' || family === 'gpt3') return (positions ?? (family === 'gpt3' ? 2048 : 1024)) * hidden + norm;
  if (family === 'bloom') return 2 * norm; // a norm after the embedding
  if (family === 'codegen' || family === 'gptj') return norm + vocabulary; // the head has a bias
  return norm;
}

function runs(layers: readonly LayerSpec[]): LayerRun[] {
  const found = new Map<string, { layer: LayerSpec; count: number }>();
  for (const layer of layers) {
    const key = JSON.stringify(layer);
    const known = found.get(key);
    if (known === undefined) found.set(key, { layer, count: 1 });
    else known.count += 1;
  }
  return [...found.values()];
}

// Keys that other families use for the same parts; where this family's code ignores them they size nothing.
const READ_ELSEWHERE = new Set(['vocab_size']);

function unreadKeys(keys: ConfigKeys, config: Readonly<Record<string, unknown>>, family: string): string[] {
  const unread = keys.unread().filter((name) => !READ_ELSEWHERE.has(name));
  // Read by no rule here, and not harmless when set: per-layer embeddings and layers without a cache of their own.
  const conditional = ['hidden_size_per_layer_input', 'num_kv_shared_layers'];
  const set = conditional.filter((name) => typeof config[name] === 'number' && config[name] !== 0);
  const sparse = family === 'deepseek_v3' && config['index_topk'] !== undefined ? ['index_topk'] : [];
  return [...new Set([...unread, ...set, ...sparse])];
}

function assumptionsOf(input: Readonly<Record<string, unknown>>, config: Readonly<Record<string, unknown>>): string[] {
  const notes: string[] = [];
  if (isRecord(input['vision_config'])) notes.push('the vision tower is not part of these counts');
  if (isRecord(input['audio_config'])) notes.push('the audio tower is not part of these counts');
  const drafts = ['num_nextn_predict_layers', 'mtp_num_hidden_layers', 'num_mtp_modules'];
  if (drafts.some((name) => typeof config[name] === 'number' && config[name] !== 0)) {
    notes.push('multi-token-prediction modules are not part of these counts');
  }
  return notes;
}
