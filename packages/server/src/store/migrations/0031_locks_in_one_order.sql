-- Rows that are missing are made before any is locked, and counters are locked once, in one order. Who held some counters and made others
-- could wait for one who had made those and wanted the first: when a window began, some who came at once met in a circle.
create or replace function ergon_lock_counters(environment integer, c_budget bigint[], c_member text[], c_window timestamptz[], c_from timestamptz[],
  out c_row tid[], out c_committed numeric[], out c_held numeric[], out t_committed numeric[], out t_held numeric[])
language plpgsql set plan_cache_mode = 'force_generic_plan' set enable_seqscan = 'off' as $$
declare
  place integer[];
  row_ids tid[];
  committed numeric[];
  held numeric[];
  total record;
begin
  insert into budget_counter (environment_id, budget_id, member, window_start)
    select environment, n.budget, n.member, n.w from unnest(c_budget, c_member, c_window) n(budget, member, w)
      -- Looked up one by one: a plan made while the table was small would read all of it.
      left join lateral (select true as is_there from budget_counter b where b.environment_id = environment and b.budget_id = n.budget
        and b.member = n.member and b.window_start = n.w limit 1) l on true
    where l.is_there is null order by 2, 3, 4 on conflict do nothing;
  select array_agg(n.c), array_agg(l.row_id), array_agg(l.committed), array_agg(l.held) into place, row_ids, committed, held
    from (select * from unnest(c_budget, c_member, c_window) with ordinality n(budget, member, w, c) order by 1, 2, 3) n,
      lateral (select b.ctid as row_id, b.committed, b.held from budget_counter b where b.environment_id = environment
        and b.budget_id = n.budget and b.member = n.member and b.window_start = n.w for update) l;
  if coalesce(cardinality(place), 0) <> cardinality(c_budget) then raise exception 'a counter that was made is not there'; end if;
  for j in 1 .. cardinality(c_budget) loop
    c_row[place[j]] := row_ids[j];
    c_committed[place[j]] := committed[j];
    c_held[place[j]] := held[j];
  end loop;
  t_committed := c_committed;
  t_held := c_held;
  for c in 1 .. cardinality(c_budget) loop
    continue when c_from[c] = c_window[c];
    select k.committed, k.held into total from ergon_counted(environment, c_budget[c], c_member[c], c_from[c], c_window[c]) k;
    t_committed[c] := total.committed;
    t_held[c] := total.held;
  end loop;
end $$;

-- The same for what was let through while the database could not be reached.
create or replace function ergon_post_remembered(environment integer, at timestamptz, request jsonb) returns text language plpgsql as $$
declare
  one jsonb;
  known text;
  used numeric;
  passed numeric;
begin
  -- Before any lock of rows, as every transaction.
  perform pg_advisory_xact_lock_shared(4600, environment);
  select h.body_hash into known from hold h where h.environment_id = environment and h.id = request ->> 'id';
  if found then
    return case when known = request ->> 'hash' then 'repeated' else 'conflict' end;
  end if;
  -- Locks as in ergon_hold: what stands for a rolling window, then counters by key (they come sorted).
  insert into budget_counter (environment_id, budget_id, member, window_start)
    select distinct environment, (c ->> 'b')::bigint, c ->> 'm', '-infinity'::timestamptz
    from jsonb_array_elements(request -> 'counters') c where c ->> 'from' <> c ->> 'w' order by 2, 3 on conflict do nothing;
  perform from budget_counter k where k.environment_id = environment and k.window_start = '-infinity'
    and (k.budget_id, k.member) in (select (c ->> 'b')::bigint, c ->> 'm'
      from jsonb_array_elements(request -> 'counters') c where c ->> 'from' <> c ->> 'w')
    order by k.budget_id, k.member for update;
  insert into budget_counter (environment_id, budget_id, member, window_start)
    select environment, (c ->> 'b')::bigint, c ->> 'm', (c ->> 'w')::timestamptz
    from jsonb_array_elements(request -> 'counters') c order by 2, 3, 4 on conflict do nothing;
  insert into hold (environment_id, id, body_hash, customer_id, status, currency, amounts, dimensions, above, funds, counters,
      created_at, expires_at)
    values (environment, request ->> 'id', request ->> 'hash', (request ->> 'customer')::bigint, request ->> 'status',
      request ->> 'currency', request -> 'amounts', request -> 'dimensions', request ->> 'above', '[]', request -> 'counters', at,
      (request ->> 'expires')::timestamptz);
  for one in select c from jsonb_array_elements(request -> 'counters') c loop
    used := (one ->> 'x')::numeric;
    perform ergon_count(environment, one, 0, used, at);
    continue when not (one ->> 'enforce')::boolean;
    select least(k.committed + k.held - (one ->> 'limit')::numeric, used) into passed
      from ergon_counted(environment, (one ->> 'b')::bigint, one ->> 'm', (one ->> 'from')::timestamptz, (one ->> 'w')::timestamptz) k;
    if passed > 0 then
      insert into budget_overage (environment_id, budget_id, member, window_start, amount, cause, hold_id, occurred_at)
        values (environment, (one ->> 'b')::bigint, one ->> 'm', (one ->> 'w')::timestamptz, passed, 'store_failure', request ->> 'id', at);
    end if;
  end loop;
  return 'posted';
