-- A hold remembers the counters it was taken at, and with them what their budgets said then. Where a limit, a mode or thresholds have
-- changed since, a settlement is measured by what holds now, as events are: else what passed a lowered limit was told by nobody, and a
-- raised one was passed on paper.
create function ergon_budgets_now(environment integer, budgets bigint[]) returns jsonb language sql stable as $$
  select jsonb_object_agg(b.id, jsonb_build_object('limit', b.spec ->> 'limit', 'enforce', b.ended_at is null and b.spec ->> 'mode' = 'enforce',
    't', (select coalesce(jsonb_agg((t.share::numeric * (b.spec ->> 'limit')::numeric)::text order by t.share::numeric), '[]')
      from jsonb_array_elements_text(b.spec -> 'thresholds') t(share))))
  from budget b where b.environment_id = environment and b.id = any (budgets)
$$;

-- As it was, but for three things: a settlement is measured by what its budgets say now; in a credit unit its credits follow its charge; and
-- what the hold did not name is bounded by what its budgets set aside for it.
create or replace function ergon_hold(environment integer, revision bigint, at timestamptz, requests jsonb)
returns jsonb language plpgsql
-- Every table is asked by key for a few rows, whatever its statistics say just now; planning anew each time would cost more than running.
set plan_cache_mode = 'force_generic_plan' set enable_seqscan = 'off' set enable_bitmapscan = 'off' set enable_hashjoin = 'off'
set enable_mergejoin = 'off' as $$
declare
  steps constant integer := jsonb_array_length(requests);
  answers jsonb[] := array_fill(null::jsonb, array[steps]);
  is_current boolean;
  request jsonb;
  one jsonb;
  outcome text;
  key text;
  action text;
  j integer;
  n integer;
  -- Of the steps.
  ids text[] := '{}';
  wallet_of integer[] := '{}';
  counters_before integer[] := '{}';
  counter_of integer[] := '{}';
  resolved_ids text[] := '{}';
  has_rolling boolean := false;
  has_all boolean;
  is_new boolean;
  w integer;
  w_key text[] := '{}';
  w_customer bigint[] := '{}';
  w_currency text[] := '{}';
  w_prepaid boolean[] := '{}';
  w_charged boolean[] := '{}';
  w_first integer[] := '{}';
  w_last integer[] := '{}';
  w_held integer[] := '{}';
  w_owed integer[] := '{}';
  w_revenue bigint[] := '{}';
  a integer;
  a_id bigint[];
  a_kind text[];
  a_customer bigint[];
  a_currency text[];
  a_balance numeric[];
  a_pays boolean[];
  a_eligibility jsonb[];
  fund_ids bigint[] := '{}';
  c integer;
  c_key text[] := '{}';
  c_budget bigint[] := '{}';
  c_member text[] := '{}';
  c_window timestamptz[] := '{}';
  c_from timestamptz[] := '{}';
  c_committed numeric[] := '{}';
  c_held numeric[] := '{}';
  -- Where the locked rows are: they cannot move before this transaction moves them.
  c_row tid[] := '{}';
  -- Over the whole window: of a rolling one, over its slices.
  t_committed numeric[] := '{}';
  t_held numeric[] := '{}';
  k integer;
  k_id text[];
  k_hold hold[];
  k_customer bigint[];
  k_currency text[];
  k_counters jsonb[];
  k_name text[];
  k_changed boolean[];
  u_id text[];
  known hold;
  budgets_now jsonb;
  new_id text[] := '{}';
  new_hash text[] := '{}';
  new_step integer[] := '{}';
  new_funds jsonb[] := '{}';
  p_customer bigint[] := '{}';
  p_kind text[] := '{}';
  p_debit bigint[] := '{}';
  p_credit bigint[] := '{}';
  p_currency text[] := '{}';
  p_amount numeric[] := '{}';
  p_hold text[] := '{}';
  x_counter integer[] := '{}';
  x_threshold numeric[] := '{}';
  o_counter integer[] := '{}';
  o_amount numeric[] := '{}';
  o_cause text[] := '{}';
  o_hold text[] := '{}';
  room numeric;
  charge numeric;
  remaining numeric;
  available numeric;
  used numeric;
  spent numeric;
  back numeric;
  before numeric;
  funds jsonb;
  refusals jsonb;
  actual jsonb;
  is_prepaid boolean;
  is_open boolean;
  is_above boolean;
  feature text;
  model text;
