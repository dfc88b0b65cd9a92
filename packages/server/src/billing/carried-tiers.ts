import { add, type Decimal, decimal, isZero, subtract, toText, ZERO } from '@ergon/exact';
import type { CompiledPrice } from '@ergon/rating';
import type { CardVersion } from '../catalog/snapshot.ts';
import type { StoredTotals } from '../record/account-store.ts';
import { changeOfCharge } from '../record/recorded-bucket.ts';
import type { Owed } from './owed.ts';
import type { PriceUsage } from './usage-owed.ts';

/** Quantity that earlier versions of its card counted, by {@link carriedKey} of the later version's bucket. */
export type CarriedTiers = ReadonlyMap<string, Decimal>;

function carriedKey(version: CardVersion, bucket: string): string {
  return `${version.id}/${bucket}`;
}

/** `goesOn`: whether the plan under which the version took effect says `carry`; another one's tiers begin anew. */
type CountedVersion = { readonly version: CardVersion; readonly totals: StoredTotals; readonly goesOn: boolean };

/**
 * For each bucket of a card version, what the card's earlier versions counted in the same period under the same name (price
 * key and bucket): where its tiers go on counting under `card_changes: carry`.
 */
export function carriedTiers(segments: readonly CountedVersion[]): CarriedTiers {
  const countedByCard = new Map<string, Map<string, Decimal>>();
  const carried = new Map<string, Decimal>();
  const inOrder = segments.toSorted(
    (a, b) => a.version.effectiveFrom - b.version.effectiveFrom || a.version.id - b.version.id,
  );
  for (const { version, totals, goesOn } of inOrder) {
    const counted = (goesOn ? countedByCard.get(version.key) : undefined) ?? new Map<string, Decimal>();
    countedByCard.set(version.key, counted);
    for (const [bucket, { q }] of Object.entries(totals)) {
      const before = counted.get(bucket);
      if (before !== undefined) carried.set(carriedKey(version, bucket), before);
      counted.set(bucket, add(before ?? ZERO, decimal(q)));
    }
  }
  return carried;
}

/** A bucket's usage with what it costs beyond its own tiers: R(before + q) - R(before) instead of R(q). */
type CarriedUsage = PriceUsage & { readonly carried?: { readonly before: Decimal; readonly amount: Decimal } };

/**
 * Only a charge that is a function of a running total can go on counting; one of single events, or of the close, stays as it
 * is.
 */
export function chargeCarried<Usage extends PriceUsage>(
  version: CardVersion,
  price: CompiledPrice,
  usage: Usage,
  carried: CarriedTiers,
): Usage & CarriedUsage {
  const name = `${price.key}/${usage.key}`;
  const before = carried.get(carriedKey(version, name));
  if (before === undefined || price.timing !== 'cumulative') return usage;
  const bucket = price.bucketOf(usage.key);
  if (bucket === undefined) throw new Error(`card version ${version.id} has no bucket ${name}`);
  const alone = changeOfCharge(price, bucket, ZERO, usage.quantity);
  const amount = subtract(changeOfCharge(price, bucket, before, add(before, usage.quantity)), alone);
  return { ...usage, charged: add(usage.charged, amount), carried: { before, amount } };
}

/** The line that brings a version's usage to what it costs in the tiers it goes on in; none where that is what it was charged. */
export function carriedOwed(version: CardVersion, price: CompiledPrice, usage: readonly CarriedUsage[]): Owed[] {
  const found = usage.flatMap(({ key, quantity, carried }) =>
    carried === undefined || isZero(carried.amount) ? [] : [{ key, quantity, ...carried }],
  );
  if (found.length === 0) return [];
  return [
    {
      kind: 'close',
      key: `carry:${version.id}:${price.key}`,
      description: `${price.meter}: tiers carried on (${version.key} version ${version.version})`,
      currency: version.card.currency,
      amount: found.reduce((sum, { amount }) => add(sum, amount), ZERO),
      detail: {
        carried: found.map(({ key, before, quantity, amount }) => ({
          bucket: key,
          before: toText(before),
          quantity: toText(quantity),
          amount: toText(amount),
        })),
      },
    },
  ];
}
