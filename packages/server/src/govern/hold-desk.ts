import type { CompiledBudget } from './compile-budget.ts';
import type { Refusal } from './fits.ts';
import type { HoldRequest } from './hold-request.ts';
import { findHolds, type HoldRow } from './hold-store.ts';
import { formatInstant } from '../event/instant.ts';
import { ProblemError } from '../http/problem.ts';
import { LIMITS } from '../limits.ts';
import { type Database, isConnectionLost } from '../store/database.ts';

export type HoldOutcome =
  /** Taken now, at this instant in microseconds since 1970. */
  | { readonly outcome: 'held'; readonly isFunded: boolean; readonly at: number }
  /** Taken before; the hold as it stands. */
  | { readonly outcome: 'repeated'; readonly hold: HoldRow }
  | { readonly outcome: 'conflict' }
  | { readonly outcome: 'refused'; readonly refusals: readonly Refusal[] }
  /** The catalog has changed since the request was prepared: prepare it again. */
  | { readonly outcome: 'stale' };

/** A step in the life of a hold that is there, as `ergon_hold` takes it. */
export type Resolution = {
  readonly id: string;
  readonly action: 'settle' | 'release' | 'extend' | 'dispatch' | 'expire';
  readonly hash?: string;
  readonly amounts?: Readonly<Record<string, string>>;
  /** The names of the amounts. */
  readonly measures?: readonly string[];
  readonly expires?: string;
};

export type ResolveOutcome =
  /** It is so, now or since before; the hold as it stands. */
  | { readonly outcome: 'changed' | 'repeated'; readonly hold: HoldRow }
  | { readonly outcome: 'conflict' | 'resolved' | 'above' | 'unknown' };

/** As `ergon_hold` answers one step. */
type Raw =
  | { readonly outcome: 'held'; readonly funded: boolean }
  | (Omit<HoldRow, 'id' | 'budget_keys'> & { readonly outcome: 'changed'; readonly budgets: readonly number[] })
  | { readonly outcome: 'repeated' }
  | { readonly outcome: 'conflict' }
  | { readonly outcome: 'stale' }
  | { readonly outcome: 'resolved' | 'above' | 'unknown' }
  | { readonly outcome: 'refused'; readonly refusals: readonly Refusal[] };

/** Whom a charge is to be paid by, and in what. */
type Owner = { readonly customer: number; readonly currency: string };

type Waiting = {
  readonly request: HoldRequest | Resolution;
  /** Of a new hold: the catalog revision it was prepared with. */
  readonly revision: bigint | undefined;
  readonly resolve: (answer: HoldOutcome | ResolveOutcome) => void;
  readonly reject: (error: unknown) => void;
};

/** PostgreSQL: unique_violation (two first holds of one id), serialization_failure, deadlock_detected: nothing happened, once more. */
const RETRYABLE = new Set(['23505', '40001', '40P01']);
const ATTEMPTS_MAX = 5;
const CACHED_MAX = 100_000;

/**
 * Takes holds and their resolutions that arrive while a statement runs into the next one, so that many share one commit; each
 * is still answered only after its own. One queue an environment, first come, first served: a second one would wait for the same
 * counters anyway.
 */
export class HoldDesk {
  readonly #database: Database;
  readonly #now: (environmentId: number) => number;
  readonly #queues = new Map<number, Waiting[]>();
  /** A budget's key never changes under its id. */
  readonly #budgetKeys = new Map<number, string>();
  /** Customers, by id, with a wallet in a currency: a wallet stays, so it need not be looked for again. */
  readonly #prepaid = new Set<string>();
  /** Customers, by id, with the accounts that a charge in a currency needs: they stay too. */
  readonly #withAccounts = new Set<string>();
  /** Environments and currencies with an account of what was earned. */
  readonly #withRevenue = new Set<string>();
  /** Customers, by id, whose last charged hold in a currency found no wallet. */
  readonly #postpaid = new Set<string>();
  #waiting = 0;

  /** @param now an environment's clock, microseconds since 1970. */
  constructor(database: Database, now: (environmentId: number) => number) {
    this.#database = database;
    this.#now = now;
  }

  hold(environmentId: number, revision: bigint, request: HoldRequest): Promise<HoldOutcome> {
    // `ergon_hold` answers a new hold with these outcomes only.
    return this.#enqueue(environmentId, request, revision) as Promise<HoldOutcome>;
  }

