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
  /** What these calls show beside those seen before. Calls seen twice from one source are not found twice. */
  readonly see: (calls: readonly WatchedCall[]) => readonly WatchFinding[];
};

const SOURCES_KEPT_MAX = 5_000;

/** `told`: how many of its calls the last finding was about, so that the findings' counts add up to the calls. */
type SourceCount = { readonly name: string; calls: number; failed: number; told: number };
type SourceCalls = { calls: number; failed: number; readonly position: number };
type Pair = { readonly position: number; readonly left: SourceCount; readonly right: SourceCount; twins: number };

/**
 * Watches calls as they come for mistakes that no single call shows: the same usage arriving by two doors, and sources in
 * which nothing ever fails. It knows the latest calls only, so it may miss, and after a restart it begins anew.
 */
export function createCallWatch(slots: number = SLOTS): CallWatch {
  const hash = new KeyHash();
  const doors = new Doors<SourceCount>(slots);
  const sources = new Recent<SourceCount>(SOURCES_KEPT_MAX);
  const pairs = new Recent<number>(SOURCES_KEPT_MAX);

  function see(calls: readonly WatchedCall[]): readonly WatchFinding[] {
    const findings: WatchFinding[] = [];
    const counts = new Map<SourceCount, SourceCalls>();
    const twins = new Map<string, Pair>();
    calls.forEach((call, position) => {
      const source = sourceOf(call);
      count(counts, source, call, position);
      if (sumTokens(call.record.tokens) < TWIN_TOKENS_MIN) return;
      const { callId } = call;
      const named = callId === undefined ? source : doors.enter(hash.ofName(call.customer, callId), source);
      const alike = doors.enter(hash.ofFigures(call), source);
      if (named.name !== source.name) findings.push(sameCall(position, named, source, callId ?? ''));
      else if (alike.name !== source.name) countTwin(twins, call.customer, position, alike, source);
    });
    for (const [source, more] of counts) {
      const before = source.calls;
      source.calls += more.calls;
      source.failed += more.failed;
      if (source.failed > 0 || steps(source.calls) === steps(before)) continue;
      findings.push(neverFails(more.position, source));
      source.told = source.calls;
    }
    for (const [key, pair] of twins) {
      const known = (pairs.get(key) ?? 0) + pair.twins;
      pairs.set(key, known);
      const smaller = Math.min(pair.left.calls, pair.right.calls);
      if (known >= TWINS_MIN && known >= smaller * TWIN_SHARE) findings.push(twinCalls(pair, known));
    }
    return findings;
  }

  let latest: { readonly customer: number; readonly count: SourceCount } | undefined;

  function sourceOf({ customer, source }: WatchedCall): SourceCount {
    // Calls come in runs of one customer and source.
    if (latest?.customer === customer && latest.count.name === source) return latest.count;
    const key = `${customer}|${source}`;
    const known = sources.get(key) ?? { name: source, calls: 0, failed: 0, told: 0 };
    sources.set(key, known);
    latest = { customer, count: known };
    return known;
  }

  return { see };
}

function count(counts: Map<SourceCount, SourceCalls>, source: SourceCount, call: WatchedCall, position: number): void {
  const known = counts.get(source);
  if (known === undefined) counts.set(source, { calls: 1, failed: call.isFailed ? 1 : 0, position });
  else {
    known.calls += 1;
    if (call.isFailed) known.failed += 1;
  }
}

function steps(calls: number): number {
  return Math.floor(calls / CALLS_WITHOUT_FAILURE_MAX);
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

function neverFails(position: number, { name, calls, told }: SourceCount): WatchFinding {
  const detail = `${name} sent ${calls} calls and no failed or retried one; these cost money too, so send them with their status`;
  return { position, calls: calls - told, warning: { code: 'no_failures', detail } };
}

/** Hashes of 53 bits, made of numbers: a text for each call would cost the hot path several times as much. */
class KeyHash {
  #low = 0;
  #high = 0;

  /** Customer, model, minute and figures: clocks of two doors differ by seconds. */
  ofFigures({ customer, minute, record }: WatchedCall): number {
    const { input, cache_read, output, reasoning } = record.tokens;
    this.#low = 0x85ebca6b;
    this.#high = 0x9e3779b9;
    this.#mix(customer);
    this.#mix(minute);
    this.#mix((input ?? 0) + (cache_read ?? 0));
    this.#mix((output ?? 0) + (reasoning ?? 0));
    return this.#endWith(record.model ?? '');
  }

  ofName(customer: number, callId: string): number {
    this.#low = 0xc2b2ae35;
    this.#high = 0x27d4eb2f;
    this.#mix(customer);
    return this.#endWith(callId);
  }

  #mix(part: number): void {
    let low = Math.imul(this.#low ^ part, 0xcc9e2d51);
    low ^= low >>> 15;
    const high = Math.imul(this.#high ^ low ^ (part / 0x1_0000_0000), 0x1b873593);
    this.#low = low;
    this.#high = high ^ (high >>> 13);
  }

  #endWith(text: string): number {
    let low = this.#low;
    let high = this.#high;
    for (let index = 0; index < text.length; index++) {
      low = Math.imul(low ^ text.charCodeAt(index), 0x01000193);
      high = Math.imul(high ^ low, 0x1b873593);
    }
    this.#low = low;
    this.#high = high;
    this.#mix(text.length);
    return (this.#high >>> 0) * 0x20_0000 + (this.#low >>> 11);
  }
}

/** 3 MB. Of the last 50,000 calls, five in six are still known. */
const SLOTS = 2 ** 18;

/** Who brought a call first. A slot for each key's end, the newest in it wins: no memory grows and nothing is collected. */
class Doors<Door> {
  readonly #keys: Float64Array;
  readonly #doors: (Door | undefined)[];

  constructor(slots: number) {
    this.#keys = new Float64Array(slots);
    this.#doors = Array.from({ length: slots });
  }

  /** The door that brought the key, which is this one where none is known. */
  enter(key: number, door: Door): Door {
    const slot = key % this.#keys.length;
    const known = this.#keys[slot] === key ? this.#doors[slot] : undefined;
    if (known !== undefined) return known;
    this.#keys[slot] = key;
    this.#doors[slot] = door;
    return door;
  }
}

/** Two generations of at most `limit` entries: what is asked for stays, a flood pushes out what is not. */
class Recent<Value> {
  readonly #limit: number;
  #young = new Map<string, Value>();
  #old = new Map<string, Value>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  get(key: string): Value | undefined {
    return this.#young.get(key) ?? this.#old.get(key);
  }

  set(key: string, value: Value): void {
    if (this.#young.size >= this.#limit && !this.#young.has(key)) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, value);
  }
}
