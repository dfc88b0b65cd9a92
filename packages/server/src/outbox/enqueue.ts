import { formatInstant } from '../event/instant.ts';
import type { Queryable } from '../store/database.ts';
import { textArray } from '../store/pg-arrays.ts';
import type { OutboxEventType } from './event-types.ts';

/** Something that happened, to be told to whoever listens. */
export type OutboxEvent = {
  readonly type: OutboxEventType;
  /**
   * Names the happening within its environment, at most 512 characters: the same key again is the same happening and is told
   * once. A threshold's key holds the window or the number of the crossing.
   */
  readonly crossingKey: string;
  /** External id of the customer it is about. */
  readonly customer?: string | undefined;
  /** Amounts as text. */
  readonly data: Readonly<Record<string, unknown>>;
};

/**
 * Leaves events in the outbox, in the caller's transaction: they are told exactly when it commits. One statement for all of
 * them, none for none.
 *
 * @param now microseconds since 1970.
 * @returns how many were new.
 */
export async function enqueue(
  db: Queryable,
  environmentId: number,
  events: readonly OutboxEvent[],
  now: number,
): Promise<number> {
  if (events.length === 0) return 0;
  // In key order, as every unique index that several transactions fill: two of them never wait for each other in a circle.
  const sorted = [...events].sort((a, b) => (a.crossingKey < b.crossingKey ? -1 : 1));
  const result = await db.query({
    name: 'outbox_enqueue',
    text: `insert into outbox_event (environment_id, type, crossing_key, customer, data, occurred_at)
      select $1, t, k, nullif(c, ''), d::jsonb, $2::timestamptz
      from unnest($3::text[], $4::text[], $5::text[], $6::text[]) with ordinality as s(t, k, c, d, n) order by n
      on conflict (environment_id, crossing_key) do nothing`,
    values: [
      environmentId,
      formatInstant(now),
      textArray(sorted.map((event) => event.type)),
      textArray(sorted.map((event) => event.crossingKey)),
      textArray(sorted.map((event) => event.customer ?? '')),
      textArray(sorted.map((event) => JSON.stringify(event.data))),
    ],
  });
  return result.rowCount ?? 0;
}
