-- Top-ups, low-balance alerts, credit units, the cost basis of grants; policies and their decisions.

-- Two kinds of account more. What the lists held before is kept as it is, whichever migration wrote it.
do $$
declare
  known text;
begin
  select pg_get_constraintdef(oid) into known from pg_constraint where conrelid = 'account'::regclass and conname = 'account_kind_check';
  alter table account drop constraint account_kind_check;
  execute 'alter table account add constraint account_kind_check ' || replace(known, 'ARRAY[', 'ARRAY[''top_up''::text, ''payment_due''::text, ');
  select pg_get_constraintdef(oid) into known from pg_constraint where conrelid = 'account'::regclass and conname = 'owner_known';
  alter table account drop constraint owner_known;
  execute 'alter table account add constraint owner_known ' || replace(known, 'ARRAY[', 'ARRAY[''top_up''::text, ');
  select pg_get_constraintdef(oid) into known from pg_constraint where conrelid = 'posting'::regclass and conname = 'posting_kind_check';
  alter table posting drop constraint posting_kind_check;
  execute 'alter table posting add constraint posting_kind_check ' || replace(known, 'ARRAY[',
    'ARRAY[''top_up_requested''::text, ''top_up_paid''::text, ''top_up_failed''::text, ');
end $$;
-- Top-ups in flight: what a customer is about to pay for, never less than nothing.
alter table account add constraint top_up_floor check (kind <> 'top_up' or balance >= 0);
create unique index account_of_top_ups on account (environment_id, customer_id, currency) where kind = 'top_up';

-- What a credit unit is worth: `rate` of the currency for one credit.
create table credit_unit (
  environment_id integer not null,
  key text not null check (key ~ '^credit:'),
  currency text not null check (currency !~ '^credit:'),
  rate numeric(38, 18) not null check (rate > 0),
  updated_at timestamptz not null,
  primary key (environment_id, key)
);

-- What one grant cost in money, all of it: a thousand credits for 8 dollars.
alter table credit_grant add column cost_basis_amount numeric(38, 12) check (cost_basis_amount >= 0);
alter table credit_grant add column cost_basis_currency text;
alter table credit_grant add column top_up_id bigint;
alter table credit_grant add constraint cost_basis_whole check ((cost_basis_amount is null) = (cost_basis_currency is null));
create unique index credit_grant_top_up on credit_grant (environment_id, top_up_id) where top_up_id is not null;

create table top_up (
  environment_id integer not null,
  id bigint generated always as identity,
  customer_id bigint not null,
  wallet text not null,
  currency text not null,
  amount numeric(38, 12) not null check (amount > 0),
  pay_amount numeric(38, 12) not null check (pay_amount > 0),
  pay_currency text not null,
  trigger text not null check (trigger in ('manual', 'threshold', 'schedule')),
  -- Of a scheduled one: the instant it was due.
  slot timestamptz,
  connector text not null,
  status text not null check (status in ('pending', 'paid', 'failed')),
  terms jsonb not null,
  requested_at timestamptz not null,
  answer_by timestamptz not null,
  resolved_at timestamptz,
  reference text,
  failure text,
  grant_id bigint,
  primary key (environment_id, id),
  check ((status = 'pending') = (resolved_at is null)),
  check ((status = 'paid') = (grant_id is not null)),
  check ((status = 'failed') = (failure is not null)),
  check ((trigger = 'schedule') = (slot is not null))
);
-- No burst tops up twice, whoever runs the burst.
create unique index top_up_one_in_flight on top_up (environment_id, customer_id, wallet) where status = 'pending' and trigger = 'threshold';
create unique index top_up_once_a_slot on top_up (environment_id, customer_id, wallet, slot) where trigger = 'schedule';
create index top_up_of_wallet on top_up (environment_id, customer_id, wallet, id);
create index top_up_waiting on top_up (answer_by) where status = 'pending';

-- Wallets that somebody watches: the rule of its automatic top-up and the levels of its alerts.
create table wallet_watch (
  environment_id integer not null,
  customer_id bigint not null,
  wallet text not null,
  id bigint generated always as identity unique,
  top_up jsonb,
  -- When the rule was last set: scheduled instants before it are none.
  top_up_set_at timestamptz,
  -- The last scheduled instant that was dealt with, topped up or capped.
  last_slot timestamptz,
  -- Until then a wallet below its threshold has nothing to do: a payment is pending, the rule is cooling down or capped.
  quiet_until timestamptz,
  primary key (environment_id, customer_id, wallet),
  foreign key (environment_id, customer_id, wallet) references wallet (environment_id, customer_id, key),
  check ((top_up is null) = (top_up_set_at is null))
);
create table wallet_alert (
  environment_id integer not null,
  customer_id bigint not null,
  wallet text not null,
  kind text not null check (kind in ('amount', 'hours_left')),
  level numeric(38, 12) not null check (level >= 0),
  is_below boolean not null default false,
  -- How often it was crossed: names the crossing.
  crossings integer not null default 0,
  changed_at timestamptz not null,
  primary key (environment_id, customer_id, wallet, kind, level),
  foreign key (environment_id, customer_id, wallet) references wallet_watch (environment_id, customer_id, wallet) on delete cascade
);

create table policy_version (
  environment_id integer not null,
  id bigint generated always as identity,
  key text not null,
  version integer not null,
  document jsonb not null,
  created_at timestamptz not null,
  primary key (environment_id, id),
  unique (environment_id, key, version)
);
create trigger policy_version_append_only before update or delete or truncate on policy_version
  for each statement execute function ergon_refuse_change();

-- Which version of each policy holds; none when it was ended.
create table policy (
  environment_id integer not null,
  key text not null,
  version integer not null,
  ended_at timestamptz,
  primary key (environment_id, key)
);

-- What was decided, on which inputs, by which versions: enough to decide it again.
create table policy_decision (
  environment_id integer not null,
  id bigint generated always as identity,
  at timestamptz not null,
  place text not null,
  subject text,
  customer text,
  inputs jsonb not null,
  policies jsonb not null,
  action text not null,
  result jsonb not null,
  primary key (environment_id, id)
);
create index policy_decision_at on policy_decision (environment_id, at, id);
create trigger policy_decision_append_only before update or delete or truncate on policy_decision
  for each statement execute function ergon_refuse_change();
