-- Leases: holds that a process takes ahead, to admit calls from without asking. A lease is a dispatched hold like any other, so
-- committed + held (leases within it) + new <= limit is checked where it always is; what was spent from it comes here, many calls at once.

-- Records calls that were admitted from a lease and are over: each becomes a settled hold of its own, named under the lease, so that its
-- event finds it. Then, unless `keep` is null, gives back what the lease has beyond `keep` (by measure).
--
-- Sent again after a lost answer it records nothing twice. A lease that has ended meanwhile no longer covers what was spent: that is
-- counted all the same, late. Returns whether the lease is still open.
create function ergon_flush_lease(environment integer, at timestamptz, lease text, calls jsonb, keep jsonb) returns boolean
language plpgsql
set plan_cache_mode = 'force_generic_plan' set enable_seqscan = 'off' as $$
declare
  known hold;
  is_open boolean;
  one jsonb;
  i integer;
  remaining numeric;
  used numeric;
  spent numeric;
  back numeric;
  charged numeric := 0;
  revenue bigint;
  held_account bigint;
  receivable bigint;
  payer record;
  funds jsonb;
  f_account bigint[] := '{}';
  f_left numeric[] := '{}';
  from_held numeric := 0;
  left_amounts jsonb;
  left_counters jsonb := '[]';
  left_funds jsonb := '[]';
  n_call jsonb[] := '{}';
  n_funds jsonb[] := '{}';
  p_kind text[] := '{}';
  p_debit bigint[] := '{}';
  p_credit bigint[] := '{}';
  p_amount numeric[] := '{}';
  p_hold text[] := '{}';
