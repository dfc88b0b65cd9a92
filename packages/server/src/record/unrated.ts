import { add, type Decimal, decimal, negate, toText, ZERO } from '@ergon/exact';
import type { Queryable } from '../store/database.ts';
import { instantArray, int8Array, textArray } from '../store/pg-arrays.ts';
import { plainDimension } from './dimension-sets.ts';
import { minuteOf } from './rollups.ts';
import type { EventRating } from './types.ts';

/** Whose usage is unrated, of what model and when: the rest of a row's name is in the event's own list. */
export type UnratedOwner = {
  readonly customerId: number;
  readonly model: string | undefined;
  /** Microseconds since 1970. */
  readonly occurredAt: number;
};

type Row = {
  readonly customerId: number;
  readonly meter: string;
  readonly reason: string;
  readonly model: string;
  readonly minute: number;
  events: number;
  quantity: Decimal;
};

/** What one transaction adds to the unrated usage, or takes out of it. */
export class UnratedSums {
  readonly #rows = new Map<string, Row>();

  get isEmpty(): boolean {
    return this.#rows.size === 0;
  }

  add({ customerId, model, occurredAt }: UnratedOwner, unrated: EventRating['unrated'], sign: 1 | -1 = 1): void {
    if (unrated.length === 0) return;
    const minute = minuteOf(occurredAt);
    const named = plainDimension(model) ?? '';
    for (const [meter, quantity, reason] of unrated) {
      const key = unratedKey({ customerId, meter, reason, model: named, minute });
      let row = this.#rows.get(key);
      if (row === undefined) {
        row = { customerId, meter, reason, model: named, minute, events: 0, quantity: ZERO };
        this.#rows.set(key, row);
      }
      row.events += sign;
      row.quantity = add(row.quantity, sign === 1 ? decimal(quantity) : negate(decimal(quantity)));
    }
  }

  /** Starts the writes and returns them unawaited, for the pipeline. Rows are taken in key order, as by every writer. */
  write(db: Queryable, environmentId: number): Promise<unknown>[] {
    const rows = [...this.#rows.values()];
    const added = rows.filter((row) => row.events > 0);
    const takenOut = rows.filter((row) => row.events < 0);
    return [
      ...(added.length === 0 ? [] : [addRows(db, environmentId, added)]),
      ...(takenOut.length === 0 ? [] : [takeRowsOut(db, environmentId, takenOut), forget(db, environmentId, takenOut)]),
    ];
  }
}

const SOURCE = `unnest($2::int8[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::int8[], $8::text[]) as s(c, e, r, m, t, n, q)`;

function addRows(db: Queryable, environmentId: number, rows: readonly Row[]): Promise<unknown> {
  return db.query({
    name: 'unrated_usage',
    text: `insert into unrated_usage as u (environment_id, customer_id, meter, reason, model, minute, event_count, quantity)
      select $1, c, e, r, m, t, n, q::numeric from ${SOURCE} order by c, e, r, m, t
      on conflict (environment_id, customer_id, meter, reason, model, minute) do update set
        event_count = u.event_count + excluded.event_count, quantity = u.quantity + excluded.quantity`,
    values: [environmentId, ...columnsOf(rows)],
  });
}

/** Only voids and re-rating take out, under the environment's exclusive lock. */
function takeRowsOut(db: Queryable, environmentId: number, rows: readonly Row[]): Promise<unknown> {
  return db.query({
    name: 'unrated_taken_out',
    text: `update unrated_usage u set event_count = u.event_count + n, quantity = u.quantity + q::numeric from ${SOURCE}
      where u.environment_id = $1 and u.customer_id = c and u.meter = e and u.reason = r and u.model = m and u.minute = t`,
    values: [environmentId, ...columnsOf(rows)],
  });
}

function forget(db: Queryable, environmentId: number, rows: readonly Row[]): Promise<unknown> {
  return db.query({
    name: 'unrated_forgotten',
    text: 'delete from unrated_usage where environment_id = $1 and customer_id = any($2::int8[]) and event_count = 0',
    values: [environmentId, int8Array([...new Set(rows.map((row) => row.customerId))])],
  });
}

function columnsOf(rows: readonly Row[]): Buffer[] {
  return [
    int8Array(rows.map((row) => row.customerId)),
    textArray(rows.map((row) => row.meter)),
    textArray(rows.map((row) => row.reason)),
    textArray(rows.map((row) => row.model)),
    instantArray(rows.map((row) => row.minute)),
    int8Array(rows.map((row) => row.events)),
    textArray(rows.map((row) => toText(row.quantity))),
  ];
}

/** A row's name as text, the same as audit makes of its columns. */
export function unratedKey(row: Pick<Row, 'customerId' | 'meter' | 'reason' | 'model' | 'minute'>): string {
  return `${row.customerId}|${row.meter}|${row.reason}|${row.model}|${row.minute}`;
}
