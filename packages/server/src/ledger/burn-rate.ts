import { decimal, type Decimal, divide, isPositive, multiply, toApproximateNumber, toText } from '@ergon/exact';
import { formatInstant, microsFromPostgres } from '../event/instant.ts';
import { LIMITS } from '../limits.ts';
import type { Queryable } from '../store/database.ts';

const HOUR_MICROS = 3_600_000_000;
const WINDOW_HOURS = 24;

/** What was charged of late: the sum, and over how many hours it was looked at. */
export type BurnRate = { readonly burned: Decimal; readonly hours: Decimal };

export type Forecast = {
  /** Charged an hour, in the wallet's currency. */
  readonly burnPerHour: string;
  /** How long what is available lasts at that rate; null when nothing is burnt. */
  readonly hoursLeft: string | null;
  readonly emptyAt: number | null;
  readonly observedHours: string;
};

type Row = { burned: string; seen: bigint; oldest: string | null };

/**
 * What a customer was charged in a currency over the last 24 hours, or since it was first seen when that is shorter (an hour at least,
 * so that a first burst is no trend). It reads the customer's newest postings, at most {@link LIMITS.forecastPostingsMax}; where
 * those are younger than the window, the window begins with the oldest of them.
 *
 * @param since when the wallet was made; microseconds since 1970.
 */
export async function burnRate(
  db: Queryable,
  at: { environmentId: number; customerId: bigint; currency: string; since: number },
  now: number,
): Promise<BurnRate> {
  const windowFrom = now - WINDOW_HOURS * HOUR_MICROS;
  const result = await db.query<Row>({
    name: 'burn_rate',
    text: `with recent as (
        select amount, currency, posted_at, debit_account_id, credit_account_id from posting
        where environment_id = $1 and customer_id = $2 order by id desc limit ${LIMITS.forecastPostingsMax})
      select count(*) as seen, min(r.posted_at) as oldest,
        coalesce(sum(case when c.kind = 'revenue' then r.amount when d.kind = 'revenue' then -r.amount end)
          filter (where r.currency = $3 and r.posted_at > $4), 0) as burned
      from recent r
        join account c on c.environment_id = $1 and c.id = r.credit_account_id
        join account d on d.environment_id = $1 and d.id = r.debit_account_id`,
    values: [at.environmentId, at.customerId, at.currency, formatInstant(windowFrom)],
  });
  const row = result.rows[0];
  const isCut = row !== undefined && row.seen >= BigInt(LIMITS.forecastPostingsMax) && row.oldest !== null;
  const from = Math.max(
    windowFrom,
    isCut ? microsFromPostgres(row.oldest ?? '') : Math.min(at.since, now - HOUR_MICROS),
  );
  const observed = Math.max(now - from, 60_000_000);
  return {
    burned: decimal(row?.burned ?? '0'),
    hours: divide(decimal(BigInt(Math.round(observed))), decimal(BigInt(HOUR_MICROS)), FOUR_PLACES),
  };
}

const FOUR_PLACES = { places: 4, mode: 'half-away-from-zero' } as const;
/** A forecast is a figure for people: two decimals of an hour, six of an amount. */
const HOURS_ROUNDING = { places: 2, mode: 'half-away-from-zero' } as const;
const RATE_ROUNDING = { places: 6, mode: 'half-away-from-zero' } as const;

/** How long `available` lasts when it goes on as it went: available x hours / burned. */
export function forecastOf(available: Decimal, { burned, hours }: BurnRate, now: number): Forecast {
  const observedHours = toText(hours);
  if (!isPositive(burned)) return { burnPerHour: '0', hoursLeft: null, emptyAt: null, observedHours };
  const hoursLeft = divide(multiply(available, hours), burned, HOURS_ROUNDING);
  const emptyAt = now + Math.round(toApproximateNumber(hoursLeft) * HOUR_MICROS);
  return {
    burnPerHour: toText(divide(burned, hours, RATE_ROUNDING)),
    hoursLeft: toText(hoursLeft),
    // Beyond a hundred years it is no date that anybody plans by.
    emptyAt: toApproximateNumber(hoursLeft) > 876_000 ? null : emptyAt,
    observedHours,
  };
}
