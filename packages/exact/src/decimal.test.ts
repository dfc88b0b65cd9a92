import { Decimal as Reference } from 'decimal.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  absolute,
  add,
  compare,
  type Decimal,
  decimal,
  divide,
  equals,
  isInteger,
  isNegative,
  isPositive,
  isZero,
  larger,
  multiply,
  negate,
  parseDecimal,
  type RoundingMode,
  round,
  scaled,
  smaller,
  subtract,
  sum,
  toApproximateNumber,
  toBigInt,
  toFixed,
  toText,
} from './decimal.ts';

// Enough for a product or quotient of two literals; decimal.js rounds silently beyond its precision.
Reference.set({ precision: 400, toExpNeg: -1000, toExpPos: 1000 });

const MODES: readonly (readonly [RoundingMode, Reference.Rounding])[] = [
  ['half-away-from-zero', Reference.ROUND_HALF_UP],
  ['half-even', Reference.ROUND_HALF_EVEN],
  ['up', Reference.ROUND_UP],
  ['down', Reference.ROUND_DOWN],
  ['ceiling', Reference.ROUND_CEIL],
  ['floor', Reference.ROUND_FLOOR],
];

const anyDecimal = fc
  .tuple(fc.bigInt({ min: -(10n ** 38n), max: 10n ** 38n }), fc.integer({ min: 0, max: 18 }))
  .map(([coefficient, scale]) => scaled(coefficient, scale));
const smallDecimal = fc
  .tuple(fc.bigInt({ min: -2000n, max: 2000n }), fc.integer({ min: 0, max: 3 }))
  .map(([coefficient, scale]) => scaled(coefficient, scale));
const either = fc.oneof(anyDecimal, smallDecimal);

const reference = (value: Decimal): Reference => new Reference(value.coefficient.toString()).div(`1e${value.scale}`);
const text = (value: Reference): string => (value.isZero() ? '0' : value.toFixed());

describe('arithmetic agrees with decimal.js', () => {
  it('add, subtract, multiply, compare, negate, absolute', () => {
    fc.assert(
      fc.property(either, either, (a, b) => {
        const [x, y] = [reference(a), reference(b)];
        expect(toText(add(a, b))).toBe(text(x.plus(y)));
        expect(toText(subtract(a, b))).toBe(text(x.minus(y)));
        expect(toText(multiply(a, b))).toBe(text(x.times(y)));
        expect(compare(a, b)).toBe(x.comparedTo(y));
        expect(equals(a, b)).toBe(x.equals(y));
        expect(toText(negate(a))).toBe(text(x.negated()));
        expect(toText(absolute(a))).toBe(text(x.abs()));
        expect(toText(smaller(a, b))).toBe(text(Reference.min(x, y)));
        expect(toText(larger(a, b))).toBe(text(Reference.max(x, y)));
        expect([isNegative(a), isZero(a), isPositive(a)]).toEqual([x.lt(0), x.eq(0), x.gt(0)]);
        expect(isInteger(a)).toBe(x.isInteger());
      }),
      { numRuns: 1000 },
    );
  });

  it.each(MODES)('round and divide: %s', (mode, referenceMode) => {
    fc.assert(
      fc.property(either, either, fc.integer({ min: 0, max: 20 }), (a, b, places) => {
        const expected = reference(a).toDecimalPlaces(places, referenceMode);
        expect(toText(round(a, { places, mode }))).toBe(text(expected));
        if (isZero(b)) return;
        // The quotient need not terminate: rounded once from 400 digits it is the exact one's rounding, as ties terminate.
        const quotient = reference(a).div(reference(b)).toDecimalPlaces(places, referenceMode);
        expect(toText(divide(a, b, { places, mode }))).toBe(text(quotient));
      }),
      { numRuns: 1000 },
    );
  });

  it('sum is the fold of add, for any order', () => {
    fc.assert(
      fc.property(fc.array(either), (values) => {
        expect(toText(sum(values))).toBe(toText(sum(values.toReversed())));
        expect(toText(sum(values))).toBe(text(values.map(reference).reduce((a, b) => a.plus(b), new Reference(0))));
      }),
    );
  });
});