end $$;

-- Events that settle holds lock their counters with all others that they count at, in one order, and not before: an event in the same
-- transaction may count at an earlier one.
create or replace function ergon_take_holds(environment integer, wanted jsonb, at timestamptz) returns jsonb language plpgsql
set plan_cache_mode = 'force_generic_plan' set enable_seqscan = 'off' as $$
declare
  ids text[];
  found_holds jsonb;
  m_account bigint[];
  m_amount numeric[];
begin
  select array_agg(h.id) into ids from jsonb_array_elements(wanted) w, lateral (select h.id from hold h
    where h.environment_id = environment and h.id = w ->> 'id' and h.customer_id is not distinct from (w ->> 'customer')::bigint limit 1) h;
  if ids is null then return '[]'; end if;
  perform from account a where a.environment_id = environment and a.kind in ('grant', 'held', 'receivable') and a.customer_id in (
    select h.customer_id from hold h where h.environment_id = environment and h.id = any (ids)) order by a.kind = 'held', a.id for update;
  perform from hold h where h.environment_id = environment and h.id = any (ids) order by h.id for update;
  select jsonb_agg(jsonb_build_object('id', h.id, 'status', h.status, 'funds', h.funds, 'counters', h.counters, 'amounts', h.amounts,
      'settled', h.settled) order by h.id), array_agg(h.id)
    into found_holds, ids from hold h
    where h.environment_id = environment and h.id = any (ids) and h.settled_by is distinct from 'event';
  if ids is null then return '[]'; end if;
  with moved as (
    insert into posting (environment_id, customer_id, kind, debit_account_id, credit_account_id, currency, amount, hold_id)
    select environment, h.customer_id, case h.status when 'settled' then 'settlement_reversal' else 'release' end, payer.id,
      (f ->> 0)::bigint, h.currency, (f ->> 1)::numeric, h.id
    from hold h cross join lateral jsonb_array_elements(h.funds) with ordinality e(f, place)
      cross join lateral (
        select a.id from account a where h.status = 'settled' and a.environment_id = environment and a.kind = 'revenue'
          and a.currency = h.currency and a.customer_id is null
        union all
        select a.id from account a where h.status <> 'settled' and a.environment_id = environment and a.customer_id = h.customer_id
          and a.kind = 'held' and a.currency = h.currency) payer
    where h.environment_id = environment and h.id = any (ids) and h.status in ('pending', 'dispatched', 'settled')
    order by h.id, e.place
    returning credit_account_id, debit_account_id, kind, amount)
  select array_agg(s.account), array_agg(s.amount) into m_account, m_amount from (
    select t.account, sum(t.amount) as amount from (
      select credit_account_id as account, amount from moved
      union all
      -- Revenue keeps no balance.
      select debit_account_id, -amount from moved where kind = 'release') t group by 1) s;
  if m_account is not null then
    update account a set balance = a.balance + m_amount[array_position(m_account, a.id)]
      where a.environment_id = environment and a.id = any (m_account);
  end if;
  return found_holds;
end $$;

-- What these customers may come to owe has an account before anything is locked: first in the transaction of whoever charges them.
create function ergon_make_accounts(environment integer, customers bigint[], currencies text[]) returns void language plpgsql
set plan_cache_mode = 'force_generic_plan' set enable_seqscan = 'off' as $$
begin
  -- Before any row, as every transaction.
  perform pg_advisory_xact_lock_shared(4600, environment);
  insert into account (environment_id, kind, customer_id, currency, balance)
    select distinct environment, 'receivable', n.customer, n.code, 0 from unnest(customers, currencies) n(customer, code)
      left join lateral (select true as is_there from account a where a.environment_id = environment and a.customer_id = n.customer
        and a.kind = 'receivable' and a.currency = n.code limit 1) l on true
    where l.is_there is null order by 3, 4 on conflict do nothing;
end $$;
