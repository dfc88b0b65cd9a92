-- Budgets and holds: what may be spent, and what is set aside for spending that has not happened yet.

-- What holds of a customer have set aside, in one currency: debit a grant, credit held; resolved the other way round.
alter table account drop constraint account_kind_check;
alter table account add constraint account_kind_check check (kind in
  ('grant', 'held', 'receivable', 'customer_credit', 'revenue', 'paid_in', 'promotion', 'breakage', 'rounding'));
alter table account drop constraint owner_known;
alter table account add constraint owner_known
  check ((kind in ('grant', 'held', 'receivable', 'customer_credit')) = (customer_id is not null));
alter table account add constraint held_floor check (kind <> 'held' or balance >= 0);
create unique index account_of_holds on account (environment_id, customer_id, currency) where kind = 'held';
alter table posting drop constraint posting_kind_check;
alter table posting add constraint posting_kind_check check (kind in
  ('grant', 'usage', 'reversal', 'expiry', 'void_grant', 'subscription', 'subscription_credit', 'hold', 'release', 'settlement',
   'settlement_reversal'));
alter table posting add column hold_id text;

create table budget (
  environment_id integer not null,
  id bigint generated always as identity,
  key text not null,
  spec jsonb not null,
  -- Usage from before does not count.
  counts_from timestamptz not null,
  created_at timestamptz not null default now(),
  ended_at timestamptz,
  primary key (environment_id, id),
  check (jsonb_typeof(spec) = 'object')
);
create unique index budget_key on budget (environment_id, key) where ended_at is null;

-- One row a budget, member (the values of `per`, or '') and window or slice of a rolling window.
create table budget_counter (
  environment_id integer not null,
  budget_id bigint not null,
  member text not null,
  window_start timestamptz not null,
  committed numeric not null default 0,
  held numeric not null default 0,
  primary key (environment_id, budget_id, member, window_start),
  constraint held_is_not_negative check (held >= 0)
) with (fillfactor = 50);

-- Spending that passed an enforced limit without having been admitted, and why. Facts: never edited.
create table budget_overage (
  environment_id integer not null,
  id bigint generated always as identity,
  budget_id bigint not null,
  member text not null,
  window_start timestamptz not null,
  amount numeric not null check (amount > 0),
  cause text not null check (cause in ('unheld', 'above_hold', 'late', 'lowered_limit')),
  hold_id text,
  occurred_at timestamptz not null,
  primary key (environment_id, id)
);
create index budget_overage_of on budget_overage (environment_id, budget_id, id);
create trigger budget_overage_append_only before update or delete or truncate on budget_overage
  for each statement execute function ergon_refuse_change();

-- A threshold of a budget is crossed once a window.
create table budget_crossing (
  environment_id integer not null,
  budget_id bigint not null,
  member text not null,
  window_start timestamptz not null,
  threshold numeric not null,
  crossed_at timestamptz not null,
  primary key (environment_id, budget_id, member, window_start, threshold)
);

create table hold (
  environment_id integer not null,
  id text not null check (length(id) between 1 and 256),
  body_hash text not null,
  customer_id bigint,
  status text not null check (status in ('pending', 'dispatched', 'settled', 'released', 'expired')),
  currency text,
  -- What was asked for: unit -> decimal text.
  amounts jsonb not null,
  -- Who and what: the dimensions that budgets select by.
  dimensions jsonb not null,
  above text not null check (above in ('overage', 'cap', 'refuse')),
  -- What it set aside: [account, amount] of grants; [budget, member, window, measure, amount] of counters.
  funds jsonb not null,
  counters jsonb not null,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  resolved_at timestamptz,
  -- What was charged in the end, by unit; null until it is settled.
  settled jsonb,
  settle_hash text,
  -- By amount, it awaits its usage; by event, the event's source and id stand here.
  settled_by text check (settled_by in ('amount', 'event', 'estimate')),
  event_source text,
  event_id text,
  is_late boolean not null default false,
  primary key (environment_id, id),
  check ((status in ('pending', 'dispatched')) = (resolved_at is null)),
  check ((status = 'settled') = (settled is not null))
) with (fillfactor = 70);
create index hold_due on hold (expires_at) where status in ('pending', 'dispatched');
create index hold_open on hold (environment_id, customer_id) where status in ('pending', 'dispatched');

