import { type Currency, parseDecimal, toText, ZERO } from '@ergon/exact';
import { type LedgerUnits, ledgerDecimal, ledgerUnits } from '../ledger/burn.ts';
import type { Queryable } from '../store/database.ts';
import { int8Array, textArray } from '../store/pg-arrays.ts';
import { type StoredAccumulator, writeAccumulator } from './accumulate.ts';
import type { AccumulatorRow } from './bucket-work.ts';

/** Names an accumulator row: customer, card version, period. */
export type AccumulatorKey = { readonly customerId: number; readonly cardVersionId: number; readonly period: string };

export type StoredTotals = Readonly<Record<string, StoredAccumulator>>;

/** Makes sure the rows to be locked exist. Idempotent; sorted, so that it cannot deadlock with itself. */
export function ensureAccumulators(
  db: Queryable,
  environmentId: number,
  keys: readonly AccumulatorKey[],
): Promise<unknown> {
  return db.query({
    name: 'ensure_accumulators',
    text: `insert into accumulator (environment_id, customer_id, card_version_id, period, totals)
      select $1, c, v, p, '{}' from unnest($2::int8[], $3::int8[], $4::text[]) as k(c, v, p) order by c, v, p on conflict do nothing`,
    values: [environmentId, ...keyArrays(keys)],
  });
}

export function ensureReceivables(
  db: Queryable,
  environmentId: number,
  customers: readonly { id: number; currency: string }[],
): Promise<unknown> {
  return db.query({
    name: 'ensure_receivables',
    text: `insert into account (environment_id, kind, customer_id, currency, balance)
      select $1, 'receivable', c, y, 0 from unnest($2::int8[], $3::text[]) as k(c, y) order by c, y on conflict do nothing`,
    values: [environmentId, int8Array(customers.map((one) => one.id)), textArray(customers.map((one) => one.currency))],
  });
}

/** Locks the running totals, in key order. */
export async function lockAccumulators(
  db: Queryable,
  environmentId: number,
  keys: readonly AccumulatorKey[],
): Promise<(AccumulatorKey & { totals: StoredTotals })[]> {
  const result = await db.query<{ customer_id: bigint; card_version_id: bigint; period: string; totals: StoredTotals }>(
    {
      name: 'lock_accumulators',
      text: `select a.customer_id, a.card_version_id, a.period, a.totals
      from accumulator a join unnest($2::int8[], $3::int8[], $4::text[]) as k(c, v, p)
        on a.customer_id = k.c and a.card_version_id = k.v and a.period = k.p
      where a.environment_id = $1 order by 1, 2, 3 for update of a`,
      values: [environmentId, ...keyArrays(keys)],
    },
  );
  return result.rows.map((row) => ({
    customerId: Number(row.customer_id),
    cardVersionId: Number(row.card_version_id),
    period: row.period,
    totals: row.totals,
  }));
}

export function writeAccumulators(
  db: Queryable,
  environmentId: number,
  rows: readonly AccumulatorRow[],
): Promise<unknown> {
  return db.query({
    name: 'write_accumulators',
    text: `update accumulator a set totals = k.t::json
      from unnest($2::int8[], $3::int8[], $4::text[], $5::text[]) as k(c, v, p, t)
      where a.environment_id = $1 and a.customer_id = k.c and a.card_version_id = k.v and a.period = k.p`,
    values: [environmentId, ...keyArrays(rows), textArray(rows.map((row) => storedTotals(row)))],
  });
}

function storedTotals(row: AccumulatorRow): string {
  const totals: Record<string, StoredAccumulator> = { ...row.stored };
  for (const { name, state } of row.work.values()) totals[name] = writeAccumulator(state);
  return JSON.stringify(totals);
}

/** Adds to balances: `units` is negative for a debit. The floors of DESIGN section 9 are checked by the table. */
export function changeBalances(
  db: Queryable,
  environmentId: number,
  changes: ReadonlyMap<number, LedgerUnits>,
): Promise<unknown> {
  const rows = [...changes].filter(([, units]) => units !== 0n).sort(([a], [b]) => a - b);
  if (rows.length === 0) return Promise.resolve();
  return db.query({
    name: 'change_balances',
    text: `update account a set balance = a.balance + k.u::numeric from unnest($2::int8[], $3::text[]) as k(i, u)
      where a.environment_id = $1 and a.id = k.i`,
    values: [
      environmentId,
      int8Array(rows.map(([id]) => id)),
      textArray(rows.map(([, units]) => toText(ledgerDecimal(units)))),
    ],
  });
}