begin
  -- Before any lock of rows, as every transaction: who changes the catalog waits for none that waits for him.
  perform pg_advisory_xact_lock_shared(4600, environment);
  select e.catalog_revision = revision into is_current from environment e where e.id = environment;

  -- What the steps touch. A hold's customer, currency and counters never change, so they may be read before its lock.
  for i in 1 .. steps loop
    request := requests -> (i - 1);
    ids[i] := request ->> 'id';
    if request ? 'action' then resolved_ids := array_append(resolved_ids, ids[i]); end if;
  end loop;
  if cardinality(resolved_ids) > 0 then
    select array_agg(h.id), array_agg(h.customer_id), array_agg(h.currency), array_agg(h.counters), array_agg(o.external_id),
        array_agg(h.funds)
      into u_id, k_customer, k_currency, k_counters, k_name, new_funds
      from hold h left join customer o on o.environment_id = h.environment_id and o.id = h.customer_id
      where h.environment_id = environment and h.id = any (resolved_ids);
    foreach funds in array coalesce(new_funds, '{}') loop
      for j in 0 .. jsonb_array_length(funds) - 1 loop
        fund_ids := array_append(fund_ids, (funds -> j ->> 0)::bigint);
      end loop;
    end loop;
    new_funds := '{}';
  end if;
  for i in 1 .. steps loop
    request := requests -> (i - 1);
    is_new := not request ? 'action';
    counters_before[i] := cardinality(counter_of);
    wallet_of[i] := 0;
    if is_new then
      used := (request ->> 'customer')::bigint;
      key := request ->> 'currency';
      refusals := request -> 'counters';
    else
      k := array_position(u_id, ids[i]);
      continue when k is null;
      used := k_customer[k];
      key := k_currency[k];
      refusals := k_counters[k];
    end if;
    if used is not null and key is not null then
      w := array_position(w_key, used || ' ' || key);
      if w is null then
        w := cardinality(w_key) + 1;
        w_key[w] := used || ' ' || key;
        w_customer[w] := used;
        w_currency[w] := key;
        w_prepaid[w] := false;
        w_charged[w] := false;
      end if;
      wallet_of[i] := w;
      if is_new and (request ->> 'charge')::numeric > 0 then
        -- A wallet stays: who has seen it need not look again.
        if request ? 'prepaid' then w_prepaid[w] := true; else w_charged[w] := true; end if;
      end if;
    end if;
    for j in 0 .. jsonb_array_length(refusals) - 1 loop
      one := refusals -> j;
      -- A window has one text: instants are written in one way only.
      key := (one ->> 'b') || ' ' || (one ->> 'w') || ' ' || (one ->> 'm');
      c := array_position(c_key, key);
      if c is null then
        c := cardinality(c_key) + 1;
        c_key[c] := key;
        c_budget[c] := (one ->> 'b')::bigint;
        c_member[c] := one ->> 'm';
        c_window[c] := (one ->> 'w')::timestamptz;
        c_from[c] := (one ->> 'from')::timestamptz;
        has_rolling := has_rolling or c_from[c] <> c_window[c];
      end if;
      counter_of := array_append(counter_of, c);
    end loop;
  end loop;

  -- Locks, in the order of every transaction: what stands for a rolling window, accounts by id (held ones last), holds, counters by key.
  if has_rolling and cardinality(resolved_ids) < steps then
    insert into budget_counter (environment_id, budget_id, member, window_start)
      select distinct environment, n.budget, n.member, '-infinity'::timestamptz from unnest(c_budget, c_member, c_window, c_from) n(budget, member, w, f)
      where n.f <> n.w order by 2, 3 on conflict do nothing;
    perform from budget_counter b where b.environment_id = environment and b.window_start = '-infinity'
      and (b.budget_id, b.member) in (select n.budget, n.member from unnest(c_budget, c_member, c_window, c_from) n(budget, member, w, f) where n.f <> n.w)
      order by b.budget_id, b.member for update;
  end if;
  if cardinality(w_key) > 0 then
    if true = any (w_charged) then
      for w in select n.w from unnest(w_customer, w_currency, w_charged) with ordinality n(customer, currency, is_charged, w),
          lateral (select from wallet o where o.environment_id = environment and o.customer_id = n.customer and o.currency = n.currency limit 1) o
          where n.is_charged loop
        w_prepaid[w] := true;
      end loop;
    end if;
    loop
      select array_agg(l.id), array_agg(l.kind), array_agg(l.customer_id), array_agg(l.currency), array_agg(l.balance),
          array_agg(l.pays), array_agg(l.eligibility)
        into a_id, a_kind, a_customer, a_currency, a_balance, a_pays, a_eligibility
        from (
          select b.id, b.kind, b.customer_id, b.currency, b.balance, nullif(g.eligibility, '{}') as eligibility,
            coalesce(g.effective_at <= at and (g.expires_at is null or g.expires_at > at), false) as pays
          from (
            select o.id, o.kind, o.customer_id, o.currency, o.balance from account o
            where o.environment_id = environment and o.customer_id = any (w_customer)
              and (o.kind in ('held', 'receivable') or (o.kind = 'grant' and (o.balance > 0 or o.id = any (fund_ids))))
            order by o.kind = 'held', o.id for update) b
          left join credit_grant g on g.environment_id = environment and g.account_id = b.id and b.kind = 'grant'
          order by b.customer_id, b.currency, g.priority asc nulls last, g.expires_at asc nulls last, g.kind = 'paid', g.effective_at, b.id
        ) l;
      w_first := array_fill(1, array[cardinality(w_key)]);
      w_last := array_fill(0, array[cardinality(w_key)]);
      w_held := array_fill(null::integer, array[cardinality(w_key)]);
      w_owed := w_held;
      key := '';
      for a in 1 .. coalesce(cardinality(a_id), 0) loop
        if key <> a_customer[a] || ' ' || a_currency[a] then
          key := a_customer[a] || ' ' || a_currency[a];
          w := array_position(w_key, key);
          if w is not null then w_first[w] := a; end if;
        end if;
        continue when w is null;
        w_last[w] := a;
        if a_kind[a] = 'held' then w_held[w] := a; elsif a_kind[a] = 'receivable' then w_owed[w] := a; end if;
      end loop;
      has_all := true;
      for w in 1 .. cardinality(w_key) loop
        has_all := has_all and (w_held[w] is not null or not w_prepaid[w]);
      end loop;
      exit when has_all;
      -- A customer's first hold: the account of what holds set aside.
      insert into account (environment_id, kind, customer_id, currency, balance)
        select environment, 'held', n.customer, n.currency, 0 from unnest(w_customer, w_currency, w_prepaid, w_held) n(customer, currency, is_prepaid, held)
        where n.is_prepaid and n.held is null order by 3, 4
        on conflict (environment_id, customer_id, currency) where kind = 'held' do nothing;
    end loop;
  end if;
  select array_agg((l.one).id), array_agg(l.one) into k_id, k_hold
    from (select h as one from hold h where h.environment_id = environment and h.id = any (ids) order by h.id for update) l;
  if cardinality(c_key) > 0 then
    select * into c_row, c_committed, c_held, t_committed, t_held from ergon_lock_counters(environment, c_budget, c_member, c_window, c_from);
  end if;
  if cardinality(resolved_ids) > 0 and cardinality(c_key) > 0 then
    budgets_now := ergon_budgets_now(environment, c_budget);
  end if;
  k_changed := array_fill(false, array[coalesce(cardinality(k_id), 0)]);

  for phase in 1 .. 2 loop
    for i in 1 .. steps loop
      request := requests -> (i - 1);
      action := request ->> 'action';
      continue when (action is null) <> (phase = 2);
      w := wallet_of[i];
      k := array_position(k_id, ids[i]);
      n := counters_before[i];
      if action is null then
        ------------------------------------------------------------------------------------------------------ a new hold
        if k is not null then
          answers[i] := jsonb_build_object('outcome', case when k_hold[k].body_hash = request ->> 'hash' then 'repeated' else 'conflict' end);
          continue;
        end if;
        j := array_position(new_id, ids[i]);
        if j is not null then
          answers[i] := jsonb_build_object('outcome', case when new_hash[j] = request ->> 'hash' then 'repeated' else 'conflict' end);
          continue;
        end if;
        if not is_current then
          answers[i] := '{"outcome": "stale"}';
          continue;
        end if;
        refusals := null;
        -- A lease is refused unless so many of it would fit.
        room := coalesce((request ->> 'room')::numeric, 1);
        for j in 0 .. jsonb_array_length(request -> 'counters') - 1 loop
          one := request -> 'counters' -> j;
          continue when not (one -> 'enforce')::boolean;
          c := counter_of[n + j + 1];
          if t_committed[c] + t_held[c] + room * (one ->> 'x')::numeric > (one ->> 'limit')::numeric then
            refusals := coalesce(refusals, '[]') || jsonb_build_object('kind', 'budget', 'budget', one -> 'b', 'member', one -> 'm',
              'measure', one -> 'u', 'limit', one -> 'limit', 'committed', t_committed[c]::text, 'held', t_held[c]::text, 'asked', one -> 'x');
          end if;
        end loop;
        charge := coalesce((request ->> 'charge')::numeric, 0);
        is_prepaid := charge > 0 and w > 0 and w_prepaid[w];
        if is_prepaid then
          feature := request ->> 'feature';
          model := request ->> 'model';
          available := 0;
          for a in w_first[w] .. w_last[w] loop
            if a_pays[a] and (a_eligibility[a] is null or ergon_is_eligible(a_eligibility[a], feature, model)) then
              available := available + a_balance[a];
            end if;
          end loop;
          if room * charge > available then
            refusals := coalesce(refusals, '[]') || jsonb_build_object('kind', 'wallet', 'measure', 'charge',
              'available', available::text, 'held', a_balance[w_held[w]]::text, 'asked', request -> 'charge');
          end if;
        end if;
        if refusals is not null then
          answers[i] := jsonb_build_object('outcome', 'refused', 'refusals', refusals);
          continue;
        end if;
        funds := '[]';
        if is_prepaid then
          remaining := charge;
          for a in w_first[w] .. w_last[w] loop
            exit when remaining <= 0;
            continue when not a_pays[a] or a_balance[a] <= 0
              or not (a_eligibility[a] is null or ergon_is_eligible(a_eligibility[a], feature, model));
            used := least(remaining, a_balance[a]);
            remaining := remaining - used;
            a_balance[a] := a_balance[a] - used;
            a_balance[w_held[w]] := a_balance[w_held[w]] + used;
            j := cardinality(p_kind) + 1;
            p_kind[j] := 'hold';
            p_customer[j] := w_customer[w];
            p_debit[j] := a_id[a];
            p_credit[j] := a_id[w_held[w]];
            p_currency[j] := w_currency[w];
            p_amount[j] := used;
            p_hold[j] := ids[i];
            funds := funds || jsonb_build_array(jsonb_build_array(a_id[a], used::text));
          end loop;
        end if;
        for j in 0 .. jsonb_array_length(request -> 'counters') - 1 loop
          c := counter_of[n + j + 1];
          back := (request -> 'counters' -> j ->> 'x')::numeric;
          c_held[c] := c_held[c] + back;
          if c_from[c] = c_window[c] then
            t_held[c] := t_held[c] + back;
          else
            t_held := ergon_slide(t_held, back, c, c_budget, c_member, c_window, c_from);
          end if;
        end loop;
        j := cardinality(new_id) + 1;
        new_id[j] := ids[i];
        new_hash[j] := request ->> 'hash';
        new_step[j] := i;
        new_funds[j] := funds;
        answers[i] := case when is_prepaid then '{"outcome": "held", "funded": true}' else '{"outcome": "held", "funded": false}' end;
        continue;
      end if;

      ----------------------------------------------------------------------------------------------------- a resolution
      if k is null or array_position(u_id, ids[i]) is null then
        answers[i] := '{"outcome": "unknown"}';
        continue;
      end if;
      known := k_hold[k];
      is_open := known.status in ('pending', 'dispatched');
      outcome := null;
      if action = 'expire' then
        if not is_open or known.expires_at > at then
          outcome := 'resolved';
        else
          -- Work that was sent upstream is paid for: such a hold settles at its estimate.
          action := case known.status when 'dispatched' then 'settle' else 'expire' end;
        end if;
      elsif action = 'settle' then
        if known.status = 'settled' then
          outcome := case when known.settle_hash = request ->> 'hash' then 'repeated' else 'conflict' end;
        end if;
      elsif not is_open then
        outcome := case when known.status = 'released' and action = 'release' then 'repeated' else 'resolved' end;
      end if;
      if outcome is not null then
        answers[i] := jsonb_build_object('outcome', outcome);
        continue;
      end if;

      if action in ('dispatch', 'extend') then
        if action = 'dispatch' then known.status := 'dispatched'; end if;
        known.expires_at := greatest(known.expires_at, (request ->> 'expires')::timestamptz);
      elsif action in ('release', 'expire') then
        for j in 0 .. jsonb_array_length(known.funds) - 1 loop
          a := array_position(a_id, (known.funds -> j ->> 0)::bigint);
          used := (known.funds -> j ->> 1)::numeric;
          a_balance[a] := a_balance[a] + used;
          a_balance[w_held[w]] := a_balance[w_held[w]] - used;
          p_kind := array_append(p_kind, 'release');
          p_customer := array_append(p_customer, w_customer[w]);
          p_debit := array_append(p_debit, a_id[w_held[w]]);
          p_credit := array_append(p_credit, a_id[a]);
          p_currency := array_append(p_currency, w_currency[w]);
          p_amount := array_append(p_amount, used);
          p_hold := array_append(p_hold, known.id);
        end loop;
        known.status := case action when 'release' then 'released' else 'expired' end;
        known.resolved_at := at;
      else
        actual := known.amounts;
        is_above := false;
        if request ? 'amounts' then
          actual := actual || (request -> 'amounts');
          -- In a credit unit as many credits as the charge, also where the hold is settled by its charge alone.
          if starts_with(known.currency, 'credit:') and request -> 'amounts' ? 'charge' and not request -> 'amounts' ? 'credits' then
            actual := actual || jsonb_build_object('credits', actual -> 'charge');
          end if;
          -- The names of the amounts come with them: asking for the keys of an object would be a statement.
          for j in 0 .. jsonb_array_length(request -> 'measures') - 1 loop
            key := request -> 'measures' ->> j;
            available := (known.amounts ->> key)::numeric;
            -- What the hold did not name was set aside as its budgets say.
            if available is null then
              select coalesce(max((o ->> 'x')::numeric), 0) into available from jsonb_array_elements(known.counters) o where o ->> 'u' = key;
            end if;
            is_above := is_above or (actual ->> key)::numeric > available;
          end loop;
        end if;
        if is_above and is_open and known.above = 'refuse' then
          answers[i] := '{"outcome": "above"}';
          continue;
        end if;
        if is_above and is_open and known.above = 'cap' then
          select jsonb_object_agg(m.key, least(m.value::numeric, coalesce((known.amounts ->> m.key)::numeric,
              (select max((o ->> 'x')::numeric) from jsonb_array_elements(known.counters) o where o ->> 'u' = m.key), 0))::text)
            into actual from jsonb_each_text(actual) m;
        end if;
        -- What was set aside pays first, then other grants in burn order, then the customer owes the rest; what of the hold was not
        -- needed goes back.
        remaining := coalesce((actual ->> 'charge')::numeric, 0);
        funds := '[]';
        if w > 0 then
          if remaining > 0 and w_revenue[w] is null then w_revenue[w] := ergon_house(environment, 'revenue', w_currency[w]); end if;
          for j in 0 .. case when is_open then jsonb_array_length(known.funds) else 0 end - 1 loop
            a := array_position(a_id, (known.funds -> j ->> 0)::bigint);
            available := (known.funds -> j ->> 1)::numeric;
            used := least(remaining, available);
            a_balance[w_held[w]] := a_balance[w_held[w]] - available;
            if used > 0 then
              p_kind := array_append(p_kind, 'settlement');
              p_customer := array_append(p_customer, w_customer[w]);
              p_debit := array_append(p_debit, a_id[w_held[w]]);
              p_credit := array_append(p_credit, w_revenue[w]);
              p_currency := array_append(p_currency, w_currency[w]);
              p_amount := array_append(p_amount, used);
              p_hold := array_append(p_hold, known.id);
              funds := funds || jsonb_build_array(jsonb_build_array(a_id[a], used::text));
              remaining := remaining - used;
            end if;
            used := available - used;
            if used > 0 then
              a_balance[a] := a_balance[a] + used;
              p_kind := array_append(p_kind, 'release');
              p_customer := array_append(p_customer, w_customer[w]);
              p_debit := array_append(p_debit, a_id[w_held[w]]);
              p_credit := array_append(p_credit, a_id[a]);
              p_currency := array_append(p_currency, w_currency[w]);
              p_amount := array_append(p_amount, used);
              p_hold := array_append(p_hold, known.id);
            end if;
          end loop;
          if remaining > 0 then
            feature := known.dimensions ->> 'feature';
            model := known.dimensions ->> 'model';
            for a in w_first[w] .. w_last[w] loop
              exit when remaining <= 0;
              continue when not a_pays[a] or a_balance[a] <= 0
                or not (a_eligibility[a] is null or ergon_is_eligible(a_eligibility[a], feature, model));
              used := least(remaining, a_balance[a]);
              a_balance[a] := a_balance[a] - used;
              p_kind := array_append(p_kind, 'settlement');
              p_customer := array_append(p_customer, w_customer[w]);
              p_debit := array_append(p_debit, a_id[a]);
              p_credit := array_append(p_credit, w_revenue[w]);
              p_currency := array_append(p_currency, w_currency[w]);
              p_amount := array_append(p_amount, used);
              p_hold := array_append(p_hold, known.id);
              funds := funds || jsonb_build_array(jsonb_build_array(a_id[a], used::text));
              remaining := remaining - used;
            end loop;
          end if;
          if remaining > 0 then
            a := w_owed[w];
            if a is null then
              -- A customer's first debt in this currency.
              a := cardinality(coalesce(a_id, '{}')) + 1;
              insert into account as o (environment_id, kind, customer_id, currency, balance)
                values (environment, 'receivable', w_customer[w], w_currency[w], 0)
                on conflict (environment_id, customer_id, kind, currency) where kind in ('receivable', 'customer_credit')
                do update set balance = o.balance returning o.id, o.balance into available, used;
              a_id[a] := available::bigint;
              a_balance[a] := used;
              w_owed[w] := a;
            end if;
            a_balance[a] := a_balance[a] - remaining;
            p_kind := array_append(p_kind, 'settlement');
            p_customer := array_append(p_customer, w_customer[w]);
            p_debit := array_append(p_debit, a_id[a]);
            p_credit := array_append(p_credit, w_revenue[w]);
            p_currency := array_append(p_currency, w_currency[w]);
            p_amount := array_append(p_amount, remaining);
            p_hold := array_append(p_hold, known.id);
            funds := funds || jsonb_build_array(jsonb_build_array(a_id[a], remaining::text));
          end if;
        end if;
        known.status := 'settled';
        known.resolved_at := at;
        known.settled := actual;
        known.funds := funds;
        known.settle_hash := request ->> 'hash';
        known.settled_by := case when request ->> 'action' = 'expire' then 'estimate' else 'amount' end;
        known.is_late := not is_open;
      end if;
      if action not in ('dispatch', 'extend') then
        for j in 0 .. jsonb_array_length(known.counters) - 1 loop
          one := (known.counters -> j) || coalesce(budgets_now -> (known.counters -> j ->> 'b'), '{}');
          c := counter_of[n + j + 1];
          back := case when is_open then (one ->> 'x')::numeric else 0 end;
          spent := case when action = 'settle' then coalesce((actual ->> (one ->> 'u'))::numeric, (one ->> 'x')::numeric) else 0 end;
          before := t_committed[c];
          c_committed[c] := c_committed[c] + spent;
          c_held[c] := c_held[c] - back;
          if c_from[c] = c_window[c] then
            t_committed[c] := t_committed[c] + spent;
            t_held[c] := t_held[c] - back;
          else
            t_committed := ergon_slide(t_committed, spent, c, c_budget, c_member, c_window, c_from);
            t_held := ergon_slide(t_held, -back, c, c_budget, c_member, c_window, c_from);
          end if;
          continue when spent <= 0;
          -- Of a calendar window each threshold is crossed once; a rolling window crosses anew whenever it comes from below.
          -- Thresholds stand in their order.
          for q in 0 .. jsonb_array_length(one -> 't') - 1 loop
            used := (one -> 't' ->> q)::numeric;
            exit when used > t_committed[c];
            if c_from[c] = c_window[c] or used > before then
              x_counter := array_append(x_counter, c);
              x_threshold := array_append(x_threshold, used);
            end if;
          end loop;
          -- What was admitted is covered by the limit; only what this spending adds to it can pass.
          if (one -> 'enforce')::boolean then
            used := least(t_committed[c] + t_held[c] - (one ->> 'limit')::numeric, spent - back);
            if used > 0 then
              o_counter := array_append(o_counter, c);
              o_amount := array_append(o_amount, used);
              o_cause := array_append(o_cause, case when is_open then 'above_hold' else 'late' end);
              o_hold := array_append(o_hold, known.id);
            end if;
          end if;
        end loop;
      end if;
      k_hold[k] := known;
      k_changed[k] := true;
      answers[i] := jsonb_build_object('outcome', 'changed', 'status', known.status, 'customer', k_name[array_position(u_id, ids[i])],
        'currency', known.currency, 'amounts', known.amounts, 'settled', known.settled, 'settled_by', known.settled_by,
        'is_late', known.is_late, 'bound', known.dimensions -> 'max_output_tokens', 'funded', known.funds <> '[]',
        'budgets', jsonb_path_query_array(known.counters, '$[*].b'), 'created_at', known.created_at::text,
        'expires_at', known.expires_at::text, 'resolved_at', known.resolved_at::text);
    end loop;
  end loop;

  if cardinality(p_kind) > 0 then
    update account o set balance = a_balance[array_position(a_id, o.id)]
      where o.environment_id = environment and o.id = any (a_id) and o.balance <> a_balance[array_position(a_id, o.id)];
    insert into posting (environment_id, customer_id, kind, debit_account_id, credit_account_id, currency, amount, hold_id)
      select environment, n.* from unnest(p_customer, p_kind, p_debit, p_credit, p_currency, p_amount, p_hold) n;
  end if;
  if cardinality(c_key) > 0 then
    perform ergon_write_counters(environment, at, c_budget, c_member, c_window, c_row, c_committed, c_held, x_counter, x_threshold,
      o_counter, o_amount, o_cause, o_hold);
  end if;
  if cardinality(new_id) > 0 then
    insert into hold (environment_id, id, body_hash, customer_id, status, currency, amounts, dimensions, above, funds, counters,
        created_at, expires_at, lease_holder)
      select environment, n.id, n.hash, (r.one ->> 'customer')::bigint, r.one ->> 'status', r.one ->> 'currency', r.one -> 'amounts',
        r.one -> 'dimensions', r.one ->> 'above', n.funds, r.one -> 'counters', at, (r.one ->> 'expires')::timestamptz,
        r.one ->> 'holder'
      from unnest(new_id, new_hash, new_step, new_funds) n(id, hash, step, funds), lateral (select requests -> (n.step - 1) as one) r
      order by n.id;
  end if;
  if true = any (k_changed) then
    update hold h set (status, expires_at, resolved_at, settled, funds, settle_hash, settled_by, is_late)
        = (select (n.one).status, (n.one).expires_at, (n.one).resolved_at, (n.one).settled, (n.one).funds, (n.one).settle_hash,
             (n.one).settled_by, (n.one).is_late
           -- Not flattened, so that the hold is looked up once and not for each column.
           from (select k_hold[array_position(k_id, h.id)] as one offset 0) n)
      where h.environment_id = environment and h.id = any (k_id) and k_changed[array_position(k_id, h.id)];
  end if;
  return jsonb_build_object('answers', to_jsonb(answers));
end $$;

-- As it was, but for the limits of now.
create or replace function ergon_flush_lease(environment integer, at timestamptz, lease text, calls jsonb, keep jsonb) returns boolean
language plpgsql set plan_cache_mode = 'force_generic_plan' set enable_seqscan = 'off' as $$
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
  known.counters := (select coalesce(jsonb_agg(c.one || (n.budgets -> (c.one ->> 'b')) order by c.place), '[]')
    from jsonb_array_elements(known.counters) with ordinality c(one, place), lateral (select ergon_budgets_now(environment,
      array(select (k ->> 'b')::bigint from jsonb_array_elements(known.counters) k)) as budgets) n);
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
