import type { CompiledBudget } from './compile-budget.ts';
import type { Refusal } from './fits.ts';
import type { HoldRequest } from './hold-request.ts';
import { findHolds, type HoldRow } from './hold-store.ts';
import { formatInstant } from '../event/instant.ts';
import { ProblemError } from '../http/problem.ts';
import { LIMITS } from '../limits.ts';
import type { Database } from '../store/database.ts';

/** What was asked is so, now or since before; the hold as it stands. */
type Done = { readonly outcome: 'held' | 'changed' | 'repeated'; readonly hold: HoldRow };

export type HoldOutcome =
  | Done
  | { readonly outcome: 'conflict' }
  | { readonly outcome: 'refused'; readonly refusals: readonly Refusal[] }
  /** The catalog has changed since the request was prepared: prepare it again. */
  | { readonly outcome: 'stale' };

/** A step in a hold's life, as `ergon_resolve` takes it. */
export type Resolution = {
  readonly id: string;
  readonly action: 'settle' | 'release' | 'extend' | 'dispatch' | 'expire';
  readonly hash?: string;
  readonly amounts?: Readonly<Record<string, string>>;
  readonly expires?: string;
};

export type ResolveOutcome = Done | { readonly outcome: 'conflict' | 'resolved' | 'above' | 'unknown' };

/** As the functions answer: the holds themselves are read for all of a group at once. */
type Raw<Outcome> = Omit<Done, 'hold'> | Exclude<Outcome, Done>;

type Waiting<Item, Answer> = {
  readonly item: Item;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
};

/** PostgreSQL: unique_violation (two first holds of one id), serialization_failure, deadlock_detected: nothing happened, once more. */
const RETRYABLE = new Set(['23505', '40001', '40P01']);
const ATTEMPTS_MAX = 5;

/**
 * Takes holds and their resolutions that arrive while a statement runs into the next one, so that many share one commit; each
 * is still answered only after its own. One queue an environment and kind, first come, first served.
 */
export class HoldDesk {
  readonly #database: Database;
  readonly #now: (environmentId: number) => number;
  readonly #queues = new Map<string, Waiting<unknown, unknown>[]>();
  #waiting = 0;

  /** @param now an environment's clock, microseconds since 1970. */
  constructor(database: Database, now: (environmentId: number) => number) {
    this.#database = database;
    this.#now = now;
  }

  hold(environmentId: number, revision: bigint, request: HoldRequest): Promise<HoldOutcome> {
    return this.#enqueue(`hold|${environmentId}|${revision}`, request, async (requests) => {
      const answer = await this.#call('select ergon_hold($1, $2::int8, $3, $4::jsonb) as answer', [
        environmentId,
        revision.toString(),
        formatInstant(this.#now(environmentId)),
        JSON.stringify(requests),
      ]);
      if (isStale(answer)) return requests.map((): HoldOutcome => ({ outcome: 'stale' }));
      return this.#withHolds<HoldOutcome>(environmentId, requests, answersOf<Raw<HoldOutcome>>(answer));
    });
  }

  resolve(environmentId: number, resolution: Resolution): Promise<ResolveOutcome> {
    return this.#enqueue(`resolve|${environmentId}`, resolution, async (resolutions) => {
      const answer = await this.#call('select ergon_resolve($1, $2, $3::jsonb) as answer', [
        environmentId,
        formatInstant(this.#now(environmentId)),
        JSON.stringify(resolutions),
      ]);
      return this.#withHolds<ResolveOutcome>(environmentId, resolutions, answer as Raw<ResolveOutcome>[]);
    });
  }

  /** The holds that the answers are about, as they stand now: one read for the whole group. */
  async #withHolds<Outcome extends { readonly outcome: string }>(
    environmentId: number,
    items: readonly { readonly id: string }[],
    answers: readonly Raw<Outcome>[],
  ): Promise<(Done | Exclude<Outcome, Done>)[]> {
    const ids = items.flatMap(({ id }, index) => (isDone(answers[index]) ? [id] : []));
    const rows = await findHolds(this.#database.pool, environmentId, ids);
    return answers.map((answer, index) => {
      if (!isDone(answer)) return answer;
      const hold = rows.get(items[index]?.id ?? '');
      if (hold === undefined) throw new Error('a hold that was taken is not there');
      return { outcome: answer.outcome, hold };
    });
  }

  #enqueue<Item, Answer>(
    key: string,
    item: Item,
    run: (items: readonly Item[]) => Promise<readonly Answer[]>,
  ): Promise<Answer> {
    if (this.#waiting >= LIMITS.queuedRequestsMax) {
      const detail = 'more holds wait for the database than this process keeps; send it again';
      return Promise.reject(new ProblemError({ code: 'overloaded', detail, retryAfterSeconds: 1 }));
    }
    this.#waiting += 1;
    return new Promise<Answer>((resolve, reject) => {
      const waiting: Waiting<Item, Answer> = { item, resolve, reject };
      // Every entry of a queue was put there by calls of one key, so their types are one.
      const queue = this.#queues.get(key) as Waiting<Item, Answer>[] | undefined;
      if (queue !== undefined) {
        queue.push(waiting);
        return;
      }
      const opened = [waiting];
      this.#queues.set(key, opened as Waiting<unknown, unknown>[]);
      void this.#drain(key, opened, run);
    });
  }

  async #drain<Item, Answer>(
    key: string,
    queue: Waiting<Item, Answer>[],
    run: (items: readonly Item[]) => Promise<readonly Answer[]>,
  ): Promise<void> {
    // A turn later, so that requests of one turn of the event loop share the first statement too.
    await new Promise((resolve) => setImmediate(resolve));
    while (queue.length > 0) {
      const group = queue.splice(0, LIMITS.holdsTogetherMax);
      this.#waiting -= group.length;
      try {
        const answers = await run(group.map(({ item }) => item));
        group.forEach(({ resolve, reject }, index) => {
          const answer = answers[index];
          if (answer === undefined) reject(new Error('the database answered fewer holds than it was asked'));
          else resolve(answer);
        });
      } catch (error) {
        for (const { reject } of group) reject(error);
      }
    }
    this.#queues.delete(key);
  }

  async #call(text: string, values: readonly unknown[]): Promise<unknown> {
    for (let attempt = 1; ; attempt++) {
      try {
        const result = await this.#database.pool.query<{ answer: unknown }>({ text, values: [...values] });
        return result.rows[0]?.answer;
      } catch (error) {
        if (attempt >= ATTEMPTS_MAX || !isRetryable(error)) throw error;
      }
    }
  }
}

function isRetryable(error: unknown): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && RETRYABLE.has(error.code);
}

function isDone(answer: { readonly outcome: string } | undefined): answer is Omit<Done, 'hold'> {
  return answer?.outcome === 'held' || answer?.outcome === 'changed' || answer?.outcome === 'repeated';
}

function isStale(answer: unknown): boolean {
  return typeof answer === 'object' && answer !== null && 'stale' in answer;
}

/** The function's answers, which only this build's own SQL writes. */
function answersOf<Answer>(answer: unknown): Answer[] {
  return (answer as { readonly answers: Answer[] }).answers;
}

/** Which budget a refusal names. */
export function budgetOf(budgets: readonly CompiledBudget[], refusal: Refusal): CompiledBudget | undefined {
  return budgets.find((budget) => budget.id === refusal.budget);
}
