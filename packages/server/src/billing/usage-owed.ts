import { add, type Decimal, decimal, isZero, larger, toText, ZERO } from '@ergon/exact';
import type { BucketUsage, Charge, CompiledPrice, WindowHour } from '@ergon/rating';
import { applyTerms, termChanges, type TermsOf } from '../catalog/billing-terms.ts';
import type { CardVersion, CatalogSnapshot } from '../catalog/snapshot.ts';
import type { StoredTotals } from '../record/account-store.ts';
import { type CarriedTiers, carriedOwed, carriedTiers, chargeCarried } from './carried-tiers.ts';
import { daysServed } from './fees-owed.ts';
import type { Owed, PeriodSpan } from './owed.ts';
import { servedHours, type Stretch } from './local-hours.ts';
import { NO_PERCENTILES, percentileKey, type Percentiles, type PercentileValue } from './percentile-value.ts';
import type { Subscription } from './subscription-store.ts';

/** The running totals of one card version in one period. */
export type PeriodTotals = { readonly cardVersionId: number; readonly totals: StoredTotals };

/** `from`: the first instant at which the version held in the period. */
type Segment = { readonly version: CardVersion; readonly from: number; part: bigint; readonly stretches: Stretch[] };

/** What the close reads beside running totals. */
export type CloseFacts = {
  readonly percentiles: Percentiles;
  /** Meters whose quantities do not add up (a maximum, an average, distinct values): their tiers begin with each version. */
  readonly notAdding: ReadonlySet<string>;
};
const NO_FACTS: CloseFacts = { percentiles: NO_PERCENTILES, notAdding: new Set() };

/**
 * What usage was charged in a period, and what falls due only at its close: minimums, true-ups, fixed amounts. Each card
 * version that held in the period is a segment of its own, and owes the part of its fixed amounts that its days are of the
 * whole. A trial owes its usage and nothing else.
 */
export function usageOwed(
  subscription: Subscription,
  customer: TermsOf,
  catalog: CatalogSnapshot,
  period: PeriodSpan,
  totals: readonly PeriodTotals[],
  facts: CloseFacts = NO_FACTS,
): readonly Owed[] {
  const { segments, whole } = segmentsOf(subscription, customer, catalog, period);
  const versions = new Map([...catalog.cards.values()].flat().map((version) => [version.id, version]));
  for (const { cardVersionId } of totals) {
    const version = versions.get(cardVersionId);
    if (version === undefined) throw new Error(`running totals of the unknown card version ${cardVersionId}`);
    const from = Math.max(period.from, version.effectiveFrom);
    if (!segments.has(version.id)) segments.set(version.id, { version, from, part: 0n, stretches: [] });
  }
  const held = new Map(totals.map((one) => [one.cardVersionId, one.totals]));
  const carried = carriedTiers(
    [...segments.values()].map(({ version, from }) => ({
      version,
      totals: held.get(version.id) ?? {},
      goesOn: carriesTiers(subscription, from),
    })),
  );
  return [...segments.values()]
    .sort((a, b) => a.version.id - b.version.id)
    .flatMap((segment) => {
      const { version, stretches } = segment;
      const hours = version.needsLocalTime ? servedHours(period, stretches, customer.timeZone) : [];
      return segmentOwed(segment, { whole, hours }, held.get(version.id) ?? {}, { ...facts, carried });
    });
}

function carriesTiers(subscription: Subscription, at: number): boolean {
  return subscription.phases.findLast((phase) => phase.from <= at)?.plan.card_changes === 'carry';
}

/** Fixed amounts of the cards that are paid when the period opens. */
export function fixedInAdvance(
  subscription: Subscription,
  customer: TermsOf,
  catalog: CatalogSnapshot,
  period: PeriodSpan,
): readonly Owed[] {
  const { segments, whole } = segmentsOf(subscription, customer, catalog, period);
  return [...segments.values()].flatMap((segment) =>
    segment.version.card.prices
      .filter((price) => price.pay === 'in_advance')
      .flatMap((price) => closeOwed(segment, price, price.close({ usage: [], share: { part: segment.part, whole } }))),
  );
}

function segmentsOf(
  subscription: Subscription,
  customer: TermsOf,
  catalog: CatalogSnapshot,
  period: PeriodSpan,
): { segments: Map<number, Segment>; whole: bigint } {
  const cuts = [period.from, ...termChanges(catalog, customer, period.from, period.to), period.to];
  const segments = new Map<number, Segment>();
  let whole = 1n;
  cuts.slice(0, -1).forEach((from, index) => {
    const to = cuts[index + 1] ?? period.to;
    // A period of no length only corrects earlier ones, or was cancelled as it began: not even its day was served.
    if (from === to) return;
    const days = daysServed(from, to, period, subscription.timeZone);
    whole = days.whole;
    const { version } = applyTerms(catalog, customer, from);
    const isTrial = subscription.phases.findLast((phase) => phase.from <= from)?.isTrial ?? false;
    if (version === undefined || isTrial) return;
    let segment = segments.get(version.id);
    if (segment === undefined) {
      segment = { version, from, part: 0n, stretches: [] };
      segments.set(version.id, segment);
    }
    segment.part += days.part;
    segment.stretches.push({ from, to });
  });
  return { segments, whole };
}

