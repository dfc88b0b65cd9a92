import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileModel } from './compile-model.ts';
import { countFlops, flopsByComponent, reprojectionFlops } from './count-flops.ts';
import { keysAttended } from './keys-attended.ts';
import { COMPONENTS } from './layer-cost.ts';
import type { KeyPattern, LayerSpec, ModelSpec } from './model-spec.ts';
import { parameters } from './parameters.ts';
import { randomArchitecture } from './random-architecture.test-support.ts';
import { weightFormat } from './weight-format.ts';
import { checkpointBytes } from './weight-format.ts';

const tokens = fc.integer({ min: 1, max: 3000 });
const cached = fc.integer({ min: 0, max: 3000 });
const model = randomArchitecture.map(compileModel);
type Model = ReturnType<typeof compileModel>;

const pass = (item: Model, newTokens: number, cachedTokens: number, phase: 'prefill' | 'decode' = 'prefill') =>
  flopsByComponent(item, { newTokens, cachedTokens, logits: 'all', phase, latent: 'convention' });

/** Chunked attention forgets at chunk borders, so its work is not monotone in what is cached (DESIGN 7.6). */
const isMonotone = (item: Model): boolean => item.core.every((core) => core.pattern.kind !== 'chunk');

describe('invariants over random architectures (reference, 8.3)', () => {
  it('1: prefill is additive over any split, with logits on all positions', () => {
    fc.assert(
      fc.property(model, tokens, tokens, cached, (item, one, two, before) => {
        const whole = pass(item, one + two, before).total;
        expect(pass(item, one, before).total + pass(item, two, before + one).total).toBe(whole);
      }),
    );
  });

  it('1: with last-token logits each extra call costs one more scored position', () => {
    fc.assert(
      fc.property(model, tokens, tokens, (item, one, two) => {
        const last = (n: number, c: number) =>
          countFlops(item, { newTokens: n, cachedTokens: c, outputTokens: 1 }).total;
        expect(last(one, 0) + last(two, one) - last(one + two, 0)).toBe(BigInt(item.logitsPerPosition));
      }),
    );
  });

  it('1: projecting cached latents again is the documented exception, never negative', () => {
    fc.assert(fc.property(model, cached, (item, before) => reprojectionFlops(item, before) >= 0n));
  });

  it('2: the closed form of decode equals the sum over its steps', () => {
    fc.assert(
      fc.property(model, cached, fc.integer({ min: 1, max: 60 }), (item, before, outputTokens) => {
        const work = countFlops(item, { newTokens: 7, cachedTokens: before, outputTokens });
        let sum = 0n;
        for (let step = 0; step < outputTokens - 1; step += 1) sum += pass(item, 1, before + 7 + step, 'decode').total;
        expect(work.decode).toBe(sum);
      }),
    );
  });

  it('3: a cached prefix never costs more than recomputing it, and never less than no prefix', () => {
    fc.assert(
      fc.property(model, tokens, cached, (item, fresh, before) => {
        const reused = pass(item, fresh, before).total;
        const recomputed = pass(item, fresh + before, 0).total;
        expect(reused <= recomputed).toBe(true);
        if (before > 0 && item.linearPerToken > 0) expect(reused < recomputed).toBe(true);
        if (isMonotone(item)) expect(reused >= pass(item, fresh, 0).total).toBe(true);
      }),
    );
  });

  it('4: more tokens never cost less; windows and chunks never cost more than full attention', () => {
    fc.assert(
      fc.property(model, tokens, cached, (item, fresh, before) => {
        const work = { newTokens: fresh, cachedTokens: before, outputTokens: 5 };
        const base = countFlops(item, work).total;
        expect(countFlops(item, { ...work, outputTokens: 6 }).total >= base).toBe(true);
        if (isMonotone(item)) expect(countFlops(item, { ...work, newTokens: fresh + 1 }).total >= base).toBe(true);
        if (isMonotone(item)) expect(countFlops(item, { ...work, cachedTokens: before + 1 }).total >= base).toBe(true);
      }),
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 500 }), tokens, cached, (size, fresh, before) => {
        const full = keysAttended({ kind: 'causal' }, before, fresh);
        for (const kind of ['window', 'chunk'] as const) {
          const keys = keysAttended({ kind, size }, before, fresh);
          expect(keys <= full).toBe(true);
          if (before + fresh <= size) expect(keys).toBe(full);
        }
      }),
    );
  });

  it('5: active parameters never exceed all of them; equal without experts left over', () => {
    fc.assert(
      fc.property(randomArchitecture, (spec) => {
        const count = parameters(compileModel(spec));
        expect(count.active <= count.total).toBe(true);
        const isDense = spec.layers.every(({ layer }) =>
          layer.ffns.every((ffn) => ffn.kind === 'dense' || ffn.experts === ffn.expertsPerToken),
        );
        expect(count.active === count.total).toBe(isDense);
      }),
    );
  });

  it('5: all experts active equal one dense network of their summed size, plus the router', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 16 }),
        fc.integer({ min: 1, max: 64 }),
        fc.boolean(),
        (experts, inner, gated) => {
          const moe: LayerSpec['ffns'][number] = {
            kind: 'moe',
            experts,
            expertsPerToken: experts,
            inner,
            gated,
            sharedInner: 0,
            sharedGate: false,
            expertHidden: 64,
            expertVectorParameters: 0,
            vectorParameters: 0,
          };
          const dense = { kind: 'dense' as const, inner: experts * inner, gated, vectorParameters: 0 };
          const of = (ffn: LayerSpec['ffns'][number]) =>
            pass(compileModel(oneLayer({ mixer: { kind: 'none' }, ffns: [ffn], normParameters: 0 })), 10, 0);
          expect(of(moe).total - of(moe).router).toBe(of(dense).total);
        },
      ),
    );
  });

  it('6: one key-value head a query head is multi-head attention; tying and quantising change no FLOPs', () => {
    const mixer = {
      kind: 'attention',
      heads: 8,
      kvHeads: 8,
      headDim: 8,
      valueDim: 8,
      keys: { kind: 'causal' },
      outputGate: false,
      sharedKeyValue: false,
      vectorParameters: 0,
    } as const;
    const flops = pass(compileModel(oneLayer({ mixer, ffns: [], normParameters: 0 })), 10, 0);
    expect(flops.attention_projections).toBe(10n * 2n * 4n * 64n * 64n);
    fc.assert(
      fc.property(randomArchitecture, tokens, (spec, fresh) => {
        const tied = compileModel({ ...spec, head: 'tied' });
        const separate = compileModel({ ...spec, head: 'separate' });
        expect(pass(tied, fresh, 0)).toEqual(pass(separate, fresh, 0));
        expect(parameters(separate).total - parameters(tied).total).toBe(BigInt(spec.hidden * spec.vocabulary));
        expect(checkpointBytes(tied, weightFormat('fp8')) <= checkpointBytes(tied, weightFormat('bf16'))).toBe(true);
      }),
    );
  });

  it('7: components sum to the total, as integers, however large', () => {
    fc.assert(
      fc.property(
        model,
        fc.integer({ min: 1, max: 2 ** 31 }),
        fc.integer({ min: 0, max: 2 ** 31 }),
        (item, fresh, before) => {
          const flops = pass(item, fresh, before);
          expect(COMPONENTS.reduce((sum, name) => sum + flops[name], 0n)).toBe(flops.total);
          const work = countFlops(item, { newTokens: fresh, cachedTokens: before, outputTokens: 1 });
          expect(work.total).toBe(flops.total - BigInt(fresh - 1) * BigInt(item.logitsPerPosition));
        },
      ),
    );
  });

  it('11: multiplying layers multiplies everything but the ends', () => {
    fc.assert(
      fc.property(randomArchitecture, tokens, (spec, fresh) => {
        const doubled: ModelSpec = { ...spec, layers: spec.layers.map((run) => ({ ...run, count: run.count * 2 })) };
        const one = pass(compileModel(spec), fresh, 3);
        const two = pass(compileModel(doubled), fresh, 3);
        expect(two.total - two.logits).toBe(2n * (one.total - one.logits));
      }),
    );
  });
});

