import { type Decimal, decimal, toText } from '@ergon/exact';
import { formatInstant, microsFromPostgres } from '../event/instant.ts';
import type { Queryable } from '../store/database.ts';
import { microsOrNull } from './subscription-store.ts';

/** A period that has been opened; `closedAt` and `total` once it is closed, and then for ever. */
export type PeriodRecord = {
  readonly number: number;
  readonly period: string;
  readonly from: number;
  readonly to: number;
  readonly openedAt: number;
  readonly closedAt: number | null;
  readonly total: Decimal | null;
};

type Row = {
  number: number;
  period: string;
  period_from: string;
  period_to: string;
  opened_at: string;
  closed_at: string | null;
  total: string | null;
};

const COLUMNS = 'number, period, period_from, period_to, opened_at, closed_at, total';

/** Newest first. */
export async function listPeriods(
  db: Queryable,
  environmentId: number,
  subscriptionId: bigint,
  { before, limit }: { before: bigint | undefined; limit: number },
): Promise<PeriodRecord[]> {
  const result = await db.query<Row>(
    `select ${COLUMNS} from subscription_period where environment_id = $1 and subscription_id = $2
       and ($3::int8 is null or number < $3) order by number desc limit $4`,
    [environmentId, subscriptionId, before ?? null, limit],
  );
  return result.rows.map(periodOf);
}

export async function findPeriod(
  db: Queryable,
  environmentId: number,
  subscriptionId: bigint,
  number: number,
): Promise<PeriodRecord | undefined> {
  const result = await db.query<Row>(
    `select ${COLUMNS} from subscription_period where environment_id = $1 and subscription_id = $2 and number = $3`,
    [environmentId, subscriptionId, number],
  );
  return result.rows.map(periodOf)[0];
}

/** The newest period, open or closed. */
export async function latestPeriod(
  db: Queryable,
  environmentId: number,
  subscriptionId: bigint,
): Promise<PeriodRecord | undefined> {
  return (await listPeriods(db, environmentId, subscriptionId, { before: undefined, limit: 1 }))[0];
}

export async function insertPeriod(
  db: Queryable,
  environmentId: number,
  subscriptionId: bigint,
  period: Pick<PeriodRecord, 'number' | 'period' | 'from' | 'to' | 'openedAt'>,
): Promise<void> {
  await db.query(
    `insert into subscription_period (environment_id, subscription_id, number, period, period_from, period_to, opened_at)
     values ($1, $2, $3, $4, $5, $6, $7)`,
    [
      environmentId,
      subscriptionId,
      period.number,
      period.period,
      formatInstant(period.from),
      formatInstant(period.to),
      formatInstant(period.openedAt),
    ],
  );
}

/** A subscription cancelled within the period ends it earlier. */
export async function endPeriodAt(
  db: Queryable,
  environmentId: number,
  subscriptionId: bigint,
  number: number,
  to: number,
): Promise<void> {
  await db.query(
    'update subscription_period set period_to = $4 where environment_id = $1 and subscription_id = $2 and number = $3',
    [environmentId, subscriptionId, number, formatInstant(to)],
  );
}

export async function closePeriodRow(
  db: Queryable,
  environmentId: number,
  subscriptionId: bigint,
  number: number,
  { at, total }: { at: number; total: Decimal },
): Promise<void> {
  await db.query(
    `update subscription_period set closed_at = $4, total = $5
     where environment_id = $1 and subscription_id = $2 and number = $3`,
    [environmentId, subscriptionId, number, formatInstant(at), toText(total)],
  );
}

function periodOf(row: Row): PeriodRecord {
  return {
    number: row.number,
    period: row.period,
    from: microsFromPostgres(row.period_from),
    to: microsFromPostgres(row.period_to),
    openedAt: microsFromPostgres(row.opened_at),
    closedAt: microsOrNull(row.closed_at),
    total: row.total === null ? null : decimal(row.total),
  };
}
