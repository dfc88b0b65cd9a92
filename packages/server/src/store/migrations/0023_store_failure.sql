-- What a budget's policy let through while the database could not be reached is posted when it is back: never refused, because the work
-- was done; what did not fit is overage with a cause of its own.
do $$
declare
  known text;
begin
  select pg_get_constraintdef(oid) into known from pg_constraint where conrelid = 'budget_overage'::regclass and conname = 'budget_overage_cause_check';
  alter table budget_overage drop constraint budget_overage_cause_check;
  execute 'alter table budget_overage add constraint budget_overage_cause_check ' || replace(known, 'ARRAY[', 'ARRAY[''store_failure''::text, ');
end $$;

-- Posts one hold as it was admitted at `at`. It sets no funds aside: what it costs is paid when it is settled. Safe to repeat:
-- `posted`, `repeated`, or `conflict` where another body has the id.
create function ergon_post_remembered(environment integer, at timestamptz, request jsonb) returns text language plpgsql as $$
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
