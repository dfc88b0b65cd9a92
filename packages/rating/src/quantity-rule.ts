import {
  type Decimal,
  divide,
  isNegative,
  isZero,
  larger,
  multiply,
  type RoundingMode,
  subtract,
  ZERO,
} from '@ergon/exact';
import type { QuantityRuleSpec } from './charge-model-schema.ts';
import type { ChargeLine } from './contract.ts';
import type { ExactRate } from './exact-rate.ts';
import { toDecimal } from './wire-decimal.ts';

type Step = { readonly description: string; apply(quantity: Decimal): Decimal };

/**
 * Rates `rule(quantity)` in place of the quantity: multiplier, then included units, then divide and round. The rule acts on
 * running totals, so an allowance is used once and rounding never adds up.
 */
export function withQuantityRule(rate: ExactRate, spec: QuantityRuleSpec): ExactRate {
  const steps = quantitySteps(spec);
  if (steps.length === 0) return rate;
  const apply = (quantity: Decimal): Decimal => steps.reduce((value, step) => step.apply(value), quantity);
  return {
    charge: (quantity) => rate.charge(apply(quantity)),
    lines: (before, after) => [...stepLines(steps, before, after), ...rate.lines(apply(before), apply(after))],
  };
}

function quantitySteps(spec: QuantityRuleSpec): readonly Step[] {
  const steps: Step[] = [];
  if (spec.multiplier !== undefined) {
    const factor = toDecimal(spec.multiplier);
    steps.push({ description: 'multiplied', apply: (quantity) => multiply(quantity, factor) });
  }
  if (spec.included !== undefined) steps.push({ description: 'included', apply: beyond(toDecimal(spec.included)) });
  if (spec.transform !== undefined) {
    const { divide_by: divisor, rounding, places = 0 } = spec.transform;
    const size = toDecimal(divisor);
    const mode = ROUNDINGS[rounding];
    steps.push({ description: 'transformed', apply: (quantity) => divide(quantity, size, { places, mode }) });
  }
  return steps;
}

/** Toward larger and smaller, not away from and toward zero: so that a larger total is never a smaller transformed one. */
const ROUNDINGS: Readonly<Record<'up' | 'down' | 'half_up', RoundingMode>> = {
  up: 'ceiling',
  down: 'floor',
  half_up: 'half-away-from-zero',
};

/** What of a running quantity lies beyond its first `free` units; a negative quantity passes unchanged. */
export function beyond(free: Decimal): (quantity: Decimal) => Decimal {
  return (quantity) => (isNegative(quantity) ? quantity : larger(ZERO, subtract(quantity, free)));
}

/** One line without an amount for each step that changed the delta: the units it took away (or, negative, added). */
function stepLines(steps: readonly Step[], before: Decimal, after: Decimal): readonly ChargeLine[] {
  const lines: ChargeLine[] = [];
  let [low, high] = [before, after];
  for (const step of steps) {
    const [nextLow, nextHigh] = [step.apply(low), step.apply(high)];
    const taken = subtract(subtract(high, low), subtract(nextHigh, nextLow));
    if (!isZero(taken)) lines.push({ description: step.description, quantity: taken, amount: ZERO });
    [low, high] = [nextLow, nextHigh];
  }
  return lines;
}
