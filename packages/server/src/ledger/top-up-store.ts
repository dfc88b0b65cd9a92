import { formatInstant } from '../event/instant.ts';
import type { Queryable } from '../store/database.ts';
import type { ConnectorKey } from './payment-connectors.ts';

export type TopUpTrigger = 'manual' | 'threshold' | 'schedule';

/** What the grant of a paid top-up will be like. */
export type TopUpTerms = { readonly expires_after_days?: number; readonly priority?: number };

export type TopUpRow = {
  id: string;
  customer_id: bigint;
  customer: string;
  wallet: string;
  currency: string;
  amount: string;
  pay_amount: string;
  pay_currency: string;
  trigger: TopUpTrigger;
  connector: ConnectorKey;
  status: 'pending' | 'paid' | 'failed';
  terms: TopUpTerms;
  requested_at: string;
  answer_by: string;
  resolved_at: string | null;
  reference: string | null;
  failure: string | null;
  grant_id: string | null;
};

const COLUMNS = `t.id::text as id, t.customer_id, c.external_id as customer, t.wallet, t.currency, t.amount, t.pay_amount,
  t.pay_currency, t.trigger, t.connector, t.status, t.terms, t.requested_at, t.answer_by, t.resolved_at, t.reference, t.failure,
  t.grant_id::text as grant_id`;
const FROM = 'top_up t join customer c on c.environment_id = t.environment_id and c.id = t.customer_id';

export type NewTopUp = {
  readonly environmentId: number;
  readonly customerId: bigint;
  readonly wallet: string;
  readonly currency: string;
  readonly amount: string;
  readonly payAmount: string;
  readonly payCurrency: string;
  readonly trigger: TopUpTrigger;
  /** Microseconds since 1970, of a scheduled one. */
  readonly slot: number | null;
  readonly connector: ConnectorKey;
  readonly terms: TopUpTerms;
  readonly answerBy: number;
};

/** @returns its id; `undefined` when the wallet has one in flight, or the slot has had its own. */
export async function insertTopUp(db: Queryable, topUp: NewTopUp, now: number): Promise<string | undefined> {
  const result = await db.query<{ id: bigint }>(
    `insert into top_up (environment_id, customer_id, wallet, currency, amount, pay_amount, pay_currency, trigger, slot, connector,
       status, terms, requested_at, answer_by)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'pending', $11::jsonb, $12, $13) on conflict do nothing returning id`,
    [
      topUp.environmentId,
      topUp.customerId,
      topUp.wallet,
      topUp.currency,
      topUp.amount,
      topUp.payAmount,
      topUp.payCurrency,
      topUp.trigger,
      topUp.slot === null ? null : formatInstant(topUp.slot),
      topUp.connector,
      JSON.stringify(topUp.terms),
      formatInstant(now),
      formatInstant(topUp.answerBy),
    ],
  );
  return result.rows[0]?.id.toString();
}

type TopUpPlace = { readonly environmentId: number; readonly customerId: bigint; readonly wallet: string };

export async function findTopUp(
  db: Queryable,
  at: TopUpPlace,
  id: string,
  { isLocked }: { isLocked: boolean },
): Promise<TopUpRow | undefined> {
  const result = await db.query<TopUpRow>(
    `select ${COLUMNS} from ${FROM} where t.environment_id = $1 and t.customer_id = $2 and t.wallet = $3 and t.id = $4
     ${isLocked ? 'for update of t' : ''}`,
    [at.environmentId, at.customerId, at.wallet, id],
  );
  return result.rows[0];
}

/** Newest first. */
export async function listTopUps(
  db: Queryable,
  at: TopUpPlace,
  { before, limit }: { before: bigint | undefined; limit: number },
): Promise<TopUpRow[]> {
  const result = await db.query<TopUpRow>(
    `select ${COLUMNS} from ${FROM} where t.environment_id = $1 and t.customer_id = $2 and t.wallet = $3
       and ($4::int8 is null or t.id < $4) order by t.id desc limit $5`,
    [at.environmentId, at.customerId, at.wallet, before ?? null, limit],
  );
  return result.rows;
}

/** Pending top-ups nobody answered in time; those another process holds are left to it. */
export async function overdueTopUps(
  db: Queryable,
  now: number,
  limit: number,
): Promise<(TopUpRow & { environment_id: number })[]> {
  const result = await db.query<TopUpRow & { environment_id: number }>(
    `select t.environment_id, ${COLUMNS} from ${FROM} join environment e on e.id = t.environment_id
     where t.status = 'pending' and t.answer_by <= coalesce(e.clock_at, $1)
     order by t.environment_id, t.id limit $2 for update of t skip locked`,
    [formatInstant(now), limit],
  );
  return result.rows;
}

export type TopUpResolution =
  | { readonly status: 'paid'; readonly grantId: string; readonly reference: string | null }
  | { readonly status: 'failed'; readonly failure: string };

export async function resolveTopUp(
  db: Queryable,
  environmentId: number,
  id: string,
  resolution: TopUpResolution,
  now: number,
): Promise<void> {
  const isPaid = resolution.status === 'paid';
  await db.query(
    `update top_up set status = $3, resolved_at = $4, grant_id = $5, reference = $6, failure = $7
     where environment_id = $1 and id = $2`,
    [
      environmentId,
      id,
      resolution.status,
      formatInstant(now),
      isPaid ? resolution.grantId : null,
      isPaid ? resolution.reference : null,
      isPaid ? null : resolution.failure,
    ],
  );
}

/** What the rule has asked for since an instant: the count of all, the sum of those that have not failed, the latest. */
export async function topUpsSince(
  db: Queryable,
  at: TopUpPlace,
  since: number,
): Promise<{ count: number; amount: string; isPending: boolean; lastRequestedAt: string | null }> {
  const result = await db.query<{ count: bigint; amount: string; is_pending: boolean; last: string | null }>(
    `select count(*) filter (where requested_at >= $4) as count,
       coalesce(sum(amount) filter (where requested_at >= $4 and status <> 'failed'), 0) as amount,
       coalesce(bool_or(status = 'pending' and trigger = 'threshold'), false) as is_pending,
       max(requested_at) filter (where trigger = 'threshold') as last
     from top_up where environment_id = $1 and customer_id = $2 and wallet = $3 and trigger <> 'manual'`,
    [at.environmentId, at.customerId, at.wallet, formatInstant(since)],
  );
  const row = result.rows[0];
  if (row === undefined) throw new Error('an aggregate gave no row');
  return { count: Number(row.count), amount: row.amount, isPending: row.is_pending, lastRequestedAt: row.last };
}

/** Sum of the wallet's pending top-ups. */
export async function incomingOf(db: Queryable, at: TopUpPlace): Promise<string> {
  const result = await db.query<{ incoming: string }>(
    `select coalesce(sum(amount), 0) as incoming from top_up
     where environment_id = $1 and customer_id = $2 and wallet = $3 and status = 'pending'`,
    [at.environmentId, at.customerId, at.wallet],
  );
  return result.rows[0]?.incoming ?? '0';
}
