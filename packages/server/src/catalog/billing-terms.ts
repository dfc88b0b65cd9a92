import { type BillingMonth, billingMonth } from './billing-month.ts';
import { type CadenceUnit, periodAt } from './billing-period.ts';
import { type CardVersion, type CatalogSnapshot, DEFAULT_CARD, versionAt } from './snapshot.ts';

/** What rating needs of a customer's overrides and subscriptions, as stored in `customer.terms`. Instants in microseconds. */
export type BillingTerms = {
  readonly overrides: readonly { readonly from: number; readonly to: number | null; readonly card: string }[];
  readonly subscriptions: readonly SubscriptionTerms[];
};

export type SubscriptionTerms = {
  readonly id: number;
  readonly zone: string;
  readonly anchor: string;
  readonly unit: CadenceUnit;
  readonly count: number;
  readonly from: number;
  readonly to: number | null;
  /** Oldest first; the first begins with the subscription. */
  readonly phases: readonly PhaseTerms[];
};

export type PhaseTerms = {
  readonly from: number;
  /** The phase's own card, else the plan's; null: the customer's, else the default one. */
  readonly card: string | null;
  /** A new version of the card waits for the next period. */
  readonly next: boolean;
};

/** Whom an event bills: what choosing a price and a period needs of the customer. */
export type TermsOf = {
  readonly timeZone: string;
  readonly rateCard: string | undefined;
  readonly terms: BillingTerms | undefined;
};

export type AppliedTerms = { readonly version: CardVersion | undefined; readonly month: BillingMonth };

/**
 * Which price and which period (DESIGN section 9): a customer's override, then the subscription's phase, then its plan, then
 * the customer's own card, then the default one, all as they are at the time of the event.
 */
export function applyTerms(catalog: CatalogSnapshot, customer: TermsOf, micros: number): AppliedTerms {
  const own = customer.rateCard ?? DEFAULT_CARD;
  const { terms } = customer;
  if (terms === undefined) {
    return { version: versionAt(catalog, own, micros), month: billingMonth(micros, customer.timeZone) };
  }
  const override = terms.overrides.find((one) => covers(one, micros));
  const subscription = terms.subscriptions.find((one) => covers(one, micros));
  if (subscription === undefined) {
    const card = override?.card ?? own;
    return { version: versionAt(catalog, card, micros), month: billingMonth(micros, customer.timeZone) };
  }
  const month = subscribedPeriod(subscription, micros);
  const phase = subscription.phases.findLast((one) => one.from <= micros);
  if (override !== undefined) return { version: versionAt(catalog, override.card, micros), month };
  const at = phase?.next === true ? Math.max(month.from, phase.from) : micros;
  return { version: versionAt(catalog, phase?.card ?? own, at), month };
}

/** The period of a subscription that holds an instant, cut to the subscription's own beginning and end. */
export function subscribedPeriod(subscription: SubscriptionTerms, micros: number): BillingMonth {
  const { zone, anchor, unit, count, from, to } = subscription;
  const whole = periodAt({ timeZone: zone, anchorOn: anchor, unit, count }, micros);
  return {
    period: `${whole.fromOn}@${subscription.id}`,
    from: Math.max(whole.from, from),
    to: to === null ? whole.to : Math.min(whole.to, to),
  };
}

function covers(span: { readonly from: number; readonly to: number | null }, micros: number): boolean {
  return span.from <= micros && (span.to === null || micros < span.to);
}

/** Instants inside `(from, to)` at which the version that rates an event may change. */
export function termChanges(catalog: CatalogSnapshot, customer: TermsOf, from: number, to: number): number[] {
  const instants = new Set<number>();
  for (const { from: start, to: end } of customer.terms?.overrides ?? []) {
    instants.add(start);
    if (end !== null) instants.add(end);
  }
  for (const { phases } of customer.terms?.subscriptions ?? []) for (const phase of phases) instants.add(phase.from);
  for (const versions of catalog.cards.values()) for (const version of versions) instants.add(version.effectiveFrom);
  return [...instants].filter((at) => at > from && at < to).sort((a, b) => a - b);
}
