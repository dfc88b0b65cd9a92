import { type Decimal, decimal, sum, ZERO } from '@ergon/exact';
import { microsFromPostgres } from '../event/instant.ts';
import { LIMITS } from '../limits.ts';
import type { Queryable } from '../store/database.ts';
import { instantArray } from '../store/pg-arrays.ts';

/** Half-open, microseconds since 1970. */
export type Span = { readonly from: number; readonly to: number };

export type BusySpan = Span & { readonly busy: Decimal };

/** Reported spans that touch the window, by time; one more than an answer reads. */
export async function busySpans(db: Queryable, environmentId: number, key: string, window: Span): Promise<BusySpan[]> {
  const result = await db.query<{ time_from: string; time_to: string; busy_device_seconds: string }>(
    `select time_from, time_to, busy_device_seconds from deployment_busy
     where environment_id = $1 and key = $2
       and time_from < ($3::timestamptz[])[2] and time_to > ($3::timestamptz[])[1]
     order by time_from limit ${LIMITS.busySpansMax + 1}`,
    [environmentId, key, instantArray([window.from, window.to])],
  );
  return result.rows.map((row) => ({
    from: microsFromPostgres(row.time_from),
    to: microsFromPostgres(row.time_to),
    busy: decimal(row.busy_device_seconds),
  }));
}

export async function overlapsBusy(db: Queryable, environmentId: number, key: string, span: Span): Promise<boolean> {
  const result = await db.query(
    `select from deployment_busy where environment_id = $1 and key = $2
       and time_from < ($3::timestamptz[])[2] and time_to > ($3::timestamptz[])[1] limit 1`,
    [environmentId, key, instantArray([span.from, span.to])],
  );
  return result.rowCount === 1;
}

export async function insertBusy(
  db: Queryable,
  environmentId: number,
  key: string,
  span: Span,
  busy: string,
  source: string | null,
): Promise<void> {
  await db.query(
    `insert into deployment_busy (environment_id, key, time_from, time_to, busy_device_seconds, source)
     values ($1, $2, ($3::timestamptz[])[1], ($3::timestamptz[])[2], $4::numeric, $5)`,
    [environmentId, key, instantArray([span.from, span.to]), busy, source],
  );
}

/** Device-seconds that requests were allocated in each of these spans, which are sorted and do not overlap; and in all. */
export async function allocatedSeconds(
  db: Queryable,
  environmentId: number,
  key: string,
  window: Span,
  spans: readonly Span[],
): Promise<{ readonly total: Decimal; readonly bySpan: readonly Decimal[] }> {
  const result = await db.query<{ span: number | null; seconds: string }>(
    `select case when r.minute < ($4::timestamptz[])[r.i] then r.i end as span, sum(r.seconds) as seconds
     from (select u.minute, width_bucket(u.minute, $3::timestamptz[]) as i, u.accelerator_seconds_allocated as seconds
       from usage_rollup u join dimension_set d on d.environment_id = u.environment_id and d.id = u.dimension_set_id
       where u.environment_id = $1 and u.minute >= ($5::timestamptz[])[1] and u.minute < ($5::timestamptz[])[2]
         and u.accelerator_seconds_allocated is not null and d.dimensions ->> 'deployment' = $2) r
     group by 1`,
    [
      environmentId,
      key,
      // width_bucket wants one threshold at least; this one has every minute after it, and no span.
      instantArray(spans.length === 0 ? [window.from] : spans.map((span) => span.from)),
      instantArray(spans.length === 0 ? [window.from] : spans.map((span) => span.to)),
      instantArray([window.from, window.to]),
    ],
  );
  const bySpan = new Map(result.rows.map((row) => [row.span, decimal(row.seconds)]));
  return { total: sum(bySpan.values()), bySpan: spans.map((_, index) => bySpan.get(index + 1) ?? ZERO) };
}
