-- What budgets and holds tell to whoever listens: a row in the outbox, in the transaction in which it happened.

-- Adds to a counter, which is created when it is first needed; notes thresholds that are crossed by it. Of a calendar window each
-- threshold is crossed once; a rolling window crosses anew whenever it comes from below.
create or replace function ergon_count(environment integer, one jsonb, committed_by numeric, held_by numeric, at timestamptz)
returns void language plpgsql as $$
declare
  counter budget_counter;
  total numeric;
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
  if committed_by <= 0 or jsonb_array_length(one -> 't') = 0 then return; end if;
  select k.committed into total
    from ergon_counted(environment, counter.budget_id, counter.member, (one ->> 'from')::timestamptz, counter.window_start) k;
  insert into budget_crossing (environment_id, budget_id, member, window_start, threshold, crossed_at)
    select environment, counter.budget_id, counter.member, counter.window_start, t::numeric, at
    from jsonb_array_elements_text(one -> 't') t
    where t::numeric <= total
      and ((one ->> 'from')::timestamptz = counter.window_start or t::numeric > total - committed_by)
    order by t::numeric on conflict do nothing;
end $$;

-- What a budget's events say of it. The member is the JSON text of the values of `per`, in their order.
create function ergon_tell_budget(environment integer, budget bigint, of_member text, kind text, crossing text, more jsonb,
  at timestamptz) returns void language sql as $$
  insert into outbox_event (environment_id, type, crossing_key, customer, data, occurred_at)
  select environment, kind, 'budget/' || b.id || '/' || md5(of_member) || '/' || crossing,
    case when b.spec -> 'scope' ->> 'customer' like '%*' then null else b.spec -> 'scope' ->> 'customer' end,
    jsonb_build_object('budget', b.key, 'unit', b.spec -> 'unit', 'window', b.spec -> 'window', 'mode', b.spec -> 'mode',
      'limit', b.spec ->> 'limit', 'member',
      case when of_member = '' then '{}'::jsonb else (select jsonb_object_agg(p.name, of_member::jsonb -> (p.place - 1)::integer)
        from jsonb_array_elements_text(b.spec -> 'per') with ordinality as p(name, place)) end) || more,
    at
  from budget b where b.environment_id = environment and b.id = budget
  on conflict (environment_id, crossing_key) do nothing
$$;

create function ergon_tell_crossing() returns trigger language plpgsql as $$
begin
  perform ergon_tell_budget(new.environment_id, new.budget_id, new.member, 'budget.threshold_crossed',
    extract(epoch from new.window_start) || '/' || trim_scale(new.threshold),
    jsonb_build_object('threshold', trim_scale(new.threshold)::text, 'window_start', new.window_start), new.crossed_at);
  return null;
end $$;
create trigger budget_crossing_told after insert on budget_crossing for each row execute function ergon_tell_crossing();

-- Once a window: every overage is a row of its own, but one message says that the limit was passed.
create function ergon_tell_overage() returns trigger language plpgsql as $$
begin
  perform ergon_tell_budget(new.environment_id, new.budget_id, new.member, 'budget.exceeded',
    extract(epoch from new.window_start) || '/overage',
    jsonb_build_object('overage', trim_scale(new.amount)::text, 'cause', new.cause, 'window_start', new.window_start), new.occurred_at);
  return null;
end $$;
create trigger budget_overage_told after insert on budget_overage for each row execute function ergon_tell_overage();

create function ergon_tell_expired() returns trigger language plpgsql as $$
begin
  insert into outbox_event (environment_id, type, crossing_key, customer, data, occurred_at)
  values (new.environment_id, 'hold.expired', 'hold/' || new.id || '/expired',
    (select c.external_id from customer c where c.environment_id = new.environment_id and c.id = new.customer_id),
    jsonb_build_object('hold', new.id, 'amounts', new.amounts, 'expires_at', new.expires_at), new.resolved_at)
  on conflict (environment_id, crossing_key) do nothing;
  return null;
end $$;
create trigger hold_expired_told after update of status on hold for each row
  when (new.status = 'expired' and old.status <> 'expired') execute function ergon_tell_expired();

-- A rolling window is several rows, so two holds in neighbouring slices lock no row in common. One row for each member, outside
-- every window, is locked first: whoever admits in a rolling window sees all that was admitted before. Nothing else locks these
-- rows, so they stand before the order of all other locks.
alter function ergon_hold(integer, bigint, timestamptz, jsonb) rename to ergon_hold_in_order;
create function ergon_hold(environment integer, revision bigint, at timestamptz, requests jsonb)
returns jsonb language plpgsql as $$
begin
  -- Before any lock of rows, as every transaction: who changes the catalog waits for none that waits for him.
  perform ergon_open(environment, false);
  if exists (select from jsonb_array_elements(requests) r, jsonb_array_elements(r -> 'counters') c where c ->> 'from' <> c ->> 'w') then
    insert into budget_counter (environment_id, budget_id, member, window_start)
      select distinct environment, (c ->> 'b')::bigint, c ->> 'm', '-infinity'::timestamptz
      from jsonb_array_elements(requests) r, jsonb_array_elements(r -> 'counters') c
      where c ->> 'from' <> c ->> 'w' order by 2, 3 on conflict do nothing;
    perform from budget_counter k where k.environment_id = environment and k.window_start = '-infinity'
      and (k.budget_id, k.member) in (select (c ->> 'b')::bigint, c ->> 'm'
        from jsonb_array_elements(requests) r, jsonb_array_elements(r -> 'counters') c where c ->> 'from' <> c ->> 'w')
      order by k.budget_id, k.member for update;
  end if;
  -- An ingest comes to the held account after the customer's others: so does everybody.
  perform from account a where a.environment_id = environment and a.kind in ('grant', 'held') and a.customer_id in (
    select (r ->> 'customer')::bigint from jsonb_array_elements(requests) r) order by a.kind = 'held', a.id for update;
  return ergon_hold_in_order(environment, revision, at, requests);
end $$;

-- Locks what resolving the holds will touch. An ingest has its accounts before it comes to its holds, so accounts are first; a
-- hold's customer and counters never change, so they may be read before its lock.
create or replace function ergon_lock_holds(environment integer, ids text[]) returns void language plpgsql as $$
begin
  perform from account a where a.environment_id = environment and a.kind in ('grant', 'held', 'receivable') and a.customer_id in (
    select h.customer_id from hold h where h.environment_id = environment and h.id = any (ids)) order by a.kind = 'held', a.id for update;
  perform from hold h where h.environment_id = environment and h.id = any (ids) order by h.id for update;
  perform from budget_counter k where k.environment_id = environment and (k.budget_id, k.member, k.window_start) in (
    select (c ->> 'b')::bigint, c ->> 'm', (c ->> 'w')::timestamptz
    from hold h, jsonb_array_elements(h.counters) c where h.environment_id = environment and h.id = any (ids))
    order by k.budget_id, k.member, k.window_start for update;
end $$;
