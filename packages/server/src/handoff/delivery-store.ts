import { formatInstant } from '../event/instant.ts';
import { LIMITS } from '../limits.ts';
import type { Queryable } from '../store/database.ts';

const EVENTS_AT_ONCE = 500;

/**
 * Hands events that wait in the outbox to the endpoints that listen. Several processes share the work: rows another one holds
 * are left to it. An endpoint hears what happened since it was made, and a test that was asked of it whatever it listens to.
 *
 * @returns how many events were handed on.
 */
export async function fanOut(db: Queryable, now: number): Promise<number> {
  const result = await db.query(
    `with waiting as (
       select environment_id, id, type, data, occurred_at from outbox_event where fanned_out_at is null
       order by id limit ${EVENTS_AT_ONCE} for update skip locked
     ), handed as (
       insert into webhook_delivery (environment_id, endpoint_id, event_id, status, next_attempt_at, created_at)
       select w.environment_id, e.id, w.id, 'pending', $1, $1
       from waiting w join webhook_endpoint e on e.environment_id = w.environment_id
       where e.disabled_at is null and e.created_at <= w.occurred_at
         and (e.event_types = '{}' or w.type = any (e.event_types)
           or split_part(w.type, '.', 1) || '.*' = any (e.event_types)
           or (w.type = 'webhook.test' and w.data ->> 'endpoint' = e.id))
       order by w.environment_id, e.id, w.id
       on conflict do nothing
     )
     update outbox_event o set fanned_out_at = $1 from waiting w where o.environment_id = w.environment_id and o.id = w.id`,
    [formatInstant(now)],
  );
  return result.rowCount ?? 0;
}

/** One attempt to be made. */
export type DueDelivery = {
  environment_id: number;
  id: bigint;
  endpoint_id: string;
  url: string;
  secret: Buffer;
  previous_secret: Buffer | null;
  event_id: bigint;
  type: string;
  occurred_at: string;
  data: unknown;
  attempts: number;
  attempts_in_row: number;
};

const LEASE_MICROS = 6 * LIMITS.webhookTimeoutMs * 1000;

/**
 * Takes deliveries that are due, a few of each endpoint, and leases them: a worker that dies leaves them to the next one. The
 * attempt is counted before it is made, so that the outcome of one that outlived its lease can be told apart.
 *
 * Endpoints come in no fixed order: else a few that never answer, and so always have some due, would be taken every time and
 * the others never.
 */
export async function takeDue(db: Queryable, now: number): Promise<DueDelivery[]> {
  const result = await db.query<DueDelivery>(
    `with due as (
       select d.environment_id, d.id from (
         select environment_id, id from webhook_endpoint where disabled_at is null order by random()
       ) e cross join lateral (
         select environment_id, id from webhook_delivery
         where environment_id = e.environment_id and endpoint_id = e.id and status = 'pending' and next_attempt_at <= $1
           and (leased_until is null or leased_until <= $1)
         order by next_attempt_at limit ${LIMITS.webhooksInFlightPerEndpointMax} for update skip locked
       ) d limit ${LIMITS.webhooksInFlightMax}
     ), taken as (
       update webhook_delivery w set attempts = attempts + 1, attempts_in_row = attempts_in_row + 1, last_attempt_at = $1,
         leased_until = $2
       from due where w.environment_id = due.environment_id and w.id = due.id
       returning w.environment_id, w.id, w.endpoint_id, w.event_id, w.attempts, w.attempts_in_row
     )
     select t.*, e.url, e.secret, case when e.previous_secret_until > $1 then e.previous_secret end as previous_secret,
       o.type, o.occurred_at, o.data
     from taken t join webhook_endpoint e on e.environment_id = t.environment_id and e.id = t.endpoint_id
       join outbox_event o on o.environment_id = t.environment_id and o.id = t.event_id`,
    [formatInstant(now), formatInstant(now + LEASE_MICROS)],
  );
  return result.rows;
}

export type AttemptOutcome =
  | { readonly kind: 'delivered'; readonly status: number }
  | { readonly kind: 'failed'; readonly status: number | null; readonly error: string; readonly nextAt: number }
  | { readonly kind: 'dead'; readonly status: number | null; readonly error: string; readonly isGone: boolean };