-- Grants that may pay, in burn order (DESIGN section 9). The caller has locked the accounts.
create function ergon_payers(environment integer, customer bigint, code text, at timestamptz, feature text, model text)
returns table (account_id bigint, balance numeric) language sql stable as $$
  select a.id, a.balance
  from account a join credit_grant g on g.environment_id = a.environment_id and g.account_id = a.id
  where a.environment_id = environment and a.customer_id = customer and a.kind = 'grant' and a.balance > 0
    and a.currency = code and g.effective_at <= at and (g.expires_at is null or g.expires_at > at)
    and (g.eligibility = '{}' or (
      -- A grant for some meters only cannot be set aside for a call whose meters are not known yet.
      not g.eligibility ? 'meters'
      and (not g.eligibility ? 'features' or (feature is not null and g.eligibility -> 'features' ? feature))
      and (not g.eligibility ? 'models' or (model is not null and exists (
        select from jsonb_array_elements_text(g.eligibility -> 'models') p
        where p = model or (right(p, 1) = '*' and starts_with(model, left(p, -1))))))))
  order by g.priority asc nulls last, g.expires_at asc nulls last, g.kind = 'paid', g.effective_at, a.id
$$;

-- Committed and held of one counter over its window: of a rolling one, over its slices.
create function ergon_counted(environment integer, budget bigint, of_member text, window_from timestamptz, window_to timestamptz)
returns table (committed numeric, held numeric) language sql stable as $$
  select coalesce(sum(c.committed), 0), coalesce(sum(c.held), 0) from budget_counter c
  where c.environment_id = environment and c.budget_id = budget and c.member = of_member
    and c.window_start >= window_from and c.window_start <= window_to
$$;

-- Adds to a counter, which is created when it is first needed; tells of thresholds that were not crossed before and are now.
create function ergon_count(environment integer, one jsonb, committed_by numeric, held_by numeric, at timestamptz)
returns void language plpgsql as $$
declare
  counter budget_counter;
begin
  update budget_counter c set committed = c.committed + committed_by, held = c.held + held_by
  where c.environment_id = environment and c.budget_id = (one ->> 'b')::bigint and c.member = one ->> 'm'
    and c.window_start = (one ->> 'w')::timestamptz
  returning * into counter;
  if not found then
    insert into budget_counter as c (environment_id, budget_id, member, window_start, committed, held)
    values (environment, (one ->> 'b')::bigint, one ->> 'm', (one ->> 'w')::timestamptz, committed_by, held_by)
    on conflict (environment_id, budget_id, member, window_start)
    do update set committed = c.committed + excluded.committed, held = c.held + excluded.held
    returning * into counter;
  end if;
  if committed_by > 0 and jsonb_array_length(one -> 't') > 0 then
    insert into budget_crossing (environment_id, budget_id, member, window_start, threshold, crossed_at)
      select environment, counter.budget_id, counter.member, counter.window_start, t::numeric, at
      from jsonb_array_elements_text(one -> 't') t
      where t::numeric <= (select k.committed from ergon_counted(environment, counter.budget_id, counter.member,
        (one ->> 'from')::timestamptz, counter.window_start) k)
      on conflict do nothing;
  end if;
end $$;

