import { currency, decimal, money, subtract, sum, toText, ZERO } from '@ergon/exact';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { costBasis, creditsToMoney, moneyToCredits } from './credit-unit.ts';

const unit = (rate: string) => ({
  unit: currency('credit:tokens'),
  currency: currency('USD'),
  rate: decimal(rate),
});

describe('credit units', () => {
  it.each([
    ['2', '200'],
    ['0.5', '50'],
    ['1.123456', '112.3456'],
  ])('G1 flexprice wallet: 100 credits at %s are %s', (rate, expected) => {
    const worth = creditsToMoney(unit(rate), money(decimal(100), currency('credit:tokens')));
    expect([worth.currency, toText(worth.amount)]).toEqual(['USD', expected]);
  });

  it('money buys credits, and the caller says who keeps the rest', () => {
    const bought = (mode: 'down' | 'up'): string =>
      toText(moneyToCredits(unit('3'), money(decimal(10), currency('USD')), mode).amount);
    expect([bought('down'), bought('up')]).toEqual(['3.333333333333', '3.333333333334']);
  });

  it('never mixes units', () => {
    expect(() => creditsToMoney(unit('2'), money(decimal(1), currency('USD')))).toThrow(/credit:tokens/);
    expect(() => moneyToCredits(unit('2'), money(decimal(1), currency('EUR')), 'down')).toThrow(/USD/);
    expect(() => moneyToCredits(unit('0'), money(decimal(1), currency('USD')), 'down')).toThrow(/more than nothing/);
  });

  it('the cost of a lot is used up exactly, in any steps', () => {
    const steps = fc.array(fc.bigInt({ min: 0n, max: 1000n }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(steps, fc.bigInt({ min: 0n, max: 10n ** 9n }), (used, cost) => {
        const credits = used.reduce((a, b) => a + b, 0n) + 1n;
        const lot = { credits: decimal(credits), cost: decimal(cost) };
        let before = ZERO;
        const costs = [...used, 1n].map((quantity) => {
          const after = decimal(before.coefficient + quantity);
          const part = costBasis(lot, before, after);
          before = after;
          return part;
        });
        expect(toText(subtract(sum(costs), lot.cost))).toBe('0');
      }),
    );
  });

  it('refuses use outside the lot', () => {
    const lot = { credits: decimal(10), cost: decimal(5) };
    for (const [before, after] of [
      [-1, 1],
      [5, 4],
      [0, 11],
    ] as const) {
      expect(() => costBasis(lot, decimal(before), decimal(after))).toThrow(RangeError);
    }
    expect(toText(costBasis({ credits: decimal(10), cost: ZERO }, ZERO, decimal(4)))).toBe('0');
  });
});