/** Writes what became of an attempt, unless another worker has begun a later one meanwhile. */
export async function keepOutcome(
  db: Queryable,
  delivery: DueDelivery,
  outcome: AttemptOutcome,
  now: number,
): Promise<void> {
  const { environment_id: environmentId, id, attempts, endpoint_id: endpointId } = delivery;
  const error = outcome.kind === 'delivered' ? null : outcome.error;
  const nextAt = outcome.kind === 'failed' ? formatInstant(outcome.nextAt) : null;
  const status = outcome.kind === 'failed' ? 'pending' : outcome.kind;
  await db.query(
    `update webhook_delivery set status = $4, leased_until = null, last_status = $5, last_error = $6,
       next_attempt_at = coalesce($7, next_attempt_at), delivered_at = case when $4 = 'delivered' then $8::timestamptz end
     where environment_id = $1 and id = $2 and attempts = $3 and status = 'pending'`,
    [environmentId, id, attempts, status, outcome.status, error, nextAt, formatInstant(now)],
  );
  if (outcome.kind !== 'dead' || !outcome.isGone) return;
  await db.query(
    `update webhook_endpoint set disabled_at = $3, disabled_reason = 'the receiver answered 410 Gone'
     where environment_id = $1 and id = $2 and disabled_at is null`,
    [environmentId, endpointId, formatInstant(now)],
  );
}

export type DeliveryRow = {
  id: bigint;
  endpoint_id: string;
  event_id: bigint;
  type: string;
  customer: string | null;
  status: 'pending' | 'delivered' | 'dead';
  attempts: number;
  next_attempt_at: string;
  last_attempt_at: string | null;
  last_status: number | null;
  last_error: string | null;
  delivered_at: string | null;
  occurred_at: string;
  data: Record<string, unknown>;
};

const COLUMNS = `d.id, d.endpoint_id, d.event_id, o.type, o.customer, d.status, d.attempts, d.next_attempt_at, d.last_attempt_at,
  d.last_status, d.last_error, d.delivered_at, o.occurred_at, o.data`;
const FROM = `webhook_delivery d join outbox_event o on o.environment_id = d.environment_id and o.id = d.event_id`;

export type DeliveryFilter = {
  readonly status: string | undefined;
  readonly endpoint: string | undefined;
  readonly type: string | undefined;
  readonly customer: string | undefined;
};

/** Newest first. */
export async function listDeliveries(
  db: Queryable,
  environmentId: number,
  filter: DeliveryFilter,
  { before, limit }: { before: bigint | undefined; limit: number },
): Promise<DeliveryRow[]> {
  const result = await db.query<DeliveryRow>(
    `select ${COLUMNS} from ${FROM}
     where d.environment_id = $1 and ($2::int8 is null or d.id < $2) and ($3::text is null or d.status = $3)
       and ($4::text is null or d.endpoint_id = $4) and ($5::text is null or o.type = $5)
       and ($6::text is null or o.customer = $6)
     order by d.id desc limit $7`,
    [
      environmentId,
      before ?? null,
      filter.status ?? null,
      filter.endpoint ?? null,
      filter.type ?? null,
      filter.customer ?? null,
      limit,
    ],
  );
  return result.rows;
}

export async function findDelivery(db: Queryable, environmentId: number, id: string): Promise<DeliveryRow | undefined> {
  const result = await db.query<DeliveryRow>(
    `select ${COLUMNS} from ${FROM} where d.environment_id = $1 and d.id = $2`,
    [environmentId, id],
  );
  return result.rows[0];
}

/** Puts a delivery that is over back on its way, with attempts as a new one has. */
export async function replayDelivery(db: Queryable, environmentId: number, id: string, now: number): Promise<boolean> {
  const result = await db.query(
    `update webhook_delivery set status = 'pending', attempts_in_row = 0, next_attempt_at = $3, leased_until = null,
       delivered_at = null
     where environment_id = $1 and id = $2 and status <> 'pending'`,
    [environmentId, id, formatInstant(now)],
  );
  return result.rowCount === 1;
}
