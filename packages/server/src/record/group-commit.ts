import type { Database } from '../store/database.ts';
import { commit, isConnectionLost } from '../store/database.ts';
import { StaleGenerationsError } from '../identity/index.ts';
import { LIMITS } from '../limits.ts';
import { SpentGrantsNeededError } from './rate-block.ts';
import type { AfterCommit, RecordServices } from './record-services.ts';
import { recordGroup } from './transaction.ts';
import type { PendingRequest } from './types.ts';

/** Why a request could not be recorded. Nothing of it was kept, unless `maybe_recorded`: then sending it again is safe. */
export type RecordFailure = {
  readonly reason: 'overloaded' | 'unavailable' | 'maybe_recorded' | 'failed';
  readonly cause?: unknown;
};

export type RecordOutcome = { readonly ok: true } | { readonly ok: false; readonly failure: RecordFailure };

type Waiting = { readonly request: PendingRequest; readonly resolve: (outcome: RecordOutcome) => void };

type Lane = { readonly environmentId: number; readonly waiting: Waiting[]; isRunning: boolean };

/** PostgreSQL: serialization_failure, deadlock_detected, lock_not_available. The transaction left no trace and may be run again. */
const RETRYABLE = new Set(['40001', '40P01', '55P03']);
const ATTEMPTS_MAX = 4;

export type GroupCommitOptions = {
  /** Transactions in flight per environment in this process. */
  readonly lanes: number;
  readonly now: (environmentId: number) => number;
  readonly onGroup?: (events: number, requests: number, seconds: number) => void;
  readonly onFailure?: (error: unknown) => void;
};

/**
 * Group commit: requests that arrive while a transaction runs share the next one, so that throughput comes from batching and
 * every request still waits for its own commit. A customer always uses the same lane, so that one process never queues
 * behind itself on that customer's rows.
 */
export class GroupCommit {
  readonly #database: Database;
  readonly #services: RecordServices;
  readonly #options: GroupCommitOptions;
  readonly #lanes = new Map<string, Lane>();
  #queued = 0;
  #running = 0;
  #isClosed = false;
  #onIdle: (() => void) | undefined;

  constructor(database: Database, services: RecordServices, options: GroupCommitOptions) {
    this.#database = database;
    this.#services = services;
    this.#options = options;
  }

  /** Records a request's events; resolves after the commit that made them durable, never before. */
  submit(environmentId: number, request: PendingRequest): Promise<RecordOutcome> {
    if (this.#isClosed) return Promise.resolve({ ok: false, failure: { reason: 'unavailable' } });
    if (this.#queued >= LIMITS.queuedRequestsMax)
      return Promise.resolve({ ok: false, failure: { reason: 'overloaded' } });
    const key = request.hasVoid ? `${environmentId}|void` : `${environmentId}|${laneOf(request, this.#options.lanes)}`;
    let lane = this.#lanes.get(key);
    if (lane === undefined) {
      lane = { environmentId, waiting: [], isRunning: false };
      this.#lanes.set(key, lane);
    }
    this.#queued += 1;
    const started = lane;
    return new Promise((resolve) => {
      started.waiting.push({ request, resolve });
      if (!started.isRunning) this.#start(started);
    });
  }

  /** Takes no more requests and waits for the ones in flight. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#running === 0) return;
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve;
    });
  }

  #start(lane: Lane): void {
    lane.isRunning = true;
    this.#running += 1;
    // A turn later, so that requests which arrived in the same turn of the event loop share the first transaction too.
    setImmediate(() => {
      void this.#drain(lane).finally(() => {
        lane.isRunning = false;
        this.#running -= 1;
        if (this.#running === 0) this.#onIdle?.();
      });
    });
  }

  async #drain(lane: Lane): Promise<void> {
    while (lane.waiting.length > 0) {
      const group = takeGroup(lane.waiting);
      this.#queued -= group.length;
      const outcome = await this.#record(lane.environmentId, group);
      if (outcome.ok || group.length === 1 || outcome.failure.reason !== 'failed') {
        for (const { resolve } of group) resolve(outcome);
        continue;
      }
      // One request poisons the group: each is tried alone, and only the poisonous one fails.
      for (const one of group) one.resolve(await this.#record(lane.environmentId, [one]));
    }
  }

  async #record(environmentId: number, group: readonly Waiting[]): Promise<RecordOutcome> {
    const requests = group.map((one) => one.request);
    const isExclusive = requests.some((request) => request.hasVoid);
    let withSpent = isExclusive;
    for (let attempt = 1; ; attempt++) {
      for (const request of requests) {
        request.fates.length = 0;
        request.warnings.length = 0;
      }
      const result = await this.#attempt(environmentId, requests, { isExclusive, withSpent });
      if (result.ok || attempt >= ATTEMPTS_MAX || !isRetryable(result.failure.cause)) return result;
      if (result.failure.cause instanceof StaleGenerationsError)
        await this.#services.generations.refresh(this.#database.pool);
      withSpent ||= result.failure.cause instanceof SpentGrantsNeededError;
    }
  }

  async #attempt(
    environmentId: number,
    requests: readonly PendingRequest[],
    locks: { readonly isExclusive: boolean; readonly withSpent: boolean },
  ): Promise<RecordOutcome> {
    const startedAt = performance.now();
    let isCommitting = false;
    try {
      const client = await this.#database.pool.connect();
      let broken: Error | undefined;
      try {
        const begun = client.query('begin');
        const afterCommit: AfterCommit = [];
        const context = {
          client,
          services: this.#services,
          environmentId,
          now: this.#options.now(environmentId),
          ...locks,
          afterCommit,
        };
        await Promise.all([begun, recordGroup(context, requests)]);
        isCommitting = true;
        await commit(client);
        believe(afterCommit);
      } catch (error) {
        broken = error instanceof Error ? error : new Error(String(error));
        if (!isConnectionLost(error)) await client.query('rollback').catch(() => undefined);
        throw error;
      } finally {
        client.release(broken !== undefined && isConnectionLost(broken));
      }
      const events = requests.reduce((sum, request) => sum + request.events.length, 0);
      this.#options.onGroup?.(events, requests.length, (performance.now() - startedAt) / 1000);
      return { ok: true };
    } catch (cause) {
      if (!isExpected(cause)) this.#options.onFailure?.(cause);
      if (isConnectionLost(cause))
        return { ok: false, failure: { reason: isCommitting ? 'maybe_recorded' : 'unavailable', cause } };
      return { ok: false, failure: { reason: 'failed', cause } };
    }
  }
}

function believe(afterCommit: AfterCommit): void {
  for (const action of afterCommit) action();
}

/** Found out on the way, and right the next time. */
function isExpected(cause: unknown): boolean {
  return cause instanceof StaleGenerationsError || cause instanceof SpentGrantsNeededError;
}

function isRetryable(cause: unknown): boolean {
  if (isExpected(cause)) return true;
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'string' && RETRYABLE.has(cause.code);
}

function takeGroup(waiting: Waiting[]): Waiting[] {
  let events = 0;
  let count = 0;
  for (const { request } of waiting) {
    if (count > 0 && events + request.events.length > LIMITS.groupEventsMax) break;
    events += request.events.length;
    count += 1;
  }
  return waiting.splice(0, count);
}

function laneOf(request: PendingRequest, lanes: number): number {
  const subject = request.events[0]?.subject ?? '';
  let code = 0;
  for (let index = 0; index < subject.length; index++) code = (Math.imul(code, 31) + subject.charCodeAt(index)) | 0;
  return Math.abs(code) % lanes;
}