describe('rounding modes at the half', () => {
  const rows: readonly (readonly [string, readonly string[]])[] = [
    //         half-away  even   up    down  ceil   floor
    ['2.5', ['3', '2', '3', '2', '3', '2']],
    ['3.5', ['4', '4', '4', '3', '4', '3']],
    ['-2.5', ['-3', '-2', '-3', '-2', '-2', '-3']],
    ['-3.5', ['-4', '-4', '-4', '-3', '-3', '-4']],
    ['0.5', ['1', '0', '1', '0', '1', '0']],
    ['-0.5', ['-1', '0', '-1', '0', '0', '-1']],
    ['-0.49', ['0', '0', '-1', '0', '0', '-1']],
    ['2.51', ['3', '3', '3', '2', '3', '2']],
    ['-7', ['-7', '-7', '-7', '-7', '-7', '-7']],
  ];
  it.each(rows)('%s', (value, expected) => {
    expect(MODES.map(([mode]) => toText(round(decimal(value), { places: 0, mode })))).toEqual(expected);
    // Division by a negative must not turn a mode around.
    const quotients = MODES.map(([mode]) => toText(divide(decimal(value), decimal(1), { places: 0, mode })));
    const mirrored = MODES.map(([mode]) => toText(divide(negate(decimal(value)), decimal(-1), { places: 0, mode })));
    expect(quotients).toEqual(expected);
    expect(mirrored).toEqual(expected);
  });

  it('refuses places below zero and division by zero', () => {
    const mode = 'down';
    expect(() => round(decimal('1'), { places: -1, mode })).toThrow(RangeError);
    expect(() => divide(decimal('1'), decimal('1'), { places: -1, mode })).toThrow(RangeError);
    expect(() => divide(decimal('1'), decimal('0.00'), { places: 0, mode })).toThrow(RangeError);
  });
});

describe('reading and writing', () => {
  it.each([
    ['0', '0'],
    ['-0.00', '0'],
    ['007.500', '7.5'],
    ['+1', '1'],
    ['.5', '0.5'],
    ['5.', '5'],
    ['1e3', '1000'],
    ['1.5E-7', '0.00000015'],
    ['-12.34e1', '-123.4'],
    ['0e9999', '0'],
    ['0e-9999', '0'],
    [`${'9'.repeat(80)}`, '9'.repeat(80)],
    ['1e79', `1${'0'.repeat(79)}`],
    ['1e-40', `0.${'0'.repeat(39)}1`],
  ])('%s reads as %s', (literal, expected) => {
    expect(toText(decimal(literal))).toBe(expected);
  });

  it.each([
    '',
    '.',
    '-',
    'e5',
    ' 1',
    '1 ',
    '1\n',
    '1,000',
    '0x10',
    'NaN',
    'Infinity',
    '1e',
    '1e1.5',
    '١',
    '1_000',
    '1e80',
    '1e9999',
    '1e-41',
    '9'.repeat(81),
    '0'.repeat(100_000),
    `0.${'1'.repeat(41)}`,
    `${'1'.repeat(50)}.${'1'.repeat(31)}`,
  ])('%j is refused', (literal) => {
    expect(parseDecimal(literal)).toBeUndefined();
    expect(() => decimal(literal)).toThrow(RangeError);
  });

  it('takes safe integers and no other numbers', () => {
    expect(toText(decimal(-42))).toBe('-42');
    expect(toText(decimal(12345678901234567890n))).toBe('12345678901234567890');
    for (const number of [0.1, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => decimal(number)).toThrow(RangeError);
    }
    expect(() => scaled(1n, -1)).toThrow(RangeError);
    expect(() => scaled(1n, 0.5)).toThrow(RangeError);
  });

  it('text survives a round trip, and toFixed adds nothing but zeros', () => {
    fc.assert(
      fc.property(anyDecimal, fc.integer({ min: 18, max: 24 }), (value, places) => {
        expect(equals(decimal(toText(value)), value)).toBe(true);
        expect(toText(value)).not.toMatch(/[eE]|\.\d*0$|^-0$/);
        expect(toFixed(value, places)).toBe(
          reference(value)
            .toFixed(places)
            .replace(/^-(0\.?0*)$/, '$1'),
        );
      }),
      { numRuns: 1000 },
    );
  });

  it.each([
    ['1.5', 2, '1.50'],
    ['-1.5', 2, '-1.50'],
    ['-0.05', 2, '-0.05'],
    ['0', 2, '0.00'],
    ['12', 0, '12'],
    ['-12.00', 0, '-12'],
    ['1.500', 1, '1.5'],
  ])('toFixed(%s, %i) is %s', (value, places, expected) => {
    expect(toFixed(decimal(value), places)).toBe(expected);
  });

  it('toFixed refuses to lose digits', () => {
    expect(() => toFixed(decimal('1.005'), 2)).toThrow(/round it first/);
  });

  it('toBigInt and toApproximateNumber', () => {
    expect(toBigInt(decimal('-12.000'))).toBe(-12n);
    expect(() => toBigInt(decimal('0.5'))).toThrow(RangeError);
    expect(toApproximateNumber(decimal('-0.1'))).toBe(-0.1);
  });
});
