-- Usage that no price was found for, and why.

-- What is unrated now, summed by the minute it happened in; events that are rated in full write nothing here. A void takes
-- its target's share out again, and so does whatever rates it later.
create table unrated_usage (
  environment_id integer not null,
  -- 0: usage that names no customer.
  customer_id bigint not null,
  meter text not null,
  reason text not null check (reason ~ '^[a-z][a-z_]{0,39}$'),
  -- As reported; empty where the event names none.
  model text not null,
  minute timestamptz not null,
  event_count bigint not null check (event_count >= 0),
  quantity numeric not null,
  primary key (environment_id, customer_id, meter, reason, model, minute)
) with (fillfactor = 80);

-- Blocks recorded before this table was there, up to and with this one, are still to be read (record/fill-unrated.ts).
create table unrated_fill (
  environment_id integer primary key,
  through_block bigint not null
);
insert into unrated_fill (environment_id, through_block)
  select environment_id, max(id) from event_block group by environment_id;
