import { add, currency, type Decimal, decimal, equals, isZero, scaled, toText, ZERO } from '@ergon/exact';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { difference } from './difference.ts';
import type { Owed } from './owed.ts';

const USD = currency('USD');

function owed(key: string, amount: Decimal, quantity?: Decimal): Owed {
  return { kind: 'fee', key, description: key, currency: USD, amount, ...(quantity !== undefined && { quantity }) };
}

const amounts = fc.bigInt({ min: -1_000_000n, max: 1_000_000n }).map((units) => scaled(units, 4));
const statement = fc
  .uniqueArray(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd', 'e'), amounts), { selector: ([key]) => key })
  .map((rows) => rows.map(([key, amount]) => owed(key, amount)));

/** Lines, summed by key, as the next difference will find them. */
function summed(lines: readonly Owed[]): Map<string, Owed> {
  const stated = new Map<string, Owed>();
  for (const line of lines) {
    stated.set(line.key, { ...line, amount: add(stated.get(line.key)?.amount ?? ZERO, line.amount) });
  }
  return stated;
}

test('whatever was stated before, the lines of a key sum to what is owed for it', () => {
  fc.assert(
    fc.property(fc.array(statement, { minLength: 1, maxLength: 6 }), (statements) => {
      const lines: Owed[] = [];
      for (const one of statements) lines.push(...difference(one, summed(lines)));
      const sums = summed(lines);
      const last = new Map((statements.at(-1) ?? []).map((one) => [one.key, one.amount]));
      for (const [key, { amount }] of sums) expect(toText(amount)).toBe(toText(last.get(key) ?? ZERO));
      for (const [key, amount] of last) expect(equals(sums.get(key)?.amount ?? ZERO, amount)).toBe(true);
    }),
  );
});

test('stated twice, the second states nothing', () => {
  fc.assert(
    fc.property(statement, (one) => {
      expect(difference(one, summed(difference(one, new Map()))).filter((line) => !isZero(line.amount))).toEqual([]);
    }),
  );
});

test('a quantity that changed without its amount is a line, so that late usage within an allowance is seen', () => {
  const [line] = difference([owed('a', ZERO, decimal(7))], new Map([['a', owed('a', ZERO, decimal(5))]]));
  expect(toText(line?.quantity ?? ZERO)).toBe('2');
});