-- Sets aside each request's amounts at every counter and wallet that applies, or nothing of it. Requests are taken in order, so
-- that each sees what the ones before it took. Returns one answer a request; `stale` when the catalog has changed.
create function ergon_hold(environment integer, revision bigint, at timestamptz, requests jsonb)
returns jsonb language plpgsql as $$
declare
  answers jsonb := '[]';
  request jsonb;
  one jsonb;
  known hold;
  refusals jsonb;
  funds jsonb;
  counted record;
  payer record;
  charge numeric;
  remaining numeric;
  available numeric;
  held_account bigint;
  is_prepaid boolean;
begin
  if (select o.catalog_revision from ergon_open(environment, false) o) <> revision then
    return '{"stale": true}';
  end if;
  -- Locks in the order of every transaction: accounts by id, then counters by key.
  perform from account a where a.environment_id = environment and a.kind in ('grant', 'held') and a.customer_id in (
    select (r ->> 'customer')::bigint from jsonb_array_elements(requests) r) order by a.id for update;
  insert into budget_counter (environment_id, budget_id, member, window_start)
    select distinct environment, (c ->> 'b')::bigint, c ->> 'm', (c ->> 'w')::timestamptz
    from jsonb_array_elements(requests) r, jsonb_array_elements(r -> 'counters') c order by 2, 3, 4 on conflict do nothing;
  perform from budget_counter k where k.environment_id = environment and (k.budget_id, k.member, k.window_start) in (
    select (c ->> 'b')::bigint, c ->> 'm', (c ->> 'w')::timestamptz
    from jsonb_array_elements(requests) r, jsonb_array_elements(r -> 'counters') c)
    order by k.budget_id, k.member, k.window_start for update;
  for request in select r from jsonb_array_elements(requests) r loop
    select * into known from hold h where h.environment_id = environment and h.id = request ->> 'id';
    if found then
      answers := answers || jsonb_build_object('outcome',
        case when known.body_hash = request ->> 'hash' then 'repeated' else 'conflict' end);
      continue;
    end if;
    refusals := '[]';
    for one in select c from jsonb_array_elements(request -> 'counters') c loop
      continue when not (one ->> 'enforce')::boolean;
      select * into counted from ergon_counted(environment, (one ->> 'b')::bigint, one ->> 'm',
        (one ->> 'from')::timestamptz, (one ->> 'w')::timestamptz);
      if counted.committed + counted.held + (one ->> 'x')::numeric > (one ->> 'limit')::numeric then
        refusals := refusals || jsonb_build_object('kind', 'budget', 'budget', one -> 'b', 'member', one -> 'm',
          'measure', one -> 'u', 'limit', one -> 'limit', 'committed', counted.committed::text, 'held', counted.held::text,
          'asked', one -> 'x');
      end if;
    end loop;
    charge := coalesce((request ->> 'charge')::numeric, 0);
    is_prepaid := charge > 0 and (request ->> 'customer') is not null and exists (
      select from wallet w where w.environment_id = environment and w.customer_id = (request ->> 'customer')::bigint
        and w.currency = request ->> 'currency');
    if is_prepaid then
      select coalesce(sum(p.balance), 0) into available from ergon_payers(environment, (request ->> 'customer')::bigint,
        request ->> 'currency', at, request ->> 'feature', request ->> 'model') p;
      if charge > available then
        select coalesce(sum(a.balance), 0) into remaining from account a where a.environment_id = environment
          and a.customer_id = (request ->> 'customer')::bigint and a.kind = 'held' and a.currency = request ->> 'currency';
        refusals := refusals || jsonb_build_object('kind', 'wallet', 'measure', 'charge', 'available', available::text,
          'held', remaining::text, 'asked', request -> 'charge');
      end if;
    end if;
    if jsonb_array_length(refusals) > 0 then
      answers := answers || jsonb_build_object('outcome', 'refused', 'refusals', refusals);
      continue;
    end if;
    funds := '[]';
    if is_prepaid then
      insert into account as a (environment_id, kind, customer_id, currency, balance)
        values (environment, 'held', (request ->> 'customer')::bigint, request ->> 'currency', charge)
        on conflict (environment_id, customer_id, currency) where kind = 'held' do update set balance = a.balance + charge
        returning a.id into held_account;
      remaining := charge;
      for payer in select * from ergon_payers(environment, (request ->> 'customer')::bigint, request ->> 'currency', at,
          request ->> 'feature', request ->> 'model') loop
        exit when remaining <= 0;
        available := least(remaining, payer.balance);
        update account set balance = balance - available where environment_id = environment and id = payer.account_id;
        insert into posting (environment_id, customer_id, kind, debit_account_id, credit_account_id, currency, amount, hold_id)
          values (environment, (request ->> 'customer')::bigint, 'hold', payer.account_id, held_account,
            request ->> 'currency', available, request ->> 'id');
        funds := funds || jsonb_build_array(jsonb_build_array(payer.account_id, available::text));
        remaining := remaining - available;
      end loop;
    end if;
    for one in select c from jsonb_array_elements(request -> 'counters') c loop
      perform ergon_count(environment, one, 0, (one ->> 'x')::numeric, at);
    end loop;
    insert into hold (environment_id, id, body_hash, customer_id, status, currency, amounts, dimensions, above, funds, counters,
        created_at, expires_at)
      values (environment, request ->> 'id', request ->> 'hash', (request ->> 'customer')::bigint, request ->> 'status',
        request ->> 'currency', request -> 'amounts', request -> 'dimensions', request ->> 'above', funds,
        request -> 'counters', at, (request ->> 'expires')::timestamptz);
    answers := answers || jsonb_build_object('outcome', 'held');
  end loop;
  return jsonb_build_object('answers', answers);
