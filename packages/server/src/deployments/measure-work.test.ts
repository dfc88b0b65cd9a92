import { MODELS } from '@ergon/compute';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { NO_DEPLOYMENTS } from './deployments.ts';
import { measureWork } from './measure-work.ts';
import { catalogModel } from './model-source.ts';

/** Decoders alone: a bidirectional encoder is not additive (DESIGN 7.6). */
const decoders = MODELS.map(({ name }) => name).filter((name) => {
  const source = catalogModel(name);
  if (source?.kind !== 'known' || source.model.encoder !== undefined) return false;
  return source.model.core.every((core) => core.pattern.kind !== 'bidirectional');
});

function flops(model: string, tokens: Readonly<Record<string, number>>): bigint {
  const work = measureWork(
    { model, deployment: undefined, occurredAt: 0, tokens, allocated: undefined },
    NO_DEPLOYMENTS,
  );
  if (work === undefined) return 0n;
  if (work.kind !== 'measured') throw new Error(work.reason);
  return work.quantities.find(({ meter }) => meter === 'flops')?.quantity.coefficient ?? 0n;
}

const count = fc.nat(30_000);
const model = fc.constantFrom(...decoders);

test('a prompt cut anywhere, its first part cached for the second, is the work of one', () => {
  expect(decoders.length).toBeGreaterThan(60);
  fc.assert(
    fc.property(model, count, count, count, fc.nat(2000), (name, cached, first, second, output) => {
      const whole = flops(name, { input: first + second, cache_read: cached, output });
      const parts: readonly [bigint, bigint] = [
        flops(name, { input: first, cache_read: cached }),
        flops(name, { input: second, cache_read: cached + first, output }),
      ];
      expect(parts[0] + parts[1]).toBe(whole);
    }),
  );
});

test('a cached prefix never costs more than computing it again', () => {
  fc.assert(
    fc.property(model, count, count, fc.nat(2000), (name, cached, input, output) => {
      const warm = flops(name, { input, cache_read: cached, output });
      expect(warm <= flops(name, { input: input + cached, output })).toBe(true);
    }),
  );
});

test('classes are counted by what they are, however they are split', () => {
  const split = {
    input: 10,
    tool_use: 20,
    cache_write_5m: 30,
    input_image: 40,
    cache_read: 50,
    output: 60,
    reasoning: 70,
  };
  const plain = { input: 100, cache_read: 50, output: 130 };
  expect(flops('Qwen3-8B', { ...split, rejected_prediction: 99 })).toBe(flops('Qwen3-8B', plain));
});