export type NewPosting = {
  readonly customerId: number;
  readonly kind: 'usage' | 'reversal';
  readonly debitAccountId: number;
  readonly creditAccountId: number;
  readonly currency: Currency;
  readonly units: LedgerUnits;
  readonly blockId: bigint;
  readonly cardVersionId: number;
  readonly period: string;
  readonly bucket: string;
  readonly reversedAccountId: number | null;
};

export function writePostings(db: Queryable, environmentId: number, postings: readonly NewPosting[]): Promise<unknown> {
  if (postings.length === 0) return Promise.resolve();
  return db.query({
    name: 'write_postings',
    text: `insert into posting (environment_id, customer_id, kind, debit_account_id, credit_account_id, currency, amount, block_id,
        card_version_id, period, bucket, reversed_account_id)
      select $1, c, k, d, r, y, a::numeric, $2::int8, v, p, b, x
      from unnest($3::int8[], $4::text[], $5::int8[], $6::int8[], $7::text[], $8::text[], $9::int8[], $10::text[], $11::text[], $12::int8[])
        with ordinality as s(c, k, d, r, y, a, v, p, b, x, n) order by c, n`,
    values: [
      environmentId,
      (postings[0]?.blockId ?? 0n).toString(),
      int8Array(postings.map((one) => one.customerId)),
      textArray(postings.map((one) => one.kind)),
      int8Array(postings.map((one) => one.debitAccountId)),
      int8Array(postings.map((one) => one.creditAccountId)),
      textArray(postings.map((one) => one.currency)),
      textArray(postings.map((one) => toText(ledgerDecimal(one.units)))),
      int8Array(postings.map((one) => one.cardVersionId)),
      textArray(postings.map((one) => one.period)),
      textArray(postings.map((one) => one.bucket)),
      int8Array(postings.map((one) => one.reversedAccountId)),
    ],
  });
}

type PostingRow = { kind: string; account_id: bigint | null; amount: string };
type StandingDebit = { accountId: number | null; units: LedgerUnits };

/**
 * Debits of a bucket that no reversal has taken back, oldest first, folded from its postings. The customer's receivable is
 * null here as in every share.
 */
export async function standingDebits(
  db: Queryable,
  environmentId: number,
  key: AccumulatorKey & { bucket: string },
): Promise<StandingDebit[]> {
  const result = await db.query<PostingRow>(
    `select p.kind, case when a.kind <> 'receivable' then a.id end as account_id, p.amount
     from posting p join account a on a.environment_id = p.environment_id
       and a.id = case p.kind when 'usage' then p.debit_account_id else p.reversed_account_id end
     where p.environment_id = $1 and p.customer_id = $2 and p.card_version_id = $3 and p.period = $4 and p.bucket = $5
     order by p.id`,
    [environmentId, key.customerId, key.cardVersionId, key.period, key.bucket],
  );
  const standing: StandingDebit[] = [];
  for (const row of result.rows) {
    const units = ledgerUnits(parseDecimal(row.amount) ?? ZERO);
    const accountId = row.account_id === null ? null : Number(row.account_id);
    if (row.kind === 'usage') standing.push({ accountId, units });
    else takeBack(standing, accountId, units);
  }
  return standing.filter((debit) => debit.units > 0n);
}

function takeBack(standing: readonly StandingDebit[], accountId: number | null, units: LedgerUnits): void {
  let left = units;
  for (let index = standing.length - 1; index >= 0 && left > 0n; index--) {
    const debit = standing[index];
    if (debit === undefined || debit.accountId !== accountId) continue;
    const taken = debit.units < left ? debit.units : left;
    debit.units -= taken;
    left -= taken;
  }
}

function keyArrays(keys: readonly AccumulatorKey[]): [Buffer, Buffer, Buffer] {
  return [
    int8Array(keys.map((key) => key.customerId)),
    int8Array(keys.map((key) => key.cardVersionId)),
    textArray(keys.map((key) => key.period)),
  ];
}
