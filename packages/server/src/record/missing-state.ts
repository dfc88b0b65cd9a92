import type { Queryable } from '../store/database.ts';
import { uuidArray } from '../store/pg-arrays.ts';
import { standingDebits } from './account-store.ts';
import type { AccumulatorState } from './accumulate.ts';
import type { AccumulatorRow, Debit } from './bucket-work.ts';
import type { MissingFacts, RatingFacts } from './rate-group.ts';
import { valueHash } from './value-hash.ts';

/** What was read because a rating asked for it. */
export type ReadFacts = RatingFacts & {
  readonly debitsByBucket: Map<string, readonly Debit[]>;
  readonly newValues: Map<string, boolean>;
  readonly replays: Map<string, AccumulatorState>;
};

function keyOf(row: AccumulatorRow, bucket: string): string {
  return `${row.customerId}|${row.cardVersionId}|${row.period}|${bucket}`;
}

export function noFacts(): ReadFacts {
  const debitsByBucket = new Map<string, readonly Debit[]>();
  const newValues = new Map<string, boolean>();
  const replays = new Map<string, AccumulatorState>();
  return {
    debitsByBucket,
    newValues,
    replays,
    replayed: (row, bucket) => replays.get(keyOf(row, bucket)),
    debits: (row, bucket) => debitsByBucket.get(keyOf(row, bucket)),
    isNewValue: (row, bucket, distinct) => newValues.get(`${keyOf(row, bucket)}|${distinct}`),
  };
}

export async function loadMissing(
  db: Queryable,
  environmentId: number,
  missing: MissingFacts,
  facts: ReadFacts,
  replay: (row: AccumulatorRow, bucket: string) => Promise<AccumulatorState>,
): Promise<void> {
  for (const { row, bucket } of missing.replays) {
    const key = keyOf(row, bucket);
    if (!facts.replays.has(key)) facts.replays.set(key, await replay(row, bucket));
  }
  for (const { row, bucket } of missing.debits) {
    const key = keyOf(row, bucket);
    if (!facts.debitsByBucket.has(key))
      facts.debitsByBucket.set(key, await standingDebits(db, environmentId, { ...row, bucket }));
  }
  const byBucket = new Map<string, MissingFacts['values'][number][]>();
  for (const one of missing.values) {
    const key = keyOf(one.row, one.bucket);
    const list = byBucket.get(key);
    if (list === undefined) byBucket.set(key, [one]);
    else list.push(one);
  }
  for (const key of [...byBucket.keys()].sort()) {
    const values = byBucket.get(key) ?? [];
    const isNew = await insertValues(db, environmentId, values);
    for (const { distinct } of values) facts.newValues.set(`${key}|${distinct}`, isNew.has(valueHash(distinct)));
  }
}

/** Values inserted are the ones never seen before: the insert is the question (DESIGN section 9). */
async function insertValues(
  db: Queryable,
  environmentId: number,
  values: MissingFacts['values'],
): Promise<Set<string>> {
  const first = values[0];
  if (first === undefined) return new Set();
  const result = await db.query<{ value: string }>({
    name: 'accumulator_values',
    text: `insert into accumulator_value (environment_id, customer_id, card_version_id, period, bucket, value)
      select $1, $2::int8, $3::int8, $4, $5, v from unnest($6::uuid[]) as s(v) order by v on conflict do nothing returning value`,
    values: [
      environmentId,
      first.row.customerId,
      first.row.cardVersionId,
      first.row.period,
      first.bucket,
      uuidArray([...new Set(values.map(({ distinct }) => valueHash(distinct)))]),
    ],
  });
  return new Set(result.rows.map((row) => row.value.replaceAll('-', '')));
}
