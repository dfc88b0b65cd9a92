-- What happened that somebody outside may want to hear of. Written in the transaction in which it happened, so it is told exactly
-- when it happened; `crossing_key` names the happening, so that it is told once however often it is seen.
create table outbox_event (
  environment_id integer not null,
  id bigint generated always as identity,
  type text not null check (type ~ '^[a-z_]+(\.[a-z_]+)+$'),
  crossing_key text not null check (length(crossing_key) between 1 and 512),
  -- External id of the customer it is about, for whoever lists; null when it is about none.
  customer text,
  data jsonb not null,
  occurred_at timestamptz not null,
  -- Null until it has been handed to the endpoints that listen.
  fanned_out_at timestamptz,
  primary key (environment_id, id),
  unique (environment_id, crossing_key)
);
create index outbox_event_waiting on outbox_event (id) where fanned_out_at is null;

create function ergon_outbox_event_immutable() returns trigger language plpgsql as $$
begin
  if (new.environment_id, new.id, new.type, new.crossing_key, new.customer, new.data, new.occurred_at)
     is distinct from (old.environment_id, old.id, old.type, old.crossing_key, old.customer, old.data, old.occurred_at)
     or old.fanned_out_at is not null then
    raise exception 'an outbox event never changes' using errcode = 'integrity_constraint_violation';
  end if;
  return new;
end $$;
create trigger outbox_event_immutable before update on outbox_event
  for each row execute function ergon_outbox_event_immutable();

create table webhook_endpoint (
  environment_id integer not null,
  id text not null check (id ~ '^we_[0-9a-f]{24}$'),
  url text not null check (length(url) <= 2048),
  description text,
  -- Empty: all types. `wallet.*` names a family.
  event_types text[] not null,
  -- Needed to sign, so kept as they are; the previous one signs too until its instant.
  secret bytea not null check (length(secret) = 32),
  previous_secret bytea,
  previous_secret_until timestamptz,
  disabled_at timestamptz,
  disabled_reason text,
  created_at timestamptz not null,
  primary key (environment_id, id),
  check ((previous_secret is null) = (previous_secret_until is null)),
  check ((disabled_at is null) = (disabled_reason is null))
);

-- One event on its way to one endpoint.
create table webhook_delivery (
  environment_id integer not null,
  id bigint generated always as identity,
  endpoint_id text not null,
  event_id bigint not null,
  status text not null check (status in ('pending', 'delivered', 'dead')),
  attempts integer not null default 0 check (attempts >= 0),
  -- Of the attempts since it was made or last replayed; what the bound counts.
  attempts_in_row integer not null default 0,
  next_attempt_at timestamptz not null,
  -- Until then a worker is at it; one that died leaves it to the next.
  leased_until timestamptz,
  last_attempt_at timestamptz,
  last_status integer,
  last_error text,
  delivered_at timestamptz,
  created_at timestamptz not null,
  primary key (environment_id, id),
  unique (environment_id, endpoint_id, event_id),
  foreign key (environment_id, endpoint_id) references webhook_endpoint (environment_id, id) on delete cascade,
  foreign key (environment_id, event_id) references outbox_event (environment_id, id),
  check ((status = 'delivered') = (delivered_at is not null))
);
create index webhook_delivery_due on webhook_delivery (environment_id, endpoint_id, next_attempt_at) where status = 'pending';
