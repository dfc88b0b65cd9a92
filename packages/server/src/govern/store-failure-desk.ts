import { compare, decimal, type Decimal, toText } from '@ergon/exact';
import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import { formatInstant } from '../event/instant.ts';
import { ProblemError, refuse } from '../http/problem.ts';
import { LIMITS } from '../limits.ts';
import type { PolicyCache } from '../policies/index.ts';
import type { RecordServices } from '../record/record-services.ts';
import { type Database, isConnectionLost, isTooSlow, StoreSilent, withinMs } from '../store/database.ts';
import { type Admission, heldRow } from './admit.ts';
import type { HoldDesk, Resolution } from './hold-desk.ts';
import { bodyHash } from './hold-request.ts';
import type { HoldRow } from './hold-store.ts';
import { holdWithoutStore } from './hold-without-store.ts';
import { postRemembered } from './post-remembered.ts';
import type { HoldBody } from './schemas.ts';
import type { RememberedStep, StoreFailureJournal } from './store-failure-journal.ts';

export type StoreFailureServices = {
  readonly database: Database;
  readonly record: RecordServices;
  readonly holds: HoldDesk;
  readonly policies: PolicyCache;
  readonly journal: StoreFailureJournal;
  /** An environment's clock, microseconds since 1970. */
  readonly now: (environmentId: number) => number;
  readonly logError: (error: unknown, what: string) => void;
};

type Remembered = {
  readonly row: HoldRow;
  readonly flags: readonly string[];
  readonly hash: string;
  readonly above: HoldBody['above'];
  readonly settleHash: string | undefined;
};

/**
 * Holds while the database cannot be reached, by the budgets' `on_store_failure`. From the first hold that had no answer until all
 * that was remembered is posted, holds are decided on here; what was admitted here is also resolved here. Environments whose budgets
 * are all `closed` never come here.
 */
export class StoreFailureDesk {
  readonly #services: StoreFailureServices;
  /** To be posted, in their order. */
  readonly #steps: RememberedStep[] = [];
  /** By environment and id: holds admitted here. */
  readonly #holds = new Map<string, Remembered>();
  readonly #usedAllowances = new Map<number, Decimal>();
  readonly #renamed = new Map<string, string>();
  readonly #mayAdmit = new WeakMap<CatalogSnapshot, boolean>();
  #isDown = false;
  #work: Promise<void> | undefined;

  constructor(services: StoreFailureServices) {
    this.#services = services;
  }

  /** Posts what a killed process has left behind. */
  async start(): Promise<void> {
    for (const step of await this.#services.journal.adopt()) {
      this.#steps.push(step);
      this.#isDown = true;
    }
    await this.recover();
  }

