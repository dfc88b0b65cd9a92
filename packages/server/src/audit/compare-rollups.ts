import { type Decimal, decimal, equals, toText, ZERO } from '@ergon/exact';
import { ROLLUP_METERS } from '../catalog/built-in-meters.ts';
import type { Queryable } from '../store/database.ts';
import type { AuditCatalog } from './audit-catalog.ts';
import { cursorRows } from './cursor-rows.ts';
import type { Difference, Differences } from './differences.ts';
import type { Expected, MeterSums } from './expected.ts';
import { RUN_SUMS } from './fold-runs.ts';
import { hasRun, type Partition } from './partition.ts';

const MINUTE = '(extract(epoch from minute) / 60)::int8';
const SET = `replace(dimension_set_id::text, '-', '')`;
const OF_PARTITION = 'environment_id = $1 and customer_id % $2::int8 = $3::int8';

type Row = Readonly<Record<string, string | bigint | null>>;

/** Compares columns that are sums, where null, absent and zero are one: nothing was metered. */
function compareSums(
  differences: Differences,
  kind: Difference['kind'],
  key: string,
  names: readonly string[],
  expected: (name: string, index: number) => Decimal | undefined,
  found: Row | undefined,
): void {
  names.forEach((name, index) => {
    const want = expected(name, index) ?? ZERO;
    const text = found?.[name];
    const have = text === null || text === undefined ? ZERO : decimal(String(text));
    if (!equals(want, have)) differences.add(kind, `${key} ${name}`, toText(want), toText(have));
  });
}

/** @returns rows compared. */
export async function compareUsage(
  db: Queryable,
  environmentId: number,
  partition: Partition,
  expected: Expected,
  differences: Differences,
): Promise<number> {
  const columns = ROLLUP_METERS.map((meter) => meter.column ?? meter.key);
  const rows = cursorRows<Row & { key: string }>(
    db,
    'audit_usage',
    `select customer_id || '|' || ${MINUTE} || '|' || ${SET} as key, ${columns.join(', ')}
     from usage_rollup where ${OF_PARTITION}`,
    [environmentId, partition.count, partition.index],
  );
  let count = 0;
  for await (const row of rows) {
    count += 1;
    const sums = expected.usage.get(row.key);
    expected.usage.delete(row.key);
    compareSums(differences, 'usage rollup', row.key, columns, (_, index) => sums?.[index], row);
  }
  for (const [key, sums] of expected.usage)
    compareSums(differences, 'usage rollup', key, columns, (_, index) => sums[index], undefined);
  return count;
}

/** @returns rows compared. */
export async function compareMeters(
  db: Queryable,
  environmentId: number,
  partition: Partition,
  expected: Expected,
  catalog: AuditCatalog,
  differences: Differences,
): Promise<number> {
  const name = `meter_id || '|' || customer_id || '|' || ${MINUTE} || '|' || ${SET}`;
  const where = [environmentId, partition.count, partition.index];
  type Found = Row & { key: string; latest_order: string | null; event_count: bigint };
  const rows = cursorRows<Found>(
    db,
    'audit_meters',
    `select ${name} as key, event_count, total, least, greatest, latest, latest_order, moment
     from meter_rollup where ${OF_PARTITION}`,
    where,
  );
  let count = 0;
  for await (const row of rows) {
    count += 1;
    const sums = expected.meters.get(row.key);
    expected.meters.delete(row.key);
    if (isUnclear(expected, catalog, row.key)) continue;
    const [want, have] = [meterText(sums), foundText(row)];
    if (want !== have) differences.add('meter rollup', row.key, want, have);
  }
  for (const [key, sums] of expected.meters)
    if (!isUnclear(expected, catalog, key)) differences.add('meter rollup', key, meterText(sums), 'no row');
  const values = cursorRows<{ key: string }>(
    db,
    'audit_values',
    `select ${name} || '|' || replace(value::text, '-', '') as key from meter_value where ${OF_PARTITION}`,
    where,
  );
  for await (const { key } of values) {
    if (!expected.values.delete(key) && !isUnclear(expected, catalog, key))
      differences.add('meter rollup', key, 'no row', 'a row');
  }
  for (const key of expected.values)
    if (!isUnclear(expected, catalog, key)) differences.add('meter rollup', key, 'a row', 'no row');
  return count;
}

/** A meter that was archived before a void keeps what it had, and one archived after it does not: both are right. */
function isUnclear(expected: Expected, catalog: AuditCatalog, key: string): boolean {
  const [meter = '', customer = '', minute = ''] = key.split('|');
  return catalog.archived.has(Number(meter)) && expected.voidedCells.has(`${customer}|${minute}`);
}

function meterText(sums: MeterSums | undefined): string {
  if (sums === undefined) return 'no row';
  const { count, total, least, greatest, latest, order, moment } = sums;
  return described([String(count), ...[total, least, greatest, latest].map(text), order ?? null, text(moment)]);
}

function foundText(row: Row): string {
  const numbers = ['total', 'least', 'greatest', 'latest'].map((name) => normal(row[name]));
  return described([String(row.event_count), ...numbers, textOf(row.latest_order), normal(row.moment)]);
}

function described([count, total, least, greatest, latest, order, moment]: readonly (string | null)[]): string {
  return JSON.stringify({ count, total, least, greatest, latest, order, moment });
}

function text(value: Decimal | undefined): string | null {
  return value === undefined ? null : toText(value);
}

function textOf(value: string | bigint | null | undefined): string | null {
  return value === null || value === undefined ? null : String(value);
}

function normal(value: string | bigint | null | undefined): string | null {
  const plain = textOf(value);
  return plain === null ? null : toText(decimal(plain));
}

/** @returns rows compared. */
export async function compareRuns(
  db: Queryable,
  environmentId: number,
  partition: Partition,
  expected: Expected,
  differences: Differences,
): Promise<number> {
  const rows = cursorRows<Row & { id: string }>(
    db,
    'audit_runs',
    `select id, ${RUN_SUMS.join(', ')} from run where environment_id = $1`,
    [environmentId],
  );
  let count = 0;
  for await (const row of rows) {
    if (!hasRun(partition, row.id)) continue;
    count += 1;
    const sums = expected.runs.get(row.id);
    expected.runs.delete(row.id);
    compareSums(differences, 'run', row.id, RUN_SUMS, (name) => sums?.get(name), row);
  }
  for (const [id, sums] of expected.runs)
    compareSums(differences, 'run', id, RUN_SUMS, (name) => sums.get(name), undefined);
  return count;
}
