import { formatInstant } from '../event/instant.ts';
import type { Queryable } from '../store/database.ts';
import type { Counter } from './counters.ts';

/** A counter with what a hold set aside there. */
export type HeldCounter = Counter & { readonly x: string };

/** A hold whose call's event has come, as it stood: what it had set aside is free again. */
export type TakenHold = {
  readonly id: string;
  readonly status: 'pending' | 'dispatched' | 'settled' | 'released' | 'expired';
  /** [grant account, amount]. */
  readonly funds: readonly (readonly [number, string])[];
  readonly counters: readonly HeldCounter[];
  readonly amounts: Readonly<Record<string, string>>;
  /** Of a hold settled by amount before. */
  readonly settled: Readonly<Record<string, string>> | null;
};

/**
 * Frees what the holds of these events have set aside, or takes back what they were settled at, so that the events' own charges
 * can be posted instead. The caller holds the locks of the customers' accounts.
 */
export async function takeHolds(
  db: Queryable,
  environmentId: number,
  wanted: readonly { readonly id: string; readonly customerId: number | null }[],
  at: number,
): Promise<Map<string, TakenHold>> {
  const result = await db.query<{ answer: TakenHold[] }>({
    name: 'take_holds',
    text: 'select ergon_take_holds($1, $2::jsonb, $3) as answer',
    values: [
      environmentId,
      JSON.stringify(wanted.map(({ id, customerId }) => ({ id, customer: customerId }))),
      formatInstant(at),
    ],
  });
  return new Map((result.rows[0]?.answer ?? []).map((hold) => [hold.id, hold]));
}

/** Where events that have settled holds were counted, by the id of the hold: at its counters, whenever they came. */
export async function countersOfSettled(
  db: Queryable,
  environmentId: number,
  events: readonly { readonly hold: string; readonly source: string; readonly id: string }[],
): Promise<Map<string, readonly HeldCounter[]>> {
  if (events.length === 0) return new Map();
  const result = await db.query<{ id: string; counters: readonly HeldCounter[] }>({
    name: 'counters_of_settled',
    text: `select h.id, h.counters from jsonb_array_elements($2::jsonb) e join hold h on h.environment_id = $1 and h.id = e ->> 'hold'
        and h.settled_by = 'event' and h.event_source = e ->> 'source' and h.event_id = e ->> 'id'`,
    values: [environmentId, JSON.stringify(events)],
  });
  return new Map(result.rows.map(({ id, counters }) => [id, counters]));
}
