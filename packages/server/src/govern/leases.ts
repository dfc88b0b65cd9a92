import { compare, decimal, multiply, toText, ZERO } from '@ergon/exact';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type CatalogSnapshot, loadSnapshot } from '../catalog/snapshot.ts';
import { formatInstant } from '../event/instant.ts';
import type { AppServices } from '../http/context.ts';
import { LIMITS } from '../limits.ts';
import { countersFor } from './counters.ts';
import { type Amounts, amountsOf, dimensionsOf, prepareHold, quantityFor, subjectOf } from './hold-request.ts';
import { Lease, type LeasedHold } from './lease.ts';
import { askBack, flushLease, giveUpOn, leasesOf, type LeasesWanted } from './lease-store.ts';
import { listenForRecalls, type RecallListener } from './lease-recalls.ts';
import type { HoldBody, Measure } from './schemas.ts';

export type LeaseServices = Pick<AppServices, 'database' | 'holds' | 'record' | 'policies' | 'clocks' | 'logError'>;

/** A lease is dead so long after its holder was last heard of. */
const LEASE_SECONDS = 10;
/** A holder stops that much earlier, by its own monotonic clock: more than clocks of replicas differ. */
const MARGIN_MS = 4_000;
const RENEW_MS = 2_000;
const IDLE_MS = 5_000;
const FLUSH_MS = 20;
/** So many of a lease must fit when it is taken: it is at most a sixteenth of what is available. */
const ROOM = 16;
const CALLS_MIN = 8;
const CALLS_MAX = 4_096;
const REFUSED_PAUSE_MS = 250;
const RECALL_MS_MAX = 500;
const RECALL_POLL_MS = 5;

/** What a call needs of a lease, and under which key that lease stands. */
type Wanted = {
  readonly environmentId: number;
  readonly catalog: CatalogSnapshot;
  readonly body: HoldBody;
  readonly keyId: string;
  readonly customerId: number | null;
  readonly amounts: Amounts;
  readonly measures: readonly Measure[];
  readonly dimensions: Readonly<Record<string, unknown>>;
  readonly key: string;
  readonly at: number;
};

/** How much the calls of one key ask for: how many the next lease is for, and not before when it is taken. */
type Demand = { calls: number; notBefore: number; isTaking: boolean };

/**
 * Admission in this process, without asking the database for each call: for the gateway. A lease is a hold that this process takes
 * ahead, at all counters of a set of scopes at once; calls are admitted from it, recorded together a moment later, and what is left
 * goes back when the lease is asked back, is not used, or the process stops.
 */
export class Leases {
  readonly #services: LeaseServices;
  readonly #holder = randomUUID();
  readonly #byKey = new Map<string, Lease>();
  readonly #byId = new Map<string, Lease>();
  readonly #demands = new Map<string, Demand>();
  readonly #flushes = new Map<string, Promise<void>>();
  #listener: Promise<RecallListener> | undefined;
  #flushTimer: NodeJS.Timeout | undefined;
  #renewTimer: NodeJS.Timeout | undefined;
  /** What goes on beside the calls; a stop waits for it. */
  readonly #running = new Set<Promise<void>>();
  #isStopped = false;

  constructor(services: LeaseServices) {
    this.#services = services;
  }

