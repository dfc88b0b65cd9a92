-- Answers of writes that carried an Idempotency-Key: the same request again gets the first answer. Written in the write's own
-- transaction, so a key exists exactly when its write does; forgotten after 30 days.
create table idempotency_key (
  environment_id integer not null,
  key text not null check (length(key) between 1 and 255),
  request_hash bytea not null check (length(request_hash) = 32),
  status integer,
  answer text,
  created_at timestamptz not null default now(),
  primary key (environment_id, key)
);
create index idempotency_key_age on idempotency_key (created_at);

-- A voided grant ends at once: expires_at moves to the void, and this says why. The audit log keeps the date it had.
alter table credit_grant add column voided_at timestamptz;

-- Expiry looks for grants that ended and still hold something.
create index credit_grant_expires on credit_grant (expires_at) where expires_at is not null;
