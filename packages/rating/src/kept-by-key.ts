import { CHOICES_REMEMBERED_MAX } from './limits.ts';

/**
 * One object for each key for as long as anyone holds it, so that callers may compare by identity. Held weakly: keys may be
 * endless (the hours of a long backfill), and an object that nobody holds can be made again unnoticed.
 */
export function keptByKey<Kept extends object>(make: (key: string) => Kept): (key: string) => Kept {
  const known = new Map<string, WeakRef<Kept>>();
  let sweepAt = CHOICES_REMEMBERED_MAX;
  // Usage comes in runs of one hour or day, and a weak reference costs ten times a comparison.
  let latest: { readonly key: string; readonly kept: Kept } | undefined;
  return (key) => {
    if (latest !== undefined && latest.key === key) return latest.kept;
    const kept = known.get(key)?.deref();
    if (kept !== undefined) {
      latest = { key, kept };
      return kept;
    }
    const made = make(key);
    latest = { key, kept: made };
    known.set(key, new WeakRef(made));
    if (known.size > sweepAt) {
      for (const [other, reference] of known) if (reference.deref() === undefined) known.delete(other);
      // Twice what is alive, so that sweeping stays a constant part of the work.
      sweepAt = Math.max(CHOICES_REMEMBERED_MAX, known.size * 2);
    }
    return made;
  };
}
