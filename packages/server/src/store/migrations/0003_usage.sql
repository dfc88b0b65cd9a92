-- Data quality -------------------------------------------------------------------------------------------------------

-- Signs that a customer's usage is sent in a way that bills wrongly: one row a customer, kind and day of receipt. Hints for
-- people, no part of any sum; rows older than 90 days are forgotten.
create table data_quality (
  environment_id integer not null,
  customer_id bigint not null,
  kind text not null check (kind ~ '^[a-z][a-z_]{0,39}$'),
  day date not null,
  event_count bigint not null check (event_count > 0),
  first_at timestamptz not null,
  last_at timestamptz not null,
  -- The latest event that shows it.
  source text not null,
  event_id text not null,
  detail text not null check (length(detail) between 1 and 500),
  primary key (environment_id, customer_id, kind, day),
  check (first_at <= last_at)
) with (fillfactor = 80);
create index data_quality_day on data_quality (day);

-- Provider prices ----------------------------------------------------------------------------------------------------

-- An operator's own provider prices: a contract, or a model the library does not have. Versions are dated and never edited; a
-- version without a spec takes the price back from its date on.
create table provider_price_version (
  environment_id integer not null,
  id bigint generated always as identity,
  key text not null,
  version integer not null check (version > 0),
  effective_from timestamptz not null,
  spec jsonb,
  created_at timestamptz not null default now(),
  primary key (environment_id, id),
  unique (environment_id, key, version)
);
create trigger provider_price_version_append_only before update or delete or truncate on provider_price_version
  for each statement execute function ergon_refuse_change();

-- Models -------------------------------------------------------------------------------------------------------------

-- What an operator calls a model (an Azure deployment, a private alias) and the model it stands for.
create table model_alias (
  environment_id integer not null,
  reported text not null check (length(reported) between 1 and 256),
  model text not null check (length(model) between 1 and 256),
  created_at timestamptz not null default now(),
  primary key (environment_id, reported)
);
