import type { FamilyTraits } from './config-families.ts';
import type { ConfigKeys } from './config-keys.ts';
import type { AttentionMixer, DeltaMixer, KeyPattern, LatentMixer, MambaMixer, Mixer } from './model-spec.ts';

export type Shape = {
  readonly family: string;
  readonly traits: FamilyTraits;
  readonly hidden: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly valueDim: number;
};

const CAUSAL: KeyPattern = { kind: 'causal' };

/** The token mixer of each layer, in order. */
export function readMixers(keys: ConfigKeys, shape: Shape): Mixer[] {
  if (keys.number('kv_lora_rank') !== undefined) {
    const latent = readLatent(keys, shape);
    return Array.from({ length: shape.layers }, () => latent);
  }
  const patterns = readPatterns(keys, shape);
  const delta = patterns.includes('linear') ? readDelta(keys) : undefined;
  return patterns.map((pattern) => {
    if (pattern === 'linear') return delta ?? { kind: 'none' };
    return readAttention(keys, shape, pattern);
  });
}

type LayerPattern = KeyPattern | 'linear';

/** `layer_types` where the config has it; the family's rule otherwise. */
function readPatterns(keys: ConfigKeys, shape: Shape): LayerPattern[] {
  const window = keys.number('sliding_window');
  const chunk = keys.number('attention_chunk_size');
  const told = keys.list('layer_types');
  const isAllFull = keys.list('attn_type_list')?.every((kind) => kind === 1) ?? true;
  // MiniMax's list marks its lightning layers with 0, which have no rule here.
  if (!isAllFull) keys.required('attn_type_list (all 1)');
  const interval = keys.number('full_attention_interval');
  const sliding: KeyPattern = window === undefined ? CAUSAL : { kind: 'window', size: window };
  const chunked: KeyPattern = chunk === undefined ? CAUSAL : { kind: 'chunk', size: chunk };
  if (told !== undefined && told.length >= shape.layers) {
    return told.slice(0, shape.layers).map((kind) => {
      if (kind === 'linear_attention') return 'linear';
      if (kind === 'chunked_attention') return chunked;
      return kind === 'sliding_attention' ? sliding : CAUSAL;
    });
  }
  const every = (step: number, other: LayerPattern): LayerPattern[] =>
    Array.from({ length: shape.layers }, (_, index) => ((index + 1) % step === 0 ? CAUSAL : other));
  if (interval !== undefined) return every(interval, 'linear');
  const all = (pattern: KeyPattern): LayerPattern[] => Array.from({ length: shape.layers }, () => pattern);
  switch (shape.traits.windows) {
    case 'none':
      return all(CAUSAL);
    case 'all':
      return all(sliding);
    case 'when_told':
      return all(keys.flag('use_sliding_window') === true ? sliding : CAUSAL);
    case 'even':
      return every(2, sliding);
    case 'gemma3':
      return every(keys.number('sliding_window_pattern') ?? 6, sliding);
    case 'every_fourth_full':
      return every(keys.number('sliding_window_pattern') ?? 4, sliding);
    case 'llama4':
      return every(keys.number('no_rope_layer_interval') ?? 4, chunked);
    case 'mimo': {
      const pattern = keys.list('hybrid_layer_pattern') ?? [];
      return all(CAUSAL).map((full, index) => (pattern[index] === 1 ? sliding : full));
    }
  }
}

function readAttention(keys: ConfigKeys, shape: Shape, pattern: KeyPattern): AttentionMixer {
  const { family, traits } = shape;
  const isSliding = pattern.kind === 'window';
  let { heads, kvHeads, headDim, valueDim } = shape;
  if (family === 'gemma4_text' && !isSliding) {
    headDim = keys.number('global_head_dim') ?? headDim;
    valueDim = headDim;
    kvHeads = keys.number('num_global_key_value_heads') ?? kvHeads;
  }
  const [swaHeads, swaKvHeads] = [keys.number('swa_num_attention_heads'), keys.number('swa_num_key_value_heads')];
  const [swaDim, swaValueDim] = [keys.number('swa_head_dim'), keys.number('swa_v_head_dim')];
  if (family === 'mimo_v2_flash' && isSliding) {
    [heads, kvHeads] = [swaHeads ?? heads, swaKvHeads ?? kvHeads];
    [headDim, valueDim] = [swaDim ?? headDim, swaValueDim ?? valueDim];
  }
  const told = keys.flag('attention_bias') ?? keys.flag('qkv_bias') ?? keys.flag('add_qkv_bias') ?? false;
  const hasBias = (trait: boolean | 'when_told'): boolean => (trait === 'when_told' ? told : trait);
  const sharedKeyValue = keys.flag('attention_k_eq_v') === true && family === 'gemma4_text' && !isSliding;
  const queries = heads * headDim;
  const keyValues = kvHeads * headDim + (sharedKeyValue ? 0 : kvHeads * valueDim);
  const normed = keys.flag('use_qk_norm');
  const norm = traits.queryKeyNorm === 'when_told' ? (normed === true ? 'head' : 'none') : traits.queryKeyNorm;
  const norms = norm === 'head' ? 2 * headDim : norm === 'full' ? queries + kvHeads * headDim : 0;
  const sinks = family === 'gpt_oss' || (family === 'mimo_v2_flash' && isSliding) ? heads : 0;
  return {
    kind: 'attention',
    heads,
    kvHeads,
    headDim,
    valueDim,
    keys: pattern,
    outputGate: family === 'qwen3_next' || keys.flag('attn_output_gate') === true,
    sharedKeyValue,
    vectorParameters:
      (hasBias(traits.queryKeyValueBias) ? queries + keyValues : 0) +
      (hasBias(traits.outputBias) ? shape.hidden : 0) +
      norms +
      sinks,
  };
}

function readLatent(keys: ConfigKeys, shape: Shape): LatentMixer {
  const topK = keys.number('index_topk');
  keys.number('qk_head_dim'); // the sum of the two parts below; `head_dim` is one of them or neither
  return {
    kind: 'latent',
    heads: shape.heads,
    queryRank: keys.number('q_lora_rank') ?? 0,
    kvRank: keys.required('kv_lora_rank'),
    noPositionDim: keys.required('qk_nope_head_dim'),
    ropeDim: keys.required('qk_rope_head_dim'),
    valueDim: keys.required('v_head_dim'),
    vectorParameters: 0,
    ...(topK === undefined
      ? {}
      : { indexer: { heads: keys.required('index_n_heads'), dim: keys.required('index_head_dim'), topK } }),
  };
}

function readDelta(keys: ConfigKeys): DeltaMixer {
  return {
    kind: 'gated_delta',
    keyHeads: keys.required('linear_num_key_heads'),
    keyDim: keys.required('linear_key_head_dim'),
    valueHeads: keys.required('linear_num_value_heads'),
    valueDim: keys.required('linear_value_head_dim'),
    convKernel: keys.required('linear_conv_kernel_dim'),
  };
}

export function readMamba(keys: ConfigKeys): MambaMixer {
  return {
    kind: 'mamba2',
    heads: keys.required('mamba_num_heads'),
    headDim: keys.required('mamba_head_dim'),
    groups: keys.required('n_groups'),
    state: keys.required('ssm_state_size'),
    convKernel: keys.required('conv_kernel'),
    convBias: keys.flag('use_conv_bias') ?? true,
  };
}

/** Plain attention of the whole model's sizes over every earlier token. */
export function readFullAttention(keys: ConfigKeys, shape: Shape): AttentionMixer {
  return readAttention(keys, shape, CAUSAL);
}