describe('keys attended against the mask itself', () => {
  const patterns: readonly KeyPattern[] = [
    { kind: 'causal' },
    { kind: 'window', size: 7 },
    { kind: 'chunk', size: 5 },
    { kind: 'bidirectional' },
  ];
  const isVisible = (pattern: KeyPattern, query: number, key: number): boolean => {
    if (pattern.kind === 'bidirectional') return true;
    if (key > query) return false;
    if (pattern.kind === 'window') return query - key < pattern.size;
    return pattern.kind === 'causal' || Math.floor(query / pattern.size) === Math.floor(key / pattern.size);
  };
  it.each(patterns)('$kind', (pattern) => {
    for (const [before, fresh] of [
      [0, 1],
      [0, 23],
      [11, 1],
      [9, 30],
    ] as const) {
      let count = 0n;
      for (let query = before; query < before + fresh; query += 1) {
        for (let key = 0; key < before + fresh; key += 1) if (isVisible(pattern, query, key)) count += 1n;
      }
      expect(keysAttended(pattern, before, fresh)).toBe(count);
    }
  });
});

function oneLayer(layer: LayerSpec): ModelSpec {
  return {
    family: 'test',
    hidden: 64,
    vocabulary: 10,
    head: 'none',
    layers: [{ layer, count: 1 }],
    loose: 0,
    pooler: 0,
  };
}
