import type { Queryable } from '../store/database.ts';
import { cursorRows } from './cursor-rows.ts';
import type { Difference, Differences } from './differences.ts';

type Row = { key: string; expected: string; found: string };

/** Rules that the ledger's own tables must keep among themselves; each query lists what breaks one. */
const RULES: readonly { readonly kind: Difference['kind']; readonly text: string }[] = [
  {
    // A balance is the fold of its postings: what was credited less what was debited.
    kind: 'balance',
    text: `select 'account ' || coalesce(a.id, m.id) as key, coalesce(m.folded, 0)::text as expected,
        coalesce(a.balance::text, 'no account') as found
      from (select id, balance, customer_id from account where environment_id = $1) a
        full join (
          select id, sum(amount) as folded from (
            select credit_account_id as id, amount from posting where environment_id = $1
            union all select debit_account_id, -amount from posting where environment_id = $1) moved group by id
        ) m on m.id = a.id
      where a.id is null or (a.customer_id is not null and a.balance is distinct from coalesce(m.folded, 0))`,
  },
  {
    kind: 'balance',
    text: `select 'account ' || id as key, case kind when 'receivable' then 'at most 0' else 'at least 0' end as expected,
        balance::text as found
      from account where environment_id = $1
        and ((kind in ('grant', 'customer_credit') and balance < 0) or (kind = 'receivable' and balance > 0))`,
  },
  {
    // Each kind of posting runs between its own kinds of account, of one currency, and those of a customer are the posting's.
    kind: 'posting',
    text: `select 'posting ' || p.id as key, 'accounts of a ' || p.kind as expected,
        coalesce(d.kind, 'none') || ' ' || coalesce(d.currency, '') || ' to ' || coalesce(c.kind, 'none') || ' ' || coalesce(c.currency, '') as found
      from posting p
        left join account d on d.environment_id = $1 and d.id = p.debit_account_id
        left join account c on c.environment_id = $1 and c.id = p.credit_account_id
      where p.environment_id = $1 and (case p.kind
          when 'usage' then d.kind in ('grant', 'receivable') and c.kind = 'revenue'
          when 'reversal' then d.kind = 'revenue' and c.kind in ('grant', 'receivable', 'customer_credit')
          when 'grant' then d.kind in ('paid_in', 'promotion') and c.kind = 'grant'
          when 'expiry' then d.kind = 'grant' and c.kind = 'breakage'
          when 'subscription' then d.kind = 'receivable' and c.kind = 'revenue'
          when 'subscription_credit' then d.kind = 'revenue' and c.kind = 'customer_credit'
          when 'hold' then d.kind = 'grant' and c.kind = 'held'
          when 'release' then d.kind = 'held' and c.kind = 'grant'
          when 'settlement' then d.kind in ('held', 'grant', 'receivable') and c.kind = 'revenue'
          when 'settlement_reversal' then d.kind = 'revenue' and c.kind in ('grant', 'receivable')
          when 'void_grant' then d.kind = 'grant' and c.kind in ('paid_in', 'promotion')
          when 'top_up_requested' then d.kind = 'payment_due' and c.kind = 'top_up'
          when 'top_up_paid' then d.kind = 'top_up' and c.kind = 'payment_due'
          when 'top_up_failed' then d.kind = 'top_up' and c.kind = 'payment_due' end
        and d.currency = p.currency and c.currency = p.currency
        and coalesce(d.customer_id, p.customer_id) = p.customer_id
        and coalesce(c.customer_id, p.customer_id) = p.customer_id) is not true`,
  },
  {
    kind: 'grant',
    text: `select 'grant ' || coalesce(g.account_id, p.id) as key, coalesce(p.amount, 0)::text as expected,
        coalesce(g.amount::text, 'no grant') as found
      from (select account_id, amount from credit_grant where environment_id = $1) g
        full join (select credit_account_id as id, sum(amount) as amount from posting
          where environment_id = $1 and kind = 'grant' group by 1) p on p.id = g.account_id
      where g.amount is distinct from p.amount`,
  },
  {
    // What open holds have set aside is what their accounts hold, and their counters.
    kind: 'hold',
    text: `select 'held account ' || coalesce(a.id::text, h.customer_id::text) as key, coalesce(h.amount, 0)::text as expected,
        coalesce(a.balance, 0)::text as found
      from (select id, customer_id, currency, balance from account where environment_id = $1 and kind = 'held') a
        full join (select customer_id, currency, sum((f ->> 1)::numeric) as amount from hold, jsonb_array_elements(funds) f
          where environment_id = $1 and status in ('pending', 'dispatched') group by 1, 2) h
          on h.customer_id = a.customer_id and h.currency = a.currency
      where coalesce(a.balance, 0) <> coalesce(h.amount, 0)`,
  },
  {
    kind: 'budget',
    text: `select 'budget ' || coalesce(c.budget_id, h.budget_id) || ' ' || coalesce(c.window_start, h.window_start) as key,
        coalesce(h.held, 0)::text as expected, coalesce(c.held, 0)::text as found
      from (select * from budget_counter where environment_id = $1) c
        full join (select (k ->> 'b')::bigint as budget_id, k ->> 'm' as member, (k ->> 'w')::timestamptz as window_start,
            sum((k ->> 'x')::numeric) as held
          from hold, jsonb_array_elements(counters) k
          where environment_id = $1 and status in ('pending', 'dispatched') group by 1, 2, 3) h
          on h.budget_id = c.budget_id and h.member = c.member and h.window_start = c.window_start
      where coalesce(c.held, 0) <> coalesce(h.held, 0)`,
  },
  {
    kind: 'grant',
    text: `select 'account ' || a.id as key, 'a grant' as expected, 'none' as found
      from account a where a.environment_id = $1 and a.kind = 'grant' and not exists (
        select from credit_grant g where g.environment_id = $1 and g.account_id = a.id)`,
  },
  {
    // What is in flight is what is pending, and a paid top-up has its grant of the same amount.
    kind: 'grant',
    text: `select 'account ' || a.id as key, coalesce(t.amount, 0)::text as expected, a.balance::text as found
      from account a left join (select customer_id, currency, sum(amount) as amount from top_up
        where environment_id = $1 and status = 'pending' group by 1, 2) t
        on t.customer_id = a.customer_id and t.currency = a.currency
      where a.environment_id = $1 and a.kind = 'top_up' and a.balance is distinct from coalesce(t.amount, 0)
      union all
      select 'top-up ' || t.id, t.amount::text, coalesce(g.amount::text, 'no grant')
      from top_up t left join credit_grant g
        on g.environment_id = $1 and g.account_id = t.grant_id and g.top_up_id = t.id and g.wallet = t.wallet
      where t.environment_id = $1 and t.status = 'paid' and g.amount is distinct from t.amount`,
  },
  {
    // A line of a subscription's period is posted with it; only usage was posted with its events.
    kind: 'subscription',
    text: `select 'line ' || l.subscription_id || '/' || l.number || '/' || l.line as key, l.amount::text as expected,
        coalesce((case p.kind when 'subscription' then p.amount else -p.amount end)::text, 'no posting') as found
      from subscription_line l left join posting p on p.environment_id = $1 and p.id = l.posting_id
        and p.kind in ('subscription', 'subscription_credit') and p.currency = l.currency
      where l.environment_id = $1 and l.kind <> 'usage' and l.amount <> 0
        and l.amount is distinct from case p.kind when 'subscription' then p.amount else -p.amount end`,
  },
  {
    kind: 'subscription',
    text: `select 'posting ' || p.id as key, 'a line' as expected, 'none' as found from posting p
      where p.environment_id = $1 and p.kind in ('subscription', 'subscription_credit') and not exists (
        select from subscription_line l where l.environment_id = $1 and l.posting_id = p.id)`,
  },
  {
    kind: 'subscription',
    text: `select 'period ' || p.subscription_id || '/' || p.number as key, coalesce(sum(l.amount), 0)::text as expected,
        p.total::text as found
      from subscription_period p join subscription s on s.environment_id = $1 and s.id = p.subscription_id
        left join subscription_line l on l.environment_id = $1 and l.subscription_id = p.subscription_id
          and l.number = p.number and l.currency = s.currency
      where p.environment_id = $1 and p.closed_at is not null
      group by p.subscription_id, p.number, p.total having p.total <> coalesce(sum(l.amount), 0)`,
  },
  {
    kind: 'dimension set',
    text: `select r.id::text as key, 'a row' as expected, 'no row' as found
      from (select dimension_set_id as id from usage_rollup where environment_id = $1
            union select dimension_set_id from meter_rollup where environment_id = $1) r
      where not exists (select from dimension_set d where d.environment_id = $1 and d.id = r.id)`,
  },
];

export async function checkLedger(db: Queryable, environmentId: number, differences: Differences): Promise<void> {
  for (const { kind, text } of RULES) {
    for await (const row of cursorRows<Row>(db, 'audit_rule', text, [environmentId]))
      differences.add(kind, row.key, row.expected, row.found);
  }
}
