import { eventIdentity } from '../event/capture-event.ts';
import { adjustedEvent, isAdjusting, isTakeBack } from '../record/adjusting-event.ts';
import type { EventRating } from '../record/types.ts';
import type { Queryable } from '../store/database.ts';
import { uuidArray } from '../store/pg-arrays.ts';
import type { Differences } from './differences.ts';
import { negated } from './negated.ts';
import { type BlockEvent, readPositions } from './read-blocks.ts';

/** What re-ratings made of the events and records of a slice, by identity. */
export type Adjusted = {
  /** Ratings, of events or of adjusting records, that were taken back. */
  readonly takenBack: ReadonlySet<string>;
  /** What of an event has no price now, where an adjusting record says so. */
  readonly unrated: ReadonlyMap<string, EventRating['unrated']>;
  /** The event that an adjusting record is about. */
  readonly targets: ReadonlyMap<string, BlockEvent>;
};

const NONE: Adjusted = { takenBack: new Set(), unrated: new Map(), targets: new Map() };

type Row = { record: string; target: string; takes_back: string | null; blockId: bigint; position: number };

/** Follows `event_adjustment`, and checks that each take-back negates what it takes back. Counts the adjusting records. */
export class AdjustmentResolver {
  seen = 0;
  readonly #db: Queryable;
  readonly #environmentId: number;
  readonly #differences: Differences | undefined;
  readonly #hasAdjustments: boolean;

  constructor(db: Queryable, environmentId: number, differences: Differences | undefined, hasAdjustments: boolean) {
    this.#db = db;
    this.#environmentId = environmentId;
    this.#differences = differences;
    this.#hasAdjustments = hasAdjustments;
  }

  /** @param voidTargets identities of events that voids of the slice take back. */
  async resolve(slice: readonly BlockEvent[], voidTargets: readonly string[]): Promise<Adjusted> {
    if (!this.#hasAdjustments) return NONE;
    const records = slice.filter(({ event }) => isAdjusting(event));
    const targetOf = new Map(
      records.map(({ event }) => {
        const { source, id } = adjustedEvent(event);
        return [event.identity, eventIdentity(this.#environmentId, source, id)];
      }),
    );
    const rows = await this.#rows([...slice.map(({ event }) => event.identity), ...targetOf.values(), ...voidTargets]);
    const latest = new Map<string, Row>();
    for (const row of rows) if (row.takes_back === null) latest.set(row.target, row);
    const found = await this.#stored([...targetOf.values()], rows);
    this.seen += records.length;
    for (const record of records) this.#check(record, rows, found);
    const unrated = new Map<string, EventRating['unrated']>();
    for (const [target, row] of latest) {
      const rating = found.get(row.record)?.rating;
      if (rating !== undefined) unrated.set(target, rating.unrated);
    }
    const targets = new Map<string, BlockEvent>();
    for (const [record, target] of targetOf) {
      const event = found.get(target);
      if (event !== undefined) targets.set(record, event);
    }
    return { takenBack: new Set(rows.flatMap((row) => row.takes_back ?? [])), unrated, targets };
  }

  #check(one: BlockEvent, rows: readonly Row[], found: ReadonlyMap<string, BlockEvent>): void {
    const place = `${one.event.source}/${one.event.id}`;
    const row = rows.find(({ record }) => record === one.event.identity);
    if (row === undefined || isTakeBack(one.event) !== (row.takes_back !== null)) {
      this.#differences?.add('adjustment', place, 'a row of event_adjustment', row === undefined ? 'none' : 'another');
      return;
    }
    if (found.get(row.target) === undefined)
      this.#differences?.add('adjustment', place, `the event ${row.target}`, 'none');
    if (row.takes_back === null) return;
    const rating = found.get(row.takes_back);
    const expected = rating === undefined ? 'a rating' : negated(rating.rating, '-');
    const lines = negated(one.rating, '');
    if (expected !== lines) this.#differences?.add('adjustment', place, expected, lines);
  }

  async #rows(identities: readonly string[]): Promise<Row[]> {
    const result = await this.#db.query<Row>({
      name: 'audit_adjustments',
      text: `select replace(record::text, '-', '') as record, replace(target::text, '-', '') as target,
          replace(takes_back::text, '-', '') as takes_back, block_id as "blockId", position
        from event_adjustment where environment_id = $1 and target = any($2::uuid[]) order by block_id, position`,
      values: [this.#environmentId, uuidArray([...new Set(identities)])],
    });
    return result.rows;
  }

  /** Events and adjusting records by identity. */
  async #stored(identities: readonly string[], rows: readonly Row[]): Promise<Map<string, BlockEvent>> {
    const result = await this.#db.query<{ blockId: bigint; position: number }>({
      name: 'audit_adjusted_events',
      text: 'select distinct block_id as "blockId", position from identity where key = any($1::uuid[])',
      values: [uuidArray([...new Set([...identities, ...rows.map((row) => row.target)])])],
    });
    const places = [...result.rows, ...rows.map(({ blockId, position }) => ({ blockId, position }))];
    const found = await readPositions(this.#db, this.#environmentId, places);
    return new Map(found.map((one) => [one.event.identity, one]));
  }
}
