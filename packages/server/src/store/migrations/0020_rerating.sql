-- Re-rating: adjusting records, and the requests that asked for them.

-- Which record adjusts the charge of which event. A record either rates its event anew, or takes back the lines of one earlier
-- rating: the event's own (then takes_back = target) or an adjusting record's.
create table event_adjustment (
  environment_id integer not null,
  -- Identity of the adjusting record, an event of Ergon's own.
  record uuid not null,
  -- Identity of the event.
  target uuid not null,
  takes_back uuid,
  -- Null: a void of the event took its adjustments back.
  rerate_id bigint,
  block_id bigint not null,
  position integer not null,
  primary key (environment_id, record),
  check (record <> target)
);
create index event_adjustment_target on event_adjustment (environment_id, target);
-- What a rating charged can be taken back once.
create unique index event_adjustment_takes_back on event_adjustment (environment_id, takes_back) where takes_back is not null;
create trigger event_adjustment_append_only before update or delete or truncate on event_adjustment
  for each statement execute function ergon_refuse_change();

-- A re-rating: what was asked for, how far it is, what came of it. It works through its customers by number, in each through
-- the blocks, a bounded number of events in a transaction; `at_customer` and `at_block` are where the next one goes on.
create table rerate (
  environment_id integer not null,
  id bigint generated always as identity,
  -- Null: every customer.
  customer_ids bigint[],
  time_from timestamptz not null,
  time_to timestamptz not null,
  meters text[],
  only_unrated boolean not null,
  is_dry_run boolean not null,
  -- A publish or another change of the catalog made usage priceable.
  is_automatic boolean not null default false,
  requested_by text not null,
  requested_at timestamptz not null,
  finished_at timestamptz,
  failure text,
  at_customer bigint not null default 0,
  at_block bigint not null default 0,
  events_examined bigint not null default 0,
  events_adjusted bigint not null default 0,
  primary key (environment_id, id),
  check (time_from < time_to)
);
create index rerate_open on rerate (id) where finished_at is null;

create table rerate_customer (
  environment_id integer not null,
  rerate_id bigint not null,
  customer_id bigint not null,
  currency text not null,
  events bigint not null,
  -- What the adjusted events were charged before, and are charged now.
  old_amount numeric(38, 12) not null,
  new_amount numeric(38, 12) not null,
  primary key (environment_id, rerate_id, customer_id, currency)
);

-- For which catalog an environment's unrated usage was last looked through, and with which prices a customer's.
create table unrated_checked (
  environment_id integer primary key,
  catalog_revision bigint not null
);
create table unrated_tried (
  environment_id integer not null,
  customer_id bigint not null,
  prices text not null,
  primary key (environment_id, customer_id)
);
