import { type Currency, currency, decimal } from '@ergon/exact';
import { microsFromPostgres } from '../event/instant.ts';
import { burnOrder, type Eligibility, ledgerUnits, type OpenGrant } from '../ledger/burn.ts';
import type { Queryable } from '../store/database.ts';
import { int8Array } from '../store/pg-arrays.ts';

/** Accounts of one customer as locked, before any attempt to rate against them. */
export type LockedAccounts = {
  /** In burn order. */
  readonly grants: readonly Readonly<OpenGrant>[];
  readonly receivables: ReadonlyMap<Currency, number>;
};

/** What never changes of a grant, remembered by its account: only its balance is read under the lock. */
export type GrantFacts = Omit<OpenGrant, 'accountId' | 'available' | 'currency'>;

const FACTS_CACHED_MAX = 200_000;

type AccountRow = [id: bigint, customerId: bigint, kind: string, currency: string, balance: string];

/**
 * Locks the accounts of customers: by id, the held ones last, as holds do. Grants that are used up stay out unless `withSpent`:
 * a charge that falls gives back to them, and they may then pay again. Then a void of a grant is seen too, which moves its end.
 */
export async function lockAccounts(
  db: Queryable,
  environmentId: number,
  customerIds: readonly number[],
  withSpent: boolean,
  facts: Map<number, GrantFacts>,
): Promise<Map<number, LockedAccounts>> {
  const locking = db.query<AccountRow>({
    name: 'lock_accounts',
    text: `select id, customer_id, kind, currency, balance from account
      where environment_id = $1 and customer_id = any($2::int8[]) and (kind <> 'grant' or balance > 0 or $3)
      order by kind = 'held', id for update`,
    values: [environmentId, int8Array(customerIds), withSpent],
    rowMode: 'array',
  });
  if (withSpent) await Promise.all([locking, loadFactsNow(db, environmentId, customerIds, facts)]);
  const { rows } = await locking;
  if (!withSpent) await loadFacts(db, environmentId, rows, facts);
  const byCustomer = new Map<number, { grants: OpenGrant[]; receivables: Map<Currency, number> }>();
  for (const [id, customerId, kind, code, balance] of rows) {
    let accounts = byCustomer.get(Number(customerId));
    if (accounts === undefined) {
      accounts = { grants: [], receivables: new Map() };
      byCustomer.set(Number(customerId), accounts);
    }
    if (kind === 'receivable') accounts.receivables.set(currency(code), Number(id));
    const grant = kind === 'grant' ? facts.get(Number(id)) : undefined;
    if (grant === undefined) continue;
    const available = ledgerUnits(decimal(balance));
    accounts.grants.push({ ...grant, accountId: Number(id), currency: currency(code), available });
  }
  for (const { grants } of byCustomer.values()) if (grants.length > 1) grants.sort(burnOrder);
  return byCustomer;
}

const FACTS = 'account_id, priority, kind, effective_at, expires_at, eligibility';

type FactsRow = {
  account_id: bigint;
  priority: number | null;
  kind: 'paid' | 'promotional';
  effective_at: string;
  expires_at: string | null;
  eligibility: Eligibility;
};

async function loadFacts(
  db: Queryable,
  environmentId: number,
  accounts: readonly AccountRow[],
  facts: Map<number, GrantFacts>,
): Promise<void> {
  const unknown = accounts
    .filter(([id, , kind]) => kind === 'grant' && !facts.has(Number(id)))
    .map(([id]) => Number(id));
  if (unknown.length === 0) return;
  const result = await db.query<FactsRow>({
    name: 'grant_facts',
    text: `select ${FACTS} from credit_grant where environment_id = $1 and account_id = any($2::int8[])`,
    values: [environmentId, int8Array(unknown)],
  });
  remember(result.rows, facts);
}

/** As they stand under the locks that the statement before has taken: sent with it, so that it costs no wait of its own. */
async function loadFactsNow(
  db: Queryable,
  environmentId: number,
  customerIds: readonly number[],
  facts: Map<number, GrantFacts>,
): Promise<void> {
  const result = await db.query<FactsRow>({
    name: 'grant_facts_now',
    text: `select ${FACTS} from credit_grant where environment_id = $1 and customer_id = any($2::int8[])`,
    values: [environmentId, int8Array(customerIds)],
  });
  remember(result.rows, facts);
}

function remember(rows: readonly FactsRow[], facts: Map<number, GrantFacts>): void {
  if (facts.size > FACTS_CACHED_MAX) facts.clear();
  for (const row of rows) {
    facts.set(Number(row.account_id), {
      priority: row.priority,
      kind: row.kind,
      effectiveAt: microsFromPostgres(row.effective_at),
      expiresAt: row.expires_at === null ? null : microsFromPostgres(row.expires_at),
      eligibility: row.eligibility,
    });
  }
}
