import type { Shape } from './config-mixers.ts';
import { type ConfigKeys, isRecord } from './config-keys.ts';
import type { DenseFfn, Ffn, MoeFfn } from './model-spec.ts';

/** The feed-forward parts of each layer, in order. */
export function readFfns(keys: ConfigKeys, shape: Shape): Ffn[][] {
  const moe = readMoe(keys, shape);
  const inner = keys.number('intermediate_size', 'ffn_hidden_size', 'n_inner') ?? 4 * shape.hidden;
  const denseInner = keys.number('intermediate_size_mlp', 'dense_intermediate_size') ?? inner;
  const dense = denseFfn(keys, shape, denseInner);
  if (moe === undefined) return Array.from({ length: shape.layers }, () => [dense]);
  const isMoe = readMoeLayers(keys, shape);
  const isParallel = shape.family === 'gemma4_text' && keys.flag('enable_moe_block') !== false;
  return Array.from({ length: shape.layers }, (_, index) => {
    if (isParallel) return [dense, moe];
    return isMoe(index) ? [moe] : [dense];
  });
}

export function denseFfn(keys: ConfigKeys, shape: Shape, inner: number): DenseFfn {
  const { gated, ffnBias } = shape.traits;
  const hasBias = ffnBias === 'when_told' ? keys.flag('mlp_bias') === true : ffnBias;
  return {
    kind: 'dense',
    inner,
    gated,
    vectorParameters: hasBias ? inner * (gated ? 2 : 1) + shape.hidden : 0,
  };
}

export function readMoe(keys: ConfigKeys, shape: Shape): MoeFfn | undefined {
  const dbrx = keys.object('ffn_config');
  const nested = (name: string): number | undefined => {
    const value = isRecord(dbrx) ? dbrx[name] : undefined;
    return typeof value === 'number' ? value : undefined;
  };
  const isDbrx = shape.family === 'dbrx';
  // DBRX exists in one shape only, which configs rewritten by other tools leave out: 16 experts, 4 active (its README).
  const experts =
    keys.number('num_experts', 'num_local_experts', 'n_routed_experts') ??
    nested('moe_num_experts') ??
    (isDbrx ? 16 : undefined);
  if (experts === undefined || experts === 0) return undefined;
  const expertsPerToken =
    keys.number('num_experts_per_tok', 'num_experts_per_token', 'experts_per_token', 'top_k_experts', 'moe_topk') ??
    nested('moe_top_k') ??
    (isDbrx ? 4 : keys.required('num_experts_per_tok'));
  const inner =
    keys.number('moe_intermediate_size') ??
    nested('ffn_hidden_size') ??
    keys.required('intermediate_size', 'moe_intermediate_size');
  const expertHidden = keys.number('moe_latent_size') ?? shape.hidden;
  const { family, traits } = shape;
  const hasBias = traits.ffnBias === true;
  // Gemma 4 scales each expert and the router's input, and norms both branches beside the four of a block.
  const gemma4 = family === 'gemma4_text' ? experts + 4 * shape.hidden : 0;
  return {
    kind: 'moe',
    experts,
    expertsPerToken,
    inner,
    gated: traits.gated,
    sharedInner: readSharedInner(keys, shape, inner),
    sharedGate: (keys.number('shared_expert_intermediate_size') ?? 0) > 0 && family.startsWith('qwen'),
    expertHidden,
    expertVectorParameters: hasBias ? 2 * inner + shape.hidden : 0,
    vectorParameters: (traits.routerBias ? experts : 0) + gemma4,
  };
}

function readSharedInner(keys: ConfigKeys, shape: Shape, inner: number): number {
  if (shape.family === 'llama4_text') return inner;
  const count = keys.number('n_shared_experts', 'num_shared_experts') ?? 0;
  const size = keys.number('shared_expert_intermediate_size', 'share_expert_dim', 'shared_intermediate_size');
  if (size !== undefined) return size;
  const nemotron = keys.number('moe_shared_expert_intermediate_size');
  return nemotron === undefined ? count * inner : nemotron * count;
}

/** Which layers have experts: five spellings of the same fact. */
function readMoeLayers(keys: ConfigKeys, shape: Shape): (index: number) => boolean {
  const firstDense = keys.number('first_k_dense_replace') ?? 0;
  const listed = keys.list('moe_layer_freq');
  const frequency = keys.number('moe_layer_freq') ?? 1;
  const step = keys.number('interleave_moe_layer_step') ?? keys.number('decoder_sparse_step') ?? 1;
  const exempt = keys.list('mlp_only_layers') ?? [];
  const named = keys.list('moe_layers');
  return (index) => {
    if (named !== undefined && shape.family === 'llama4_text') return named.includes(index);
    if (listed !== undefined) return listed[index] === 1;
    if (index < firstDense || exempt.includes(index)) return false;
    return index % frequency === 0 && (index + 1) % step === 0;
  };
}
