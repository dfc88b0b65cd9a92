-- Where models run. A version is never edited: what was metered by it stays explainable.
create table deployment_version (
  environment_id integer not null,
  id bigint generated always as identity,
  key text not null check (length(key) between 1 and 64),
  version integer not null check (version > 0),
  effective_from timestamptz not null,
  spec jsonb not null,
  -- SHA-256 over the model's configuration, first 32 hexadecimal digits: records of events name it.
  model_hash text not null check (length(model_hash) = 32),
  -- Devices bought while the version is in force: capacity is summed from it.
  device_count integer not null check (device_count between 1 and 100000),
  created_at timestamptz not null default now(),
  primary key (environment_id, id),
  unique (environment_id, key, version),
  check (jsonb_typeof(spec) = 'object')
);
create trigger deployment_version_append_only before update or delete or truncate on deployment_version
  for each statement execute function ergon_refuse_change();

-- Measured operating points. Predictions are not stored: they follow from the version that was in force.
create table deployment_observation (
  environment_id integer not null,
  id bigint generated always as identity,
  key text not null,
  observed_at timestamptz not null,
  concurrency integer not null check (concurrency > 0),
  input_tokens bigint not null check (input_tokens >= 0),
  cached_tokens bigint not null check (cached_tokens >= 0),
  output_tokens bigint not null check (output_tokens > 0),
  -- Mean seconds between output tokens of one request.
  seconds_per_output_token numeric not null check (seconds_per_output_token > 0),
  source text,
  created_at timestamptz not null default now(),
  primary key (environment_id, id)
);
create index deployment_observation_key on deployment_observation (environment_id, key, id);
create trigger deployment_observation_append_only before update or delete or truncate on deployment_observation
  for each statement execute function ergon_refuse_change();

-- Measured busy time of a deployment's devices, summed over them. Spans of one deployment do not overlap, so no second is
-- counted twice.
create table deployment_busy (
  environment_id integer not null,
  key text not null,
  time_from timestamptz not null,
  time_to timestamptz not null,
  busy_device_seconds numeric not null check (busy_device_seconds >= 0),
  source text,
  created_at timestamptz not null default now(),
  primary key (environment_id, key, time_from),
  check (time_to > time_from)
);
create trigger deployment_busy_append_only before update or delete or truncate on deployment_busy
  for each statement execute function ergon_refuse_change();

-- Writers hold the environment's catalog lock exclusively, so what is looked at here cannot change before the commit.
create function ergon_refuse_overlap() returns trigger language plpgsql as $$
begin
  if exists (select from deployment_busy b where b.environment_id = new.environment_id and b.key = new.key
             and b.time_from < new.time_to and b.time_to > new.time_from) then
    raise exception 'busy time of % overlaps what was reported', new.key using errcode = 'exclusion_violation';
  end if;
  return new;
end $$;
create trigger deployment_busy_no_overlap before insert on deployment_busy
  for each row execute function ergon_refuse_overlap();

alter table usage_rollup
  add column hbm_bytes numeric,
  add column accelerator_seconds numeric,
  add column accelerator_seconds_allocated numeric,
  add column compute_units numeric,
  add column physical_cost numeric;

alter table run
  add column hbm_bytes numeric not null default 0,
  add column accelerator_seconds numeric not null default 0,
  add column accelerator_seconds_allocated numeric not null default 0,
  add column compute_units numeric not null default 0,
  add column physical_cost numeric not null default 0;
