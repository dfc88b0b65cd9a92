import {
  checkpointBytes,
  type CompiledModel,
  compileModel,
  findModel,
  FLOP_CONVENTIONS,
  flopsByComponent,
  flopsInConvention,
  kvBytesPerToken,
  readModelConfig,
  readWeightFormat,
} from '../src/index.ts';
import { type TruthRow, truthRows } from './truth-rows.ts';

/** How far counts stand from the exact rows of the truth table, each in the convention of whoever published it. */
export type ExactScore = {
  /** Components of computed rows that differ by even one FLOP. */
  readonly componentsApart: number;
  readonly components: number;
  readonly worstForwardError: number;
  readonly cacheBytesApart: number;
  readonly checkpointError: number;
};

export function scoreExact(): ExactScore | undefined {
  const rows = truthRows();
  if (rows.length === 0) return undefined;
  const of = (quantity: string) => rows.filter((row) => row.quantity === quantity);
  const parts = of('flops_forward_by_component').flatMap(componentErrors);
  const caches = of('kv_cache_bytes_per_token').filter(
    (row) => kvBytesPerToken(compiled(row.model), 'bf16') !== row.value,
  );
  return {
    components: parts.length,
    componentsApart: parts.filter((apart) => apart).length,
    worstForwardError: Math.max(...of('macs_forward').map(forwardError)),
    cacheBytesApart: caches.length,
    checkpointError: Math.abs(Number(gptOssBytes()) / 2 ** 30 / GPT_OSS_GIB - 1),
  };
}

/** OpenAI's model card: the checkpoint of gpt-oss-120b, its experts in MXFP4, is 60.8 GiB. */
const GPT_OSS_GIB = 60.8;

function gptOssBytes(): bigint {
  const quantization_config = {
    quant_method: 'mxfp4',
    modules_to_not_convert: ['model.layers.*.self_attn', 'model.layers.*.mlp.router', 'model.embed_tokens', 'lm_head'],
  };
  const config = findModel('gpt-oss-120b')?.config;
  return checkpointBytes(compiled('gpt-oss-120b'), readWeightFormat({ ...config, quantization_config }));
}

function compiled(name: string): CompiledModel {
  const reading = readModelConfig(findModel(name)?.config);
  if (reading.kind !== 'known') throw new Error(`no exact count of ${name}`);
  return compileModel(reading.spec);
}

/** Whether each component of a computed row differs. */
function componentErrors(row: TruthRow): boolean[] {
  const newTokens = Number(row.conditions['new_tokens']);
  const flops = flopsByComponent(compiled(row.model), {
    newTokens,
    cachedTokens: Number(row.conditions['cached_tokens']),
    logits: 'last',
    phase: newTokens > 1 ? 'prefill' : 'decode',
    latent: 'convention',
  });
  const expected: Readonly<Record<string, number>> = Object(row.value);
  const networks = flops.ffn + flops.routed_experts + flops.shared_experts + flops.router;
  const pairs: readonly (readonly [bigint, number | undefined])[] = [
    [flops.attention_projections, expected['attn_proj']],
    [flops.attention_core, expected['attn_core']],
    [networks, (expected['ffn'] ?? 0) + (expected['moe'] ?? 0)],
    [flops.state_space, expected['ssm']],
    [flops.logits, expected['logits']],
    [flops.total, expected['total']],
  ];
  return pairs.map(([ours, theirs]) => ours !== BigInt(theirs ?? -1));
}

/** Calflops counts multiply-adds of the model it loaded: some without a head; of Bloom's attention one product of two. */
function forwardError(row: TruthRow): number {
  const all = FLOP_CONVENTIONS['calflops-macs'];
  const convention = {
    ...all,
    ...(row.conditions['logits'] !== 'all tokens' && { logits: 'none' as const }),
    ...(row.model.startsWith('bloom') && { attentionMatmuls: 1 as const }),
  };
  const macs = flopsInConvention(compiled(row.model), { newTokens: 128, cachedTokens: 0 }, convention);
  return Math.abs(Number(macs) / row.value - 1);
}
