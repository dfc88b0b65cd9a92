import { describe, expect, it } from 'vitest';
import { decimal, toText } from './decimal.ts';
import { currency, minorUnits, money, parseCurrency, roundAmount } from './money.ts';

describe('currencies', () => {
  it.each([
    ['USD', 2],
    ['EUR', 2],
    ['JPY', 0],
    ['KWD', 3],
    ['CLF', 4],
    ['credit:standard', 12],
  ])('%s has %i minor digits', (code, digits) => {
    expect(minorUnits(currency(code))).toBe(digits);
  });

  it.each([
    '',
    'usd',
    'XXX',
    'XAU',
    'DEM',
    'US',
    'USDT',
    'credit:',
    'credit:Gold',
    `credit:${'a'.repeat(33)}`,
    '__proto__',
  ])('%j is none', (code) => {
    expect(parseCurrency(code)).toBeUndefined();
    expect(() => currency(code)).toThrow(RangeError);
  });
});

describe('amounts', () => {
  it.each([
    ['0.0000000000005', '0.000000000001'],
    ['0.00000000000049', '0'],
    ['-0.0000000000005', '-0.000000000001'],
    ['1.25', '1.25'],
  ])('%s is kept as %s', (exact, kept) => {
    expect(toText(roundAmount(decimal(exact)))).toBe(kept);
  });

  it('money keeps its currency', () => {
    const usd = currency('USD');
    expect(money(decimal('1.5'), usd)).toEqual({ currency: 'USD', amount: decimal('1.5') });
  });
});
