import { compare, type Decimal, decimal, multiply, parseDecimal, toText, ZERO } from '@ergon/exact';
import { microsFromPostgres } from '../event/instant.ts';
import { instantMicros } from '../http/wire.ts';
import { enqueue } from '../outbox/index.ts';
import { type Client, type Database, isConnectionLost, type Queryable } from '../store/database.ts';
import { autoTopUp, capPeriodStart, latestSlot, type TopUpDecision, type TopUpRule } from './auto-top-up.ts';
import { burnRate, type Forecast, forecastOf } from './burn-rate.ts';
import { failTopUp, requestTopUp } from './top-up-service.ts';
import { overdueTopUps, topUpsSince } from './top-up-store.ts';
import type { TopUpRuleBody } from './watch-schemas.ts';
import { crossLevel, keepQuiet, keepSlot, lockWatched, type WatchedWallet, watchedWallets } from './watch-store.ts';

const HOUR_MICROS = 3_600_000_000;
/** A forecast wavers; its alert is armed again when it has risen a tenth above the level. */
const REARM = decimal('1.1');
const OVERDUE_AT_ONCE = 100;
/** Shorter than the shortest cool-down. */
const QUIET_MICROS = 5_000_000;
const CAPPED_QUIET_MICROS = 60_000_000;

/**
 * Looks at every watched wallet: tops up, alerts, and gives up payments that nobody answered for. Safe on several replicas at
 * once: each wallet is dealt with under the lock of its row, and what another holds is left to it.
 *
 * @param now microseconds since 1970; a sandbox whose clock is stopped has its own time.
 * @param withForecasts whether levels of hours are looked at, which reads postings and need not be done each second.
 * @returns how many wallets had something to do.
 * @throws the first failure, when every wallet was looked at: one that fails holds up no other.
 */
export async function watchWallets(database: Database, now: number, withForecasts = true): Promise<number> {
  await failOverdue(database, now);
  let acted = 0;
  const failures: unknown[] = [];
  let after = 0n;
  for (;;) {
    const page = await watchedWallets(database.pool, after, now);
    for (const watched of page) {
      const stoppedAt = optionalMicros(watched.clock_at);
      // What was read of a sandbox is as of the machine's time; it is read again as of its own.
      try {
        if (stoppedAt === undefined && !(await needsAttention(database.pool, watched, now, withForecasts))) continue;
        await database.transaction((client) => attend(client, watched.id, stoppedAt ?? now, withForecasts));
        acted += 1;
      } catch (error) {
        if (isConnectionLost(error)) throw error;
        failures.push(error);
      }
    }
    const last = page.at(-1);
    if (last === undefined) break;
    after = last.id;
  }
  if (failures.length > 0) throw failures[0];
  return acted;
}

/** Whether anything might be to do: cheap, and without a lock; what is done is decided again under it. */
async function needsAttention(
  db: Queryable,
  watched: WatchedWallet,
  now: number,
  withForecasts: boolean,
): Promise<boolean> {
  const available = decimal(watched.available);
  if (watched.top_up !== null) {
    const rule = ruleOf(watched.top_up);
    const isQuiet = now < (optionalMicros(watched.quiet_until) ?? Number.NEGATIVE_INFINITY);
    if (!isQuiet && rule.threshold !== undefined && compare(available, rule.threshold) < 0) return true;
    const slot = rule.schedule === undefined ? undefined : latestSlot(rule.schedule, now, watched.time_zone);
    if (slot !== undefined && slot > (optionalMicros(watched.last_slot) ?? Number.NEGATIVE_INFINITY)) return true;
  }
  const forecast = withForecasts ? await forecastFor(db, watched, now) : undefined;
  return watched.alerts.some((alert) => isBelowNow(alert, available, forecast) !== alert.is_below);
}

async function attend(client: Client, id: bigint, now: number, withForecasts: boolean): Promise<void> {
  const watched = await lockWatched(client, id, now);
  if (watched === undefined) return;
  await alertLevels(client, watched, now, withForecasts);
  if (watched.top_up !== null) await topUp(client, watched, watched.top_up, now);
}

async function alertLevels(client: Client, watched: WatchedWallet, now: number, withForecasts: boolean): Promise<void> {
  const available = decimal(watched.available);
  const forecast = withForecasts ? await forecastFor(client, watched, now) : undefined;
  for (const alert of watched.alerts) {
    const isBelow = isBelowNow(alert, available, forecast);
    if (isBelow === alert.is_below) continue;
    const crossing = await crossLevel(client, watched, alert, isBelow, now);
    if (crossing === undefined) continue;
    const level = toText(decimal(alert.level));
    await enqueue(
      client,
      watched.environment_id,
      [
        {
          type: 'wallet.balance_low',
          crossingKey: `wallet_alert/${watched.customer_id}/${watched.key}/${alert.kind}/${level}/${crossing}`,
          customer: watched.customer,
          data: {
            ...{ customer: watched.customer, wallet: watched.key, currency: watched.currency, kind: alert.kind, level },
            ...{ available: toText(available), hours_left: forecast?.hoursLeft ?? null },
          },
        },
      ],
      now,
    );
  }
}