end $$;

-- Gives back what a hold has set aside: to the grants it came from (an expired one is emptied by the expiry afterwards).
create function ergon_unset(environment integer, one hold) returns void language plpgsql as $$
declare
  held_account bigint;
  fund jsonb;
begin
  if jsonb_array_length(one.funds) = 0 then return; end if;
  select a.id into strict held_account from account a where a.environment_id = environment and a.customer_id = one.customer_id
    and a.kind = 'held' and a.currency = one.currency;
  for fund in select f from jsonb_array_elements(one.funds) f loop
    update account set balance = balance - (fund ->> 1)::numeric where environment_id = environment and id = held_account;
    update account set balance = balance + (fund ->> 1)::numeric where environment_id = environment and id = (fund ->> 0)::bigint;
    insert into posting (environment_id, customer_id, kind, debit_account_id, credit_account_id, currency, amount, hold_id)
      values (environment, one.customer_id, 'release', held_account, (fund ->> 0)::bigint, one.currency, (fund ->> 1)::numeric, one.id);
  end loop;
end $$;

create function ergon_house(environment integer, of_kind text, code text) returns bigint language plpgsql as $$
declare
  found_id bigint;
begin
  select id into found_id from account
    where environment_id = environment and kind = of_kind and currency = code and customer_id is null;
  if found_id is not null then return found_id; end if;
  insert into account (environment_id, kind, currency) values (environment, of_kind, code) on conflict do nothing;
  select id into strict found_id from account
    where environment_id = environment and kind = of_kind and currency = code and customer_id is null;
  return found_id;
end $$;

-- Posts a settled charge: what was set aside pays first, then other grants in burn order, then the customer owes the rest; what
-- of the hold was not needed goes back. Returns who paid: [account, amount].
create function ergon_pay(environment integer, one hold, charge numeric, is_open boolean, at timestamptz)
returns jsonb language plpgsql as $$
declare
  paid jsonb := '[]';
  remaining numeric := charge;
  revenue bigint;
  held_account bigint;
  receivable bigint;
  fund jsonb;
  used numeric;
  payer record;
