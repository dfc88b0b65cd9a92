import { add, compare, type Decimal, isZero, multiply, ONE, smaller, subtract } from '@ergon/exact';
import type { AmountRuleSpec } from './charge-model-schema.ts';
import type { ChargeLine } from './contract.ts';
import { adjustment } from './cumulative-rate.ts';
import type { ExactRate } from './exact-rate.ts';
import { toDecimal } from './wire-decimal.ts';

/** One step from a running list amount to the amount that is charged. */
export type AmountStep = { readonly description: string; apply(amount: Decimal): Decimal };

/** `amount` after all steps. */
export function applySteps(steps: readonly AmountStep[], amount: Decimal): Decimal {
  let value = amount;
  for (const step of steps) value = step.apply(value);
  return value;
}

/** What each step adds to or takes from the charge between two running list amounts. */
export function stepLines(steps: readonly AmountStep[], before: Decimal, after: Decimal): readonly ChargeLine[] {
  const lines: ChargeLine[] = [];
  let [low, high] = [before, after];
  for (const step of steps) {
    const [nextLow, nextHigh] = [step.apply(low), step.apply(high)];
    const change = subtract(subtract(nextHigh, nextLow), subtract(high, low));
    if (!isZero(change)) lines.push(adjustment(step.description, change));
    [low, high] = [nextLow, nextHigh];
  }
  return lines;
}

/** The rate with steps applied to its running amount. */
export function withAmountSteps(rate: ExactRate, steps: readonly AmountStep[]): ExactRate {
  if (steps.length === 0) return rate;
  return {
    charge: (quantity) => applySteps(steps, rate.charge(quantity)),
    lines: (before, after) => [
      ...rate.lines(before, after),
      ...stepLines(steps, rate.charge(before), rate.charge(after)),
    ],
  };
}

/** Discount, commitment, maximum, in this order. `committed` is the committed spend of a spec that has a commitment. */
export function amountSteps(spec: AmountRuleSpec, committed: Decimal | undefined): readonly AmountStep[] {
  const steps: AmountStep[] = [...discountSteps(spec)];
  const factor = spec.commitment?.overage_factor;
  if (committed !== undefined && factor !== undefined) {
    const overage = subtract(toDecimal(factor), ONE);
    steps.push({
      description: 'overage beyond the commitment',
      apply: (amount) =>
        compare(amount, committed) <= 0 ? amount : add(amount, multiply(subtract(amount, committed), overage)),
    });
  }
  if (spec.maximum !== undefined) {
    const most = toDecimal(spec.maximum);
    steps.push({ description: 'maximum', apply: (amount) => smaller(amount, most) });
  }
  return steps;
}

export function discountSteps(spec: AmountRuleSpec): readonly AmountStep[] {
  if (spec.discount_rate === undefined) return [];
  const kept = subtract(ONE, toDecimal(spec.discount_rate));
  return [{ description: 'discount', apply: (amount) => multiply(amount, kept) }];
}
