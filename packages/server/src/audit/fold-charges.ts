import { add, type Decimal, decimal, equals, ONE, subtract, sum, toText, ZERO } from '@ergon/exact';
import type { Contribution } from '../catalog/custom-meter.ts';
import { accumulate, emptyAccumulator } from '../record/accumulate.ts';
import type { PreparedEvent } from '../record/prepare.ts';
import { orderKey } from '../record/rate-group.ts';
import { LINEAR, recordedBucket } from '../record/recorded-bucket.ts';
import type { RatedLine } from '../record/types.ts';
import { valueHash } from '../record/value-hash.ts';
import type { AuditCatalog } from './audit-catalog.ts';
import type { Differences } from './differences.ts';
import { type BucketSums, entryOf, type Expected } from './expected.ts';
import type { AuditedEvent } from './audited-event.ts';

/** The account of shares that no grant bears: one a customer and currency. */
export const RECEIVABLE = 'receivable';

/** Adds the event's rated lines to their accumulators, and their shares to what must have been posted. */
export function foldCharges(
  expected: Expected,
  one: AuditedEvent,
  counted: PreparedEvent,
  catalog: AuditCatalog,
  differences: Differences,
): void {
  const { rating } = one;
  const owner = `${rating.customer}|${rating.version}|${rating.period}`;
  for (const line of rating.lines) {
    const amount = decimal(line.amount);
    const shared = sum(line.shares.map(([, share]) => decimal(share)));
    if (!equals(shared, amount))
      differences.add('rating', `${placeOf(one)} ${line.bucket}`, `shares of ${line.amount}`, toText(shared));
    if (line.absorbed !== undefined) continue;
    const key = `${owner}|${line.bucket}`;
    const contribution = counted.contributions.find((each) => each.meter.key === line.meter);
    const bucket = entryOf(expected.buckets, key, () => ({
      aggregation: contribution?.meter.aggregation,
      quantity: ZERO,
      moved: ZERO,
      charged: ZERO,
      state: emptyAccumulator(),
      values: new Set<string>(),
      priced: pricedBy(one, counted, contribution, line, catalog, differences),
    }));
    checkQuantity(one, line, counted, contribution, differences);
    bucket.quantity = add(bucket.quantity, decimal(line.quantity));
    bucket.moved = add(bucket.moved, subtract(decimal(line.after), decimal(line.before)));
    bucket.charged = add(bucket.charged, amount);
    if (contribution !== undefined && one.target === undefined && !one.isTakenBack && !one.isTakeBack)
      aggregateAgain(bucket, line, counted, contribution);
    for (const [account, share] of line.shares) addShare(expected, `${key}|${account ?? RECEIVABLE}`, decimal(share));
  }
}

function addShare(expected: Expected, key: string, share: Decimal): void {
  expected.shares.set(key, add(expected.shares.get(key) ?? ZERO, share));
}

function placeOf(one: AuditedEvent): string {
  return `${one.event.source}/${one.event.id}`;
}

/** A line charges for the very quantity that was metered: the recorded one, or of a custom meter the event's own value. */
function checkQuantity(
  one: AuditedEvent,
  line: RatedLine,
  counted: PreparedEvent,
  contribution: Contribution | undefined,
  differences: Differences,
): void {
  if (one.target !== undefined || one.isTakeBack) return; // The resolvers compare their lines with those taken back.
  const { quantities, cost } = (one.adjusted ?? one).rating;
  const recorded = line.meter === 'provider_cost' ? cost?.[0] : quantities.find(([meter]) => meter === line.meter)?.[1];
  const metered = contribution?.value ?? recorded;
  const quantity =
    contribution !== undefined ? (contribution.value ?? ONE) : typeof metered === 'string' ? decimal(metered) : ZERO;
  if (!equals(quantity, decimal(line.quantity)))
    differences.add('rating', `${placeOf(one)} ${line.bucket}`, `quantity ${toText(quantity)}`, line.quantity);
}

function aggregateAgain(
  bucket: BucketSums,
  line: RatedLine,
  counted: PreparedEvent,
  { meter, distinct }: Contribution,
): void {
  if (LINEAR.has(meter.aggregation)) return;
  const hash = distinct === undefined ? undefined : valueHash(distinct);
  accumulate(bucket.state, {
    aggregation: meter.aggregation,
    value: decimal(line.quantity),
    order: orderKey(counted),
    secondsHeld: ZERO,
    isNewValue: hash !== undefined && !bucket.values.has(hash),
  });
  if (hash !== undefined) bucket.values.add(hash);
}

function pricedBy(
  one: AuditedEvent,
  counted: PreparedEvent,
  contribution: Contribution | undefined,
  line: RatedLine,
  catalog: AuditCatalog,
  differences: Differences,
): BucketSums['priced'] {
  const version = one.rating.version === null ? undefined : catalog.versions.get(one.rating.version);
  if (version?.needsLocalTime === true) return undefined;
  try {
    if (version !== undefined) return recordedBucket(counted, contribution, line, version);
  } catch {
    // Reported below: the card has no such bucket.
  }
  differences.add('rating', placeOf(one), `a bucket of card version ${one.rating.version}`, line.bucket);
  return undefined;
}