  resolve(environmentId: number, resolution: Resolution): Promise<ResolveOutcome> {
    // And a resolution with those.
    return this.#enqueue(environmentId, resolution, undefined) as Promise<ResolveOutcome>;
  }

  /** Whether the customer was last seen without a wallet in the currency. */
  isPostpaid(customerId: number, currency: string): boolean {
    return this.#postpaid.has(walletName(customerId, currency));
  }

  #enqueue(
    environmentId: number,
    request: HoldRequest | Resolution,
    revision: bigint | undefined,
  ): Promise<HoldOutcome | ResolveOutcome> {
    if (this.#waiting >= LIMITS.queuedRequestsMax) {
      const detail = 'more holds wait for the database than this process keeps; send it again';
      return Promise.reject(new ProblemError({ code: 'overloaded', detail, retryAfterSeconds: 1 }));
    }
    this.#waiting += 1;
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { request, revision, resolve, reject };
      const queue = this.#queues.get(environmentId);
      if (queue !== undefined) {
        queue.push(waiting);
        return;
      }
      const opened = [waiting];
      this.#queues.set(environmentId, opened);
      void this.#drain(environmentId, opened);
    });
  }

  async #drain(environmentId: number, queue: Waiting[]): Promise<void> {
    // A turn later, so that requests of one turn of the event loop share the first statement too.
    await new Promise((resolve) => setImmediate(resolve));
    while (queue.length > 0) {
      const group = takeGroup(queue);
      this.#waiting -= group.length;
      try {
        await this.#take(environmentId, group);
      } catch (error) {
        // One request may have poisoned the group: each is tried alone, and only the poisonous one fails.
        const isShared = group.length > 1 && !isConnectionLost(error);
        for (const one of group) {
          if (isShared) await this.#take(environmentId, [one]).catch(one.reject);
          else one.reject(error);
        }
      }
    }
    this.#queues.delete(environmentId);
  }

  async #take(environmentId: number, group: readonly Waiting[]): Promise<void> {
    const at = this.#now(environmentId);
    const revision = group.find((one) => one.revision !== undefined)?.revision ?? 0n;
    const owners = this.#unseenAccounts(group);
    await this.#makeRevenue(environmentId, owners);
    const requests = JSON.stringify(group.map(({ request }) => this.#withWallet(request)));
    const answers = await this.#call([environmentId, revision.toString(), formatInstant(at), requests], owners);
    if (this.#withAccounts.size > CACHED_MAX) this.#withAccounts.clear();
    for (const { customer, currency } of owners) this.#withAccounts.add(walletName(customer, currency));
    this.#learnWallets(group, answers);
    const repeated = group.flatMap(({ request }, index) =>
      answers[index]?.outcome === 'repeated' ? [request.id] : [],
    );
    const rows = await findHolds(this.#database.pool, environmentId, repeated);
    await this.#learnBudgets(environmentId, answers);
    group.forEach(({ request, resolve, reject }, index) => {
      const answer = answers[index];
      const outcome = answer === undefined ? undefined : this.#outcome(answer, request.id, rows, at);
      if (outcome === undefined) reject(new Error(`the database did not answer the hold ${request.id}`));
      else resolve(outcome);
    });
  }

  #outcome(
    answer: Raw,
    id: string,
    rows: ReadonlyMap<string, HoldRow>,
    at: number,
  ): HoldOutcome | ResolveOutcome | undefined {
    switch (answer.outcome) {
      case 'held':
        return { outcome: 'held', isFunded: answer.funded, at };
      case 'repeated': {
        const hold = rows.get(id);
        return hold === undefined ? undefined : { outcome: 'repeated', hold };
      }
      case 'changed': {
        const { outcome, budgets, ...hold } = answer;
        const keys = budgets.map((budget) => this.#budgetKeys.get(budget) ?? '').toSorted();
        return { outcome, hold: { ...hold, id, budget_keys: keys } };
      }
      default:
        return answer;
    }
  }

  /** Customers and currencies of charges whose accounts this process has not seen. */
  #unseenAccounts(group: readonly Waiting[]): Owner[] {
    const unseen = new Map<string, Owner>();
    for (const { request } of group) {
      if (!('customer' in request) || request.customer === null || request.currency === null) continue;
      const name = walletName(request.customer, request.currency);
      if (Number(request.charge ?? 0) <= 0 || this.#withAccounts.has(name)) continue;
      unseen.set(name, { customer: request.customer, currency: request.currency });
    }
    return [...unseen.values()];
  }

  /** What charges earn, in a transaction of its own: nobody who holds locks then waits for who has made it. */
  async #makeRevenue(environmentId: number, owners: readonly Owner[]): Promise<void> {
    for (const code of new Set(owners.map(({ currency }) => currency))) {
      const name = `${environmentId} ${code}`;
      if (this.#withRevenue.has(name)) continue;
      await this.#database.pool.query(`select ergon_house($1, 'revenue', $2)`, [environmentId, code]);
      if (this.#withRevenue.size > CACHED_MAX) this.#withRevenue.clear();
      this.#withRevenue.add(name);
    }
  }

  #withWallet(request: HoldRequest | Resolution): object {
    if (!('customer' in request) || request.customer === null) return request;
    const isKnown = this.#prepaid.has(walletName(request.customer, request.currency));
    return isKnown ? { ...request, prepaid: true } : request;
  }

  #learnWallets(group: readonly Waiting[], answers: readonly Raw[]): void {
    group.forEach(({ request }, index) => {
      const answer = answers[index];
      if (answer?.outcome !== 'held' || !('customer' in request) || request.customer === null) return;
      const wallet = walletName(request.customer, request.currency);
      const known = answer.funded ? this.#prepaid : this.#postpaid;
      if (known.size > CACHED_MAX) known.clear();
      if (answer.funded) this.#postpaid.delete(wallet);
      // A hold without a charge looks for no wallet.
      if (answer.funded || (request.charge !== null && Number(request.charge) > 0)) known.add(wallet);
    });
  }

  /** Reads the keys of budgets that no answer has named before. */
  async #learnBudgets(environmentId: number, answers: readonly Raw[]): Promise<void> {
    const unknown = new Set<number>();
    for (const answer of answers) {
      if (answer.outcome !== 'changed') continue;
      for (const id of answer.budgets) if (!this.#budgetKeys.has(id)) unknown.add(id);
    }
    if (unknown.size === 0) return;
    if (this.#budgetKeys.size > CACHED_MAX) this.#budgetKeys.clear();
    const { rows } = await this.#database.pool.query<{ id: bigint; key: string }>(
      'select id, key from budget where environment_id = $1 and id = any($2::bigint[])',
      [environmentId, [...unknown]],
    );
    for (const { id, key } of rows) this.#budgetKeys.set(Number(id), key);
  }

  async #call(values: readonly unknown[], owners: readonly Owner[]): Promise<readonly Raw[]> {
    const statement =
      owners.length === 0
        ? { name: 'hold', text: 'select ergon_hold($1, $2::int8, $3, $4::jsonb) as answer', values: [...values] }
        : {
            name: 'first_hold',
            text: `select ergon_make_accounts($1, $5::int8[], $6::text[]), ergon_hold($1, $2::int8, $3, $4::jsonb) as answer`,
            values: [...values, owners.map(({ customer }) => customer), owners.map(({ currency }) => currency)],
          };
    for (let attempt = 1; ; attempt++) {
      try {
        // Only this build's own SQL writes what it answers.
        const result = await this.#database.pool.query<{ answer: { readonly answers: readonly Raw[] } }>(statement);
        return result.rows[0]?.answer.answers ?? [];
      } catch (error) {
        if (attempt >= ATTEMPTS_MAX || !isRetryable(error)) throw error;
      }
    }
  }
}

function walletName(customerId: number, currency: string | null): string {
  return `${customerId} ${currency ?? ''}`;
}

/** What the next statement takes: new holds of one catalog revision, and resolutions. */
function takeGroup(queue: Waiting[]): Waiting[] {
  let revision: bigint | undefined;
  let count = 0;
  for (const one of queue) {
    if (count >= LIMITS.holdsTogetherMax) break;
    if (one.revision !== undefined && revision !== undefined && one.revision !== revision) break;
    revision ??= one.revision;
    count += 1;
  }
  return queue.splice(0, count);
}

function isRetryable(error: unknown): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && RETRYABLE.has(error.code);
}

/** Which budget a refusal names. */
export function budgetOf(budgets: readonly CompiledBudget[], refusal: Refusal): CompiledBudget | undefined {
  return budgets.find((budget) => budget.id === refusal.budget);
}
