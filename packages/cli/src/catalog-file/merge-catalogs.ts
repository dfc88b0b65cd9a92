import type { FileFault, ParsedCatalog, Place } from './parse-catalog.ts';

export type CatalogInput = {
  readonly value: Readonly<Record<string, unknown>>;
  /** Where a JSON pointer of `value` stands, or the nearest thing around it. */
  readonly placeOf: (pointer: string) => Place | undefined;
  readonly faults: readonly FileFault[];
};

/** Several files, or documents of one, as one catalog; an entry stands in one of them only. */
export function mergeCatalogs(parsed: readonly ParsedCatalog[]): CatalogInput {
  const value: Record<string, unknown> = {};
  const places = new Map<string, Place>();
  const faults: FileFault[] = parsed.flatMap((one) => one.faults);
  for (const { values, places: documents } of parsed) {
    for (const [index, one] of values.entries()) {
      const where = documents[index] ?? new Map<string, Place>();
      merge(value, one, '', (pointer) => {
        const place = where.get(pointer);
        const other = places.get(pointer);
        if (place === undefined) return;
        const also = other === undefined ? '' : `; also at ${placeText(other)}`;
        faults.push({ place, message: `${pointer.slice(1)} is there twice${also}` });
      });
      for (const [pointer, place] of where) if (!places.has(pointer)) places.set(pointer, place);
    }
  }
  return { value, faults, placeOf: (pointer) => nearest(places, pointer) };
}

export function placeText({ file, line, column }: Place): string {
  return `${file}:${line}:${column}`;
}

/** Kinds are merged by their entries, and overrides by their customers' entries. */
function merge(
  into: Record<string, unknown>,
  from: Readonly<Record<string, unknown>>,
  pointer: string,
  onTwice: (pointer: string) => void,
): void {
  for (const [name, member] of Object.entries(from)) {
    const at = `${pointer}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
    const known = Object.hasOwn(into, name) ? into[name] : undefined;
    const isGroup = pointer === '' || pointer === '/customer_overrides';
    if (known === undefined) {
      const copy = isGroup && isRecord(member) ? copyOf(member, pointer) : member;
      Object.defineProperty(into, name, { value: copy, enumerable: true, configurable: true, writable: true });
    } else if (isGroup && isRecord(known) && isRecord(member)) merge(known, member, at, onTwice);
    else onTwice(at);
  }
}

/** A group that a later file adds to must not be the earlier file's own. */
function copyOf(group: Readonly<Record<string, unknown>>, pointer: string): Record<string, unknown> {
  if (pointer !== '') return { ...group };
  return Object.fromEntries(Object.entries(group).map(([key, entry]) => [key, isRecord(entry) ? { ...entry } : entry]));
}

function nearest(places: ReadonlyMap<string, Place>, pointer: string): Place | undefined {
  for (let at = pointer; at !== ''; at = at.slice(0, at.lastIndexOf('/'))) {
    const place = places.get(at);
    if (place !== undefined) return place;
  }
  return undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
