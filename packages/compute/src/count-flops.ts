import { assert } from './assert.ts';
import type { CompiledModel } from './compile-model.ts';
import { keysAttended, keysAttendedExactly } from './keys-attended.ts';
import { COMPONENTS, type Component, type CoreCost, perComponent } from './layer-cost.ts';

/** Tokens of one request. Output tokens are one prefill and `outputTokens - 1` decode steps. */
export type Work = {
  readonly newTokens: number;
  readonly cachedTokens: number;
  readonly outputTokens: number;
  /** What the encoder of an encoder-decoder reads (audio frames, source tokens): once, before the first token. */
  readonly encoderTokens?: number;
};

export type FlopCount = { readonly prefill: bigint; readonly decode: bigint; readonly total: bigint };

/** How latent attention is run: `convention` is naive in prefill and absorbed in decode, as engines do. */
export type LatentMode = 'convention' | 'naive' | 'absorbed';
export type LogitsMode = 'last' | 'all' | 'none';

/**
 * FLOPs of a request in convention `ergon-flops-1`: 2 per multiply-add, unmasked scores only, logits on sampled positions
 * (one in prefill, one each decode step), no minor terms, no draft work. Exact integers at any size.
 */
export function countFlops(model: CompiledModel, work: Work): FlopCount {
  const { newTokens, cachedTokens, outputTokens } = work;
  assert(newTokens >= 0 && cachedTokens >= 0 && outputTokens >= 0, 'token counts are not negative');
  const steps = outputTokens > 1 ? outputTokens - 1 : 0;
  const prefill = forward(model, cachedTokens, newTokens, outputTokens > 0 ? 1 : 0, false);
  const decode = steps === 0 ? 0n : forward(model, cachedTokens + newTokens, steps, steps, true);
  const read = work.encoderTokens;
  if (model.cross === undefined || read === undefined) return { prefill, decode, total: prefill + decode };
  const { perEncoderToken, perPair } = model.cross;
  const once = encoderFlops(model, read) + BigInt(perEncoderToken) * BigInt(read);
  const first = prefill + once + BigInt(perPair) * BigInt(newTokens) * BigInt(read);
  const later = decode + BigInt(perPair) * BigInt(steps) * BigInt(read);
  return { prefill: first, decode: later, total: first + later };
}

/** One pass over `tokens` after `context`; small enough numbers stay in float64, where they are exact. */
function forward(model: CompiledModel, context: number, tokens: number, logits: number, isDecode: boolean): bigint {
  let sum = model.linearPerToken * tokens + model.logitsPerPosition * logits;
  for (const core of model.core) {
    const keys = keysAttendedExactly(core.pattern, context, tokens);
    sum += keys < 0 ? Number.POSITIVE_INFINITY : keys * (isDecode ? core.decodePerKey : core.prefillPerKey);
  }
  // A sum of products that stays at or below 2^53 has no rounded term in it.
  if (sum <= Number.MAX_SAFE_INTEGER) return BigInt(sum);
  let exact = BigInt(model.linearPerToken) * BigInt(tokens) + BigInt(model.logitsPerPosition) * BigInt(logits);
  for (const core of model.core) {
    const perKey = isDecode ? core.decodePerKey : core.prefillPerKey;
    exact += BigInt(perKey) * keysAttended(core.pattern, context, tokens);
  }
  return exact;
}

export type PassOptions = {
  readonly newTokens: number;
  readonly cachedTokens: number;
  readonly logits: LogitsMode;
  readonly phase: 'prefill' | 'decode';
  readonly latent: LatentMode;
  /** Tokens the encoder of an encoder-decoder read; its own pass is counted apart, with `encoderFlops`. */
  readonly encoderTokens?: number;
  /** The encoder's output is projected to keys and values once a request: in its first pass only. */
  readonly projectEncoder?: boolean;
};

export type FlopsByComponent = Readonly<Record<Component, bigint>> & { readonly total: bigint };

/** One pass by component; the components sum to the total. */
export function flopsByComponent(model: CompiledModel, pass: PassOptions): FlopsByComponent {
  const { newTokens, cachedTokens } = pass;
  const tokens = BigInt(newTokens);
  const flops = perComponent((name) => BigInt(model.perToken[name]) * tokens);
  for (const core of model.core) {
    flops.attention_core += BigInt(perKey(core, pass)) * keysAttended(core.pattern, cachedTokens, newTokens);
  }
  if (model.cross !== undefined && pass.encoderTokens !== undefined) {
    const read = BigInt(pass.encoderTokens);
    flops.attention_core += BigInt(model.cross.perPair) * tokens * read;
    if (pass.projectEncoder === true) flops.attention_projections += BigInt(model.cross.perEncoderToken) * read;
  }
  const scored = pass.logits === 'all' ? newTokens : pass.logits === 'last' ? 1 : 0;
  flops.logits = BigInt(model.logitsPerPosition) * BigInt(scored);
  return { ...flops, total: COMPONENTS.reduce((sum, name) => sum + flops[name], 0n) };
}

function perKey(core: CoreCost, pass: PassOptions): number {
  if (pass.latent === 'naive') return core.naivePerKey;
  if (pass.latent === 'absorbed') return core.absorbedPerKey;
  return pass.phase === 'prefill' ? core.prefillPerKey : core.decodePerKey;
}

/** The encoder's one pass over `tokens` (Whisper's audio frames, T5's prompt); 0 for a model without one. */
export function encoderFlops(model: CompiledModel, tokens: number): bigint {
  if (model.encoder === undefined) return 0n;
  return forward(model.encoder, 0, tokens, 0, false);
}

/**
 * Norms, rotary embedding, activations, residuals and softmax (5 per score): never part of `ergon-flops-1`, printed apart.
 * Approximate by nature: kernels fuse and approximate them differently.
 */
export function minorFlops(model: CompiledModel, cachedTokens: number, newTokens: number): bigint {
  const softmax = model.core.reduce(
    (sum, core) => sum + 5n * BigInt(core.scoresPerKey) * keysAttended(core.pattern, cachedTokens, newTokens),
    0n,
  );
  return BigInt(model.minorPerToken) * BigInt(newTokens) + softmax;
}

/** What naive latent attention adds in prefill: cached latents projected again, once per chunk. Executed, not billed. */
export function reprojectionFlops(model: CompiledModel, cachedTokens: number): bigint {
  return BigInt(model.reprojectPerCachedToken) * BigInt(cachedTokens);
}
