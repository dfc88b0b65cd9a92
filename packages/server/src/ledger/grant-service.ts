import { type Currency, type Decimal, toText } from '@ergon/exact';
import { formatInstant, microsFromPostgres } from '../event/instant.ts';
import { refuse } from '../http/problem.ts';
import type { Client } from '../store/database.ts';
import type { Eligibility } from './burn.ts';
import { houseAccountIn, insertPosting } from './posting-store.ts';
import { findGrant, type GrantRow } from './wallet-store.ts';

/** Money or credits promised to a customer, before it is posted. */
export type NewGrant = {
  readonly environmentId: number;
  readonly customerId: bigint;
  readonly wallet: string;
  readonly currency: Currency;
  /** Above zero, at most 12 decimals. */
  readonly amount: Decimal;
  readonly kind: 'paid' | 'promotional';
  readonly priority: number | null;
  /** Microseconds since 1970. */
  readonly effectiveAt: number;
  readonly expiresAt: number | null;
  readonly eligibility: Eligibility;
  readonly idempotencyKey: string | undefined;
  /** What all of it cost in money, where somebody paid another unit for it. */
  readonly costBasis?: { readonly amount: string; readonly currency: string } | undefined;
  /** The top-up that paid for it: at most one grant each. */
  readonly topUpId?: string | undefined;
};

/** What pays for a grant: the customer's payment, or a gift of the house. */
export const SOURCE = { paid: 'paid_in', promotional: 'promotion' } as const;

/**
 * Posts a grant: debit paid_in or promotion, credit an account of its own. It locks nothing that usage locks, so it can
 * neither wait for ingest nor make it wait.
 */
export async function createGrant(client: Client, grant: NewGrant): Promise<GrantRow> {
  const { environmentId, customerId, currency } = grant;
  const amount = toText(grant.amount);
  if (grant.idempotencyKey !== undefined) await refuseUsedKey(client, grant, grant.idempotencyKey);
  const account = await client.query<{ id: bigint }>(
    `insert into account (environment_id, kind, customer_id, currency, balance) values ($1, 'grant', $2, $3, $4) returning id`,
    [environmentId, customerId, currency, amount],
  );
  const accountId = account.rows[0]?.id;
  if (accountId === undefined) throw new Error('the account of the grant was not created');
  await client.query(
    `insert into credit_grant (environment_id, account_id, customer_id, wallet, currency, amount, kind, priority, effective_at,
       expires_at, eligibility, idempotency_key, cost_basis_amount, cost_basis_currency, top_up_id)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::jsonb, $12, $13, $14, $15)`,
    [
      environmentId,
      accountId,
      customerId,
      grant.wallet,
      currency,
      amount,
      grant.kind,
      grant.priority,
      formatInstant(grant.effectiveAt),
      grant.expiresAt === null ? null : formatInstant(grant.expiresAt),
      JSON.stringify(grant.eligibility),
      grant.idempotencyKey ?? null,
      grant.costBasis?.amount ?? null,
      grant.costBasis?.currency ?? null,
      grant.topUpId ?? null,
    ],
  );
  await insertPosting(client, {
    environmentId,
    customerId,
    kind: 'grant',
    debitAccountId: await houseAccountIn(client, environmentId, SOURCE[grant.kind], currency),
    creditAccountId: accountId,
    currency,
    amount,
  });
  const row = await findGrant(client, environmentId, customerId, grant.wallet, String(accountId));
  if (row === undefined) throw new Error('the grant was not created');
  return row;
}

/** A grant remembers its key for ever, longer than answers are kept: money is never granted twice by a late retry. */
async function refuseUsedKey(client: Client, grant: NewGrant, key: string): Promise<void> {
  const used = await client.query<{ account_id: bigint }>(
    'select account_id from credit_grant where environment_id = $1 and customer_id = $2 and idempotency_key = $3',
    [grant.environmentId, grant.customerId, key],
  );
  const id = used.rows[0]?.account_id;
  if (id === undefined) return;
  throw refuse('conflict', `this Idempotency-Key made the grant ${id}, and its first answer is no longer kept`, [
    { header: 'Idempotency-Key', detail: 'used before', remedy: 'read that grant, or use a new key for a new one' },
  ]);
}

/**
 * Ends a grant now: what is left goes back where it came from. What usage has burnt stays burnt; what a later reversal gives
 * back goes to the customer's credit account, as for an expired grant.
 *
 * @param now microseconds since 1970.
 * @returns the grant as it is now, and what was taken back; `undefined` when there is no such grant.
 */
export async function voidGrant(
  client: Client,
  at: { environmentId: number; customerId: bigint; wallet: string; id: string },
  now: number,
): Promise<{ grant: GrantRow; takenBack: string; expiredAt: string | null } | undefined> {
  const { environmentId, customerId, wallet, id } = at;
  // The account before the grant, as ingest locks it; the balance is read under the lock.
  await client.query('select from account where environment_id = $1 and id = $2 for update', [environmentId, id]);
  const before = await findGrant(client, environmentId, customerId, wallet, id);
  if (before === undefined) return undefined;
  if (before.voided_at !== null) throw refuse('conflict', `the grant ${id} has been voided already`);
  const ends = Math.max(now, microsFromPostgres(before.effective_at) + 1);
  const hasBalance = !/^[0.]*$/.test(before.balance);
  if (hasBalance) {
    await client.query('update account set balance = 0 where environment_id = $1 and id = $2', [environmentId, id]);
    await insertPosting(client, {
      environmentId,
      customerId,
      kind: 'void_grant',
      debitAccountId: id,
      creditAccountId: await houseAccountIn(client, environmentId, SOURCE[before.kind], before.currency),
      currency: before.currency,
      amount: before.balance,
    });
  }
  await client.query(
    `update credit_grant set voided_at = $3, expires_at = least(expires_at, $4)
     where environment_id = $1 and account_id = $2`,
    [environmentId, id, formatInstant(now), formatInstant(ends)],
  );
  const grant = await findGrant(client, environmentId, customerId, wallet, id);
  if (grant === undefined) throw new Error('the voided grant is gone');
  return { grant, takenBack: before.balance, expiredAt: before.expires_at };
}