type SegmentFacts = CloseFacts & { readonly carried: CarriedTiers };

type Served = { readonly whole: bigint; readonly hours: readonly WindowHour[] };

function segmentOwed(segment: Segment, { whole, hours }: Served, totals: StoredTotals, facts: SegmentFacts): Owed[] {
  const { version, part } = segment;
  const byPrice = usageByPrice(version, totals);
  return version.card.prices.flatMap((price): Owed[] => {
    const usage = byPrice.get(price) ?? [];
    const owed: Owed[] = [];
    if (usage.length > 0) {
      owed.push({
        kind: 'usage',
        key: `usage:${version.id}:${price.key}`,
        description: `${price.meter} (${version.key} version ${version.version})`,
        currency: version.card.currency,
        amount: usage.reduce((sum, one) => add(sum, one.charged), ZERO),
        quantity: usage.reduce((sum, one) => add(sum, one.quantity), ZERO),
      });
    }
    if (price.isFree) return owed;
    const measured = usage.map((one) => percentileCharge(version, price, one, facts.percentiles));
    owed.push(...percentileOwed(segment, price, measured));
    const charged = facts.notAdding.has(price.meter)
      ? measured
      : measured.map((one) => chargeCarried(version, price, one, facts.carried));
    owed.push(...carriedOwed(version, price, charged));
    const charge = price.close({ usage: charged, share: { part, whole }, hours });
    return [...owed, ...closeOwed(segment, price, charge)];
  });
}

/** A bucket as the close sees it: that of a percentile meter has been charged nothing so far, and is now. */
type ClosedUsage = PriceUsage & { readonly percentile?: PercentileValue & { readonly charge: Charge } };

function percentileCharge(
  version: CardVersion,
  price: CompiledPrice,
  usage: PriceUsage,
  percentiles: Percentiles,
): ClosedUsage {
  const name = `${price.key}/${usage.key}`;
  const found = percentiles.get(percentileKey(version.id, name));
  if (found === undefined || price.timing === 'at_close') return usage;
  const bucket = price.bucketOf(usage.key);
  if (bucket === undefined) throw new Error(`card version ${version.id} has no bucket ${name}`);
  const charge = bucket.rate.explain(ZERO, larger(found.value, ZERO));
  return { ...usage, charged: add(usage.charged, charge.amount), percentile: { ...found, charge } };
}

function percentileOwed({ version }: Segment, price: CompiledPrice, usage: readonly ClosedUsage[]): Owed[] {
  const found = usage.flatMap(({ key, percentile }) => (percentile === undefined ? [] : [{ key, ...percentile }]));
  const [first] = found;
  if (first === undefined) return [];
  return [
    {
      kind: 'close',
      key: `percentile:${version.id}:${price.key}`,
      description: `${price.meter}: percentile ${first.percentile} (${version.key} version ${version.version})`,
      currency: version.card.currency,
      amount: found.reduce((sum, { charge }) => add(sum, charge.amount), ZERO),
      detail: {
        percentiles: found.map(({ key, value, values, charge }) => ({
          bucket: key,
          value: toText(value),
          values,
          amount: toText(charge.amount),
        })),
      },
    },
  ];
}

function closeOwed({ version }: Pick<Segment, 'version'>, price: CompiledPrice, charge: Charge): Owed[] {
  if (isZero(charge.amount)) return [];
  const lines = charge.lines.map((line) => ({
    ...(line.description !== undefined && { description: line.description }),
    quantity: toText(line.quantity),
    amount: toText(line.amount),
  }));
  const what = charge.lines.map((line) => line.description).filter((text) => text !== undefined);
  return [
    {
      kind: 'close',
      key: `close:${version.id}:${price.key}`,
      description: `${price.meter}: ${[...new Set(what)].join(', ') || 'fixed amount'} (${version.key} version ${version.version})`,
      currency: version.card.currency,
      amount: charge.amount,
      detail: { lines },
    },
  ];
}

export type PriceUsage = BucketUsage & { readonly quantity: Decimal };

/** Buckets are named "price/bucket"; where one price's key begins another's, the longer one is meant. */
function usageByPrice(version: CardVersion, totals: StoredTotals): Map<CompiledPrice, PriceUsage[]> {
  const prices = version.card.prices.toSorted((a, b) => b.key.length - a.key.length);
  const byPrice = new Map<CompiledPrice, PriceUsage[]>();
  for (const [name, stored] of Object.entries(totals)) {
    const price = prices.find((one) => name.startsWith(`${one.key}/`));
    if (price === undefined) throw new Error(`card version ${version.id} has no price for ${name}`);
    const usage = {
      key: name.slice(price.key.length + 1),
      charged: decimal(stored.a),
      quantity: decimal(stored.q),
    };
    byPrice.set(price, [...(byPrice.get(price) ?? []), usage]);
  }
  return byPrice;
}