begin
  if one.customer_id is null or one.currency is null then return paid; end if;
  revenue := ergon_house(environment, 'revenue', one.currency);
  if is_open and jsonb_array_length(one.funds) > 0 then
    select a.id into strict held_account from account a where a.environment_id = environment
      and a.customer_id = one.customer_id and a.kind = 'held' and a.currency = one.currency;
    for fund in select f from jsonb_array_elements(one.funds) f loop
      used := least(remaining, (fund ->> 1)::numeric);
      update account set balance = balance - (fund ->> 1)::numeric where environment_id = environment and id = held_account;
      if used > 0 then
        insert into posting (environment_id, customer_id, kind, debit_account_id, credit_account_id, currency, amount, hold_id)
          values (environment, one.customer_id, 'settlement', held_account, revenue, one.currency, used, one.id);
        paid := paid || jsonb_build_array(jsonb_build_array((fund ->> 0)::bigint, used::text));
        remaining := remaining - used;
      end if;
      used := (fund ->> 1)::numeric - used;
      if used > 0 then
        update account set balance = balance + used where environment_id = environment and id = (fund ->> 0)::bigint;
        insert into posting (environment_id, customer_id, kind, debit_account_id, credit_account_id, currency, amount, hold_id)
          values (environment, one.customer_id, 'release', held_account, (fund ->> 0)::bigint, one.currency, used, one.id);
      end if;
    end loop;
  end if;
  for payer in select * from ergon_payers(environment, one.customer_id, one.currency, at,
      one.dimensions ->> 'feature', one.dimensions ->> 'model') loop
    exit when remaining <= 0;
    used := least(remaining, payer.balance);
    update account set balance = balance - used where environment_id = environment and id = payer.account_id;
    insert into posting (environment_id, customer_id, kind, debit_account_id, credit_account_id, currency, amount, hold_id)
      values (environment, one.customer_id, 'settlement', payer.account_id, revenue, one.currency, used, one.id);
    paid := paid || jsonb_build_array(jsonb_build_array(payer.account_id, used::text));
    remaining := remaining - used;
  end loop;
  if remaining > 0 then
    insert into account as a (environment_id, kind, customer_id, currency, balance)
      values (environment, 'receivable', one.customer_id, one.currency, -remaining)
      on conflict (environment_id, customer_id, kind, currency) where kind in ('receivable', 'customer_credit')
      do update set balance = a.balance - remaining returning a.id into receivable;
    insert into posting (environment_id, customer_id, kind, debit_account_id, credit_account_id, currency, amount, hold_id)
      values (environment, one.customer_id, 'settlement', receivable, revenue, one.currency, remaining, one.id);
    paid := paid || jsonb_build_array(jsonb_build_array(receivable, remaining::text));
  end if;
  return paid;
end $$;

-- Counts spending at one counter and records what of it passed an enforced limit. `held_back` leaves the hold's share.
create function ergon_spend(environment integer, one jsonb, spent numeric, held_back numeric, cause text, of_hold text, at timestamptz)
returns void language plpgsql as $$
declare
  counted record;
  excess numeric;
begin
  perform ergon_count(environment, one, spent, -held_back, at);
  if spent <= 0 or not (one ->> 'enforce')::boolean then return; end if;
  select * into counted from ergon_counted(environment, (one ->> 'b')::bigint, one ->> 'm',
    (one ->> 'from')::timestamptz, (one ->> 'w')::timestamptz);
  -- What was admitted is covered by the limit; only what this spending adds to it can pass.
  excess := least(counted.committed + counted.held - (one ->> 'limit')::numeric, spent - held_back);
  if excess > 0 then
    insert into budget_overage (environment_id, budget_id, member, window_start, amount, cause, hold_id, occurred_at)
      values (environment, (one ->> 'b')::bigint, one ->> 'm', (one ->> 'w')::timestamptz, excess, cause, of_hold, at);
  end if;
end $$;

