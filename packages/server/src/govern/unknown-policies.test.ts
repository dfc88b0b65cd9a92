import { describe, expect, test } from 'vitest';
import { compileBudget } from './compile-budget.ts';
import { amountsOf, prepareHold, subjectOf } from './hold-request.ts';
import { holdBody } from './schemas.ts';

const AT = Date.parse('2026-11-21T10:00:00Z') * 1_000;

/** What one budget makes of a hold: what it takes and its flags, or the policy that refused. */
function prepared(spec: object, asked: object): string {
  const budget = compileBudget(
    1,
    { key: 'b', unit: 'USD', window: 'day', limit: '10', fallback_quantity: '7', ...spec },
    0,
  );
  const body = holdBody.parse({ id: 'h', ...asked });
  const options = { at: AT, applyMax: 64 };
  const result = prepareHold(body, amountsOf(body), null, subjectOf(body, 'key', []), [budget], options);
  if (result.kind === 'too_many_budgets') return result.kind;
  if (result.kind === 'unknown_quantity') return `refused by ${result.policy}`;
  return [result.request.counters[0]?.x, ...result.flags].join(' ');
}

const NO_PRICE = { amounts: { tokens: 500 } };
const NO_LENGTH = { model: 'gpt-5-mini' };
const OTHER_MONEY = { amount: '5', currency: 'EUR' };

describe('a quantity that a hold lacks', () => {
  const cases: readonly (readonly [object, object, string])[] = [
    // One policy for all where the budget has no other.
    [{}, NO_PRICE, 'refused by unknown_quantity'],
    [{}, NO_LENGTH, 'refused by unknown_quantity'],
    [{ unknown_quantity: 'fallback' }, NO_LENGTH, '7 fallback_quantity:b'],
    // A price that is not known.
    [{ unknown_price: 'deny', unknown_quantity: 'zero' }, NO_PRICE, 'refused by unknown_price'],
    [{ unknown_price: 'fallback' }, NO_PRICE, '7 fallback_quantity:b'],
    [{ unknown_price: 'allow_and_flag' }, NO_PRICE, '0 unknown_quantity:b'],
    [{ unknown_price: 'zero' }, NO_PRICE, '0'],
    [{ unknown_price: 'zero' }, NO_LENGTH, 'refused by unknown_quantity'],
    [{ unknown_price: 'zero', unknown_length: 'fallback' }, OTHER_MONEY, '0'],
    [{ unit: 'credits', unknown_price: 'fallback' }, NO_PRICE, '7 fallback_quantity:b'],
    // A length that is not known.
    [{ unknown_length: 'deny', unknown_quantity: 'zero' }, NO_LENGTH, 'refused by unknown_length'],
    [{ unknown_length: 'fallback' }, NO_LENGTH, '7 fallback_quantity:b'],
    [{ unit: 'tokens', unknown_length: 'fallback' }, NO_LENGTH, '7 fallback_quantity:b'],
    [{ unit: 'tokens', unknown_length: 'allow_and_flag' }, { amount: '5', currency: 'USD' }, '0 unknown_quantity:b'],
    [{ unit: 'flops', unknown_length: 'zero' }, NO_LENGTH, '0'],
    [{ unknown_length: 'zero' }, NO_PRICE, 'refused by unknown_quantity'],
    // Neither: another quantity.
    [{ unit: 'flops', unknown_price: 'zero', unknown_length: 'zero' }, NO_PRICE, 'refused by unknown_quantity'],
    [{ unit: 'meter:images', unknown_length: 'zero' }, NO_LENGTH, 'refused by unknown_quantity'],
    // What is known needs no policy, and what only counts refuses nothing.
    [{ unknown_price: 'fallback' }, { amount: '5', currency: 'USD' }, '5'],
    [{ unknown_price: 'deny', mode: 'warn' }, NO_PRICE, '0 unknown_quantity:b'],
  ];
  test.each(cases)('%j asked %j', (spec, asked, expected) => {
    expect(prepared(spec, asked)).toBe(expected);
  });
});
