import { instantMicros } from '../http/wire.ts';
import type { FieldError } from '../http/problem.ts';
import { isSame } from './difference.ts';
import type { Standing } from './read-catalog.ts';

/** One version as the file says it. */
export type Version<Spec> = { readonly spec: Spec; readonly effectiveFrom: string | undefined };

/** A version of the file beside the one it would replace. */
export type VersionPair<Spec> = Version<Spec> & {
  readonly pointer: string;
  readonly current: Spec | undefined;
  /** Whether the key has no version yet: nothing can have been rated by it. */
  readonly isUnused: boolean;
};

export type ComparedVersions<Spec> = {
  readonly pairs: readonly VersionPair<Spec>[];
  /** Instants of versions to come that the file does not name. */
  readonly absent: readonly number[];
  readonly problems: readonly FieldError[];
};

/**
 * A dated entry of the file beside the versions that stand. Of those that the file dates before now only the last one counts: it
 * is to be in force. So a file keeps its meaning when the time of a version in it has passed.
 */
export function compareVersions<Spec>(
  entry: Version<Spec> | readonly Version<Spec>[],
  standing: readonly Standing<Spec>[],
  { pointer, now }: { readonly pointer: string; readonly now: number },
): ComparedVersions<Spec> {
  const given = listOf(entry).map(({ spec, effectiveFrom }, index) => ({
    pointer: isList(entry) ? `${pointer}/${index}` : pointer,
    spec,
    effectiveFrom,
    at: effectiveFrom === undefined ? Number.NEGATIVE_INFINITY : instantMicros(effectiveFrom),
  }));
  const problems = given.flatMap((one, index) =>
    given.findIndex((other) => other.at === one.at) < index ? [twice(one.pointer)] : [],
  );
  const sorted = given.toSorted((a, b) => a.at - b.at);
  if (standing.length === 0) {
    return { problems, absent: [], pairs: sorted.map((one) => ({ ...one, current: undefined, isUnused: true })) };
  }
  const inForce = standing.findLast((version) => version.effectiveFrom <= now);
  const present = sorted.findLast((one) => one.at <= now);
  const coming = sorted.filter((one) => one.at > now);
  const isOvertaken =
    present?.effectiveFrom !== undefined &&
    inForce !== undefined &&
    inForce.effectiveFrom > present.at &&
    !isSame(inForce.spec, present.spec);
  const pairs = [...(present === undefined ? [] : [present]), ...coming].map((one) => {
    const replaced = one.at <= now ? inForce : standing.find((version) => version.effectiveFrom === one.at);
    return { ...one, current: replaced?.spec ?? undefined, isUnused: false };
  });
  const named = new Set(coming.map((one) => one.at));
  const absent = standing.filter(
    ({ effectiveFrom, spec }) => effectiveFrom > now && spec !== null && !named.has(effectiveFrom),
  );
  return {
    problems: isOvertaken ? [...problems, overtaken(present.pointer)] : problems,
    pairs: isOvertaken ? pairs.filter((pair) => pair.pointer !== present.pointer) : pairs,
    absent: absent.map((version) => version.effectiveFrom),
  };
}

function listOf<Item>(entry: Item | readonly Item[]): readonly Item[] {
  return isList(entry) ? entry : [entry];
}

function isList<Item>(entry: Item | readonly Item[]): entry is readonly Item[] {
  return Array.isArray(entry);
}

function twice(pointer: string): FieldError {
  return {
    pointer: `${pointer}/effective_from`,
    detail: 'two versions of the entry begin at one instant',
    remedy: 'give each version an instant of its own; one may do without',
  };
}

function overtaken(pointer: string): FieldError {
  return {
    pointer: `${pointer}/effective_from`,
    detail: 'another version came into force later and holds now',
    remedy: 'leave it out to bring this version into force at once',
  };
}
