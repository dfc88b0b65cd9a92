import type { Currency } from '@ergon/exact';
import type { LedgerUnits } from '../ledger/burn.ts';
import type { Client } from '../store/database.ts';
import type { NewPosting } from './account-store.ts';
import type { GroupRating } from './rate-group.ts';
import type { RecordServices } from './transaction.ts';

/**
 * Turns the shares of a rating into postings and balance changes. Usage: debit the grant or the receivable, credit revenue.
 * Reversal: debit revenue, credit what was debited; the share of a grant that has expired since goes to the customer's
 * credit account (DESIGN section 9).
 */
export async function newPostings(
  client: Client,
  services: RecordServices,
  environmentId: number,
  blockId: bigint,
  rating: GroupRating,
): Promise<{ postings: NewPosting[]; balances: Map<number, LedgerUnits> }> {
  const postings: NewPosting[] = [];
  const balances = new Map<number, LedgerUnits>();
  const pending = [...rating.postings.values()].filter((posting) => posting.units !== 0n);
  if (pending.length === 0) return { postings, balances };
  const expired = pending.some((posting) => posting.isReversal)
    ? await expiredAccounts(
        client,
        environmentId,
        pending.flatMap((posting) => (posting.accountId === null ? [] : [posting.accountId])),
      )
    : new Set<number>();
  for (const posting of pending) {
    const { row, currency, isReversal } = posting;
    const revenue = await services.revenueAccount(environmentId, currency);
    const own = posting.accountId ?? rating.receivableAccount(row.customerId, currency);
    const target =
      isReversal && expired.has(own) ? await customerCredit(client, environmentId, row.customerId, currency) : own;
    const units = isReversal ? -posting.units : posting.units;
    postings.push({
      customerId: row.customerId,
      kind: isReversal ? 'reversal' : 'usage',
      debitAccountId: isReversal ? revenue : target,
      creditAccountId: isReversal ? target : revenue,
      currency,
      units,
      blockId,
      cardVersionId: row.cardVersionId,
      period: row.period,
      bucket: posting.bucket,
      reversedAccountId: isReversal ? own : null,
    });
    balances.set(target, (balances.get(target) ?? 0n) + (isReversal ? units : -units));
  }
  // Usage before the reversals of the same block: whoever folds them later meets a debit before it is taken back.
  postings.sort((a, b) => Number(a.kind === 'reversal') - Number(b.kind === 'reversal'));
  return { postings, balances };
}

async function expiredAccounts(client: Client, environmentId: number, ids: readonly number[]): Promise<Set<number>> {
  const result = await client.query<{ id: bigint }>(
    `select account_id as id from credit_grant where environment_id = $1 and account_id = any($2::int8[]) and expires_at <= now()`,
    [environmentId, [...ids]],
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
