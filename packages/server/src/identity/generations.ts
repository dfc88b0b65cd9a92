import type { Queryable } from '../store/database.ts';
import { keyBits, mayHold } from './bloom-filter.ts';

/** The sealed generations a process knows, oldest first, and the open one. */
type Known = {
  readonly open: number;
  readonly sealed: readonly { readonly id: number; readonly filter: Buffer | null }[];
};

/**
 * Where identities are looked for. New ones are written into the open generation, whose index is small; the sealed ones are
 * asked only about keys that their filters cannot rule out, so that fifty million identities cost little more than none.
 */
export class Generations {
  #known: Known | undefined;

  /** The open generation as far as this process knows; the transaction checks it under the lock. */
  async open(db: Queryable): Promise<number> {
    this.#known ??= await load(db, undefined);
    return this.#known.open;
  }

  /** Reads what was sealed since. */
  async refresh(db: Queryable): Promise<void> {
    this.#known = await load(db, this.#known);
  }

  /** Keys that a sealed generation may hold. */
  suspects(keys: readonly string[]): string[] {
    const sealed = this.#known?.sealed ?? [];
    if (sealed.length === 0) return [];
    return keys.filter((key) => {
      const bits = keyBits(key);
      return sealed.some(({ filter }) => filter === null || mayHold(filter, bits));
    });
  }

  /** Whether some sealed generation still lacks its filter, so that it is worth reading them again. */
  get isIncomplete(): boolean {
    return this.#known?.sealed.some(({ filter }) => filter === null) ?? false;
  }
}

async function load(db: Queryable, before: Known | undefined): Promise<Known> {
  const filters = new Map(before?.sealed.map((one) => [one.id, one.filter]));
  const result = await db.query<{ id: number; is_sealed: boolean; has_filter: boolean }>(
    'select id, sealed_at is not null as is_sealed, filter is not null as has_filter from identity_generation order by id',
  );
  const sealed: { id: number; filter: Buffer | null }[] = [];
  let open = 0;
  for (const row of result.rows) {
    if (!row.is_sealed) {
      open = row.id;
      continue;
    }
    const known = filters.get(row.id) ?? null;
    sealed.push({ id: row.id, filter: known ?? (row.has_filter ? await readFilter(db, row.id) : null) });
  }
  return { open, sealed };
}

async function readFilter(db: Queryable, id: number): Promise<Buffer | null> {
  const result = await db.query<{ filter: Buffer | null }>('select filter from identity_generation where id = $1', [
    id,
  ]);
  return result.rows[0]?.filter ?? null;
}
