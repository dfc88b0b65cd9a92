-- Plans, subscriptions and the close of their periods.

-- A subscription's period is named by its first day and the subscription ("2026-11-15@7"), so that a subscription that ends and
-- one that begins on a day, or the calendar month around them, never share a running total. Calendar months keep their names.
alter table accumulator alter column period type text;
alter table accumulator_value alter column period type text;
alter table posting alter column period type text;

-- Features, plans, add-ons and coupons: versions that are never edited; the newest is the one that new subscriptions take.
create table billing_definition (
  environment_id integer not null,
  id bigint generated always as identity,
  kind text not null check (kind in ('feature', 'plan', 'add_on', 'coupon')),
  key text not null,
  version integer not null check (version > 0),
  spec jsonb not null,
  created_at timestamptz not null default now(),
  primary key (environment_id, id),
  unique (environment_id, kind, key, version)
);
create trigger billing_definition_append_only before update or delete or truncate on billing_definition
  for each statement execute function ergon_refuse_change();

-- A card that one customer is rated by between two instants, before any other rule.
create table customer_override (
  environment_id integer not null,
  id bigint generated always as identity,
  customer_id bigint not null,
  key text not null,
  rate_card text not null,
  effective_from timestamptz not null,
  effective_to timestamptz,
  created_at timestamptz not null default now(),
  primary key (environment_id, id),
  unique (environment_id, customer_id, key),
  check (effective_to > effective_from),
  constraint customer_override_alone exclude using gist (
    int4range(environment_id, environment_id, '[]') with &&, int8range(customer_id, customer_id, '[]') with &&,
    tstzrange(effective_from, effective_to) with &&)
);

-- For subscriptions whose client names none.
create sequence subscription_key;
create table subscription (
  environment_id integer not null,
  id bigint generated always as identity,
  key text not null,
  customer_id bigint not null,
  currency text not null,
  time_zone text not null,
  cadence_unit text not null check (cadence_unit in ('day', 'week', 'month', 'year')),
  cadence_count integer not null,
  anchor_on date not null,
  starts_at timestamptz not null,
  -- Null: until somebody cancels.
  ends_at timestamptz,
  -- When its next period opens or closes; null when nothing will happen any more.
  due_at timestamptz,
  -- When what it entitles to changes next: a phase begins, an add-on goes, it ends.
  entitlements_due_at timestamptz,
  created_at timestamptz not null default now(),
  primary key (environment_id, id),
  unique (environment_id, key),
  check (ends_at >= starts_at),
  check (cadence_count between 1 and case cadence_unit when 'day' then 366 when 'week' then 52 when 'month' then 12 else 1 end),
  -- One plan at a time: which one prices an event is never a question.
  constraint subscription_alone exclude using gist (
    int4range(environment_id, environment_id, '[]') with &&, int8range(customer_id, customer_id, '[]') with &&,
    tstzrange(starts_at, ends_at) with &&)
);
create index subscription_customer on subscription (environment_id, customer_id);
create index subscription_due on subscription (due_at) where due_at is not null;
create index subscription_entitlements_due on subscription (entitlements_due_at) where entitlements_due_at is not null;

-- Which plan version holds from when; the last one holds until the subscription ends.
create table subscription_phase (
  environment_id integer not null,
  subscription_id bigint not null,
  effective_from timestamptz not null,
  plan_id bigint not null,
  -- Wins over the plan's own card.
  rate_card text,
  is_trial boolean not null default false,
  primary key (environment_id, subscription_id, effective_from)
);

create table subscription_add_on (
  environment_id integer not null,
  subscription_id bigint not null,
  id bigint generated always as identity,
  definition_id bigint not null,
  quantity numeric not null check (quantity > 0),
  effective_from timestamptz not null,
  effective_to timestamptz,
  primary key (environment_id, subscription_id, id),
  check (effective_to >= effective_from)
);

create table subscription_coupon (
  environment_id integer not null,
  subscription_id bigint not null,
  id bigint generated always as identity,
  definition_id bigint not null,
  -- Number of the first period it lowers.
  first_period integer not null check (first_period > 0),
  primary key (environment_id, subscription_id, id),
  unique (environment_id, subscription_id, definition_id)
);

-- One row a period, made when it opens; closing it is the one change it may see. The key is what makes a close happen once.
create table subscription_period (
  environment_id integer not null,
  subscription_id bigint not null,
  number integer not null check (number > 0),
  period text not null,
  period_from timestamptz not null,
  period_to timestamptz not null,
  opened_at timestamptz not null,
  closed_at timestamptz,
  total numeric(38, 12),
  primary key (environment_id, subscription_id, number),
  unique (environment_id, subscription_id, period),
  check (period_to >= period_from),
  check ((closed_at is null) = (total is null))
);
create unique index subscription_period_open on subscription_period (environment_id, subscription_id) where closed_at is null;

create function ergon_lock_closed_period() returns trigger language plpgsql as $$
begin
  if tg_op <> 'UPDATE' or old.closed_at is not null then
    raise exception 'a closed period is locked' using errcode = 'integrity_constraint_violation';
  end if;
  return new;
end $$;
create trigger subscription_period_locked before update or delete on subscription_period
  for each row execute function ergon_lock_closed_period();

create table subscription_line (
  environment_id integer not null,
  subscription_id bigint not null,
  number integer not null,
  line integer not null,
  -- The period it is about: an earlier one for an adjustment, the period itself otherwise.
  about integer not null,
  kind text not null check (kind in ('fee', 'usage', 'close', 'coupon')),
  -- What the line is for: lines of one key and period are summed to what is owed for it.
  key text not null,
  description text not null,
  quantity numeric,
  currency text not null,
  amount numeric(38, 12) not null,
  detail jsonb not null default '{}',
  posting_id bigint,
  created_at timestamptz not null,
  primary key (environment_id, subscription_id, number, line),
  check (about between 1 and number),
  check (posting_id is null or kind <> 'usage')
);
create index subscription_line_about on subscription_line (environment_id, subscription_id, about) where about <> number;
create trigger subscription_line_append_only before update or delete or truncate on subscription_line
  for each statement execute function ergon_refuse_change();

create function ergon_line_of_open_period() returns trigger language plpgsql as $$
begin
  if not exists (select from subscription_period p where p.environment_id = new.environment_id
      and p.subscription_id = new.subscription_id and p.number = new.number and p.closed_at is null) then
    raise exception 'a line needs an open period' using errcode = 'integrity_constraint_violation';
  end if;
  return new;
end $$;
create trigger subscription_line_open before insert on subscription_line
  for each row execute function ergon_line_of_open_period();

-- What rating needs of a customer's subscriptions and overrides, compiled by whoever changes them (catalog/billing-terms.ts):
-- ingest reads it with the customer's row. Null for everybody without either.
alter table customer add column terms jsonb;

-- A sandbox may stop its clock and move it; null: the machine's clock.
alter table environment add column is_sandbox boolean not null default false;
alter table environment add column clock_at timestamptz;
alter table environment add constraint clock_of_sandbox check (clock_at is null or is_sandbox);