-- Locks what resolving the holds will touch, in the order of every transaction.
create function ergon_lock_holds(environment integer, ids text[]) returns void language plpgsql as $$
begin
  perform from hold h where h.environment_id = environment and h.id = any (ids) order by h.id for update;
  perform from account a where a.environment_id = environment and a.kind in ('grant', 'held', 'receivable') and a.customer_id in (
    select h.customer_id from hold h where h.environment_id = environment and h.id = any (ids)) order by a.id for update;
  perform from budget_counter k where k.environment_id = environment and (k.budget_id, k.member, k.window_start) in (
    select (c ->> 'b')::bigint, c ->> 'm', (c ->> 'w')::timestamptz
    from hold h, jsonb_array_elements(h.counters) c where h.environment_id = environment and h.id = any (ids))
    order by k.budget_id, k.member, k.window_start for update;
end $$;

-- Settles, releases, extends, dispatches or expires holds, in order. One answer a request.
create function ergon_resolve(environment integer, at timestamptz, requests jsonb) returns jsonb language plpgsql as $$
declare
  answers jsonb := '[]';
  request jsonb;
  known hold;
  one jsonb;
  actual jsonb;
  is_open boolean;
  is_above boolean;
  action text;
  paid jsonb;
  charge numeric;
begin
  perform ergon_open(environment, false);
  perform ergon_lock_holds(environment, (select array_agg(r ->> 'id') from jsonb_array_elements(requests) r));
  for request in select r from jsonb_array_elements(requests) r loop
    select * into known from hold h where h.environment_id = environment and h.id = request ->> 'id';
    if not found then
      answers := answers || '{"outcome": "unknown"}'::jsonb;
      continue;
    end if;
    action := request ->> 'action';
    is_open := known.status in ('pending', 'dispatched');
    if action = 'expire' then
      if not is_open or known.expires_at > at then
        answers := answers || '{"outcome": "resolved"}'::jsonb;
        continue;
      end if;
      -- Work that was sent upstream is paid for: such a hold settles at its estimate.
      action := case known.status when 'dispatched' then 'settle' else 'expire' end;
    end if;
    if action = 'dispatch' or action = 'extend' then
      if not is_open then
        answers := answers || '{"outcome": "resolved"}'::jsonb;
        continue;
      end if;
      update hold set status = case action when 'dispatch' then 'dispatched' else status end,
        expires_at = greatest(expires_at, coalesce((request ->> 'expires')::timestamptz, expires_at))
        where environment_id = environment and id = known.id;
      answers := answers || '{"outcome": "changed"}'::jsonb;
      continue;
    end if;
    if action in ('release', 'expire') then
      if not is_open then
        answers := answers || jsonb_build_object('outcome',
          case when known.status = 'released' and action = 'release' then 'repeated' else 'resolved' end);
        continue;
      end if;
      perform ergon_unset(environment, known);
      for one in select c from jsonb_array_elements(known.counters) c loop
        perform ergon_count(environment, one, 0, -(one ->> 'x')::numeric, at);
      end loop;
      update hold set status = case action when 'release' then 'released' else 'expired' end, resolved_at = at
        where environment_id = environment and id = known.id;
      answers := answers || '{"outcome": "changed"}'::jsonb;
      continue;
    end if;
    -- Settle, at most once.
    if known.status = 'settled' then
      answers := answers || jsonb_build_object('outcome',
        case when known.settle_hash = request ->> 'hash' then 'repeated' else 'conflict' end);
      continue;
    end if;
    actual := known.amounts || coalesce(request -> 'amounts', '{}');
    select coalesce(bool_or((a.value #>> '{}')::numeric > coalesce((known.amounts ->> a.key)::numeric, 0)), false) into is_above
      from jsonb_each(actual) a;
    if is_above and is_open and known.above = 'refuse' then
      answers := answers || '{"outcome": "above"}'::jsonb;
      continue;
    end if;
    if is_above and is_open and known.above = 'cap' then
      select jsonb_object_agg(a.key, least((a.value #>> '{}')::numeric, coalesce((known.amounts ->> a.key)::numeric, 0))::text)
        into actual from jsonb_each(actual) a;
    end if;
    charge := coalesce((actual ->> 'charge')::numeric, 0);
    paid := ergon_pay(environment, known, charge, is_open, at);
    for one in select c from jsonb_array_elements(known.counters) c loop
      perform ergon_spend(environment, one, coalesce((actual ->> (one ->> 'u'))::numeric, (one ->> 'x')::numeric),
        case when is_open then (one ->> 'x')::numeric else 0 end, case when is_open then 'above_hold' else 'late' end, known.id, at);
    end loop;
    update hold set status = 'settled', resolved_at = at, settled = actual, funds = paid, settle_hash = request ->> 'hash',
      settled_by = case when request ->> 'action' = 'expire' then 'estimate' else 'amount' end, is_late = not is_open
      where environment_id = environment and id = known.id;
    answers := answers || '{"outcome": "changed"}'::jsonb;
  end loop;
  return answers;
end $$;

-- Events have come that settle holds: gives back what each has set aside, or takes back what it was settled at, so that the events'
-- own charges can be posted in this transaction. Returns each hold as it was; a hold settled by an event already has no part.
create function ergon_take_holds(environment integer, wanted jsonb, at timestamptz) returns jsonb language plpgsql as $$
declare
  answers jsonb := '[]';
  known hold;
  fund jsonb;
  revenue bigint;
  ids text[];
begin
  select array_agg(h.id) into ids from hold h join jsonb_array_elements(wanted) w
    on h.id = w ->> 'id' and h.customer_id is not distinct from (w ->> 'customer')::bigint where h.environment_id = environment;
  if ids is null then return answers; end if;
  perform ergon_lock_holds(environment, ids);
  for known in select * from hold h where h.environment_id = environment and h.id = any (ids) order by h.id loop
    continue when known.settled_by = 'event';
    if known.status in ('pending', 'dispatched') then
      perform ergon_unset(environment, known);
    elsif known.status = 'settled' and jsonb_array_length(known.funds) > 0 then
      revenue := ergon_house(environment, 'revenue', known.currency);
      for fund in select f from jsonb_array_elements(known.funds) f loop
        update account set balance = balance + (fund ->> 1)::numeric where environment_id = environment and id = (fund ->> 0)::bigint;
        insert into posting (environment_id, customer_id, kind, debit_account_id, credit_account_id, currency, amount, hold_id)
          values (environment, known.customer_id, 'settlement_reversal', revenue, (fund ->> 0)::bigint, known.currency,
            (fund ->> 1)::numeric, known.id);
      end loop;
    end if;
    answers := answers || jsonb_build_object('id', known.id, 'status', known.status, 'funds', known.funds,
      'counters', known.counters, 'amounts', known.amounts, 'settled', known.settled);
  end loop;
  return answers;
end $$;

-- Events have settled these holds: [{"id", "amounts", "source", "event"}].
create function ergon_settled_by_events(environment integer, settled_now jsonb, at timestamptz) returns void language sql as $$
  update hold h set status = 'settled', settled = s -> 'amounts', settled_by = 'event', event_source = s ->> 'source',
    event_id = s ->> 'event', funds = '[]', resolved_at = coalesce(h.resolved_at, at),
    is_late = h.is_late or h.status in ('released', 'expired')
  from jsonb_array_elements(settled_now) s where h.environment_id = environment and h.id = s ->> 'id'
$$;

-- Counts the spending of events: [{counter.., "x": spent, "back": held share that leaves, "cause", "hold"}], sorted by the caller.
create function ergon_spend_all(environment integer, entries jsonb, at timestamptz) returns void language plpgsql as $$
declare
  one jsonb;
begin
  for one in select e from jsonb_array_elements(entries) e loop
    perform ergon_spend(environment, one, (one ->> 'x')::numeric, (one ->> 'back')::numeric, one ->> 'cause', one ->> 'hold', at);
  end loop;
end $$;
