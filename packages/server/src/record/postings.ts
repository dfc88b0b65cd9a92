import type { Currency } from '@ergon/exact';
import type { LedgerUnits } from '../ledger/burn.ts';
import type { Client } from '../store/database.ts';
import { instantArray } from '../store/pg-arrays.ts';
import type { NewPosting } from './account-store.ts';
import type { AccumulatorRow } from './bucket-work.ts';
import type { RecordServices } from './record-services.ts';

/** A row with the account that bears what no grant covers. */
export type RatedRow = { readonly row: AccumulatorRow; readonly receivableId: number };

/**
 * Turns the sums of a rating into postings and balance changes. Usage: debit the grant or the receivable, credit revenue.
 * Reversal: debit revenue, credit what was debited; the share of a grant that has expired since goes to the customer's
 * credit account (DESIGN section 9).
 */
export async function newPostings(
  client: Client,
  services: RecordServices,
  environmentId: number,
  blockId: bigint,
  now: number,
  rows: readonly RatedRow[],
): Promise<{ postings: NewPosting[]; balances: Map<number, LedgerUnits> }> {
  const postings: NewPosting[] = [];
  const balances = new Map<number, LedgerUnits>();
  const expired = await expiredAccounts(client, environmentId, reversedAccounts(rows), now);
  for (const { row, receivableId } of rows) {
    for (const { name, postings: sums } of row.work.values()) {
      for (const { accountId, isReversal, units } of sums) {
        if (units === 0n) continue;
        const revenue = await services.revenueAccount(environmentId, row.currency);
        const own = accountId ?? receivableId;
        const target =
          isReversal && expired.has(own)
            ? await customerCredit(client, environmentId, row.customerId, row.currency)
            : own;
        postings.push({
          customerId: row.customerId,
          kind: isReversal ? 'reversal' : 'usage',
          debitAccountId: isReversal ? revenue : target,
          creditAccountId: isReversal ? target : revenue,
          currency: row.currency,
          units: isReversal ? -units : units,
          blockId,
          cardVersionId: row.cardVersionId,
          period: row.period,
          bucket: name,
          reversedAccountId: isReversal ? own : null,
        });
        balances.set(target, (balances.get(target) ?? 0n) - units);
      }
    }
  }
  // Usage before the reversals of the same block: whoever folds them later meets a debit before it is taken back.
  postings.sort((a, b) => Number(a.kind === 'reversal') - Number(b.kind === 'reversal'));
  return { postings, balances };
}

function reversedAccounts(rows: readonly RatedRow[]): number[] {
  const ids: number[] = [];
  for (const { row } of rows) {
    for (const { postings } of row.work.values()) {
      for (const { accountId, isReversal } of postings) if (isReversal && accountId !== null) ids.push(accountId);
    }
  }
  return ids;
}

async function expiredAccounts(
  client: Client,
  environmentId: number,
  ids: readonly number[],
  now: number,
): Promise<Set<number>> {
  if (ids.length === 0) return new Set();
  const result = await client.query<{ id: bigint }>(
    `select account_id as id from credit_grant where environment_id = $1 and account_id = any($2::int8[]) and expires_at <= ($3::timestamptz[])[1]`,
    [environmentId, [...ids], instantArray([now])],
  );
  return new Set(result.rows.map((row) => Number(row.id)));
}

async function customerCredit(
  client: Client,
  environmentId: number,
  customerId: number,
  currency: Currency,
): Promise<number> {
  const result = await client.query<{ id: bigint }>(
    `insert into account (environment_id, kind, customer_id, currency, balance) values ($1, 'customer_credit', $2, $3, 0)
     on conflict (environment_id, customer_id, kind, currency) where kind in ('receivable', 'customer_credit')
     do update set balance = account.balance returning id`,
    [environmentId, customerId, currency],
  );
  const id = result.rows[0]?.id;
  if (id === undefined) throw new Error('the customer credit account was not created');
  return Number(id);
}
