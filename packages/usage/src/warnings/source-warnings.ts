import { sumTokens } from '../normalise/figures.ts';
import type { UsageRecord } from '../record.ts';
import type { UsageWarning } from './usage-warnings.ts';

/** One call as two doors may both have seen it. */
export type SeenCall = {
  readonly source: string;
  readonly occurredAt: string;
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
  for (const call of calls) {
    const source = bySource.get(call.source) ?? { calls: 0, failed: 0 };
    source.calls += 1;
    if (call.isFailed) source.failed += 1;
    bySource.set(call.source, source);
    if (sumTokens(call.record.tokens) < TWIN_TOKENS_MIN) continue;
    const key = fingerprint(call);
    const sources = sourcesOfCall.get(key);
    if (sources === undefined) sourcesOfCall.set(key, new Set([call.source]));
    else sources.add(call.source);
  }
  return [...withoutFailures(bySource), ...twins(bySource, sourcesOfCall)];
}

function* withoutFailures(bySource: ReadonlyMap<string, { calls: number; failed: number }>): Iterable<UsageWarning> {
  for (const [source, { calls, failed }] of bySource) {
    if (calls < CALLS_WITHOUT_FAILURE_MAX || failed > 0) continue;
    const detail = `${source} sent ${calls} calls and no failed or retried one; these cost money too, so send them with their status`;
    yield { code: 'no_failures', detail };
  }
}

function* twins(
  bySource: ReadonlyMap<string, { calls: number }>,
  sourcesOfCall: ReadonlyMap<string, ReadonlySet<string>>,
): Iterable<UsageWarning> {
  const shared = new Map<string, { left: string; right: string; calls: number }>();
  for (const sources of sourcesOfCall.values()) {
    if (sources.size < 2) continue;
    const [left = '', right = ''] = [...sources].toSorted();
    const key = JSON.stringify([left, right]);
    const pair = shared.get(key) ?? { left, right, calls: 0 };
    pair.calls += 1;
    shared.set(key, pair);
  }
  for (const { left, right, calls } of shared.values()) {
    const smaller = Math.min(bySource.get(left)?.calls ?? 0, bySource.get(right)?.calls ?? 0);
    if (calls < TWINS_MIN || calls < smaller * TWIN_SHARE) continue;
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
