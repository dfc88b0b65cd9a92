import { add, type Decimal, isNegative, ZERO } from '@ergon/exact';
import type { Bucket, CompiledPrice } from '@ergon/rating';

/** Quantities of one customer and month by the bucket of the simulated card that they add to. */
export class SimulatedTotal {
  readonly #buckets = new Map<Bucket, { readonly price: CompiledPrice; quantity: Decimal }>();

  add(price: CompiledPrice, bucket: Bucket, quantity: Decimal): void {
    const known = this.#buckets.get(bucket);
    if (known === undefined) this.#buckets.set(bucket, { price, quantity });
    else known.quantity = add(known.quantity, quantity);
  }

  /** R of each bucket's whole quantity, less R(0), which falls due at the close: what the card would have charged while the month ran. */
  charge(): Decimal {
    let sum = ZERO;
    for (const [bucket, { quantity }] of this.#buckets) {
      if (!isNegative(quantity)) sum = add(sum, bucket.rate.marginal(ZERO, quantity));
    }
    return sum;
  }
}

/**
 * Why a card cannot be simulated from sums of usage; undefined when it can. Sums know quantities by their dimensions, not which
 * call each was part of.
 */
export function whyNotFromSums(
  prices: readonly CompiledPrice[],
  specs: readonly unknown[],
  meters: ReadonlySet<string>,
  dimensions: ReadonlySet<string>,
): string | undefined {
  for (const price of prices) {
    if (!meters.has(price.meter)) return `${price.key} prices ${price.meter}, which is no built-in meter`;
    if (price.timing === 'per_event') return `${price.key} prices each event by itself`;
    if (price.failedCalls === 'absorb' || price.retries === 'absorb')
      return `${price.key} has a policy for failed calls or retries, which single events decide`;
  }
  for (const name of dimensionsAsked(specs)) {
    if (!dimensions.has(name)) return `a price looks at ${name}, by which usage is not summed`;
  }
  return undefined;
}

/** Names of dimensions that a card's matches, matrices and rules look at. */
export function dimensionsAsked(document: unknown): Set<string> {
  const names = new Set<string>();
  const walk = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    if (Array.isArray(value)) {
      for (const one of value) walk(one);
      return;
    }
    for (const [key, member] of Object.entries(value)) {
      if (key === 'match' && typeof member === 'object' && member !== null) {
        for (const name of Object.keys(member)) names.add(name);
      } else if (key === 'dimensions' && Array.isArray(member)) {
        for (const name of member) names.add(String(name));
      } else if (key === 'type' && member === 'time_of_day') names.add('local_time');
      else if (key === 'type' && member === 'by_prompt_size') names.add('prompt_tokens');
      else if (key === 'window') names.add('local_time');
      else walk(member);
    }
  };
  walk(document);
  return names;
}
