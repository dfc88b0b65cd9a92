/** Early logs name no model at all; the CLI's default then was this. */
const UNNAMED = 'gpt-5';

/** The reviewer that Codex runs by itself hides its model behind this name. */
const AUTO_REVIEW = 'codex-auto-review';

/** The model behind the reviewer since a day, newest first (ccusage's codex-auto-review-fallbacks.json). */
const REVIEWERS: readonly (readonly [since: string, model: string])[] = [
  ['2026-04-23', 'gpt-5.5'],
  ['2026-03-05', 'gpt-5.4'],
  ['2026-02-05', 'gpt-5.3-codex'],
  ['2025-12-11', 'gpt-5.2-codex'],
  ['2025-11-13', 'gpt-5.1-codex'],
  ['2025-09-15', 'gpt-5-codex'],
];

/** The model of a Codex call, and whether it is assumed rather than named. */
export function codexModel(named: string | undefined, occurredAt: string): { model: string; isAssumed: boolean } {
  if (named !== undefined && named !== AUTO_REVIEW) return { model: named, isAssumed: false };
  if (named === undefined) return { model: UNNAMED, isAssumed: true };
  const day = occurredAt.slice(0, 10);
  return { model: REVIEWERS.find(([since]) => day >= since)?.[1] ?? UNNAMED, isAssumed: true };
}
