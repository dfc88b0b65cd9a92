import { add, compare, type Decimal, decimal, divide, subtract, toText, ZERO } from '@ergon/exact';
import type { HoldBody, Measure } from './schemas.ts';

/** One limit that a hold did not fit, as `ergon_hold` says it. */
export type Refusal = {
  readonly kind: 'budget' | 'wallet';
  readonly budget?: number;
  readonly member?: string;
  readonly measure: Measure;
  readonly limit?: string;
  readonly committed?: string;
  readonly held?: string;
  readonly available?: string;
  readonly asked: string;
};

/** What is left under a limit; below zero after an overage. */
export function availableOf(refusal: Refusal): Decimal {
  if (refusal.available !== undefined) return decimal(refusal.available);
  const used = add(decimal(refusal.committed ?? '0'), decimal(refusal.held ?? '0'));
  return subtract(decimal(refusal.limit ?? '0'), used);
}

/**
 * The largest output bound with which the hold would fit under every limit that refused it; undefined where even an empty answer
 * would not, or where the hold does not say what a token of output costs.
 */
export function largestOutput(output: HoldBody['output'], refusals: readonly Refusal[]): number | undefined {
  if (output === undefined) return undefined;
  let most = output.max_tokens;
  for (const refusal of refusals) {
    const per = output.per_token[refusal.measure];
    const cost = per === undefined ? ZERO : decimal(String(per));
    if (compare(cost, ZERO) <= 0) return undefined;
    const excess = subtract(decimal(refusal.asked), availableOf(refusal));
    // Whole tokens to leave out: the excess over the price of one, rounded up.
    const tokens = divide(excess, cost, { places: 0, mode: 'up' });
    most = Math.min(most, output.max_tokens - Number(toText(tokens)));
  }
  return most >= 0 ? most : undefined;
}
