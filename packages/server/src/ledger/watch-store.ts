import { formatInstant } from '../event/instant.ts';
import { LIMITS } from '../limits.ts';
import type { Queryable } from '../store/database.ts';
import { WALLET_COLUMNS } from './wallet-store.ts';
import type { TopUpRuleBody } from './watch-schemas.ts';

type WalletPlace = { readonly environmentId: number; readonly customerId: bigint; readonly wallet: string };

export type AlertRow = {
  kind: 'amount' | 'hours_left';
  level: string;
  is_below: boolean;
  crossings: number;
  changed_at: string;
};

/** A watched wallet with its balances as of one instant. */
export type WatchedWallet = {
  id: bigint;
  environment_id: number;
  customer_id: bigint;
  customer: string;
  time_zone: string;
  key: string;
  currency: string;
  created_at: string;
  available: string;
  top_up: TopUpRuleBody | null;
  top_up_set_at: string | null;
  last_slot: string | null;
  quiet_until: string | null;
  /** Levels as JSON: decimals as text. */
  alerts: { kind: 'amount' | 'hours_left'; level: string; is_below: boolean }[];
};

const WATCHED = `select v.id, v.environment_id, v.customer_id, c.external_id as customer, c.time_zone, v.top_up, v.top_up_set_at, v.last_slot, v.quiet_until,
    coalesce((select json_agg(json_build_object('kind', l.kind, 'level', l.level::text, 'is_below', l.is_below))
      from wallet_alert l where l.environment_id = v.environment_id and l.customer_id = v.customer_id and l.wallet = v.wallet), '[]') as alerts,
    ${WALLET_COLUMNS}
  from wallet_watch v
    join wallet w on w.environment_id = v.environment_id and w.customer_id = v.customer_id and w.key = v.wallet
    join customer c on c.environment_id = v.environment_id and c.id = v.customer_id`;

/** The next watched wallets after one, with what is available now. */
export async function watchedWallets(db: Queryable, after: bigint, now: number): Promise<WatchedWallet[]> {
  const result = await db.query<WatchedWallet>(`${WATCHED} where v.id > $1 order by v.id limit $2`, [
    after,
    LIMITS.watchedAtOnce,
    formatInstant(now),
  ]);
  return result.rows;
}

/** One of them under its lock; `undefined` when another process is at it, or it is watched no more. */
export async function lockWatched(db: Queryable, id: bigint, now: number): Promise<WatchedWallet | undefined> {
  const locked = await db.query('select from wallet_watch where id = $1 for update skip locked', [id]);
  if (locked.rowCount !== 1) return undefined;
  // A statement of its own, whose snapshot is younger than the lock: it sees what the last holder committed.
  const result = await db.query<WatchedWallet>(`${WATCHED} where v.id = $1 limit $2`, [id, 1, formatInstant(now)]);
  return result.rows[0];
}

export async function setTopUpRule(
  db: Queryable,
  at: WalletPlace,
  rule: TopUpRuleBody | null,
  now: number,
): Promise<void> {
  await db.query(
    `insert into wallet_watch (environment_id, customer_id, wallet, top_up, top_up_set_at) values ($1, $2, $3, $4::jsonb, $5)
     on conflict (environment_id, customer_id, wallet) do update set top_up = excluded.top_up,
       top_up_set_at = excluded.top_up_set_at, last_slot = null, quiet_until = null`,
    [
      at.environmentId,
      at.customerId,
      at.wallet,
      rule === null ? null : JSON.stringify(rule),
      rule === null ? null : formatInstant(now),
    ],
  );
}

export async function topUpRuleOf(db: Queryable, at: WalletPlace): Promise<TopUpRuleBody | null> {
  const result = await db.query<{ top_up: TopUpRuleBody | null }>(
    'select top_up from wallet_watch where environment_id = $1 and customer_id = $2 and wallet = $3',
    [at.environmentId, at.customerId, at.wallet],
  );
  return result.rows[0]?.top_up ?? null;
}

/** Deals with a scheduled instant once. */
export async function keepSlot(db: Queryable, id: bigint, slot: number): Promise<void> {
  await db.query('update wallet_watch set last_slot = $2 where id = $1', [id, formatInstant(slot)]);
}

/** Lets a wallet below its threshold rest, so that many that wait for their payments cost nothing each second. */
export async function keepQuiet(db: Queryable, id: bigint, until: number): Promise<void> {
  await db.query('update wallet_watch set quiet_until = $2 where id = $1', [id, formatInstant(until)]);
}

/** Replaces the levels; one that stays keeps its state, so that setting them again alerts nobody twice. */
export async function setAlerts(
  db: Queryable,
  at: WalletPlace,
  levels: readonly { readonly kind: string; readonly level: string }[],
  now: number,
): Promise<void> {
  const place = [at.environmentId, at.customerId, at.wallet];
  await db.query(
    'insert into wallet_watch (environment_id, customer_id, wallet) values ($1, $2, $3) on conflict do nothing',
    place,
  );
  const kinds = levels.map(({ kind }) => kind);
  const values = levels.map(({ level }) => level);
  await db.query(
    `delete from wallet_alert where environment_id = $1 and customer_id = $2 and wallet = $3
       and (kind, level) not in (select k, l::numeric from unnest($4::text[], $5::text[]) as s(k, l))`,
    [...place, kinds, values],
  );
  await db.query(
    `insert into wallet_alert (environment_id, customer_id, wallet, kind, level, changed_at)
     select $1, $2, $3, k, l::numeric, $6 from unnest($4::text[], $5::text[]) as s(k, l) on conflict do nothing`,
    [...place, kinds, values, formatInstant(now)],
  );
}

export async function listAlerts(db: Queryable, at: WalletPlace): Promise<AlertRow[]> {
  const result = await db.query<AlertRow>(
    `select kind, level, is_below, crossings, changed_at from wallet_alert
     where environment_id = $1 and customer_id = $2 and wallet = $3 order by kind, level desc`,
    [at.environmentId, at.customerId, at.wallet],
  );
  return result.rows;
}

/** Notes that a level was crossed, down or up. @returns the number of the crossing when it was down and nobody had noted it. */
export async function crossLevel(
  db: Queryable,
  watched: WatchedWallet,
  alert: { readonly kind: string; readonly level: string },
  isBelow: boolean,
  now: number,
): Promise<number | undefined> {
  const result = await db.query<{ crossings: number }>(
    `update wallet_alert set is_below = $6, crossings = crossings + $6::int, changed_at = $7
     where environment_id = $1 and customer_id = $2 and wallet = $3 and kind = $4 and level = $5::numeric and is_below <> $6
     returning crossings`,
    [watched.environment_id, watched.customer_id, watched.key, alert.kind, alert.level, isBelow, formatInstant(now)],
  );
  return isBelow ? result.rows[0]?.crossings : undefined;
}
