import { sumTokens } from '../normalise/figures.ts';
import type { UsageRecord } from '../record.ts';
import type { UsageWarning } from './usage-warnings.ts';

/** One call as two doors may both have seen it. */
export type SeenCall = {
  readonly source: string;
  readonly occurredAt: string;
  /** What both doors name the call by, where they do: then one call is sign enough. */
  readonly callId?: string | undefined;
  readonly record: UsageRecord;
  readonly isFailed: boolean;
};

/** From here on, a source in which nothing ever fails or is retried is leaving those calls out. */
export const CALLS_WITHOUT_FAILURE_MAX = 2000;
/** Chance makes small calls alike; twins of this size are the same call. */
export const TWIN_TOKENS_MIN = 100;
/** Share of the smaller source that must have a twin, and the fewest twins that say anything. */
export const TWIN_SHARE = 0.5;
export const TWINS_MIN = 5;

/**
 * The classic mistakes that only many calls show, over the calls of one customer in a period: failures and retries that are
 * never sent, and the same usage arriving by two doors (a gateway and a log import, a span and an event).
 */
export function sourceWarnings(calls: readonly SeenCall[]): readonly UsageWarning[] {
  const bySource = new Map<string, { calls: number; failed: number }>();
  const sourcesOfCall = new Map<string, Set<string>>();
  const sourcesOfName = new Map<string, Set<string>>();
  for (const call of calls) {
    const source = bySource.get(call.source) ?? { calls: 0, failed: 0 };
    source.calls += 1;
    if (call.isFailed) source.failed += 1;
    bySource.set(call.source, source);
    if (sumTokens(call.record.tokens) < TWIN_TOKENS_MIN) continue;
    addTo(sourcesOfCall, fingerprint(call), call.source);
    if (call.callId !== undefined) addTo(sourcesOfName, call.callId, call.source);
  }
  return [...withoutFailures(bySource), ...named(sourcesOfName), ...twins(bySource, sourcesOfCall, sourcesOfName)];
}

function addTo(sourcesOf: Map<string, Set<string>>, key: string, source: string): void {
  const sources = sourcesOf.get(key);
  if (sources === undefined) sourcesOf.set(key, new Set([source]));
  else sources.add(source);
}

function* withoutFailures(bySource: ReadonlyMap<string, { calls: number; failed: number }>): Iterable<UsageWarning> {
  for (const [source, { calls, failed }] of bySource) {
    if (calls < CALLS_WITHOUT_FAILURE_MAX || failed > 0) continue;
    const detail = `${source} sent ${calls} calls and no failed or retried one; these cost money too, so send them with their status`;
    yield { code: 'no_failures', detail };
  }
}

type SourcesOf = ReadonlyMap<string, ReadonlySet<string>>;
type SharedCalls = { readonly left: string; readonly right: string; readonly calls: number };

/** The pairs of sources that share calls, and how many. */
function pairs(sourcesOf: SourcesOf): ReadonlyMap<string, SharedCalls> {
  const shared = new Map<string, SharedCalls>();
  for (const sources of sourcesOf.values()) {
    if (sources.size < 2) continue;
    const [left = '', right = ''] = [...sources].toSorted();
    const key = JSON.stringify([left, right]);
    shared.set(key, { left, right, calls: (shared.get(key)?.calls ?? 0) + 1 });
  }
  return shared;
}

function* named(sourcesOfName: SourcesOf): Iterable<UsageWarning> {
  for (const { left, right, calls } of pairs(sourcesOfName).values()) {
    const detail = `${calls} calls arrived from both ${left} and ${right} under the same call id; keep one of the two`;
    yield { code: 'arrives_twice', detail };
  }
}

function* twins(
  bySource: ReadonlyMap<string, { calls: number }>,
  sourcesOfCall: SourcesOf,
  sourcesOfName: SourcesOf,
): Iterable<UsageWarning> {
  const told = pairs(sourcesOfName);
  for (const [key, { left, right, calls }] of pairs(sourcesOfCall)) {
    const smaller = Math.min(bySource.get(left)?.calls ?? 0, bySource.get(right)?.calls ?? 0);
    if (told.has(key) || calls < TWINS_MIN || calls < smaller * TWIN_SHARE) continue;
    const detail = `${calls} calls arrived from both ${left} and ${right} with the same model, minute and figures; keep one of the two`;
    yield { code: 'arrives_twice', detail };
  }
}

/** Same model, minute and figures: clocks of two doors differ by seconds. */
function fingerprint({ occurredAt, record }: SeenCall): string {
  const { input, cache_read, output, reasoning } = record.tokens;
  const figures = [(input ?? 0) + (cache_read ?? 0), (output ?? 0) + (reasoning ?? 0)];
  return JSON.stringify([record.model ?? '', occurredAt.slice(0, 16), ...figures]);
}
