import type { CompiledModel } from './compile-model.ts';
import { flopsByComponent } from './count-flops.ts';

/**
 * Forward and backward of a training step, FLOP: three times the forward pass with logits on every position (the
 * backward pass costs twice the forward). `sequences` of `length` tokens each; no activation recomputation.
 */
export function trainingFlops(model: CompiledModel, sequences: number, length: number): bigint {
  const forward = flopsByComponent(model, {
    newTokens: length,
    cachedTokens: 0,
    logits: 'all',
    phase: 'prefill',
    latent: 'naive',
  });
  return 3n * BigInt(sequences) * forward.total;
}

/** One adapted matrix of an unmerged LoRA adapter. */
export type AdaptedMatrix = { readonly inputs: number; readonly outputs: number; readonly rank: number };

/** FLOP per token that unmerged adapters add: 2 r (in + out) a matrix. Merged adapters add none. */
export function adapterFlopsPerToken(matrices: readonly AdaptedMatrix[]): number {
  return matrices.reduce((sum, matrix) => sum + 2 * matrix.rank * (matrix.inputs + matrix.outputs), 0);
}

/** Tokens that one target step yields with `drafts` drafted tokens, each accepted with `acceptance` (arXiv:2211.17192). */
export function speculativeTokensPerStep(drafts: number, acceptance: number): number {
  let sum = 0;
  let power = 1;
  for (let index = 0; index <= drafts; index += 1) {
    sum += power;
    power *= acceptance;
  }
  return sum;
}

/** Executed FLOP per token kept, target and draft apart: a target step is a pass over `drafts + 1` tokens. */
export function speculativeFlopsPerToken(
  target: CompiledModel,
  draft: CompiledModel,
  at: { readonly context: number; readonly drafts: number; readonly acceptance: number },
): { readonly target: number; readonly draft: number } {
  const kept = speculativeTokensPerStep(at.drafts, at.acceptance);
  const pass = { cachedTokens: at.context, logits: 'all', phase: 'decode', latent: 'convention' } as const;
  const verified = flopsByComponent(target, { ...pass, newTokens: at.drafts + 1 }).total;
  const drafted = at.drafts === 0 ? 0n : flopsByComponent(draft, { ...pass, newTokens: at.drafts }).total;
  return { target: Number(verified) / kept, draft: Number(drafted) / kept };
}
