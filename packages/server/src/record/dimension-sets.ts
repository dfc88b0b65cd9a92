import { hash } from 'node:crypto';
import { USAGE_DIMENSIONS } from '../catalog/built-in-meters.ts';

/** A set of dimensions and its name: the first 128 bits of a SHA-256 over its canonical text. */
export type DimensionSet = { readonly id: string; readonly json: string };

const SETS_CACHED_MAX = 100_000;
// biome-ignore lint/suspicious/noControlCharactersInRegex: PostgreSQL text cannot hold NUL, and no name needs the others
const CONTROL_CHARACTER = /[\u0000-\u001f\u007f]/;

/** Values that become dimensions are short plain strings; anything else is left out, as if it had not been sent. */
export function plainDimension(value: string | undefined): string | undefined {
  if (value === undefined || value.length === 0 || value.length > 256) return undefined;
  return CONTROL_CHARACTER.test(value) || !value.isWellFormed() ? undefined : value;
}

/** Names dimension sets, and remembers which ones the database is known to hold. */
export class DimensionSets {
  readonly #byText = new Map<string, DimensionSet>();
  readonly #stored = new Set<string>();

  usage(dimensions: Readonly<Record<string, string | undefined>>, currency: string | undefined): DimensionSet {
    let text = '';
    for (const name of USAGE_DIMENSIONS)
      text += `${name === 'currency' ? (currency ?? '') : (dimensions[name] ?? '')}\u0000`;
    const known = this.#byText.get(text);
    if (known !== undefined) return known;
    const members: Record<string, string> = {};
    for (const name of USAGE_DIMENSIONS) {
      const value = plainDimension(name === 'currency' ? currency : dimensions[name]);
      if (value !== undefined) members[name] = value;
    }
    return this.#remember(text, members);
  }

  group(group: Readonly<Record<string, string>>): DimensionSet {
    const names = Object.keys(group).sort();
    const text = `\u0001${names.map((name) => `${name}\u0000${group[name]}`).join('\u0000')}`;
    const known = this.#byText.get(text);
    if (known !== undefined) return known;
    const members: Record<string, string> = {};
    for (const name of names) {
      const value = plainDimension(group[name]);
      if (value !== undefined) members[name] = value;
    }
    return this.#remember(text, members);
  }

  isStored(environmentId: number, id: string): boolean {
    return this.#stored.has(`${environmentId}|${id}`);
  }

  /** To be called after the commit that wrote them, never before. */
  markStored(environmentId: number, ids: Iterable<string>): void {
    if (this.#stored.size > SETS_CACHED_MAX) this.#stored.clear();
    for (const id of ids) this.#stored.add(`${environmentId}|${id}`);
  }

  #remember(text: string, members: Readonly<Record<string, string>>): DimensionSet {
    const set = nameSet(members);
    if (this.#byText.size >= SETS_CACHED_MAX) this.#byText.clear();
    this.#byText.set(text, set);
    return set;
  }
}

/** The set of these dimensions under its name. */
export function nameSet(members: Readonly<Record<string, string>>): DimensionSet {
  const json = JSON.stringify(members, Object.keys(members).sort());
  return { id: hash('sha256', json, 'hex').slice(0, 32), json };
}
