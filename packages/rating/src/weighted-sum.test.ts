import { decimal, toText } from '@ergon/exact';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { promptTokens } from './prompt-tokens.ts';
import { weightedSum } from './weighted-sum.ts';

const HOUR = 3_600_000_000n;
const change = (hour: number, value: number) => ({ at: BigInt(hour) * HOUR, change: decimal(value) });

describe('weighted sum', () => {
  it.each<[string, [number, number][], string]>([
    ['held all day', [[0, 10]], '240'],
    ['held half the day', [[12, 10]], '120'],
    [
      'added and given back',
      [
        [6, 10],
        [18, -10],
      ],
      '120',
    ],
    [
      'carried in from before',
      [
        [-48, 10],
        [12, -4],
      ],
      '192',
    ],
    ['after the period', [[24, 10]], '0'],
    [
      'out of order',
      [
        [18, -10],
        [6, 10],
      ],
      '120',
    ],
    ['below zero', [[12, -1]], '-12'],
  ])('%s', (_name, changes, gigabyteHours) => {
    const list = changes.map(([hour, value]) => change(hour, value));
    expect(toText(weightedSum(list, { from: 0n, to: 24n * HOUR, per: HOUR }))).toBe(gigabyteHours);
  });

  it('is an average where the unit is the period', () => {
    expect(toText(weightedSum([change(0, 10), change(12, 10)], { from: 0n, to: 24n * HOUR, per: 24n * HOUR }))).toBe(
      '15',
    );
  });

  it('two periods sum to the one they make', () => {
    const at = fc.bigInt({ min: -100n, max: 1000n });
    const changes = fc.array(fc.record({ at, change: fc.bigInt({ min: -9n, max: 9n }).map(decimal) }));
    fc.assert(
      fc.property(changes, fc.bigInt({ min: 1n, max: 899n }), (list, cut) => {
        const whole = weightedSum(list, { from: 0n, to: 900n, per: 1n });
        const parts = [
          weightedSum(list, { from: 0n, to: cut, per: 1n }),
          weightedSum(list, { from: cut, to: 900n, per: 1n }),
        ];
        expect(parts.reduce((total, part) => total + BigInt(toText(part)), 0n)).toBe(BigInt(toText(whole)));
      }),
    );
  });

  it('refuses an empty period', () => {
    expect(() => weightedSum([], { from: 1n, to: 1n, per: 1n })).toThrow(RangeError);
    expect(() => weightedSum([], { from: 0n, to: 1n, per: 0n })).toThrow(RangeError);
  });
});

describe('prompt tokens', () => {
  it('are all that went in, cached or not, and nothing that came out', () => {
    expect(
      promptTokens({
        input: 1,
        tool_use: 2,
        cache_write_5m: 4,
        cache_write_1h: 8,
        cache_read: 16,
        input_audio: 32,
        input_image: 64,
        input_video: 128,
      }),
    ).toBe(255);
    expect(
      promptTokens({
        output: 1,
        reasoning: 1,
        hidden_output: 1,
        rejected_prediction: 1,
        output_audio: 1,
        output_image: 1,
      }),
    ).toBe(0);
    expect(promptTokens({})).toBe(0);
  });
});
