import { TOKEN_CLASSES } from '@ergon/usage';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { boundedFlops, boundedParameters } from './bounded-count.ts';
import { findModel } from './catalog.ts';
import { compileModel } from './compile-model.ts';
import { countFlops, flopsByComponent, minorFlops } from './count-flops.ts';
import {
  adapterFlopsPerToken,
  speculativeFlopsPerToken,
  speculativeTokensPerStep,
  trainingFlops,
} from './extra-work.ts';
import { readModelConfig } from './read-model-config.ts';
import { imageWork } from './vision-tower.ts';
import { workOfTokens } from './work-of-tokens.ts';

function compiled(name: string) {
  const reading = readModelConfig(findModel(name)?.config);
  if (reading.kind !== 'known') throw new Error(name);
  return compileModel(reading.spec);
}

describe('speculative decoding', () => {
  const target = compiled('Llama-3.1-70B');
  const draft = compiled('Llama-3.2-1B');

  it('yields (1 - a^(k+1)) / (1 - a) tokens a step: one at no acceptance, all at full', () => {
    expect(speculativeTokensPerStep(4, 0)).toBe(1);
    expect(speculativeTokensPerStep(4, 1)).toBe(5);
    expect(speculativeTokensPerStep(3, 0.8)).toBeCloseTo((1 - 0.8 ** 4) / 0.2, 12);
  });

  it('12: without acceptance it never costs less than plain decoding', () => {
    const plain = Number(countFlops(target, { newTokens: 1, cachedTokens: 999, outputTokens: 2 }).decode);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10 }), (drafts) => {
        const cost = speculativeFlopsPerToken(target, draft, { context: 1000, drafts, acceptance: 0 });
        expect(cost.target + cost.draft).toBeGreaterThanOrEqual(plain);
      }),
    );
  });
});

describe('training, adapters, images, minor terms', () => {
  it('a training step is three forward passes with all logits', () => {
    const model = compiled('Llama-3.1-8B');
    const forward = flopsByComponent(model, {
      newTokens: 4096,
      cachedTokens: 0,
      logits: 'all',
      phase: 'prefill',
      latent: 'convention',
    });
    expect(trainingFlops(model, 8, 4096)).toBe(24n * forward.total);
  });

  it('an unmerged adapter adds 2 r (in + out) a token', () => {
    expect(adapterFlopsPerToken([{ inputs: 4096, outputs: 4096, rank: 16 }])).toBe(2 * 16 * 8192);
    expect(adapterFlopsPerToken([])).toBe(0);
  });

  it('Gemma 3: 896 pixels are 4,096 patches and 256 tokens', () => {
    const tower = { hidden: 1152, layers: 27, inner: 4304, gated: false, patch: 14, merge: 4, mergerOutput: 0 };
    const image = imageWork(tower, { width: 896, height: 896 });
    expect(image.patches).toBe(4096);
    expect(image.tokens).toBe(256);
    const perPatch = 2n * (4n * 1152n ** 2n + 2n * 1152n * 4304n);
    expect(image.flops).toBe(27n * (perPatch * 4096n + 4n * 1152n * 4096n ** 2n) + 2n * 3n * 196n * 1152n * 4096n);
  });

  it('minor terms stay minor: below one percent of a prefill', () => {
    const model = compiled('Llama-2-7B');
    const share =
      Number(minorFlops(model, 0, 128)) /
      Number(countFlops(model, { newTokens: 128, cachedTokens: 0, outputTokens: 1 }).total);
    expect(share).toBeGreaterThan(0);
    expect(share).toBeLessThan(0.01);
  });
});

describe('usage records', () => {
  it('every class has its part: new, cached, output or none', () => {
    const one = Object.fromEntries(TOKEN_CLASSES.map((name) => [name, 1]));
    expect(workOfTokens(one)).toEqual({ newTokens: 7, cachedTokens: 1, outputTokens: 5 });
    expect(workOfTokens({ input: 200, cache_read: 1000, output: 340 })).toEqual({
      newTokens: 200,
      cachedTokens: 1000,
      outputTokens: 340,
    });
    expect(workOfTokens({ rejected_prediction: 9 }).outputTokens).toBe(0);
  });
});

describe('models read in part', () => {
  it('count as an interval around the published total', () => {
    const reading = readModelConfig(findModel('Kimi-K3')?.config);
    if (reading.kind !== 'bounded') throw new Error('Kimi-K3 is bounded');
    const total = boundedParameters(reading);
    expect(total.low).toBeLessThan(2_800_000_000_000n);
    expect(total.high).toBeGreaterThan(2_800_000_000_000n);
    const flops = boundedFlops(reading, { newTokens: 1000, cachedTokens: 0, outputTokens: 10 });
    expect(flops.low * 8n).toBe(flops.high);
    expect(flops.basis).toBe('inferred');
  });
});
