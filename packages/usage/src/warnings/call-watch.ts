import { sumTokens } from '../normalise/figures.ts';
import type { UsageRecord } from '../record.ts';
import { CALLS_WITHOUT_FAILURE_MAX, TWIN_SHARE, TWIN_TOKENS_MIN, TWINS_MIN } from './source-warnings.ts';
import type { UsageWarning } from './usage-warnings.ts';

/** One call on its way in. */
export type WatchedCall = {
  /** A number of the customer, unlike any other customer's. */
  readonly customer: number;
  readonly source: string;
  /** Minutes since 1970. */
  readonly minute: number;
  /** What every door that sees the call would name it: the caller's call id, or the provider's id of the response. */
  readonly callId?: string | undefined;
  readonly record: UsageRecord;
  /** Failed, or a retry of a call that did. */
  readonly isFailed: boolean;
};

/** A mistake of a source, found on one of the calls given. */
export type WatchFinding = {
  /** Position among the calls given of one that shows it. */
  readonly position: number;
  readonly warning: UsageWarning;
  /** Calls concerned. */
  readonly calls: number;
};

export type CallWatch = {
  /**
   * What these calls show beside those kept before; nothing is changed. `keep` keeps them, to be called once they are
   * recorded.
   */
  readonly look: (calls: readonly WatchedCall[]) => { readonly findings: readonly WatchFinding[]; keep(): void };
};

/** About 10 MB at most: keys and counts, no calls. */
const CALLS_KEPT_MAX = 100_000;
const SOURCES_KEPT_MAX = 5_000;

type SourceCount = { readonly name: string; calls: number; failed: number };
type Pair = { readonly position: number; readonly left: SourceCount; readonly right: SourceCount; twins: number };

/**
 * Watches calls as they come for mistakes that no single call shows: the same usage arriving by two doors, and sources in
 * which nothing ever fails. It knows the latest calls only, so it may miss, and after a restart it begins anew.
 */
export function createCallWatch(callsMax: number = CALLS_KEPT_MAX): CallWatch {
  const doors = new Recent<number | string, SourceCount>(callsMax / 2);
  const sources = new Recent<string, SourceCount>(SOURCES_KEPT_MAX);
  const pairs = new Recent<string, number>(SOURCES_KEPT_MAX);

  function look(calls: readonly WatchedCall[]): ReturnType<CallWatch['look']> {
    const findings: WatchFinding[] = [];
    const kept = new Map<number | string, SourceCount>();
    const counts = new Map<SourceCount, { calls: number; failed: number; position: number }>();
    const twins = new Map<string, Pair>();
    calls.forEach((call, position) => {
      const source = sourceOf(call);
      const count = counts.get(source) ?? { calls: 0, failed: 0, position };
      count.calls += 1;
      if (call.isFailed) count.failed += 1;
      counts.set(source, count);
      if (sumTokens(call.record.tokens) < TWIN_TOKENS_MIN) return;
      const name = call.callId === undefined ? undefined : `${call.customer}|${call.callId}`;
      const named = name === undefined ? undefined : (kept.get(name) ?? doors.get(name));
      const print = fingerprint(call);
      const alike = kept.get(print) ?? doors.get(print);
      if (name !== undefined && named === undefined) kept.set(name, source);
      if (alike === undefined) kept.set(print, source);
      if (named !== undefined && named.name !== source.name)
        findings.push(sameCall(position, named, source, call.callId ?? ''));
      else if (alike !== undefined && alike.name !== source.name)
        countTwin(twins, call.customer, position, alike, source);
    });
    for (const [key, pair] of twins) {
      const known = (pairs.get(key) ?? 0) + pair.twins;
      const smaller = Math.min(total(pair.left, counts), total(pair.right, counts));
      if (known >= TWINS_MIN && known >= smaller * TWIN_SHARE) findings.push(twinCalls(pair, known));
    }
    for (const [source, { calls: more, failed, position }] of counts) {
      if (source.failed + failed > 0) continue;
      const steps = (value: number): number => Math.floor(value / CALLS_WITHOUT_FAILURE_MAX);
      if (steps(source.calls + more) > steps(source.calls))
        findings.push(neverFails(position, source.name, source.calls + more));
    }
    const keep = (): void => {
      for (const [source, { calls: more, failed }] of counts) {
        source.calls += more;
        source.failed += failed;
      }
      for (const [key, source] of kept) doors.set(key, source);
      for (const [key, pair] of twins) pairs.set(key, (pairs.get(key) ?? 0) + pair.twins);
    };
    return { findings, keep };
  }

  function sourceOf({ customer, source }: WatchedCall): SourceCount {
    const key = `${customer}|${source}`;
    const known = sources.get(key);
    if (known !== undefined) return known;
    const count = { name: source, calls: 0, failed: 0 };
    sources.set(key, count);
    return count;
  }

  return { look };
}

type Counts = ReadonlyMap<SourceCount, { readonly calls: number }>;

function total(source: SourceCount, counts: Counts): number {
  return source.calls + (counts.get(source)?.calls ?? 0);
}

function countTwin(
  twins: Map<string, Pair>,
  customer: number,
  position: number,
  one: SourceCount,
  other: SourceCount,
): void {
  const [left, right] = one.name < other.name ? [one, other] : [other, one];
  const key = `${customer}|${left.name}|${right.name}`;
  const pair = twins.get(key) ?? { position, left, right, twins: 0 };
  pair.twins += 1;
  twins.set(key, pair);
}

function sameCall(position: number, before: SourceCount, now: SourceCount, callId: string): WatchFinding {
  const detail = `the call ${callId} arrived from ${before.name} before and from ${now.name} now; send it by one of the two`;
  return { position, calls: 1, warning: { code: 'arrives_twice', detail } };
}

function twinCalls({ position, left, right, twins }: Pair, known: number): WatchFinding {
  const detail = `${known} calls arrived from both ${left.name} and ${right.name} with the same model, minute and figures; keep one of the two`;
  return { position, calls: twins, warning: { code: 'arrives_twice', detail } };
}

function neverFails(position: number, source: string, calls: number): WatchFinding {
  const detail = `${source} sent ${calls} calls and no failed or retried one; these cost money too, so send them with their status`;
  return { position, calls, warning: { code: 'no_failures', detail } };
}

/** Customer, model, minute and figures as one number of 53 bits; a text would cost the hot path several times as much. */
function fingerprint({ customer, minute, record }: WatchedCall): number {
  const { input, cache_read, output, reasoning } = record.tokens;
  let low = 0x85ebca6b;
  let high = 0x9e3779b9;
  const mix = (part: number): void => {
    low = Math.imul(low ^ part, 0xcc9e2d51);
    low ^= low >>> 15;
    high = Math.imul(high ^ low ^ (part / 0x1_0000_0000), 0x1b873593);
    high ^= high >>> 13;
  };
  mix(customer);
  mix(minute);
  mix((input ?? 0) + (cache_read ?? 0));
  mix((output ?? 0) + (reasoning ?? 0));
  const model = record.model ?? '';
  for (let index = 0; index < model.length; index++) mix(model.charCodeAt(index));
  return (high >>> 0) * 0x20_0000 + (low >>> 11);
}

/** Two generations of at most `limit` entries: what is asked for stays, a flood pushes out what is not. */
class Recent<Key, Value> {
  readonly #limit: number;
  #young = new Map<Key, Value>();
  #old = new Map<Key, Value>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  get(key: Key): Value | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old !== undefined) this.set(key, old);
    return old;
  }

  set(key: Key, value: Value): void {
    if (this.#young.size >= this.#limit) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, value);
  }
}
