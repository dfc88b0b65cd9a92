-- Ergon, foundation. Conventions: environment_id leads every key and index (an identity's key is a hash that covers the
-- environment); instants are timestamptz with microseconds; amounts numeric(38,12); quantities and unit prices numeric.
-- Hot tables carry no foreign keys: their rows are written by one transaction whose integrity `ergon audit` proves, and a
-- foreign key would take a share lock on a hot parent row for every event.

create table environment (
  id integer generated always as identity primary key,
  key text not null unique check (key ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
  name text not null,
  catalog_revision bigint not null default 1,
  created_at timestamptz not null default now()
);
insert into environment (key, name) values ('default', 'Default');

create table api_key (
  environment_id integer not null references environment,
  id text not null,
  name text not null,
  role text not null check (role in ('admin', 'billing', 'read', 'ingest')),
  scopes text[] not null default '{}',
  secret_hash bytea not null check (length(secret_hash) = 32),
  requests_per_minute integer check (requests_per_minute > 0),
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  revoked_at timestamptz,
  rotated_from text,
  primary key (environment_id, id)
);
create unique index api_key_id on api_key (id);

create table audit_log (
  environment_id integer not null,
  id bigint generated always as identity,
  at timestamptz not null default clock_timestamp(),
  actor text not null,
  action text not null,
  target text not null,
  detail jsonb not null default '{}',
  primary key (environment_id, id)
);

create function ergon_refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '% is append-only', tg_table_name using errcode = 'integrity_constraint_violation';
end $$;
create trigger audit_log_append_only before update or delete or truncate on audit_log
  for each statement execute function ergon_refuse_change();

-- Catalog ------------------------------------------------------------------------------------------------------------

create table customer (
  environment_id integer not null,
  id bigint generated always as identity,
  external_id text not null check (length(external_id) between 1 and 256),
  name text,
  time_zone text not null default 'UTC',
  rate_card text,
  is_provisional boolean not null,
  metadata jsonb not null default '{}',
  created_at timestamptz not null default now(),
  primary key (environment_id, id)
);
create unique index customer_external_id on customer (environment_id, external_id);

create table meter (
  environment_id integer not null,
  id bigint generated always as identity,
  key text not null,
  spec jsonb not null,
  created_at timestamptz not null default now(),
  archived_at timestamptz,
  primary key (environment_id, id)
);
create unique index meter_key on meter (environment_id, key) where archived_at is null;

create table rate_card_version (
  environment_id integer not null,
  id bigint generated always as identity,
  key text not null,
  version integer not null,
  effective_from timestamptz not null,
  spec jsonb not null,
  created_at timestamptz not null default now(),
  primary key (environment_id, id),
  unique (environment_id, key, version)
);
create trigger rate_card_version_append_only before update or delete or truncate on rate_card_version
  for each statement execute function ergon_refuse_change();

-- Capture ------------------------------------------------------------------------------------------------------------

-- One row an event, kept for ever: key = hash(environment, source, id), body = hash of the canonical body. The table is cut
-- into generations by arrival. Only the open generation is written; it stays small, so that random keys touch few index
-- pages between checkpoints. A sealed generation never changes, so it can be asked without a lock.
create table identity (
  generation integer not null,
  key uuid not null,
  body uuid not null,
  block_id bigint not null,
  position integer not null
) partition by list (generation);
create table identity_1 partition of identity for values in (1);
create unique index identity_1_key on identity_1 (key);

create table identity_generation (
  id integer primary key,
  opened_at timestamptz not null default now(),
  sealed_at timestamptz,
  -- Blocked Bloom filter over the keys, written some time after the generation is sealed (identity/bloom-filter.ts).
  filter bytea
);
create unique index identity_generation_open on identity_generation ((true)) where sealed_at is null;
alter table identity_generation alter column filter set storage external;
insert into identity_generation (id) values (1);

-- Reported conflicts: the newest few of each environment, for people to look at. Never metered.
create table conflict (
  environment_id integer not null,
  id bigint generated always as identity,
  at timestamptz not null default now(),
  source text not null,
  event_id text not null,
  body text not null,
  primary key (environment_id, id)
);

-- Raw events, with what the transaction made of them, in blocks of one commit each.
create sequence event_block_id;
create table event_block (
  environment_id integer not null,
  id bigint not null,
  -- Commit order for the archive: a block is safe to hand on once its transaction is older than every running one.
  transaction_id xid8 not null default pg_current_xact_id(),
  received_at timestamptz not null,
  time_from timestamptz not null,
  time_to timestamptz not null,
  event_count integer not null check (event_count > 0),
  events bytea not null,
  ratings bytea not null,
  primary key (environment_id, id)
);
alter table event_block alter column events set storage external, alter column ratings set storage external;

create table customer_block (
  environment_id integer not null,
  customer_id bigint not null,
  block_id bigint not null,
  time_from timestamptz not null,
  time_to timestamptz not null,
  primary key (environment_id, customer_id, block_id)
);

create table event_void (
  environment_id integer not null,
  target uuid not null,
  target_source text not null,
  target_id text not null,
  void_source text not null,
  void_id text not null,
  reason text,
  received_at timestamptz not null,
  -- Null while the void waits for its target.
  applied_at timestamptz,
  primary key (environment_id, target)
);
create index event_void_waiting on event_void (environment_id) where applied_at is null;

-- Meter --------------------------------------------------------------------------------------------------------------

create table dimension_set (
  environment_id integer not null,
  id uuid not null,
  dimensions jsonb not null,
  primary key (environment_id, id)
);

-- For reading. One row a customer, minute and set of dimensions; a column is null where nothing of it was metered.
create table usage_rollup (
  environment_id integer not null,
  customer_id bigint not null,
  minute timestamptz not null,
  dimension_set_id uuid not null,
  requests bigint, errors bigint, retries bigint,
  input_tokens bigint, tool_use_tokens bigint, cache_write_5m_tokens bigint, cache_write_1h_tokens bigint,
  cache_read_tokens bigint, output_tokens bigint, reasoning_tokens bigint, hidden_output_tokens bigint,
  rejected_prediction_tokens bigint, input_audio_tokens bigint, input_image_tokens bigint, input_video_tokens bigint,
  output_audio_tokens bigint, output_image_tokens bigint,
  tool_calls bigint, agent_actions bigint, retrievals bigint, documents bigint, pages numeric, web_searches bigint,
  api_calls bigint, flops numeric, accelerator_seconds_reported numeric,
  charge numeric, provider_cost numeric,
  primary key (environment_id, customer_id, minute, dimension_set_id)
) with (fillfactor = 80);

-- For reading, custom meters.
create table meter_rollup (
  environment_id integer not null,
  meter_id bigint not null,
  customer_id bigint not null,
  minute timestamptz not null,
  dimension_set_id uuid not null,
  event_count bigint not null,
  total numeric,
  least numeric,
  greatest numeric,
  latest numeric,
  latest_order text collate "C",
  -- Sum of value x seconds since the epoch: with total, the time-weighted sum of any window.
  moment numeric,
  primary key (environment_id, meter_id, customer_id, minute, dimension_set_id)
) with (fillfactor = 80);

create table meter_value (
  environment_id integer not null,
  meter_id bigint not null,
  customer_id bigint not null,
  minute timestamptz not null,
  dimension_set_id uuid not null,
  value uuid not null,
  primary key (environment_id, meter_id, customer_id, minute, dimension_set_id, value)
);

-- For rating: one row a customer, card version and period; `totals` maps "price/bucket" to {q, a, ...}: the running quantity
-- and the amount charged for it so far, with the state of its aggregation.
create table accumulator (
  environment_id integer not null,
  customer_id bigint not null,
  card_version_id bigint not null,
  period date not null,
  totals json not null,
  primary key (environment_id, customer_id, card_version_id, period)
) with (fillfactor = 50);

create table accumulator_value (
  environment_id integer not null,
  customer_id bigint not null,
  card_version_id bigint not null,
  period date not null,
  bucket text not null,
  value uuid not null,
  primary key (environment_id, customer_id, card_version_id, period, bucket, value)
);

create table run (
  environment_id integer not null,
  id text not null,
  parent_id text,
  ancestors text[] not null default '{}',
  customer_id bigint,
  agent text,
  first_at timestamptz not null,
  last_at timestamptz not null,
  requests bigint not null default 0,
  errors bigint not null default 0,
  retries bigint not null default 0,
  input_tokens bigint not null default 0,
  cached_tokens bigint not null default 0,
  output_tokens bigint not null default 0,
  tool_calls bigint not null default 0,
  flops numeric not null default 0,
  accelerator_seconds_reported numeric not null default 0,
  charge numeric not null default 0,
  currency text,
  provider_cost numeric not null default 0,
  primary key (environment_id, id),
  check (cardinality(ancestors) <= 32),
  check (id <> all (ancestors))
) with (fillfactor = 80);
create index run_parent on run (environment_id, parent_id) where parent_id is not null;

-- Ledger -------------------------------------------------------------------------------------------------------------

create table wallet (
  environment_id integer not null,
  customer_id bigint not null,
  key text not null,
  currency text not null,
  created_at timestamptz not null default now(),
  primary key (environment_id, customer_id, key)
);

-- balance = credits - debits of its postings. Kept for accounts that belong to a customer; the others are summed when asked.
create table account (
  environment_id integer not null,
  id bigint generated always as identity,
  kind text not null check (kind in ('grant', 'receivable', 'customer_credit', 'revenue', 'paid_in', 'promotion', 'breakage', 'rounding')),
  customer_id bigint,
  currency text not null,
  balance numeric(38, 12),
  primary key (environment_id, id),
  -- The floor of a grant: what it holds can be spent once.
  constraint grant_floor check (kind <> 'grant' or balance >= 0),
  constraint customer_credit_floor check (kind <> 'customer_credit' or balance >= 0),
  constraint receivable_ceiling check (kind <> 'receivable' or balance <= 0),
  constraint owner_known check ((kind in ('grant', 'receivable', 'customer_credit')) = (customer_id is not null)),
  constraint balance_kept check ((customer_id is null) = (balance is null))
) with (fillfactor = 50);
create unique index account_of_house on account (environment_id, kind, currency) where customer_id is null;
create unique index account_of_customer on account (environment_id, customer_id, kind, currency) where kind in ('receivable', 'customer_credit');
create index account_customer on account (environment_id, customer_id, id) where customer_id is not null;

create table credit_grant (
  environment_id integer not null,
  account_id bigint not null,
  customer_id bigint not null,
  wallet text not null,
  currency text not null,
  amount numeric(38, 12) not null check (amount > 0),
  kind text not null check (kind in ('paid', 'promotional')),
  priority integer,
  effective_at timestamptz not null,
  expires_at timestamptz,
  eligibility jsonb not null default '{}',
  idempotency_key text,
  created_at timestamptz not null default now(),
  primary key (environment_id, account_id),
  check (expires_at is null or expires_at > effective_at)
);
create index credit_grant_customer on credit_grant (environment_id, customer_id, wallet);
create unique index credit_grant_idempotency on credit_grant (environment_id, customer_id, idempotency_key) where idempotency_key is not null;

-- A posting moves one amount from one account to another: a zero-sum entry by construction, never edited.
create sequence posting_id;
create table posting (
  environment_id integer not null,
  customer_id bigint not null,
  id bigint not null default nextval('posting_id'),
  kind text not null check (kind in ('grant', 'usage', 'reversal', 'expiry', 'void_grant')),
  debit_account_id bigint not null,
  credit_account_id bigint not null,
  currency text not null,
  amount numeric(38, 12) not null check (amount > 0),
  block_id bigint,
  card_version_id bigint,
  period date,
  bucket text,
  -- Of a reversal: the account whose debit it takes back (it may credit another, when that grant has expired).
  reversed_account_id bigint,
  posted_at timestamptz not null default now(),
  primary key (environment_id, customer_id, id),
  check (debit_account_id <> credit_account_id)
);
create trigger posting_append_only before update or delete or truncate on posting
  for each statement execute function ergon_refuse_change();

-- Transactions -------------------------------------------------------------------------------------------------------

-- Every ingest holds these locks shared until it ends; whoever changes an environment's catalog or voids holds the first one
-- exclusively, whoever seals a generation of identities the second. So a publish is answered only when no transaction rates
-- with the old revision any more, and a shared holder that reads the revision after the lock reads the one that holds at its
-- commit. The block id is drawn here, so that the statements sent along with this one can name it by currval.
create function ergon_open(environment integer, is_exclusive boolean)
returns table (catalog_revision bigint, open_generation integer, voids_waiting boolean, block_id bigint)
language plpgsql as $$
begin
  if is_exclusive then
    perform pg_advisory_xact_lock(4600, environment);
  else
    perform pg_advisory_xact_lock_shared(4600, environment);
  end if;
  perform pg_advisory_xact_lock_shared(4601, 0);
  return query
    select e.catalog_revision,
           (select g.id from identity_generation g where g.sealed_at is null),
           exists (select from event_void v where v.environment_id = environment and v.applied_at is null),
           nextval('event_block_id')
    from environment e where e.id = environment;
end $$;