begin
  perform pg_advisory_xact_lock_shared(4600, environment);
  perform ergon_lock_holds(environment, array[lease]);
  select * into strict known from hold h where h.environment_id = environment and h.id = lease;
  is_open := known.status = 'dispatched';
  select coalesce(jsonb_agg(c.call order by c.place), '[]') into calls from jsonb_array_elements(calls) with ordinality c(call, place)
    where not exists (select from hold h where h.environment_id = environment and h.id = c.call ->> 'id');
  if is_open then
    for i in 0 .. jsonb_array_length(known.funds) - 1 loop
      f_account[i + 1] := (known.funds -> i ->> 0)::bigint;
      f_left[i + 1] := (known.funds -> i ->> 1)::numeric;
    end loop;
  end if;
  if cardinality(f_account) > 0 then
    select a.id into strict held_account from account a where a.environment_id = environment and a.customer_id = known.customer_id
      and a.kind = 'held' and a.currency = known.currency;
  end if;

  -- Who pays: what the lease has set aside, then other grants in burn order, then the customer owes the rest.
  for one in select c from jsonb_array_elements(calls) c loop
    remaining := coalesce((one -> 'settled' ->> 'charge')::numeric, 0);
    charged := charged + remaining;
    funds := '[]';
    if remaining > 0 and known.customer_id is not null and known.currency is not null then
      revenue := coalesce(revenue, ergon_house(environment, 'revenue', known.currency));
      for i in 1 .. cardinality(f_account) loop
        used := least(remaining, f_left[i]);
        continue when used <= 0;
        f_left[i] := f_left[i] - used;
        from_held := from_held + used;
        p_kind := array_append(p_kind, 'settlement');
        p_debit := array_append(p_debit, held_account);
        p_credit := array_append(p_credit, revenue);
        p_amount := array_append(p_amount, used);
        p_hold := array_append(p_hold, one ->> 'id');
        funds := funds || jsonb_build_array(jsonb_build_array(f_account[i], used::text));
        remaining := remaining - used;
      end loop;
      if remaining > 0 then
        for payer in select * from ergon_payers(environment, known.customer_id, known.currency, at, known.dimensions ->> 'feature',
            known.dimensions ->> 'model') loop
          exit when remaining <= 0;
          used := least(remaining, payer.balance);
          update account set balance = balance - used where environment_id = environment and id = payer.account_id;
          p_kind := array_append(p_kind, 'settlement');
          p_debit := array_append(p_debit, payer.account_id);
          p_credit := array_append(p_credit, revenue);
          p_amount := array_append(p_amount, used);
          p_hold := array_append(p_hold, one ->> 'id');
          funds := funds || jsonb_build_array(jsonb_build_array(payer.account_id, used::text));
          remaining := remaining - used;
        end loop;
      end if;
      if remaining > 0 then
        insert into account as a (environment_id, kind, customer_id, currency, balance)
          values (environment, 'receivable', known.customer_id, known.currency, -remaining)
          on conflict (environment_id, customer_id, kind, currency) where kind in ('receivable', 'customer_credit')
          do update set balance = a.balance - remaining returning a.id into receivable;
        p_kind := array_append(p_kind, 'settlement');
        p_debit := array_append(p_debit, receivable);
        p_credit := array_append(p_credit, revenue);
        p_amount := array_append(p_amount, remaining);
        p_hold := array_append(p_hold, one ->> 'id');
        funds := funds || jsonb_build_array(jsonb_build_array(receivable, remaining::text));
      end if;
    end if;
    n_call := array_append(n_call, one);
    n_funds := array_append(n_funds, funds);
  end loop;

  -- What of the lease is no longer needed goes back to where it came from, last taken first.
  left_amounts := known.amounts;
  if is_open and known.amounts ? 'charge' then
    remaining := greatest((known.amounts ->> 'charge')::numeric - charged, 0);
    if keep is not null then remaining := least(remaining, coalesce((keep ->> 'charge')::numeric, 0)); end if;
    left_amounts := left_amounts || jsonb_build_object('charge', remaining::text);
    if keep is not null then
      used := (select coalesce(sum(f), 0) from unnest(f_left) f) - remaining;
      for i in reverse cardinality(f_account) .. 1 loop
        back := least(used, f_left[i]);
        continue when back <= 0;
        f_left[i] := f_left[i] - back;
        used := used - back;
        from_held := from_held + back;
        update account set balance = balance + back where environment_id = environment and id = f_account[i];
        p_kind := array_append(p_kind, 'release');
        p_debit := array_append(p_debit, held_account);
        p_credit := array_append(p_credit, f_account[i]);
        p_amount := array_append(p_amount, back);
        p_hold := array_append(p_hold, lease);
      end loop;
    end if;
  end if;
  if from_held > 0 then
    update account set balance = balance - from_held where environment_id = environment and id = held_account;
  end if;
  insert into posting (environment_id, customer_id, kind, debit_account_id, credit_account_id, currency, amount, hold_id)
    select environment, known.customer_id, n.kind, n.debit, n.credit, known.currency, n.amount, n.hold
    from unnest(p_kind, p_debit, p_credit, p_amount, p_hold) n(kind, debit, credit, amount, hold);
  insert into hold (environment_id, id, body_hash, customer_id, status, currency, amounts, dimensions, above, funds, counters, created_at,
      expires_at, resolved_at, settled, settled_by, is_late)
    select environment, n.call ->> 'id', lease, known.customer_id, 'settled', known.currency, n.call -> 'amounts', n.call -> 'dimensions',
      'overage', n.funds, (select coalesce(jsonb_agg(c || jsonb_build_object('x', n.call -> 'amounts' -> (c ->> 'u'))), '[]')
        from jsonb_array_elements(known.counters) c),
      (n.call ->> 'at')::timestamptz, at, at, n.call -> 'settled', 'amount', not is_open
    from unnest(n_call, n_funds) n(call, funds);

  for one in select c from jsonb_array_elements(known.counters) c loop
    select coalesce(sum((c ->> (one ->> 'u'))::numeric), 0) into spent from (select e -> 'settled' as c from jsonb_array_elements(calls) e) s;
    remaining := case when is_open then (one ->> 'x')::numeric else 0 end;
    back := least(spent, remaining);
    perform ergon_spend(environment, one, spent, back, case when is_open then 'above_hold' else 'late' end, lease, at);
    remaining := remaining - back;
    if is_open and keep is not null then
      back := greatest(remaining - coalesce((keep ->> (one ->> 'u'))::numeric, 0), 0);
      if back > 0 then perform ergon_count(environment, one, 0, -back, at); end if;
      remaining := remaining - back;
    end if;
    left_counters := left_counters || jsonb_build_array(one || jsonb_build_object('x', remaining::text));
    left_amounts := left_amounts || jsonb_build_object(one ->> 'u', remaining::text);
  end loop;
  if is_open then
    for i in 1 .. cardinality(f_account) loop
      if f_left[i] > 0 then left_funds := left_funds || jsonb_build_array(jsonb_build_array(f_account[i], f_left[i]::text)); end if;
    end loop;
    update hold set amounts = left_amounts, counters = left_counters, funds = left_funds, is_recalled = is_recalled or keep is not null
      where environment_id = environment and id = lease;
  end if;
  return is_open;
end $$;

-- Leases that hold what a request lacks: of these budgets' members, or of this customer's wallet. Those asked back already are not
-- named: what is left of them is needed by calls in flight.
create function ergon_leases_of(environment integer, counters jsonb, customer bigint) returns setof text language sql stable as $$
  select h.id from hold h
  where h.environment_id = environment and h.lease_holder is not null and h.status = 'dispatched' and not h.is_recalled
    and (counters is null or (h.customer_id = customer and h.funds <> '[]') or exists (
      select from jsonb_array_elements(h.counters) k join jsonb_array_elements(counters) c on k -> 'b' = c -> 'b' and k -> 'm' = c -> 'm'))
$$;
