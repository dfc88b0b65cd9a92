import { add, type Decimal, isZero, multiply, negate, subtract, ZERO } from '@ergon/exact';
import type { ChargeLine } from './contract.ts';
import type { ExactRate } from './exact-rate.ts';
import { billedUnits, flatDue, type Tier, tierAmount, tierIndex } from './tiers.ts';

/** All units at the price of the tier that the total falls into; a marginal may be negative where that price falls. */
export function volumeRate(tiers: readonly Tier[], flatFeeAtZero: boolean): ExactRate {
  const tierOf = (quantity: Decimal): Tier | undefined => tiers[tierIndex(tiers, quantity)];
  return {
    charge: (quantity) => {
      const tier = tierOf(quantity);
      return tier === undefined ? ZERO : tierAmount(tier, quantity, flatFeeAtZero);
    },
    lines: (before, after) => {
      const [left, reached] = [tierOf(before), tierOf(after)];
      if (left === undefined || reached === undefined) return [];
      const was = { units: billedUnits(left, before), flat: flatDue(left, before, flatFeeAtZero) };
      const is = { units: billedUnits(reached, after), flat: flatDue(reached, after, flatFeeAtZero) };
      if (left === reached) return line(left, subtract(is.units, was.units), subtract(is.flat, was.flat));
      // Another tier re-prices everything: the new price of all units, less what they cost at the old one.
      const earlier = line(left, negate(was.units), negate(was.flat));
      return [
        ...line(reached, is.units, is.flat),
        ...earlier.map((taken) => ({ ...taken, description: 'rated before at another tier' })),
      ];
    },
  };
}

function line(tier: Tier, quantity: Decimal, flat: Decimal): readonly ChargeLine[] {
  if (isZero(quantity) && isZero(flat)) return [];
  return [
    {
      tier: tier.number,
      quantity,
      unitAmount: tier.unitAmount,
      ...(isZero(flat) ? {} : { flatAmount: flat }),
      amount: add(multiply(quantity, tier.unitAmount), flat),
    },
  ];
}
