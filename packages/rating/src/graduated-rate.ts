import { add, type Decimal, isZero, multiply, smaller, subtract, ZERO } from '@ergon/exact';
import type { ChargeLine } from './contract.ts';
import type { ExactRate } from './exact-rate.ts';
import { billedUnits, flatDue, type Tier, tierAmount, tierIndex } from './tiers.ts';

/** Each unit at the price of the tier it falls into. A negative quantity is rated at the first tier's price. */
export function graduatedRate(tiers: readonly Tier[], flatFeeAtZero: boolean): ExactRate {
  const fullBelow = amountsBelow(tiers, flatFeeAtZero);
  return {
    charge: (quantity) => {
      const index = tierIndex(tiers, quantity);
      const tier = tiers[index];
      const below = fullBelow[index];
      if (tier === undefined || below === undefined) return ZERO;
      return add(below, tierAmount(tier, subtract(quantity, tier.above), flatFeeAtZero));
    },
    lines: (before, after) => tiers.flatMap((tier) => tierLine(tier, before, after, flatFeeAtZero) ?? []),
  };
}

/** For each tier, the price of all tiers below it when they are full. */
function amountsBelow(tiers: readonly Tier[], flatFeeAtZero: boolean): readonly Decimal[] {
  let total = ZERO;
  return tiers.map((tier) => {
    const below = total;
    if (tier.upTo !== undefined) total = add(total, tierAmount(tier, subtract(tier.upTo, tier.above), flatFeeAtZero));
    return below;
  });
}

function tierLine(tier: Tier, before: Decimal, after: Decimal, flatFeeAtZero: boolean): ChargeLine | undefined {
  const [held, holds] = [heldBy(tier, before), heldBy(tier, after)];
  const quantity = subtract(billedUnits(tier, holds), billedUnits(tier, held));
  const flat = subtract(flatDue(tier, holds, flatFeeAtZero), flatDue(tier, held, flatFeeAtZero));
  if (isZero(quantity) && isZero(flat)) return undefined;
  return {
    tier: tier.number,
    quantity,
    unitAmount: tier.unitAmount,
    ...(isZero(flat) ? {} : { flatAmount: flat }),
    amount: add(multiply(quantity, tier.unitAmount), flat),
  };
}

/** The part of a running quantity that lies in a tier; the first also holds what is below zero. */
function heldBy(tier: Tier, quantity: Decimal): Decimal {
  const top = tier.upTo === undefined ? quantity : smaller(quantity, tier.upTo);
  const held = subtract(top, tier.above);
  return tier.number > 1 && held.coefficient < 0n ? ZERO : held;
}
