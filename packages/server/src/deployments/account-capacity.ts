import { add, allocate, type Decimal, smaller, subtract, ZERO } from '@ergon/exact';

/** Device-seconds of a stretch of time: what was bought, what requests were allocated, what was measured as busy. */
export type Stretch = {
  readonly bought: Decimal;
  readonly demanded: Decimal;
  /** `undefined` where nobody measured. */
  readonly busy: Decimal | undefined;
};

/** Bought = allocated + overhead + idle, and demanded = allocated + excess. */
export type Capacity = {
  readonly bought: Decimal;
  readonly allocated: Decimal;
  readonly overhead: Decimal;
  readonly idle: Decimal;
  readonly demanded: Decimal;
  readonly excess: Decimal;
};

/**
 * Every second that was bought is allocated to a request, busy without one (overhead), or idle. Requests cannot be allocated
 * more than was busy, or bought where nobody measured: what they ask beyond it is excess, a sign that the model
 * over-estimates or that devices are missing from the deployment.
 */
export function accountCapacity(stretches: readonly Stretch[]): Capacity {
  let [bought, allocated, overhead, idle, demanded] = [ZERO, ZERO, ZERO, ZERO, ZERO];
  for (const stretch of stretches) {
    const busy = stretch.busy === undefined ? undefined : smaller(stretch.busy, stretch.bought);
    const given = smaller(stretch.demanded, busy ?? stretch.bought);
    bought = add(bought, stretch.bought);
    demanded = add(demanded, stretch.demanded);
    allocated = add(allocated, given);
    overhead = add(overhead, subtract(busy ?? given, given));
    idle = add(idle, subtract(stretch.bought, busy ?? given));
  }
  return { bought, allocated, overhead, idle, demanded, excess: subtract(demanded, allocated) };
}

/** What was paid for the bought time, split by what became of it; the parts sum to the whole. */
export function splitCost(
  cost: Decimal,
  { allocated, overhead, idle }: Capacity,
): { readonly allocated: Decimal; readonly overhead: Decimal; readonly idle: Decimal } {
  const weights = [allocated, overhead, idle];
  if (weights.every((weight) => weight.coefficient === 0n)) return { allocated: ZERO, overhead: ZERO, idle: cost };
  const [first = ZERO, second = ZERO, third = ZERO] = allocate(cost, weights, 12);
  return { allocated: first, overhead: second, idle: third };
}
