import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allocate } from './allocate.ts';
import { compare, type Decimal, decimal, divide, isZero, multiply, scaled, subtract, sum, toText } from './decimal.ts';

const split = (amount: string, weights: readonly string[], places: number): string[] =>
  allocate(decimal(amount), weights.map(decimal), places).map(toText);

describe('allocate', () => {
  it.each<[string, string[], number, string[]]>([
    ['10', ['1', '1', '1'], 2, ['3.34', '3.33', '3.33']],
    ['-10', ['1', '1', '1'], 2, ['-3.34', '-3.33', '-3.33']],
    ['0.02', ['1', '1', '1'], 2, ['0.01', '0.01', '0']],
    ['1', ['0', '1', '0'], 0, ['0', '1', '0']],
    ['100', ['0.5', '0.25', '0.25'], 0, ['50', '25', '25']],
    ['100', ['1', '2.5', '0.001'], 2, ['28.56', '71.41', '0.03']],
    ['0', ['1', '2'], 2, ['0', '0']],
    // Trailing zeros of the amount are no licence for finer parts.
    ['1.0000', ['1', '1', '1'], 2, ['0.34', '0.33', '0.33']],
    ['1.0', ['1', '1', '1'], 0, ['1', '0', '0']],
  ])('%s over %j to %i places', (amount, weights, places, expected) => {
    expect(split(amount, weights, places)).toEqual(expected);
  });

  it('refuses negative weights, no weight, and an amount that is too fine', () => {
    expect(() => split('1', ['1', '-1'], 2)).toThrow(/negative/);
    expect(() => split('1', ['0', '0'], 2)).toThrow(/above zero/);
    expect(() => split('1', [], 2)).toThrow(/above zero/);
    expect(() => split('0.001', ['1'], 2)).toThrow(/more than 2 decimals/);
  });

  it('conserves the amount, and no part is a last place away from its share', () => {
    const amounts = fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n });
    const weight = fc
      .tuple(fc.bigInt({ min: 0n, max: 10n ** 12n }), fc.integer({ min: 0, max: 12 }))
      .map(([coefficient, scale]) => scaled(coefficient, scale));
    fc.assert(
      fc.property(
        amounts,
        fc.integer({ min: 0, max: 12 }),
        fc.array(weight, { minLength: 1 }),
        (units, places, raw) => {
          const weights: readonly Decimal[] = raw.every(isZero) ? [...raw, decimal(1)] : raw;
          const amount = scaled(units, places);
          const parts = allocate(amount, weights, places);
          expect(toText(sum(parts))).toBe(toText(amount));
          const lastPlace = scaled(1n, places);
          parts.forEach((part, index) => {
            expect(part.scale).toBeLessThanOrEqual(places);
            const share = divide(multiply(amount, weights[index] ?? decimal(0)), sum(weights), {
              places: 40,
              mode: 'half-even',
            });
            const distance = subtract(part, share);
            expect(compare(distance, lastPlace)).toBe(-1);
            expect(compare(distance, subtract(decimal(0), lastPlace))).toBe(1);
          });
        },
      ),
      { numRuns: 500 },
    );
  });
});
