-- A budget may begin with what its window has seen already; where that is above its limit, it is overage with a cause of its own.
do $$
declare
  known text;
begin
  select pg_get_constraintdef(oid) into known from pg_constraint where conrelid = 'budget_overage'::regclass and conname = 'budget_overage_cause_check';
  alter table budget_overage drop constraint budget_overage_cause_check;
  execute 'alter table budget_overage add constraint budget_overage_cause_check ' || replace(known, 'ARRAY[', 'ARRAY[''counted_back''::text, ');
end $$;
