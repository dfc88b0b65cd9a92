import type { Client, Queryable } from '../store/database.ts';
import { instantArray, int8Array, textArray } from '../store/pg-arrays.ts';
import type { QualityFinding } from './find-mistakes.ts';

/** How long a finding is shown; older ones are forgotten. */
export const DAYS_KEPT = 90;

const DETAIL_MAX = 500;
// biome-ignore lint/suspicious/noControlCharactersInRegex: PostgreSQL text cannot hold NUL, and no detail needs the others
const CONTROL_CHARACTERS = /[\u0000-\u001f\u007f]/g;

type Row = { finding: QualityFinding; count: number };

/** Adds the findings to their customers' rows of the day, in the transaction that records the events. */
export async function writeFindings(
  client: Client,
  environmentId: number,
  findings: readonly QualityFinding[],
  now: number,
): Promise<void> {
  const rows = new Map<string, Row>();
  for (const finding of findings) {
    if (finding.customerId === undefined) continue;
    const key = `${String(finding.customerId).padStart(16, '0')}|${finding.kind}`;
    rows.set(key, { finding, count: (rows.get(key)?.count ?? 0) + finding.count });
  }
  if (rows.size === 0) return;
  const sorted = [...rows].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
  await client.query({
    name: 'data_quality',
    text: `insert into data_quality as q
        (environment_id, customer_id, kind, day, event_count, first_at, last_at, source, event_id, detail)
      select $1, c, k, (($2::timestamptz[])[1] at time zone 'UTC')::date, n, ($2::timestamptz[])[1], ($2::timestamptz[])[1], s, i, d
      from unnest($3::int8[], $4::text[], $5::int8[], $6::text[], $7::text[], $8::text[]) as f(c, k, n, s, i, d)
      on conflict (environment_id, customer_id, kind, day) do update set
        event_count = q.event_count + excluded.event_count,
        first_at = least(q.first_at, excluded.first_at), last_at = greatest(q.last_at, excluded.last_at),
        source = excluded.source, event_id = excluded.event_id, detail = excluded.detail`,
    values: [
      environmentId,
      instantArray([now]),
      int8Array(sorted.map(({ finding }) => finding.customerId ?? null)),
      textArray(sorted.map(({ finding }) => finding.kind)),
      int8Array(sorted.map(({ count }) => count)),
      textArray(sorted.map(({ finding }) => finding.source)),
      textArray(sorted.map(({ finding }) => finding.id)),
      textArray(sorted.map(({ finding }) => plain(finding.detail))),
    ],
  });
}

function plain(detail: string): string {
  return detail.slice(0, DETAIL_MAX).replace(CONTROL_CHARACTERS, ' ').toWellFormed();
}

export type QualityRow = {
  kind: string;
  event_count: bigint;
  first_at: string;
  last_at: string;
  source: string;
  event_id: string;
  detail: string;
};

/** Each kind found at the customer in `[from, to)` of receipt, by whole days, the most frequent first. */
export async function listFindings(
  db: Queryable,
  environmentId: number,
  customerId: bigint,
  span: { readonly from: number; readonly to: number },
): Promise<QualityRow[]> {
  const result = await db.query<QualityRow>(
    `select kind, sum(event_count)::int8 as event_count, min(first_at) as first_at, max(last_at) as last_at,
       (array_agg(source order by day desc))[1] as source, (array_agg(event_id order by day desc))[1] as event_id,
       (array_agg(detail order by day desc))[1] as detail
     from data_quality
     where environment_id = $1 and customer_id = $2
       and last_at >= ($3::timestamptz[])[1] and first_at < ($3::timestamptz[])[2]
     group by kind order by event_count desc, kind`,
    [environmentId, customerId, instantArray([span.from, span.to])],
  );
  return result.rows;
}

/** Forgets what is older than {@link DAYS_KEPT}, by the clock of each environment. */
export async function forgetFindings(db: Queryable, now: number): Promise<void> {
  await db.query(
    `delete from data_quality q using environment e where e.id = q.environment_id
       and q.day < (coalesce(e.clock_at, ($1::timestamptz[])[1]) at time zone 'UTC')::date - ${DAYS_KEPT}`,
    [instantArray([now])],
  );
}
