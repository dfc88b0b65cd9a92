/** Charge models with any figures, for the laws that hold whatever these are. */
import { add, decimal, isNegative, negate, scaled, toText, ZERO } from '@ergon/exact';
import fc from 'fast-check';

const text = (units: bigint, scale: number): string => toText(scaled(units, scale));
export const money = fc
  .tuple(fc.bigInt({ min: 0n, max: 10n ** 9n }), fc.integer({ min: 0, max: 18 }))
  .map((pair) => text(...pair));
export const size = fc
  .tuple(fc.bigInt({ min: 1n, max: 10n ** 6n }), fc.integer({ min: 0, max: 3 }))
  .map((pair) => text(...pair));
export const factor = fc.tuple(fc.bigInt({ min: 0n, max: 5000n }), fc.constant(3)).map((pair) => text(...pair));
const share = fc.bigInt({ min: 0n, max: 1000n }).map((units) => text(units, 3));
export const optional = <Value>(value: fc.Arbitrary<Value>) => fc.option(value, { nil: undefined, freq: 3 });

const amountMembers = {
  discount_rate: optional(share),
  commitment: optional(fc.record({ amount: money, overage_factor: optional(factor), true_up: fc.boolean() })),
  maximum: optional(money),
  minimum: optional(money),
};
const usageMembers = {
  ...amountMembers,
  multiplier: optional(factor),
  included: optional(size),
  transform: optional(
    fc.record({
      divide_by: size,
      rounding: fc.constantFrom('up', 'down', 'half_up'),
      places: fc.integer({ min: 0, max: 3 }),
    }),
  ),
};

/** Rising bounds from positive steps, the last tier open. */
const tiersOf = <Member>(rate: fc.Arbitrary<Member>) =>
  fc.array(fc.tuple(size, rate, optional(money)), { minLength: 1, maxLength: 6 }).map((rows) => {
    let bound = ZERO;
    return rows.map(([step, members, flat], index) => {
      bound = add(bound, decimal(step));
      const upTo = index === rows.length - 1 ? null : toText(bound);
      return { up_to: upTo, ...members, flat_amount: flat };
    });
  });
const unitTiers = tiersOf(fc.record({ unit_amount: money, block_size: optional(size) }));
const rateTiers = tiersOf(fc.record({ rate: share }));

const type = <Name extends string>(name: Name) => fc.constant(name);
export const cumulativeModels: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  free: fc.record({ type: type('free') }),
  flat: fc.record({ type: type('flat'), amount: money }),
  per_unit: fc.record({ type: type('per_unit'), unit_amount: money, ...usageMembers }),
  package: fc.record({
    type: type('package'),
    package_size: size,
    package_amount: money,
    rounding: fc.constantFrom('up', 'down'),
    free_units: size,
    ...usageMembers,
  }),
  graduated: fc.record({ type: type('graduated'), tiers: unitTiers, flat_fee_at_zero: fc.boolean(), ...usageMembers }),
  volume: fc.record({ type: type('volume'), tiers: unitTiers, flat_fee_at_zero: fc.boolean(), ...usageMembers }),
  graduated_percentage: fc.record({
    type: type('graduated_percentage'),
    tiers: rateTiers,
    flat_fee_at_zero: fc.boolean(),
    ...usageMembers,
  }),
  percentage: fc.record({ type: type('percentage'), rate: share, free_units: optional(size), ...amountMembers }),
  dynamic: fc.record({ type: type('dynamic'), multiplier: optional(factor), ...amountMembers }),
  cost_plus: fc.record({ type: type('cost_plus'), markup: optional(share), ...amountMembers }),
};
export const eventModels: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  percentage: fc.record({
    type: type('percentage'),
    rate: share,
    fixed_amount: money,
    free_events: optional(fc.integer({ min: 0, max: 5 })),
    free_units: optional(size),
    transaction_minimum: optional(money),
    ...amountMembers,
  }),
  cost_plus: fc.record({ type: type('cost_plus'), markup: optional(share), markup_amount: money, ...amountMembers }),
};

export const quantity = fc
  .tuple(fc.bigInt({ min: -(10n ** 7n), max: 10n ** 7n }), fc.integer({ min: 0, max: 4 }))
  .map((pair) => scaled(...pair));
export const increase = quantity.map((value) => (isNegative(value) ? negate(value) : value));
