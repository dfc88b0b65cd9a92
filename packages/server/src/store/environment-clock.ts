import { microsFromPostgres } from '../event/instant.ts';
import type { Queryable } from './database.ts';

/** The environment's time in a transaction: a sandbox's stopped clock, else `now`. Microseconds since 1970. */
export async function clockOf(db: Queryable, environmentId: number, now: number): Promise<number> {
  const result = await db.query<{ clock_at: string | null }>('select clock_at from environment where id = $1', [
    environmentId,
  ]);
  const stopped = result.rows[0]?.clock_at ?? null;
  return stopped === null ? now : microsFromPostgres(stopped);
}

/**
 * Stopped clocks of sandboxes, for the paths that cannot ask the database each time. The process that moves a clock knows at
 * once, the others when they next receive events there, and that a clock was stopped at all within a second.
 */
export class EnvironmentClocks {
  readonly #machine: () => number;
  #stopped: ReadonlyMap<number, number> = new Map();

  constructor(machine: () => number) {
    this.#machine = machine;
  }

  now(environmentId: number): number {
    return this.#stopped.get(environmentId) ?? this.#machine();
  }

  /** Whether the environment has a clock of its own, as far as this process knows. */
  isStopped(environmentId: number): boolean {
    return this.#stopped.has(environmentId);
  }

  /** The time as events are received: a clock known to stand still is read again, the others cost nothing. */
  async read(db: Queryable, environmentId: number): Promise<number> {
    if (!this.#stopped.has(environmentId)) return this.#machine();
    const now = await clockOf(db, environmentId, this.#machine());
    this.set(environmentId, now);
    return now;
  }

  /** A clock that this process has moved. */
  set(environmentId: number, micros: number): void {
    this.#stopped = new Map(this.#stopped).set(environmentId, micros);
  }

  async refresh(db: Queryable): Promise<void> {
    const result = await db.query<{ id: number; clock_at: string }>(
      'select id, clock_at from environment where clock_at is not null',
    );
    this.#stopped = new Map(result.rows.map((row) => [row.id, microsFromPostgres(row.clock_at)]));
  }
}