  /** @param ask the database. */
  async admit(environmentId: number, keyId: string, body: HoldBody, ask: () => Promise<Admission>): Promise<Admission> {
    const catalog = this.#services.record.knownCatalog(environmentId);
    if (catalog === undefined || !this.#mayAdmitIn(catalog)) return ask();
    if (!this.#isDown) {
      try {
        return await withinMs(LIMITS.storeAnswerMs, ask());
      } catch (error) {
        if (!isStoreFailure(error)) throw error;
        this.#isDown = true;
      }
    }
    return this.#admitHere(catalog, keyId, body);
  }

  /** @param ask the database, of holds that were not admitted here. */
  async resolve(environmentId: number, resolution: Resolution, ask: () => Promise<HoldRow>): Promise<HoldRow> {
    const known = this.#holds.get(`${environmentId}/${resolution.id}`);
    return known === undefined ? ask() : this.#resolveHere(environmentId, known, resolution);
  }

  /** A hold that was admitted here and is not in the database yet. */
  find(environmentId: number, id: string): HoldRow | undefined {
    return this.#holds.get(`${environmentId}/${id}`)?.row;
  }

  /** Posts what was remembered once the database answers again. Never two at once: a second call waits for the first. */
  recover(): Promise<void> {
    if (!this.#isDown) return Promise.resolve();
    this.#work ??= this.#post().finally(() => {
      this.#work = undefined;
    });
    // The work itself may hang at a database that stands still; it goes on when that does.
    return withinMs(LIMITS.storeAnswerMs, this.#work).catch((error: unknown) => {
      if (!isStoreFailure(error)) throw error;
    });
  }

  close(): Promise<void> {
    return this.#services.journal.close();
  }

  #mayAdmitIn(catalog: CatalogSnapshot): boolean {
    let may = this.#mayAdmit.get(catalog);
    if (may === undefined) {
      may = catalog.budgets.some(({ isEnforced, spec }) => isEnforced && spec.on_store_failure !== 'closed');
      this.#mayAdmit.set(catalog, may);
    }
    return may;
  }

  async #admitHere(catalog: CatalogSnapshot, keyId: string, body: HoldBody): Promise<Admission> {
    const { record, holds, policies, now } = this.#services;
    const { environmentId, revision } = catalog;
    const key = `${environmentId}/${body.id}`;
    const known = this.#holds.get(key);
    if (known !== undefined) {
      if (known.hash === bodyHash(body)) return admission(known);
      throw refuse('conflict', `the hold ${body.id} stands for another body; holds are named once`);
    }
    const customers = record.customers.of(environmentId, revision);
    const inForce = policies.get(environmentId);
    const at = now(environmentId);
    const decided = holdWithoutStore(body, keyId, at, {
      budgets: catalog.budgets,
      hasNoPolicies: inForce !== undefined && inForce.policies.length === 0,
      isPostpaid: (customer, currency) => {
        const id = customers.get(customer)?.id;
        return id !== undefined && holds.isPostpaid(id, currency);
      },
      usedAllowances: this.#usedAllowances,
    });
    if (decided.kind === 'closed') throw unavailable(decided.reason);
    const { request, flags } = decided;
    const prepared = { kind: 'ready', request, budgets: decided.budgets, flags } as const;
    const row = heldRow(body, prepared, { outcome: 'held', isFunded: false, at });
    const remembered = { row, flags, hash: request.hash, above: body.above, settleHash: undefined };
    for (const [id, used] of decided.allowances) this.#usedAllowances.set(id, used);
    await this.#remember(key, remembered, { kind: 'hold', environmentId, row, flags, request });
    return admission(remembered);
  }

  async #resolveHere(environmentId: number, known: Remembered, resolution: Resolution): Promise<HoldRow> {
    const { row } = known;
    const { id, action } = resolution;
    const settled = settledBy(resolution, known);
    if (row.resolved_at !== null) {
      const isRepeat =
        action === 'settle' ? known.settleHash === resolution.hash : action === 'release' && row.status === 'released';
      if (isRepeat) return row;
      throw refuse('conflict', `the hold ${id} is resolved already`);
    }
    if (settled === undefined) {
      throw refuse('conflict', `the settlement is above the hold ${id}, which refuses that; it is still open`);
    }
    const expires = resolution.expires ?? row.expires_at;
    const next: HoldRow = {
      ...row,
      ...(action === 'settle' && { status: 'settled', settled, settled_by: 'amount' }),
      ...(action === 'release' && { status: 'released' }),
      ...(action === 'dispatch' && { status: 'dispatched' }),
      expires_at: expires > row.expires_at ? expires : row.expires_at,
      resolved_at:
        action === 'extend' || action === 'dispatch' ? null : formatInstant(this.#services.now(environmentId)),
    };
    const settleHash = action === 'settle' ? resolution.hash : known.settleHash;
    const step: RememberedStep = { kind: 'resolution', environmentId, resolution };
    await this.#remember(`${environmentId}/${id}`, { ...known, row: next, settleHash }, step);
    return next;
  }

  /** On the disk before it is answered. What two callers ask at once is decided on in memory, before either waits. */
  async #remember(key: string, remembered: Remembered, step: RememberedStep): Promise<void> {
    if (this.#steps.length >= LIMITS.rememberedStepsMax) throw unavailable('no more can be remembered for it');
    const before = this.#holds.get(key);
    this.#holds.set(key, remembered);
    this.#steps.push(step);
    // A resolution of a hold that is being posted comes here too, and must be posted after it.
    this.#isDown = true;
    try {
      await this.#services.journal.append(step);
    } catch (error) {
      this.#forget(step);
      if (before === undefined) this.#holds.delete(key);
      else this.#holds.set(key, before);
      this.#services.logError(error, 'the journal of a store failure');
      throw unavailable('what it should hear of cannot be written down');
    }
  }

  #forget(step: RememberedStep): void {
    const place = this.#steps.indexOf(step);
    if (place >= 0) this.#steps.splice(place, 1);
  }

  async #post(): Promise<void> {
    const { database, holds, journal, logError } = this.#services;
    await database.pool.query('select 1');
    for (;;) {
      const [step] = this.#steps;
      if (step === undefined) break;
      try {
        await postRemembered(database, holds, step, this.#renamed);
      } catch (error) {
        if (isStoreFailure(error)) throw error;
        logError(error, 'a hold that was admitted without the database cannot be posted');
        await journal.reject(step);
      }
      this.#forget(step);
    }
    this.#isDown = false;
    this.#holds.clear();
    this.#renamed.clear();
    this.#usedAllowances.clear();
    await journal.clear();
  }
}

/** What a settlement comes to; undefined where the hold refuses to be settled above. */
function settledBy({ action, amounts }: Resolution, { row, above }: Remembered): Record<string, string> | undefined {
  if (action !== 'settle') return {};
  const actual = { ...row.amounts, ...amounts };
  const isAbove = (name: string, amount: string): boolean =>
    compare(decimal(amount), decimal(row.amounts[name] ?? '0')) > 0;
  const high = Object.entries(actual).filter(([name, amount]) => isAbove(name, amount));
  if (high.length === 0 || above === 'overage') return actual;
  if (above === 'refuse') return undefined;
  return { ...actual, ...Object.fromEntries(high.map(([name]) => [name, toText(decimal(row.amounts[name] ?? '0'))])) };
}

function admission({ row, flags }: Remembered): Admission {
  return { hold: row, flags, maxOutputTokens: row.bound ?? undefined, isClamped: false };
}

function isStoreFailure(error: unknown): boolean {
  if (error instanceof ProblemError) return error.problem.code === 'unavailable' || error.problem.code === 'too_slow';
  return error instanceof StoreSilent || isConnectionLost(error) || isTooSlow(error);
}

function unavailable(reason: string): ProblemError {
  const detail = `the database cannot be reached, and ${reason}; send it again`;
  return new ProblemError({ code: 'unavailable', detail, retryAfterSeconds: 1 });
}
