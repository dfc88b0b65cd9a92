import { decimal, isNegative, sum, toText } from '@ergon/exact';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { daysBetween, prorate, prorateChange, prorateParts } from './prorate.ts';

describe('proration', () => {
  it.each([
    ['F1 flexprice proration: 10 to 20 on day 15 of 31', '10', '20', '-5.48', '10.97', '5.49'],
    ['F3 flexprice proration: 1000 to 500 on the same day', '1000', '500', '-548.39', '274.19', '-274.2'],
  ])('%s', (_name, from, to, credit, charge, due) => {
    const part = daysBetween('2025-01-15', '2025-02-01');
    const whole = daysBetween('2025-01-01', '2025-02-01');
    expect([part, whole]).toEqual([17n, 31n]);
    const change = prorateChange({ from: decimal(from), to: decimal(to) }, { part, whole }, 2);
    expect([change.credit, change.charge, change.due].map(toText)).toEqual([credit, charge, due]);
  });

  it.each([
    ['2024-02-28', '2024-03-01', 2n],
    ['2025-02-28', '2025-03-01', 1n],
    ['2026-03-29', '2026-03-30', 1n],
    ['2026-01-01', '2027-01-01', 365n],
    ['2026-01-02', '2026-01-01', -1n],
  ])('from %s to %s are %i days', (from, to, days) => {
    expect(daysBetween(from, to)).toBe(days);
  });

  it.each(['2026-02-30', '2026-13-01', '2026-1-1', '', 'today', '2026-01-01T00:00'])('%j is no date', (text) => {
    expect(() => daysBetween(text, '2026-01-01')).toThrow(RangeError);
  });

  it('refuses a part that is none', () => {
    for (const share of [
      { part: 2n, whole: 1n },
      { part: -1n, whole: 1n },
      { part: 0n, whole: 0n },
    ]) {
      expect(() => prorate(decimal(1), share, 2)).toThrow(RangeError);
    }
  });

  it('parts sum to the whole, by days or microseconds, and none is below zero', () => {
    const lengths = fc.array(fc.bigInt({ min: 0n, max: 31n * 86_400_000_000n }), { minLength: 1 });
    const cents = fc.bigInt({ min: 0n, max: 10n ** 12n });
    fc.assert(
      fc.property(cents, fc.constantFrom(0, 2, 12), lengths, (units, places, parts) => {
        fc.pre(parts.some((length) => length > 0n));
        const amount = decimal(units);
        const prorated = prorateParts(amount, parts, places);
        expect(toText(sum(prorated))).toBe(toText(amount));
        expect(prorated.some(isNegative)).toBe(false);
      }),
    );
  });

  it('the whole period costs the whole amount', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 1n, max: 10n ** 15n }), (whole) => {
        expect(toText(prorate(decimal('12.345678901234'), { part: whole, whole }, 12))).toBe('12.345678901234');
      }),
    );
  });
});
