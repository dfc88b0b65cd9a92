import { assert } from './assert.ts';
import { type CompiledStep, stepTime } from './step-time.ts';

/** What one request did in a step: `newTokens` after `context` tokens of its own; 1 in decode, a chunk in prefill. */
export type StepPart = { readonly newTokens: number; readonly context: number };

/**
 * Splits a measured step among the requests in it, in whole nanoseconds that sum to the step: overhead and weights by
 * tokens, cache reads and arithmetic to their owners, then scaled to what was measured.
 */
export function attributeStep(step: CompiledStep, parts: readonly StepPart[], measuredNs: bigint): bigint[] {
  assert(parts.length > 0 && measuredNs >= 0n, 'a step has requests in it and takes time');
  const tokens = parts.reduce((sum, part) => sum + part.newTokens, 0);
  const empty = { sequences: 0, context: 0, prefillTokens: 0, prefillContext: 0 };
  const base = stepTime(step, { ...empty, prefillTokens: tokens });
  const common = base.overhead + base.memory + base.network;
  const own = parts.map((part) => {
    const whole = stepTime(step, { ...empty, sequences: 1, context: part.context });
    const floor = stepTime(step, { ...empty, sequences: 1 });
    const pass = stepTime(step, {
      ...empty,
      prefillTokens: part.newTokens,
      prefillContext: part.context + part.newTokens / 2,
    });
    return pass.compute + (whole.memory - floor.memory) + (common * part.newTokens) / Math.max(1, tokens);
  });
  return splitWhole(measuredNs, own);
}

/** Whole parts in proportion to weights, summing to the total: differences of rounded running sums. */
function splitWhole(total: bigint, weights: readonly number[]): bigint[] {
  const sum = weights.reduce((all, weight) => all + weight, 0);
  const scale = 2 ** 40;
  let running = 0;
  let given = 0n;
  return weights.map((weight, index) => {
    running += weight;
    const isLast = index === weights.length - 1;
    const share = sum > 0 ? running / sum : (index + 1) / weights.length;
    const reached = isLast ? total : (total * BigInt(Math.round(Math.min(1, share) * scale))) / BigInt(scale);
    const part = reached - given;
    given = reached;
    return part;
  });
}
