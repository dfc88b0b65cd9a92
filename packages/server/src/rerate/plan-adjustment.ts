import { decodeLines } from '../record/encode-rating.ts';
import { applyTerms } from '../catalog/billing-terms.ts';
import type { BilledCustomer } from '../catalog/customers.ts';
import type { CardVersion, CatalogSnapshot } from '../catalog/snapshot.ts';
import { type BillingMonth, localMinute } from '../catalog/billing-month.ts';
import { LOCAL_TIME_DIMENSION } from '@ergon/rating';
import type { AdjustmentPlan } from '../record/adjust.ts';
import { type PreparedEvent, prepareEvent } from '../record/prepare.ts';
import { GroupRating, type RatedEvent, unratedEvent } from '../record/rate-group.ts';
import type { StoredEvent } from '../record/read-events.ts';
import type { Standing } from '../record/standing.ts';
import type { RatedLine } from '../record/types.ts';

/** Who is rated, by which catalog. */
export type PlanContext = { readonly catalog: CatalogSnapshot; readonly customer: BilledCustomer | undefined };

/**
 * What a re-rating does to one event: nothing (`undefined`) where it is rated as the catalog would rate it now. Pure.
 *
 * @param onlyUnrated rates what has no price and leaves every charge as it is.
 */
export function planAdjustment(
  context: PlanContext,
  target: StoredEvent,
  standing: Standing,
  onlyUnrated: boolean,
): AdjustmentPlan | undefined {
  const prepared = recounted(context.catalog, target);
  const charged = standing.ratings.filter(({ rating }) => rating.lines.length > 0);
  if (!onlyUnrated) {
    const { rated, lines, terms } = ratedAlone(context, prepared);
    const wanted = lines.map((line) => lineKey(line, terms.version?.id ?? null, terms.month.period));
    const held = charged.flatMap(({ rating }) =>
      rating.lines.map((line) => lineKey(line, rating.version, rating.period)),
    );
    if (isSame(wanted, held) && isSame(unratedMeters(rated.unrated), unratedMeters(standing.unrated))) return undefined;
    return { target, takesBack: charged, rates: prepared, unratedBefore: standing.unrated };
  }
  if (standing.unrated.length === 0) return undefined;
  const missing = new Set(unratedMeters(standing.unrated));
  const rates: PreparedEvent = {
    ...prepared,
    // A price of the total is no price of a part: it applies where no part has been charged.
    quantities: prepared.quantities.filter(
      ({ meter }) => missing.has(meter) || (meter === 'total_tokens' && charged.length === 0),
    ),
    contributions: prepared.contributions.filter(({ meter }) => missing.has(meter.key)),
  };
  const { rated, lines } = ratedAlone(context, rates);
  const isPriced = lines.length > 0 || rated.unrated.length < missing.size;
  return isPriced ? { target, takesBack: [], rates, unratedBefore: standing.unrated } : undefined;
}

/**
 * The event as it is to be rated now: the quantities that were counted when it came, matched by what its model's name stands
 * for today. A custom meter that was made since counted nothing of it, and charges nothing.
 */
function recounted(catalog: CatalogSnapshot, { event, rating }: StoredEvent): PreparedEvent {
  const model = prepareEvent(event, catalog).model ?? rating.model;
  const prepared = prepareEvent(event, catalog, { ...rating, model });
  const recorded = new Set(rating.quantities.map(([meter]) => meter));
  return { ...prepared, contributions: prepared.contributions.filter(({ meter }) => recorded.has(meter.key)) };
}

type Alone = {
  readonly rated: RatedEvent;
  readonly lines: readonly RatedLine[];
  readonly terms: { readonly version: CardVersion | undefined; readonly month: BillingMonth };
};

/** Rates the event against empty totals: which buckets it falls into does not depend on what came before. */
function ratedAlone({ catalog, customer }: PlanContext, prepared: PreparedEvent): Alone {
  if (customer === undefined) throw new Error('an event without a customer is not rated');
  const terms = applyTerms(catalog, customer, prepared.event.occurredAt);
  const { version, month } = terms;
  if (version === undefined) return { rated: unratedEvent(prepared, 'no_rate_card'), lines: [], terms };
  if (version.needsLocalTime)
    prepared.dimensions[LOCAL_TIME_DIMENSION] = localMinute(prepared.event.occurredAt, customer.timeZone);
  const rating = new GroupRating({ debits: () => [], isNewValue: () => true, replayed: () => undefined }, 0);
  const row = {
    customerId: customer.id,
    cardVersionId: version.id,
    period: month.period,
    currency: version.card.currency,
    stored: {},
    work: new Map(),
    grants: [],
  };
  const rated = rating.rate(prepared, row, version, month);
  return { rated, lines: decodeLines(rated.lines), terms };
}

function lineKey(line: RatedLine, version: number | null, period: string | null): string {
  return [version, period, line.meter, line.bucket, line.quantity, line.absorbed ?? ''].join('|');
}

function unratedMeters(unrated: Standing['unrated']): string[] {
  return unrated.map(([meter]) => meter);
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false;
  const sorted = b.toSorted();
  return a.toSorted().every((text, index) => text === sorted[index]);
}
