-- A hold remembers the counters it was taken at, and with them what their budgets said then. Where a limit, a mode or thresholds have
-- changed since, a settlement is measured by what holds now, as events are: else what passed a lowered limit was told by nobody, and a
-- raised one was passed on paper.
create function ergon_budgets_now(environment integer, budgets bigint[]) returns jsonb language sql stable as $$
  select jsonb_object_agg(b.id, jsonb_build_object('limit', b.spec ->> 'limit', 'enforce', b.ended_at is null and b.spec ->> 'mode' = 'enforce',
    't', (select coalesce(jsonb_agg((t.share::numeric * (b.spec ->> 'limit')::numeric)::text order by t.share::numeric), '[]')
      from jsonb_array_elements_text(b.spec -> 'thresholds') t(share))))
  from budget b where b.environment_id = environment and b.id = any (budgets)
$$;

-- Both functions are as they were but for the lines that are named here.
do $$
declare
  source text;
  step text[];
begin
  source := pg_get_functiondef('ergon_hold(integer, bigint, timestamptz, jsonb)'::regprocedure);
  foreach step slice 1 in array array[
    ['  known hold;', E'  known hold;\n  budgets_now jsonb;'],
    ['  k_changed := array_fill(', E'  if cardinality(resolved_ids) > 0 and cardinality(c_key) > 0 then\n'
      '    budgets_now := ergon_budgets_now(environment, c_budget);\n  end if;\n  k_changed := array_fill('],
    ['one := known.counters -> j;', 'one := (known.counters -> j) || (budgets_now -> (known.counters -> j ->> ''b''));']
  ] loop
    if position(step[1] in source) = 0 then raise exception 'ergon_hold has no line %', step[1]; end if;
    source := replace(source, step[1], step[2]);
  end loop;
  execute source;

  source := pg_get_functiondef('ergon_flush_lease(integer, timestamptz, text, jsonb, jsonb)'::regprocedure);
  step := array['  is_open := known.status = ''dispatched'';', E'  known.counters := (select coalesce(jsonb_agg(c.one || (n.budgets -> (c.one ->> ''b'')) order by c.place), ''[]'')\n'
    '    from jsonb_array_elements(known.counters) with ordinality c(one, place), lateral (select ergon_budgets_now(environment,\n'
    '      array(select (k ->> ''b'')::bigint from jsonb_array_elements(known.counters) k)) as budgets) n);\n'
    '  is_open := known.status = ''dispatched'';'];
  if position(step[1] in source) = 0 then raise exception 'ergon_flush_lease has no line %', step[1]; end if;
  execute replace(source, step[1], step[2]);
end $$;
