import type { CompiledModel } from './compile-model.ts';
import { flopsByComponent, type LogitsMode } from './count-flops.ts';

/** How a tool counts; two counts compare only in one convention. Kernels' masks differ from what is useful work. */
export type FlopConvention = {
  readonly operationsPerMultiplyAdd: 1 | 2;
  /** `unmasked`: scores a mask keeps; `rectangle`: every query against every key. */
  readonly attention: 'unmasked' | 'rectangle';
  readonly logits: LogitsMode;
  /** Some tools miss one of the two attention matmuls (`baddbmm` in Bloom). */
  readonly attentionMatmuls: 1 | 2;
};

/** Reference, 1.9. Forward passes; Megatron's published figures are three times these. */
export const FLOP_CONVENTIONS = {
  'ergon-flops-1': { operationsPerMultiplyAdd: 2, attention: 'unmasked', logits: 'last', attentionMatmuls: 2 },
  calflops: { operationsPerMultiplyAdd: 2, attention: 'rectangle', logits: 'all', attentionMatmuls: 2 },
  'calflops-macs': { operationsPerMultiplyAdd: 1, attention: 'rectangle', logits: 'all', attentionMatmuls: 2 },
  'torch-flop-counter': { operationsPerMultiplyAdd: 2, attention: 'rectangle', logits: 'all', attentionMatmuls: 2 },
  fvcore: { operationsPerMultiplyAdd: 1, attention: 'rectangle', logits: 'all', attentionMatmuls: 2 },
  'megatron-lm': { operationsPerMultiplyAdd: 2, attention: 'unmasked', logits: 'all', attentionMatmuls: 2 },
  'llm-analysis': { operationsPerMultiplyAdd: 2, attention: 'rectangle', logits: 'all', attentionMatmuls: 2 },
  infersim: { operationsPerMultiplyAdd: 2, attention: 'rectangle', logits: 'none', attentionMatmuls: 2 },
  vidur: { operationsPerMultiplyAdd: 2, attention: 'rectangle', logits: 'none', attentionMatmuls: 2 },
} as const satisfies Readonly<Record<string, FlopConvention>>;

/** One prefill pass in any convention. */
export function flopsInConvention(
  model: CompiledModel,
  pass: { readonly newTokens: number; readonly cachedTokens: number },
  convention: FlopConvention,
): bigint {
  const { newTokens, cachedTokens } = pass;
  const counted = flopsByComponent(model, {
    ...pass,
    logits: convention.logits,
    phase: 'prefill',
    latent: 'convention',
  });
  const rectangle = BigInt(newTokens) * BigInt(cachedTokens + newTokens);
  const core =
    convention.attention === 'unmasked'
      ? counted.attention_core
      : model.core.reduce((sum, item) => sum + BigInt(item.prefillPerKey) * rectangle, 0n);
  const total = counted.total - counted.attention_core + (core * BigInt(convention.attentionMatmuls)) / 2n;
  return (total * BigInt(convention.operationsPerMultiplyAdd)) / 2n;
}
