import { type CapturedEvent, VOID_TYPE } from '../event/event.ts';
import { eventIdentity } from '../event/capture-event.ts';
import type { Queryable } from '../store/database.ts';
import { uuidArray } from '../store/pg-arrays.ts';
import type { Differences } from './differences.ts';
import { negated, signedText } from './negated.ts';
import { type BlockEvent, readPositions } from './read-blocks.ts';

/** An event with what voids make of it. */
export type VoidedEvent = BlockEvent & {
  /** A void that was carried out has taken it back. */
  readonly isVoided: boolean;
  /** Of a void that was carried out: the event it took back. */
  readonly target: BlockEvent | undefined;
};

type VoidRow = { target: string; void_source: string; void_id: string; applied: boolean };

/** Finds which events of a slice were voided, and what its voids took back. Counts the voids that were carried out. */
export class VoidResolver {
  carriedOut = 0;
  readonly #db: Queryable;
  readonly #environmentId: number;
  readonly #differences: Differences | undefined;
  readonly #hasVoids: boolean;

  constructor(db: Queryable, environmentId: number, differences: Differences | undefined, hasVoids: boolean) {
    this.#db = db;
    this.#environmentId = environmentId;
    this.#differences = differences;
    this.#hasVoids = hasVoids;
  }

  /** Identities of the events that the slice's voids name. */
  targetsOf(slice: readonly BlockEvent[]): string[] {
    return slice
      .filter(({ event }) => event.type === VOID_TYPE)
      .map(({ event }) => targetOf(this.#environmentId, event));
  }

  /** @param takenBack ratings that re-ratings have taken back. */
  async resolve(slice: readonly BlockEvent[], takenBack: ReadonlySet<string>): Promise<VoidedEvent[]> {
    const targets = this.targetsOf(slice);
    if (targets.length === 0 && !this.#hasVoids) return slice.map(untouched);
    const rows = await this.#rows([...slice.map(({ event }) => event.identity), ...targets]);
    const stored = await this.#stored(targets);
    return slice.map((one) => {
      if (one.event.type === VOID_TYPE)
        return { ...one, isVoided: false, target: this.#targetOf(one, rows, stored, takenBack) };
      return { ...one, isVoided: rows.get(one.event.identity)?.applied === true, target: undefined };
    });
  }

  /** What the void took back, by the same rules as record/void.ts: the first void of a stored event that is no void itself. */
  #targetOf(
    one: BlockEvent,
    rows: ReadonlyMap<string, VoidRow>,
    stored: ReadonlyMap<string, BlockEvent>,
    takenBack: ReadonlySet<string>,
  ): BlockEvent | undefined {
    const { event, rating, blockId } = one;
    const identity = targetOf(this.#environmentId, event);
    const row = rows.get(identity);
    const target = stored.get(identity);
    const isCarrier =
      row !== undefined &&
      ((event.source === 'ergon' && event.id === `void:${identity}`) ||
        (row.void_source === event.source && row.void_id === event.id));
    const isDue =
      row?.applied === true &&
      isCarrier &&
      target !== undefined &&
      target.event.type !== VOID_TYPE &&
      target.blockId < blockId;
    const hasEffect = rating.lines.length > 0 || rating.customer !== null || rating.cost !== null;
    if (isDue) this.carriedOut += 1;
    if (hasEffect && !isDue)
      this.#differences?.add('void', `${event.source}/${event.id}`, 'no effect', 'takes an event back');
    if (isDue && target !== undefined) this.#checkNegation(one, target, takenBack.has(identity));
    return isDue || hasEffect ? target : undefined;
  }

  /** The void carries the target's own figures, negated: quantities, cost, and a line for each that was charged. */
  #checkNegation(one: BlockEvent, target: BlockEvent, isTakenBack: boolean): void {
    // Where a re-rating has taken the target's own lines back, the void finds none to take.
    const lines = isTakenBack ? '[]' : negated(target.rating, '-');
    const figures = ({ rating }: BlockEvent, sign: '' | '-', lines: string): string =>
      JSON.stringify([rating.customer, rating.cost === null ? null : signedText(rating.cost[0], sign), lines]);
    const expected = figures(target, '-', lines);
    const found = figures(one, '', negated(one.rating, ''));
    if (expected !== found) this.#differences?.add('void', `${one.event.source}/${one.event.id}`, expected, found);
  }

  async #rows(identities: readonly string[]): Promise<Map<string, VoidRow>> {
    const result = await this.#db.query<VoidRow>({
      name: 'audit_voids',
      text: `select replace(target::text, '-', '') as target, void_source, void_id, applied_at is not null as applied
        from event_void where environment_id = $1 and target = any($2::uuid[])`,
      values: [this.#environmentId, uuidArray(identities)],
    });
    return new Map(result.rows.map((row) => [row.target, row]));
  }

  async #stored(identities: readonly string[]): Promise<Map<string, BlockEvent>> {
    if (identities.length === 0) return new Map();
    const result = await this.#db.query<{ blockId: bigint; position: number }>({
      name: 'audit_void_targets',
      text: 'select distinct block_id as "blockId", position from identity where key = any($1::uuid[])',
      values: [uuidArray(identities)],
    });
    const found = await readPositions(this.#db, this.#environmentId, result.rows);
    return new Map(found.map((one) => [one.event.identity, one]));
  }
}

function targetOf(environmentId: number, event: CapturedEvent): string {
  return eventIdentity(environmentId, String(event.data.source), String(event.data.id));
}

function untouched(one: BlockEvent): VoidedEvent {
  return { ...one, isVoided: false, target: undefined };
}
