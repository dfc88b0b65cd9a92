-- A hold in a credit unit takes as many credits as its charge, also when it is settled by its charge alone.
do $$
declare
  source text := pg_get_functiondef('ergon_hold(integer, bigint, timestamptz, jsonb)'::regprocedure);
  line constant text := 'actual := actual || (request -> ''amounts'');';
begin
  if position(line in source) = 0 then raise exception 'ergon_hold has no line %', line; end if;
  execute replace(source, line, line || $line$
          if starts_with(known.currency, 'credit:') and request -> 'amounts' ? 'charge' and not request -> 'amounts' ? 'credits' then
            actual := actual || jsonb_build_object('credits', actual -> 'charge');
          end if;$line$);
end $$;