  /**
   * Admits a call from a lease, at once. Undefined where there is none that has room: then the hold goes to the database like any
   * other, and a lease is taken for those to come. `body.id` is not used: a leased hold is named under its lease.
   */
  hold(environmentId: number, keyId: string, body: HoldBody): LeasedHold | undefined {
    const wanted = this.#want(environmentId, keyId, body);
    if (wanted === undefined) return undefined;
    const now = performance.now();
    const lease = this.#byKey.get(wanted.key);
    const held =
      lease?.revision === wanted.catalog.revision
        ? lease.hold(wanted.amounts, wanted.dimensions, { now, at: wanted.at })
        : undefined;
    const demand = this.#demandOf(wanted.key);
    const isLow = held === undefined || held.lease.isBelow(wanted.amounts, Math.ceil(demand.calls / 4));
    if (isLow && !demand.isTaking && now >= demand.notBefore && !this.#isStopped) this.#run(this.#take(wanted, demand));
    return held;
  }

  /** The call is over and cost this much; what is not named cost what was held. Once: again it is a no-op. */
  settle(hold: LeasedHold, settled: Amounts): boolean {
    const isFirst = hold.lease.end(hold, settled);
    if (isFirst) this.#flushSoon();
    return isFirst;
  }

  /** The call did not run. */
  release(hold: LeasedHold): boolean {
    const isFirst = hold.lease.end(hold, undefined);
    if (isFirst && hold.lease.isDraining) this.#flushSoon();
    return isFirst;
  }

  /** Records every call that is over. */
  async flush(): Promise<void> {
    await Promise.all([...this.#byId.values()].map((lease) => this.#flush(lease)));
  }

  /**
   * Asks all processes for what leases hold of these limits and waits until they have given it. @returns whether there was any.
   */
  async recall(environmentId: number, wanted: LeasesWanted | undefined): Promise<boolean> {
    const { pool } = this.#services.database;
    const asked = new Set(await leasesOf(pool, environmentId, wanted));
    if (asked.size === 0) return false;
    await askBack(pool, [...asked]);
    const until = performance.now() + RECALL_MS_MAX;
    for (;;) {
      const open = (await leasesOf(pool, environmentId, wanted)).filter((id) => asked.has(id));
      if (open.length === 0) return true;
      if (performance.now() >= until) {
        await giveUpOn(pool, environmentId, open);
        return true;
      }
      await sleep(RECALL_POLL_MS);
    }
  }

  /** What was decided by the rules before holds no longer: every lease of the environment is asked back. It was committed, so it stands. */
  async recallAll(environmentId: number): Promise<void> {
    await this.recall(environmentId, undefined).catch((error: unknown) =>
      this.#services.logError(error, 'the recall of leases'),
    );
  }

  /** Admits nothing more, records what is over and gives back the rest. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearInterval(this.#renewTimer);
    clearTimeout(this.#flushTimer);
    const listener = await this.#listener?.catch(() => undefined);
    await Promise.all(this.#running);
    await Promise.all([...this.#byId.values()].map((lease) => this.#drain(lease).catch(() => undefined)));
    await Promise.allSettled(this.#flushes.values());
    listener?.stop();
  }

  /** Undefined where a call of this kind needs the database: what it is held against depends on more than a lease knows. */
  #want(environmentId: number, keyId: string, body: HoldBody): Wanted | undefined {
    const { record, policies, clocks } = this.#services;
    const catalog = record.knownCatalog(environmentId);
    const known = policies.get(environmentId);
    if (catalog === undefined || known?.revision !== catalog.revision || known.policies.length > 0) return undefined;
    if (clocks.isStopped(environmentId) || (body.run_id !== undefined && limitsRuns(catalog))) return undefined;
    const customer =
      body.customer === undefined ? undefined : record.customers.of(environmentId, catalog.revision).get(body.customer);
    if (body.customer !== undefined && customer === undefined) return undefined;
    const at = clocks.now(environmentId);
    const amounts = amountsOf(body);
    const subject = subjectOf(body, keyId, []);
    const applying = countersFor(catalog.budgets, subject, at);
    if (applying.length > LIMITS.budgetsApplyMax) return undefined;
    const measures = new Set<Measure>(amounts.charge === undefined ? [] : ['charge']);
    const { currency = '', feature = '', model = '' } = body;
    let key = JSON.stringify([environmentId, customer?.id ?? 0, currency, feature, model]);
    for (const { budget, counter } of applying) {
      if (quantityFor(budget, amounts, body.currency) === undefined) return undefined;
      measures.add(budget.measure);
      key += ` ${counter.b} ${counter.w} ${counter.m}`;
    }
    if (measures.size === 0) return undefined;
    const dimensions = dimensionsOf(body, subject);
    return {
      ...{ environmentId, catalog, body, keyId, customerId: customer?.id ?? null },
      ...{ amounts, measures: [...measures], dimensions, key, at },
    };
  }

  #demandOf(key: string): Demand {
    let demand = this.#demands.get(key);
    if (demand === undefined) {
      if (this.#demands.size >= LIMITS.leaseKeysMax) this.#demands.clear();
      demand = { calls: CALLS_MIN * 4, notBefore: 0, isTaking: false };
      this.#demands.set(key, demand);
    }
    return demand;
  }

  /** Takes a lease for calls like this one, in the place of the one there is. */
  async #take(wanted: Wanted, demand: Demand): Promise<void> {
    demand.isTaking = true;
    try {
      await this.#listen();
      const lease = await this.#askFor(wanted, demand);
      if (lease === undefined) return;
      const before = this.#byKey.get(wanted.key);
      this.#byKey.set(wanted.key, lease);
      this.#byId.set(lease.id, lease);
      if (before !== undefined) {
        // Used up before it ended: the next is for twice as many calls.
        demand.calls = Math.min(CALLS_MAX, demand.calls * 2);
        await this.#drain(before);
      }
      if (this.#isStopped) await this.#drain(lease);
    } catch (error) {
      demand.notBefore = performance.now() + REFUSED_PAUSE_MS;
      this.#services.logError(error, 'a lease');
    } finally {
      demand.isTaking = false;
    }
  }

  async #askFor(wanted: Wanted, demand: Demand): Promise<Lease | undefined> {
    const { environmentId, catalog, body, keyId, customerId, measures, key } = wanted;
    const { clocks, holds, record, database } = this.#services;
    const amounts = measures.map((measure) => {
      const one = decimal(wanted.amounts[measure] ?? '0');
      return [measure, multiply(one, decimal(demand.calls))] as const;
    });
    if (amounts.every(([, amount]) => compare(amount, ZERO) === 0)) return undefined;
    const id = `lease_${randomUUID()}`;
    const { output: _, ...rest } = body;
    const prepared = prepareHold(
      { ...rest, id, above: 'overage', dispatched: true, expires_in_seconds: LEASE_SECONDS },
      Object.fromEntries(amounts.map(([measure, amount]) => [measure, toText(amount)])),
      customerId,
      subjectOf(body, keyId, []),
      catalog.budgets,
      { at: clocks.now(environmentId), applyMax: LIMITS.budgetsApplyMax, hash: id },
    );
    const startedAt = performance.now();
    if (prepared.kind !== 'ready' || prepared.flags.length > 0 || !this.#isKey(wanted, prepared.request.counters)) {
      demand.notBefore = startedAt + REFUSED_PAUSE_MS;
      return undefined;
    }
    const request = { ...prepared.request, room: ROOM, holder: this.#holder };
    const outcome = await holds.hold(environmentId, catalog.revision, request);
    if (outcome.outcome === 'held') {
      const named = { id, environmentId, key, revision: catalog.revision };
      return new Lease(named, amounts, performance.now(), startedAt + LEASE_SECONDS * 1_000 - MARGIN_MS);
    }
    if (outcome.outcome === 'stale') record.rememberCatalog(await loadSnapshot(database.pool, environmentId));
    else demand.notBefore = performance.now() + (demand.calls <= CALLS_MIN ? REFUSED_PAUSE_MS : 0);
    demand.calls = Math.max(CALLS_MIN, Math.floor(demand.calls / 4));
    return undefined;
  }

  /** Whether the windows are still those of the key. */
  #isKey(wanted: Wanted, counters: readonly { readonly b: number; readonly m: string; readonly w: string }[]): boolean {
    return counters.every(({ b, m, w }) => wanted.key.includes(` ${b} ${w} ${m}`));
  }

  #run(work: Promise<void>): void {
    this.#running.add(work);
    void work.finally(() => this.#running.delete(work));
  }

  #flushSoon(): void {
    if (this.#isStopped) return;
    this.#flushTimer ??= setTimeout(() => {
      this.#flushTimer = undefined;
      for (const lease of this.#byId.values()) {
        if (lease.isDirty || lease.isDraining) this.#flush(lease).catch((error: unknown) => this.#retry(error));
      }
    }, FLUSH_MS).unref();
  }

  #retry(error: unknown): void {
    this.#services.logError(error, 'calls of a lease');
    setTimeout(() => this.#flushSoon(), REFUSED_PAUSE_MS).unref();
  }

  /** One after another for each lease, so that what is kept is what is needed. */
  #flush(lease: Lease): Promise<void> {
    const before = this.#flushes.get(lease.id) ?? Promise.resolve();
    const next = before.catch(() => undefined).then(() => this.#flushNow(lease));
    this.#flushes.set(lease.id, next);
    const forget = (): void => {
      if (this.#flushes.get(lease.id) === next) this.#flushes.delete(lease.id);
    };
    next.then(forget, forget);
    return next;
  }

  async #flushNow(lease: Lease): Promise<void> {
    const { database, clocks, holds } = this.#services;
    if (!this.#byId.has(lease.id)) return;
    let isFirst = true;
    while (lease.isDirty || (isFirst && lease.isDraining)) {
      isFirst = false;
      const calls = lease.takeOver(LIMITS.holdsTogetherMax);
      const keep = lease.isDraining && !lease.isDirty ? lease.needed() : null;
      try {
        const at = clocks.now(lease.environmentId);
        const isOpen = await flushLease(database.pool, lease.environmentId, lease.id, { calls, keep, at });
        if (!isOpen) this.#lose(lease);
      } catch (error) {
        lease.giveBack(calls);
        throw error;
      }
    }
    if (!lease.isDraining || lease.open > 0 || lease.isDirty) return;
    this.#byId.delete(lease.id);
    await holds.resolve(lease.environmentId, { id: lease.id, action: 'release' });
  }

  /** Nothing more is admitted from it, and only what calls in flight need stays. */
  #drain(lease: Lease): Promise<void> {
    this.#lose(lease);
    return this.#flush(lease);
  }

  #lose(lease: Lease): void {
    lease.isDraining = true;
    if (this.#byKey.get(lease.key) === lease) this.#byKey.delete(lease.key);
  }

  #listen(): Promise<RecallListener> {
    this.#renewTimer ??= setInterval(() => {
      for (const lease of this.#byId.values()) this.#run(this.#renew(lease));
    }, RENEW_MS).unref();
    this.#listener ??= listenForRecalls(this.#services.database.pool, {
      isAskedBack: (asked) => {
        for (const lease of this.#byId.values()) {
          if (asked.environment !== lease.environmentId && asked.leases?.includes(lease.id) !== true) continue;
          if (!lease.isDraining) this.#drain(lease).catch((error: unknown) => this.#retry(error));
        }
      },
      // Who cannot be asked may not hold.
      isDeaf: () => {
        this.#listener = undefined;
        for (const lease of this.#byId.values()) this.#drain(lease).catch((error: unknown) => this.#retry(error));
      },
    });
    this.#listener.catch(() => {
      this.#listener = undefined;
    });
    return this.#listener;
  }

  /** Keeps a lease alive while it is used or calls of it are in flight. */
  async #renew(lease: Lease): Promise<void> {
    const startedAt = performance.now();
    try {
      if (lease.open === 0 && (lease.isDraining || startedAt - lease.lastUsedAt > IDLE_MS))
        return await this.#drain(lease);
      const expires = formatInstant(this.#services.clocks.now(lease.environmentId) + LEASE_SECONDS * 1_000_000);
      const { environmentId, id } = lease;
      const { outcome } = await this.#services.holds.resolve(environmentId, { id, action: 'extend', expires });
      if (outcome === 'changed') lease.stopsAt = startedAt + LEASE_SECONDS * 1_000 - MARGIN_MS;
      else this.#lose(lease);
    } catch (error) {
      this.#services.logError(error, 'the renewal of a lease');
    }
  }
}

const runLimits = new WeakMap<CatalogSnapshot, boolean>();

/** Whether some budget selects by runs: then a call's ancestors must be read. */
function limitsRuns(catalog: CatalogSnapshot): boolean {
  let known = runLimits.get(catalog);
  if (known === undefined) {
    known = catalog.budgets.some(({ spec }) => spec.scope.run !== undefined || spec.per.includes('run'));
    runLimits.set(catalog, known);
  }
  return known;
}
