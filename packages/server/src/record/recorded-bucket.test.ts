import { add, type Decimal, decimal, isNegative, scaled, sum, toText, ZERO } from '@ergon/exact';
import { compileRateCard } from '@ergon/rating';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { changeOfCharge } from './recorded-bucket.ts';

const tiers = [
  { up_to: '100', unit_amount: '0.5', flat_amount: '3' },
  { up_to: '1000', unit_amount: '0.2' },
  { up_to: null, unit_amount: '0.01' },
];
const quantity = fc
  .tuple(fc.bigInt({ min: -2_000n, max: 2_000n }), fc.integer({ min: 0, max: 2 }))
  .map((pair) => scaled(...pair));

test.each<[string, object]>([
  ['per_unit', { type: 'per_unit', unit_amount: '0.3' }],
  ['package', { type: 'package', package_size: '10', package_amount: '1', free_units: '5' }],
  ['graduated', { type: 'graduated', tiers }],
  ['volume', { type: 'volume', tiers }],
  ['percentage', { type: 'percentage', rate: '0.02', free_units: '50' }],
  ['dynamic', { type: 'dynamic', multiplier: '1.5' }],
  ['cost_plus', { type: 'cost_plus', markup: '0.2' }],
  ['with a maximum', { type: 'volume', tiers, maximum: '40' }],
])('%s: quantities that rise and fall never make a period cost less than nothing', (_, model) => {
  const card = compileRateCard({ currency: 'USD', prices: [{ meter: 'm', charge_model: model }] });
  const price = card.ok ? card.value.priceFor('m', {}) : undefined;
  const cell = price?.bucket({});
  if (price === undefined || cell === undefined) throw new Error('the card compiles');
  fc.assert(
    fc.property(fc.array(quantity, { maxLength: 12 }), (steps) => {
      let before = ZERO;
      const charges = steps.map((step): Decimal => {
        const after = add(before, step);
        const charge = changeOfCharge(price, cell, before, after);
        before = after;
        return charge;
      });
      const period = sum(charges);
      expect(isNegative(period)).toBe(false);
      // What they come to depends on where they ended, not on the way.
      expect(toText(period)).toBe(toText(changeOfCharge(price, cell, ZERO, before)));
      if (isNegative(before)) expect(toText(period)).toBe(toText(decimal(0)));
    }),
  );
});
