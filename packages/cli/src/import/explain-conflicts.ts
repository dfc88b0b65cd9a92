import { type Api, ProblemError } from '../client/index.ts';
import { compareConflict } from './compare-conflict.ts';
import type { ImportEvent } from './item.ts';

/** What the conflicts of an import are about. */
export type ConflictSummary = {
  /** Conflicts looked at; an import with very many looks at the first ones only. */
  readonly examined: number;
  /** The same tokens were recorded from another copy. */
  readonly sameUsage: number;
  /** Fewer tokens were recorded than the input has now. */
  readonly recordedSmaller: number;
  /** Tokens of these that are not recorded. */
  readonly tokensMissing: number;
  readonly recordedLarger: number;
  readonly different: number;
  /** The first conflicts that are not the same usage. */
  readonly examples: readonly {
    readonly place: string;
    readonly source: string;
    readonly id: string;
    readonly differences: readonly string[];
  }[];
};

const EXAMPLES_MAX = 5;
const LOOKUPS_AT_ONCE = 8;

/** Looks up what the server has instead of each event. */
export async function explainConflicts(
  api: Pick<Api, 'lookupEvent'>,
  events: readonly ImportEvent[],
): Promise<ConflictSummary | undefined> {
  if (events.length === 0) return undefined;
  const counts = { examined: 0, sameUsage: 0, recordedSmaller: 0, tokensMissing: 0, recordedLarger: 0, different: 0 };
  const examples: ConflictSummary['examples'][number][] = [];
  for (let start = 0; start < events.length; start += LOOKUPS_AT_ONCE) {
    const found = await Promise.all(events.slice(start, start + LOOKUPS_AT_ONCE).map((event) => examine(api, event)));
    for (const { event, finding } of found) {
      if (finding === undefined) continue;
      counts.examined += 1;
      counts.sameUsage += finding.kind === 'same_usage' ? 1 : 0;
      counts.recordedLarger += finding.kind === 'recorded_larger' ? 1 : 0;
      counts.different += finding.kind === 'different' ? 1 : 0;
      if (finding.kind === 'recorded_smaller') {
        counts.recordedSmaller += 1;
        counts.tokensMissing += finding.tokensMissing;
      }
      if (finding.kind !== 'same_usage' && examples.length < EXAMPLES_MAX) {
        examples.push({ place: event.place, source: event.source, id: event.id, differences: finding.differences });
      }
    }
  }
  return { ...counts, examples };
}

async function examine(api: Pick<Api, 'lookupEvent'>, event: ImportEvent) {
  try {
    const { event: recorded } = await api.lookupEvent(event.source, event.id);
    return { event, finding: compareConflict(JSON.parse(event.line), recorded) };
  } catch (error) {
    // A key that may write but not read cannot look; the conflict is still counted.
    if (error instanceof ProblemError && error.problem.status < 500) return { event, finding: undefined };
    throw error;
  }
}
