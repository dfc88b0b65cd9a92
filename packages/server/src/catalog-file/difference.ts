import { compare, parseDecimal } from '@ergon/exact';
import { escapePointer } from '../http/hostile-text.ts';

/** One member that differs: without `old` it is added, without `new` taken away. */
export type MemberChange = { readonly pointer: string; readonly old?: unknown; readonly new?: unknown };

/** Whether two specs say the same. A JSON number and a decimal as text are one amount; a member left out is undefined. */
export function isSame(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a === 'number' && typeof b === 'string') return isAmount(b, a);
  if (typeof a === 'string' && typeof b === 'number') return isAmount(a, b);
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((element, index) => isSame(element, b[index]));
  }
  if (!isRecord(a) || !isRecord(b)) return false;
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].every((name) =>
    isSame(memberOf(a, name), memberOf(b, name)),
  );
}

/** What differs, member by member: pointers into the new spec, or into the old one for what is taken away. */
export function differenceOf(old: unknown, wanted: unknown, pointer = ''): MemberChange[] {
  if (isSame(old, wanted)) return [];
  if (old === undefined) return [{ pointer, new: wanted }];
  if (wanted === undefined) return [{ pointer, old }];
  if (Array.isArray(old) && Array.isArray(wanted)) return arrayDifference(old, wanted, pointer);
  if (isRecord(old) && isRecord(wanted)) {
    const names = new Set([...Object.keys(old), ...Object.keys(wanted)]);
    return [...names].flatMap((name) =>
      differenceOf(memberOf(old, name), memberOf(wanted, name), `${pointer}/${escapePointer(name)}`),
    );
  }
  return [{ pointer, old, new: wanted }];
}

/** Elements are paired by what names them, so that a price inserted at the top does not change every price below it. */
function arrayDifference(old: readonly unknown[], wanted: readonly unknown[], pointer: string): MemberChange[] {
  const waiting = new Map<string, { index: number; element: unknown }[]>();
  for (const [index, element] of old.entries()) {
    const name = nameOf(element, index);
    const same = waiting.get(name);
    if (same === undefined) waiting.set(name, [{ index, element }]);
    else same.push({ index, element });
  }
  const changes: MemberChange[] = [];
  const moved: { index: number; element: unknown }[] = [];
  let before = -1;
  for (const [index, element] of wanted.entries()) {
    const at = `${pointer}/${index}`;
    const pair = waiting.get(nameOf(element, index))?.shift();
    if (pair !== undefined && pair.index > before) {
      changes.push(...differenceOf(pair.element, element, at));
      before = pair.index;
    } else {
      changes.push({ pointer: at, new: element });
      if (pair !== undefined) moved.push(pair);
    }
  }
  const gone = [...moved, ...[...waiting.values()].flat()].toSorted((a, b) => a.index - b.index);
  return [...changes, ...gone.map(({ index, element }) => ({ pointer: `${pointer}/${index}`, old: element }))];
}

/** Members that together name an element among its neighbours, where it has no name of its own. */
const NAMING = ['meter', 'match', 'up_to', 'from', 'prompt_tokens_above'] as const;

function nameOf(element: unknown, index: number): string {
  if (!isRecord(element)) return typeof element === 'object' ? `at ${index}` : JSON.stringify(element);
  const own = element['key'] ?? element['feature'];
  if (own !== undefined) return JSON.stringify(own);
  const names = NAMING.filter((name) => element[name] !== undefined);
  return names.length === 0 ? `at ${index}` : JSON.stringify(names.map((name) => [name, element[name]]));
}

function isAmount(text: string, number: number): boolean {
  const [a, b] = [parseDecimal(text), parseDecimal(String(number))];
  return a !== undefined && b !== undefined && compare(a, b) === 0;
}

/** A dimension may be called `constructor`, which every object has from elsewhere. */
function memberOf(record: Readonly<Record<string, unknown>>, name: string): unknown {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
