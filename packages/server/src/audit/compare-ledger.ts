import { decimal } from '@ergon/exact';
import type { Client } from '../store/database.ts';
import type { Differences } from './differences.ts';
import type { ExpectedState } from './expected-state.ts';
import { pages } from './pages.ts';

type PostedRow = { key: string; receivable_key: string; amount: string; count: bigint };

/** Postings against the events' shares, balances against their postings; returns how many postings there are. */
export async function compareLedger(
  client: Client,
  environmentId: number,
  expected: ExpectedState,
  differences: Differences,
): Promise<number> {
  let postings = 0;
  const seen = new Set<string>();
  const statement = `select p.customer_id || '|' || p.card_version_id || '|' || p.period || '|' || p.bucket || '|' ||
        case a.kind when 'receivable' then 0 else a.id end as key,
      sum(case p.kind when 'reversal' then -p.amount else p.amount end)::text as amount, count(*) as count
    from posting p join account a on a.environment_id = p.environment_id
      and a.id = case p.kind when 'reversal' then p.reversed_account_id else p.debit_account_id end
    where p.environment_id = ${environmentId} and p.kind in ('usage', 'reversal') group by 1`;
  for await (const row of pages<PostedRow>(client, statement)) {
    postings += Number(row.count);
    seen.add(row.key);
    differences.number('posting', row.key, expected.shares.get(row.key), row.amount);
  }
  for (const [key, amount] of expected.shares) if (!seen.has(key)) differences.number('posting', key, amount, '0');
  await compareBalances(client, environmentId, differences);
  return postings;
}

type BalanceRow = { id: string; kind: string | null; balance: string | null; folded: string };

async function compareBalances(client: Client, environmentId: number, differences: Differences): Promise<void> {
  const statement = `with moved as (
      select credit_account_id as id, amount from posting where environment_id = ${environmentId}
      union all select debit_account_id, -amount from posting where environment_id = ${environmentId}),
    folded as (select id, sum(amount) as folded from moved group by id)
    select coalesce(a.id, f.id)::text as id, a.kind, a.balance::text, coalesce(f.folded, 0)::text as folded
    from (select id, kind, balance from account where environment_id = ${environmentId}) a full join folded f on f.id = a.id`;
  for await (const row of pages<BalanceRow>(client, statement)) {
    if (row.kind === null) differences.add('account', row.id, 'an account', 'only postings');
    else if (row.balance !== null) {
      differences.number('balance', `${row.kind} ${row.id}`, decimal(row.folded), row.balance);
    }
  }
  const grants = await client.query<{ account_id: bigint; amount: string; granted: string }>(
    `select g.account_id, g.amount::text, coalesce(sum(p.amount), 0)::text as granted
     from credit_grant g left join posting p on p.environment_id = g.environment_id and p.kind = 'grant'
       and p.customer_id = g.customer_id and p.credit_account_id = g.account_id
     where g.environment_id = $1 group by g.account_id, g.amount having g.amount <> coalesce(sum(p.amount), 0)`,
    [environmentId],
  );
  for (const row of grants.rows) differences.add('grant', String(row.account_id), row.amount, row.granted);
}
