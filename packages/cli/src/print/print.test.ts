import { expect, test } from 'vitest';
import { bars } from './bars.ts';
import { amount, plural, withGroups } from './number.ts';

test.each([
  ['0', '0'],
  ['999', '999'],
  ['1000', '1,000'],
  ['-1234567.1234567', '-1,234,567.1234567'],
  ['12345678901234567890', '12,345,678,901,234,567,890'],
  ['a-1', 'a-1'],
])('%s reads %s', (text, read) => {
  expect(withGroups(text)).toBe(read);
});

test.each([
  ['1', '1.00'],
  ['0.004200000000', '0.0042'],
  ['-1234.5', '-1,234.50'],
  ['0.000000000001', '0.000000000001'],
])('the amount %s reads %s', (text, read) => {
  expect(amount(text)).toBe(read);
});

test('one and many', () => {
  expect([plural(1, 'call'), plural(1_000, 'call'), plural(0, 'entry', 'entries')]).toEqual([
    '1 call',
    '1,000 calls',
    '0 entries',
  ]);
});

test('bars are in proportion, to an eighth of a character, and never vanish above zero', () => {
  expect(bars([8, 4, 1, 0.001, 0, -1], 4)).toEqual(['████', '██', '▌', '▏', '', '']);
  expect(bars([0, 0], 4)).toEqual(['', '']);
});
