import type { Queryable } from '../store/database.ts';

type HouseAccount = 'paid_in' | 'promotion' | 'breakage' | 'revenue' | 'payment_due';

/** One of the environment's own accounts, created when first needed, in the caller's transaction. */
export async function houseAccountIn(
  db: Queryable,
  environmentId: number,
  kind: HouseAccount,
  currency: string,
): Promise<bigint> {
  const known = await findHouseAccount(db, environmentId, kind, currency);
  if (known !== undefined) return known;
  await db.query('insert into account (environment_id, kind, currency) values ($1, $2, $3) on conflict do nothing', [
    environmentId,
    kind,
    currency,
  ]);
  const created = await findHouseAccount(db, environmentId, kind, currency);
  if (created === undefined) throw new Error(`no ${kind} account in ${currency}`);
  return created;
}

async function findHouseAccount(
  db: Queryable,
  environmentId: number,
  kind: HouseAccount,
  currency: string,
): Promise<bigint | undefined> {
  const result = await db.query<{ id: bigint }>(
    'select id from account where environment_id = $1 and kind = $2 and currency = $3 and customer_id is null',
    [environmentId, kind, currency],
  );
  return result.rows[0]?.id;
}

/** Adds to the customer's account of top-ups in flight, created when first needed; its floor is zero. @returns its id. */
export async function topUpAccountIn(
  db: Queryable,
  environmentId: number,
  customerId: bigint,
  currency: string,
  change: string,
): Promise<bigint> {
  const target = [environmentId, customerId, currency];
  await db.query(
    `insert into account (environment_id, kind, customer_id, currency, balance) values ($1, 'top_up', $2, $3, 0)
     on conflict do nothing`,
    target,
  );
  const result = await db.query<{ id: bigint }>(
    `update account set balance = balance + $4 where environment_id = $1 and customer_id = $2 and currency = $3
     and kind = 'top_up' returning id`,
    [...target, change],
  );
  const id = result.rows[0]?.id;
  if (id === undefined) throw new Error('the account of top-ups in flight was not created');
  return id;
}

/** A posting that is no usage: a grant comes, ends or is voided; a top-up is in flight or no more. */
export type GrantPosting = {
  readonly environmentId: number;
  readonly customerId: bigint;
  readonly kind: 'grant' | 'expiry' | 'void_grant' | 'top_up_requested' | 'top_up_paid' | 'top_up_failed';
  readonly debitAccountId: bigint | string;
  readonly creditAccountId: bigint | string;
  readonly currency: string;
  /** Decimal text above zero, at most 12 decimals. */
  readonly amount: string;
};

export async function insertPosting(db: Queryable, posting: GrantPosting): Promise<void> {
  await db.query(
    `insert into posting (environment_id, customer_id, kind, debit_account_id, credit_account_id, currency, amount)
     values ($1, $2, $3, $4, $5, $6, $7)`,
    [
      posting.environmentId,
      posting.customerId,
      posting.kind,
      posting.debitAccountId,
      posting.creditAccountId,
      posting.currency,
      posting.amount,
    ],
  );
}

export type EntryRow = {
  id: bigint;
  kind: string;
  posted_at: string;
  debit_account_id: bigint;
  debit_kind: string;
  credit_account_id: bigint;
  credit_kind: string;
  currency: string;
  amount: string;
  block_id: bigint | null;
  card_version_id: bigint | null;
  bucket: string | null;
};

/**
 * Postings of one wallet, newest first: those of its grants, and those of the customer's own accounts in its currency, which
 * belong to no single wallet (receivable, credit).
 */
export async function listEntries(
  db: Queryable,
  environmentId: number,
  customerId: bigint,
  wallet: { key: string; currency: string },
  { before, limit }: { before: bigint | undefined; limit: number },
): Promise<EntryRow[]> {
  const result = await db.query<EntryRow>(
    `select p.id, p.kind, p.posted_at, p.debit_account_id, d.kind as debit_kind, p.credit_account_id, c.kind as credit_kind,
       p.currency, p.amount, p.block_id, p.card_version_id, p.bucket
     from posting p
       join account d on d.environment_id = p.environment_id and d.id = p.debit_account_id
       join account c on c.environment_id = p.environment_id and c.id = p.credit_account_id
     where p.environment_id = $1 and p.customer_id = $2 and p.currency = $3 and ($5::int8 is null or p.id < $5)
       and not exists (
         select from credit_grant g where g.environment_id = p.environment_id
           and g.account_id in (p.debit_account_id, p.credit_account_id) and g.wallet <> $4)
     order by p.id desc limit $6`,
    [environmentId, customerId, wallet.currency, wallet.key, before ?? null, limit],
  );
  return result.rows;
}
