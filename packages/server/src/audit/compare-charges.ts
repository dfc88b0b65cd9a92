import { add, type Decimal, decimal, equals, isZero, toText, ZERO } from '@ergon/exact';
import { type StoredAccumulator, writeAccumulator } from '../record/accumulate.ts';
import { changeOfCharge, isChargedAtClose, LINEAR } from '../record/recorded-bucket.ts';
import type { Queryable } from '../store/database.ts';
import { cursorRows } from './cursor-rows.ts';
import type { Differences } from './differences.ts';
import type { BucketSums, Expected } from './expected.ts';
import { RECEIVABLE } from './fold-charges.ts';
import type { Partition } from './partition.ts';

const OWNER = `customer_id || '|' || card_version_id || '|' || period`;

/** Running totals against the events' lines, and what they are charged against the card. @returns totals compared. */
export async function compareAccumulators(
  db: Queryable,
  environmentId: number,
  partition: Partition,
  expected: Expected,
  differences: Differences,
): Promise<number> {
  const where = [environmentId, partition.count, partition.index];
  const ofPartition = 'environment_id = $1 and customer_id % $2::int8 = $3::int8';
  const rows = cursorRows<{ key: string; total: StoredAccumulator }>(
    db,
    'audit_totals',
    `select ${OWNER} || '|' || t.key as key, t.value as total from accumulator, json_each(totals) t where ${ofPartition}`,
    where,
  );
  let count = 0;
  const seen = new Set<string>();
  for await (const { key, total } of rows) {
    count += 1;
    seen.add(key);
    const sums = expected.buckets.get(key);
    compareTotal(key, sums, total, differences);
    checkPrice(key, sums, total, differences);
  }
  for (const [key, sums] of expected.buckets) {
    if (!seen.has(key)) compareTotal(key, sums, undefined, differences);
  }
  const values = cursorRows<{ key: string; value: string }>(
    db,
    'audit_bucket_values',
    `select ${OWNER} || '|' || bucket as key, replace(value::text, '-', '') as value from accumulator_value where ${ofPartition}`,
    where,
  );
  for await (const { key, value } of values) {
    if (expected.buckets.get(key)?.values.delete(value) !== true)
      differences.add('accumulator value', `${key}|${value}`, 'no row', 'a row');
  }
  for (const [key, { values: missing }] of expected.buckets)
    for (const value of missing) differences.add('accumulator value', `${key}|${value}`, 'a row', 'no row');
  return count;
}

/** The quantity that the events give: added up, or for extremes, averages, latest and distinct values aggregated again. */
function quantityOf(sums: BucketSums): Decimal {
  if (sums.aggregation === 'weighted_sum') return sums.moved;
  return isLinear(sums) ? sums.quantity : sums.state.quantity;
}

function isLinear({ aggregation }: BucketSums): boolean {
  return aggregation === undefined || LINEAR.has(aggregation);
}

function compareTotal(
  key: string,
  sums: BucketSums | undefined,
  found: StoredAccumulator | undefined,
  differences: Differences,
): void {
  const quantity = sums === undefined ? ZERO : quantityOf(sums);
  const charged = sums?.charged ?? ZERO;
  if (!equals(quantity, decimal(found?.q ?? '0')))
    differences.add('accumulator quantity', key, toText(quantity), found?.q ?? 'no row');
  if (!equals(charged, decimal(found?.a ?? '0')))
    differences.add('accumulator charge', key, toText(charged), found?.a ?? 'no row');
  if (sums === undefined || isLinear(sums) || sums.priced?.price.timing === 'per_event') return;
  const { s, n, o } = writeAccumulator(sums.state);
  const [want, have] = [JSON.stringify([s, n, o]), JSON.stringify([found?.s, found?.n, found?.o])];
  if (want !== have) differences.add('accumulator state', key, want, have);
}

/** What a running total was charged in all is its price: R(q) (DESIGN section 7, invariant 2). */
function checkPrice(
  key: string,
  sums: BucketSums | undefined,
  found: StoredAccumulator,
  differences: Differences,
): void {
  if (sums?.priced === undefined || sums.priced.price.timing === 'per_event') return;
  const { price: rated, cell } = sums.priced;
  const price = isChargedAtClose(sums.aggregation) ? ZERO : changeOfCharge(rated, cell, ZERO, decimal(found.q));
  if (!equals(price, decimal(found.a)))
    differences.add('R(quantity)', key, `R(${found.q}) = ${toText(price)}`, found.a);
}

/** Usage less reversals of every account against the shares of the events' lines. */
export async function comparePostings(
  db: Queryable,
  environmentId: number,
  partition: Partition,
  expected: Expected,
  differences: Differences,
): Promise<void> {
  const rows = cursorRows<{ total: string; account: string; kind: string | null; amount: string }>(
    db,
    'audit_postings',
    `select p.customer_id || '|' || coalesce(p.card_version_id, 0) || '|' || coalesce(p.period::text, '') || '|' ||
         coalesce(p.bucket, '') as total, p.account_id::text as account, a.kind,
       sum(p.amount)::text as amount
     from (select customer_id, card_version_id, period, bucket,
             case kind when 'usage' then debit_account_id else coalesce(reversed_account_id, credit_account_id) end as account_id,
             case kind when 'usage' then amount else -amount end as amount
           from posting where environment_id = $1 and kind in ('usage', 'reversal')
             and customer_id % $2::int8 = $3::int8) p
       left join account a on a.environment_id = $1 and a.id = p.account_id
     group by 1, 2, 3`,
    [environmentId, partition.count, partition.index],
  );
  for await (const { total, account, kind, amount } of rows) {
    const key = `${total}|${account}`;
    let share = taken(expected.shares, key);
    // A share names the receivable as nobody's where it was charged, and by its account where it was given back.
    if (kind === 'receivable') share = add(share, taken(expected.shares, `${total}|${RECEIVABLE}`));
    if (!equals(share, decimal(amount))) differences.add('posting', key, toText(share), amount);
  }
  for (const [key, share] of expected.shares)
    if (!isZero(share)) differences.add('posting', key, toText(share), 'none');
}

function taken(shares: Map<string, Decimal>, key: string): Decimal {
  const share = shares.get(key) ?? ZERO;
  shares.delete(key);
  return share;
}
