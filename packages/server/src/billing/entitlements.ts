import { add, type Decimal, decimal, multiply, ONE } from '@ergon/exact';
import type { Entitlement } from './schemas.ts';
import type { Subscription } from './subscription-store.ts';

/** What a subscription entitles to at an instant, with the limits of add-ons added up. */
export type Granted =
  | { readonly type: 'boolean' }
  | { readonly type: 'static'; readonly value: string }
  | { readonly type: 'metered'; readonly limit: Decimal; readonly mode: 'hard' | 'soft' };

/** The plan's entitlements, then each add-on's: limits add up, times the quantity; another value or kind replaces. */
export function grantedAt(subscription: Subscription, at: number): Map<string, Granted> {
  const granted = new Map<string, Granted>();
  const { startsAt, endsAt, phases, addOns } = subscription;
  if (at < startsAt || (endsAt !== null && at >= endsAt)) return granted;
  const phase = phases.findLast((one) => one.from <= at);
  for (const one of phase?.plan.entitlements ?? []) grant(granted, one, ONE);
  for (const { spec, quantity, from, to } of addOns) {
    if (from > at || (to !== null && to <= at)) continue;
    for (const one of spec.entitlements) grant(granted, one, quantity);
  }
  return granted;
}

function grant(granted: Map<string, Granted>, one: Entitlement, quantity: Decimal): void {
  if (one.type !== 'metered') {
    granted.set(one.feature, one.type === 'static' ? { type: 'static', value: one.value } : { type: 'boolean' });
    return;
  }
  const before = granted.get(one.feature);
  const limit = multiply(decimal(one.limit), quantity);
  granted.set(one.feature, {
    type: 'metered',
    limit: before?.type === 'metered' ? add(before.limit, limit) : limit,
    mode: one.mode,
  });
}

/** When what it entitles to changes next; null when nothing is planned. */
export function nextChange({ startsAt, endsAt, phases, addOns }: Subscription, now: number): number | null {
  const instants = [
    startsAt,
    endsAt,
    ...phases.map(({ from }) => from),
    ...addOns.flatMap(({ from, to }) => [from, to]),
  ];
  const coming = instants.filter((at) => at !== null).filter((at) => at > now);
  return coming.length === 0 ? null : Math.min(...coming);
}
