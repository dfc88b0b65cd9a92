-- What a subscription's period owes beside its usage, and what it gives back, are postings of their own kinds. The kinds that
-- there are by now stay: other modules add theirs.
do $$
declare
  known text;
begin
  select pg_get_constraintdef(oid) into known from pg_constraint where conrelid = 'posting'::regclass and conname = 'posting_kind_check';
  alter table posting drop constraint posting_kind_check;
  execute 'alter table posting add constraint posting_kind_check ' || replace(known, 'ARRAY[',
    'ARRAY[''subscription''::text, ''subscription_credit''::text, ');
end $$;