/** Without a forecast a level of hours stays where it is; where nothing is burnt the wallet lasts. */
function isBelowNow(
  alert: WatchedWallet['alerts'][number],
  available: Decimal,
  forecast: Forecast | undefined,
): boolean {
  const level = decimal(alert.level);
  if (alert.kind === 'amount') return compare(available, level) < 0;
  if (forecast === undefined) return alert.is_below;
  if (forecast.hoursLeft === null) return false;
  const left = parseDecimal(forecast.hoursLeft) ?? ZERO;
  return compare(left, alert.is_below ? multiply(level, REARM) : level) < 0;
}

async function forecastFor(db: Queryable, watched: WatchedWallet, now: number): Promise<Forecast | undefined> {
  if (!watched.alerts.some(({ kind }) => kind === 'hours_left')) return undefined;
  const { environment_id: environmentId, customer_id: customerId, currency } = watched;
  const since = microsFromPostgres(watched.created_at);
  return forecastOf(
    decimal(watched.available),
    await burnRate(db, { environmentId, customerId, currency, since }, now),
    now,
  );
}

async function topUp(client: Client, watched: WatchedWallet, body: TopUpRuleBody, now: number): Promise<void> {
  const { environment_id: environmentId, customer_id: customerId, key: wallet, time_zone: timeZone } = watched;
  const rule = ruleOf(body);
  const periodStart = rule.cap === undefined ? now : capPeriodStart(rule.cap.per, now, timeZone);
  const sums = await topUpsSince(client, { environmentId, customerId, wallet }, periodStart);
  const decision = autoTopUp(rule, {
    now,
    available: decimal(watched.available),
    isPending: sums.isPending,
    lastRequestedAt: optionalMicros(sums.lastRequestedAt),
    countInPeriod: sums.count,
    amountInPeriod: decimal(sums.amount),
    ruleSetAt: optionalMicros(watched.top_up_set_at) ?? now,
    lastSlot: optionalMicros(watched.last_slot),
    timeZone,
  });
  await keepQuiet(client, watched.id, now + (decision.kind === 'capped' ? CAPPED_QUIET_MICROS : QUIET_MICROS));
  if (decision.kind === 'none') return;
  if (decision.trigger === 'schedule') await keepSlot(client, watched.id, decision.slot);
  if (decision.kind === 'capped') await tellCapped(client, watched, decision, periodStart, now);
  else await request(client, watched, body, decision, now);
}

async function request(
  client: Client,
  watched: WatchedWallet,
  body: TopUpRuleBody,
  decision: TopUpDecision & { kind: 'request' | 'capped' },
  now: number,
): Promise<void> {
  await requestTopUp(
    client,
    {
      environmentId: watched.environment_id,
      customerId: watched.customer_id,
      customer: watched.customer,
      wallet: watched.key,
      currency: watched.currency,
      amount: String(body.amount),
      trigger: decision.trigger,
      slot: decision.trigger === 'schedule' ? decision.slot : null,
      connector: body.connector,
      terms: {
        ...(body.expires_after_days !== undefined && { expires_after_days: body.expires_after_days }),
        ...(body.priority !== undefined && { priority: body.priority }),
      },
      answerBy: now + body.answer_hours * HOUR_MICROS,
    },
    now,
  );
}

/** Told once a period: the wallet is empty and nobody will fill it. */
async function tellCapped(
  client: Client,
  watched: WatchedWallet,
  { trigger }: TopUpDecision & { kind: 'request' | 'capped' },
  periodStart: number,
  now: number,
): Promise<void> {
  const event = {
    type: 'wallet.top_up_capped',
    crossingKey: `top_up_capped/${watched.customer_id}/${watched.key}/${periodStart}`,
    customer: watched.customer,
    data: {
      ...{ customer: watched.customer, wallet: watched.key, currency: watched.currency },
      ...{ available: toText(decimal(watched.available)), trigger },
    },
  } as const;
  await enqueue(client, watched.environment_id, [event], now);
}

async function failOverdue(database: Database, now: number): Promise<void> {
  for (;;) {
    const count = await database.transaction(async (client) => {
      const rows = await overdueTopUps(client, now, OVERDUE_AT_ONCE);
      for (const row of rows) await failTopUp(client, row.environment_id, row, 'no answer in time', now);
      return rows.length;
    });
    if (count < OVERDUE_AT_ONCE) return;
  }
}

function ruleOf(body: TopUpRuleBody): TopUpRule {
  const { schedule, cap } = body;
  return {
    amount: decimal(String(body.amount)),
    threshold: optionalDecimal(body.threshold),
    schedule:
      schedule === undefined ? undefined : { every: schedule.every, anchorAt: instantMicros(schedule.anchor_at) },
    cap: cap === undefined ? undefined : { per: cap.per, count: cap.count, amount: optionalDecimal(cap.amount) },
    cooldownSeconds: body.cooldown_seconds,
  };
}

function optionalDecimal(value: string | number | undefined): Decimal | undefined {
  return value === undefined ? undefined : decimal(String(value));
}

function optionalMicros(text: string | null): number | undefined {
  return text === null ? undefined : microsFromPostgres(text);
}
