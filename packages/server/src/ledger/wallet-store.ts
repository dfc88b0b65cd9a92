import type { Queryable } from '../store/database.ts';
import type { Eligibility } from './burn.ts';

export type WalletRow = {
  key: string;
  currency: string;
  created_at: string;
  posted: string;
  held: string;
  available: string;
  receivable: string;
  customer_credit: string;
};

/** As JSON inside a wallet, or as a row of a list: instants as PostgreSQL prints them, decimals as text. */
export type GrantRow = {
  id: string;
  wallet: string;
  currency: string;
  amount: string;
  balance: string;
  kind: 'paid' | 'promotional';
  priority: number | null;
  effective_at: string;
  expires_at: string | null;
  voided_at: string | null;
  eligibility: Eligibility;
  created_at: string;
  cost_basis_amount: string | null;
  cost_basis_currency: string | null;
  top_up_id: string | null;
};

const GRANT_COLUMNS = `g.account_id::text as id, g.wallet, g.currency, g.amount::text as amount, a.balance::text as balance, g.kind,
  g.priority, g.effective_at::text as effective_at, g.expires_at::text as expires_at, g.voided_at::text as voided_at,
  g.eligibility, g.created_at::text as created_at, g.cost_basis_amount::text as cost_basis_amount, g.cost_basis_currency,
  g.top_up_id::text as top_up_id`;

const GRANTS_WITH_BALANCE = `credit_grant g join account a on a.environment_id = g.environment_id and a.id = g.account_id`;

/** What open holds have set aside out of a wallet's grants. */
const HELD = `(select coalesce(sum((f ->> 1)::numeric), 0) from hold h cross join jsonb_array_elements(h.funds) f
    join credit_grant g on g.environment_id = h.environment_id and g.account_id = (f ->> 0)::bigint
    where h.environment_id = w.environment_id and h.customer_id = w.customer_id and h.status in ('pending', 'dispatched')
      and g.wallet = w.key)`;

/** Sums of a wallet `w` at the instant $3. One statement, one snapshot. */
export const WALLET_COLUMNS = `w.key, w.currency, w.created_at, ${HELD} as held,
  ${HELD} + (select coalesce(sum(a.balance), 0) from ${GRANTS_WITH_BALANCE}
    where g.environment_id = w.environment_id and g.customer_id = w.customer_id and g.wallet = w.key) as posted,
  (select coalesce(sum(a.balance), 0) from ${GRANTS_WITH_BALANCE}
    where g.environment_id = w.environment_id and g.customer_id = w.customer_id and g.wallet = w.key
      and g.effective_at <= $3 and (g.expires_at is null or g.expires_at > $3)) as available,
  coalesce((select -r.balance from account r where r.environment_id = w.environment_id and r.customer_id = w.customer_id
    and r.kind = 'receivable' and r.currency = w.currency), 0) as receivable,
  coalesce((select r.balance from account r where r.environment_id = w.environment_id and r.customer_id = w.customer_id
    and r.kind = 'customer_credit' and r.currency = w.currency), 0) as customer_credit`;

export async function listWallets(
  db: Queryable,
  environmentId: number,
  customerId: bigint,
  now: string,
): Promise<WalletRow[]> {
  const result = await db.query<WalletRow>(
    `select ${WALLET_COLUMNS} from wallet w where w.environment_id = $1 and w.customer_id = $2 order by w.key collate "C"`,
    [environmentId, customerId, now],
  );
  return result.rows;
}

/** A wallet with its sums and its grants, open ones first, in one snapshot. */
export async function readWallet(
  db: Queryable,
  environmentId: number,
  customerId: bigint,
  key: string,
  { now, grantsMax }: { now: string; grantsMax: number },
): Promise<(WalletRow & { grants: GrantRow[] }) | undefined> {
  const result = await db.query<WalletRow & { grants: GrantRow[] }>(
    `select ${WALLET_COLUMNS},
       coalesce((select json_agg(one) from (
         select ${GRANT_COLUMNS} from ${GRANTS_WITH_BALANCE}
         where g.environment_id = w.environment_id and g.customer_id = w.customer_id and g.wallet = w.key
         order by (a.balance > 0) desc, g.priority asc nulls last, g.expires_at asc nulls last, g.kind desc, g.effective_at,
           g.account_id limit $5
       ) one), '[]') as grants
     from wallet w where w.environment_id = $1 and w.customer_id = $2 and w.key = $4`,
    [environmentId, customerId, now, key, grantsMax],
  );
  return result.rows[0];
}

/** Creates the wallet when it is not there. @returns the currency it has. */
export async function ensureWallet(
  db: Queryable,
  environmentId: number,
  customerId: bigint,
  wallet: { key: string; currency: string },
): Promise<string> {
  await db.query(
    'insert into wallet (environment_id, customer_id, key, currency) values ($1, $2, $3, $4) on conflict do nothing',
    [environmentId, customerId, wallet.key, wallet.currency],
  );
  const result = await db.query<{ currency: string }>(
    'select currency from wallet where environment_id = $1 and customer_id = $2 and key = $3',
    [environmentId, customerId, wallet.key],
  );
  const found = result.rows[0];
  if (found === undefined) throw new Error('the wallet was neither created nor found');
  return found.currency;
}

export async function walletCurrency(
  db: Queryable,
  environmentId: number,
  customerId: bigint,
  key: string,
): Promise<string | undefined> {
  const result = await db.query<{ currency: string }>(
    'select currency from wallet where environment_id = $1 and customer_id = $2 and key = $3',
    [environmentId, customerId, key],
  );
  return result.rows[0]?.currency;
}

/** Grants of a wallet, newest first. */
export async function listGrants(
  db: Queryable,
  environmentId: number,
  customerId: bigint,
  wallet: string,
  { before, limit }: { before: bigint | undefined; limit: number },
): Promise<GrantRow[]> {
  const result = await db.query<GrantRow>(
    `select ${GRANT_COLUMNS} from ${GRANTS_WITH_BALANCE}
     where g.environment_id = $1 and g.customer_id = $2 and g.wallet = $3 and ($4::int8 is null or g.account_id < $4)
     order by g.account_id desc limit $5`,
    [environmentId, customerId, wallet, before ?? null, limit],
  );
  return result.rows;
}

export async function findGrant(
  db: Queryable,
  environmentId: number,
  customerId: bigint,
  wallet: string,
  id: string,
): Promise<GrantRow | undefined> {
  const result = await db.query<GrantRow>(
    `select ${GRANT_COLUMNS} from ${GRANTS_WITH_BALANCE}
     where g.environment_id = $1 and g.customer_id = $2 and g.wallet = $3 and g.account_id = $4`,
    [environmentId, customerId, wallet, id],
  );
  return result.rows[0];
}
