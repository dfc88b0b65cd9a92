import { add, type Decimal, decimal, larger, multiply, scaled, smaller, sum, ZERO } from '@ergon/exact';
import { ROLLUP_POSITION } from '../catalog/built-in-meters.ts';
import type { Contribution } from '../catalog/custom-meter.ts';
import { isLater } from '../record/accumulate.ts';
import type { DimensionSets } from '../record/dimension-sets.ts';
import type { PreparedEvent } from '../record/prepare.ts';
import { orderKey } from '../record/rate-group.ts';
import { NOBODY } from '../record/read-events.ts';
import { MINUTE_MICROS } from '../record/rollups.ts';
import type { EventRating } from '../record/types.ts';
import { valueHash } from '../record/value-hash.ts';
import type { AuditCatalog } from './audit-catalog.ts';
import { entryOf, type Expected, type MeterSums } from './expected.ts';
import type { AuditedEvent } from './audited-event.ts';

const CHARGE = ROLLUP_POSITION.get('charge') ?? -1;
const PROVIDER_COST = ROLLUP_POSITION.get('provider_cost') ?? -1;

function minuteNumber(micros: number): number {
  return Math.floor(micros / MINUTE_MICROS);
}

/** Built-in quantities of a rating: those that have a column, and total_tokens. */
function hasUsage(rating: EventRating): boolean {
  return rating.quantities.some(([meter]) => meter === 'total_tokens' || ROLLUP_POSITION.has(meter));
}

/** Adds the event's figures to the usage_rollup row of its own minute and dimensions; a void's to those of its target. */
export function foldUsage(expected: Expected, one: AuditedEvent, counted: PreparedEvent, sets: DimensionSets): void {
  const origin = one.target ?? one.adjusted ?? one;
  const { rating } = one;
  const named = one.adjusted === undefined ? origin.rating : rating;
  if (rating.lines.length === 0 && (one.adjusted !== undefined || !hasUsage(origin.rating))) return;
  const set = sets.usage(counted.dimensions, named.currency ?? undefined);
  const key = `${rating.customer ?? NOBODY}|${minuteNumber(origin.event.occurredAt)}|${set.id}`;
  const sums = entryOf(expected.usage, key, () => []);
  const addAt = (position: number, value: Decimal): void => {
    sums[position] = add(sums[position] ?? ZERO, value);
  };
  for (const [meter, quantity] of rating.quantities) {
    const position = ROLLUP_POSITION.get(meter);
    if (position !== undefined) addAt(position, decimal(quantity));
  }
  addAt(CHARGE, sum(rating.lines.map((line) => decimal(line.amount))));
  if (rating.cost !== null) addAt(PROVIDER_COST, decimal(rating.cost[0]));
}

/**
 * Adds what the event gave to custom meters when it was recorded: the rating names the meters, the event has the values. A
 * meter counts from its creation on, and a voided event gives nothing.
 */
export function foldContributions(
  expected: Expected,
  one: AuditedEvent,
  prepared: PreparedEvent,
  catalog: AuditCatalog,
  sets: DimensionSets,
): void {
  const origin = one.target ?? one;
  if (prepared.contributions.length === 0 && one.target === undefined) return;
  const owner = one.rating.customer ?? NOBODY;
  const cell = `${owner}|${minuteNumber(origin.event.occurredAt)}`;
  if (one.target !== undefined) {
    if (prepared.contributions.length > 0) expected.voidedCells.add(cell);
    return;
  }
  const recorded = new Set(one.rating.quantities.map(([meter]) => meter));
  for (const contribution of prepared.contributions) {
    const { meter } = contribution;
    const isRecorded = recorded.has(meter.key) && catalog.meterAt(meter.key, one.receivedAt) === meter;
    if (isRecorded && !one.isVoided) addContribution(expected, prepared, contribution, cell, sets);
  }
}

function addContribution(
  expected: Expected,
  prepared: PreparedEvent,
  contribution: Contribution,
  cell: string,
  sets: DimensionSets,
): void {
  const { meter, value, distinct } = contribution;
  const key = `${meter.id}|${cell}|${sets.group(contribution.group).id}`;
  const sums = entryOf(expected.meters, key, emptyMeter);
  sums.count += 1;
  if (distinct !== undefined) expected.values.add(`${key}|${valueHash(distinct)}`);
  if (value === undefined) return;
  sums.total = add(sums.total ?? ZERO, value);
  sums.least = sums.least === undefined ? value : smaller(sums.least, value);
  sums.greatest = sums.greatest === undefined ? value : larger(sums.greatest, value);
  const order = orderKey(prepared);
  if (sums.order === undefined || isLater(order, sums.order)) {
    sums.order = order;
    sums.latest = value;
  }
  if (meter.aggregation !== 'weighted_sum') return;
  sums.moment = add(sums.moment ?? ZERO, multiply(value, scaled(BigInt(prepared.event.occurredAt), 6)));
}

function emptyMeter(): MeterSums {
  return {
    count: 0,
    total: undefined,
    least: undefined,
    greatest: undefined,
    latest: undefined,
    order: undefined,
    moment: undefined,
  };
}
