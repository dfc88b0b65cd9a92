import type { Dimensions } from './contract.ts';
import { CHOICES_REMEMBERED_MAX, TIES_REPORTED_MAX } from './limits.ts';

/** The dimension values a price or cell applies to, with its rank among others. */
export type Match = {
  /** Canonical text, equal for equal matches; values are percent-encoded, so it holds no `/`. */
  readonly key: string;
  readonly exact: ReadonlyMap<string, string>;
  /** Literal parts of the values that end in `*`. */
  readonly prefixes: ReadonlyMap<string, string>;
  /** Literal characters of all prefixes together. */
  readonly prefixLength: number;
};

/** @returns the match, or the dimension whose pattern has a `*` that is not its last character. */
export function compileMatch(spec: Readonly<Record<string, string>>): Match | { readonly faulty: string } {
  const exact = new Map<string, string>();
  const prefixes = new Map<string, string>();
  const names = Object.keys(spec).sort();
  for (const name of names) {
    const value = spec[name] ?? '';
    const star = value.indexOf('*');
    if (star === -1) exact.set(name, value);
    else if (star === value.length - 1) prefixes.set(name, value.slice(0, -1));
    else return { faulty: name };
  }
  return {
    key: names.map((name) => `${name}=${encodeURIComponent(spec[name] ?? '')}`).join(','),
    exact,
    prefixes,
    prefixLength: [...prefixes.values()].reduce((length, prefix) => length + prefix.length, 0),
  };
}

/** Higher first: most exact keys, then the longest literal prefix (DESIGN section 9). */
export function compareRank(a: Match, b: Match): number {
  return b.exact.size - a.exact.size || b.prefixLength - a.prefixLength;
}

export function accepts(match: Match, dimensions: Dimensions): boolean {
  for (const [name, value] of match.exact) if (dimensions[name] !== value) return false;
  for (const [name, prefix] of match.prefixes) {
    const value = dimensions[name];
    if (typeof value !== 'string' || !value.startsWith(prefix)) return false;
  }
  return true;
}

/**
 * The pairs of which some dimensions satisfy both while neither ranks above the other, as indexes, each once; not more than
 * the first {@link TIES_REPORTED_MAX} of a rank.
 */
export function findTies(matches: readonly Match[]): readonly (readonly [number, number])[] {
  const byRank = new Map<string, number[]>();
  matches.forEach((match, index) => {
    const rank = `${match.exact.size}/${match.prefixLength}`;
    const group = byRank.get(rank);
    if (group === undefined) byRank.set(rank, [index]);
    else group.push(index);
  });
  return [...byRank.values()].flatMap((group) => tiesOfOneRank(matches, group));
}

/**
 * Of one rank, matches that name the same keys in the same way and have at most one prefix overlap only where they are
 * equal, because their prefixes are equally long; that settles a large price list without comparing every pair.
 */
function tiesOfOneRank(matches: readonly Match[], group: readonly number[]): (readonly [number, number])[] {
  const ties: (readonly [number, number])[] = [];
  const firstByKey = new Map<string, number>();
  const shapes = new Map<string, number[]>();
  for (const index of group) {
    const match = matches[index];
    if (match === undefined) continue;
    const first = firstByKey.get(match.key);
    if (first !== undefined) {
      ties.push([first, index]);
      continue;
    }
    firstByKey.set(match.key, index);
    const shape = `${[...match.exact.keys()].join(',')}|${[...match.prefixes.keys()].join(',')}`;
    const others = shapes.get(shape);
    if (others === undefined) shapes.set(shape, [index]);
    else others.push(index);
  }
  const lists = [...shapes.values()];
  lists.forEach((list, position) => {
    const candidates = lists.slice(position + 1).flat();
    list.forEach((a, place) => {
      const own = (matches[a]?.prefixes.size ?? 0) > 1 ? list.slice(place + 1) : [];
      for (const others of [own, candidates]) {
        for (const b of others) {
          if (ties.length >= TIES_REPORTED_MAX) return;
          if (overlap(matches[a], matches[b])) ties.push([a, b]);
        }
      }
    });
  });
  return ties.slice(0, TIES_REPORTED_MAX);
}

function overlap(a: Match | undefined, b: Match | undefined): boolean {
  if (a === undefined || b === undefined) return false;
  for (const [name, value] of a.exact) {
    const other = b.exact.get(name);
    if (other !== undefined && other !== value) return false;
    const prefix = b.prefixes.get(name);
    if (prefix !== undefined && !value.startsWith(prefix)) return false;
  }
  for (const [name, prefix] of a.prefixes) {
    const other = b.exact.get(name);
    if (other !== undefined && !other.startsWith(prefix)) return false;
    const otherPrefix = b.prefixes.get(name);
    if (otherPrefix !== undefined && !otherPrefix.startsWith(prefix) && !prefix.startsWith(otherPrefix)) return false;
  }
  return true;
}

type Node<Choice> = Map<string | undefined, Node<Choice> | { readonly choice: Choice }>;

/**
 * `choose`, remembered by the values of `names` alone. `choose` must depend on nothing else. The memory is bounded: when
 * full it is emptied, because hostile values (a model name per event) would fill any cleverer one too.
 */
export function rememberChoice<Choice>(
  names: readonly string[],
  choose: (dimensions: Dimensions) => Choice,
): (dimensions: Dimensions) => Choice {
  if (names.length === 0) {
    const only = choose({});
    return () => only;
  }
  const last = names.length - 1;
  let root: Node<Choice> = new Map();
  let remembered = 0;
  return (dimensions) => {
    let node = root;
    for (let position = 0; position < last; position++) {
      const value = textOf(dimensions, names[position]);
      let next = node.get(value);
      if (!(next instanceof Map)) {
        next = new Map();
        node.set(value, next);
      }
      node = next;
    }
    const value = textOf(dimensions, names[last]);
    const known = node.get(value);
    if (known !== undefined && !(known instanceof Map)) return known.choice;
    const choice = choose(dimensions);
    if (remembered >= CHOICES_REMEMBERED_MAX) {
      root = new Map();
      remembered = 0;
    } else {
      node.set(value, { choice });
      remembered += 1;
    }
    return choice;
  };
}

/** Own text only: a dimension called `constructor` must not find what every object inherits. */
function textOf(dimensions: Dimensions, name: string | undefined): string | undefined {
  if (name === undefined) return undefined;
  const value: unknown = dimensions[name];
  return typeof value === 'string' ? value : undefined;
}
