import type { CatalogApplied, CatalogDifference } from '../client/index.ts';
import type { CliIo } from '../io.ts';
import { plural } from '../print/number.ts';
import { createStyle, type Style } from '../print/style.ts';
import { placeText } from './merge-catalogs.ts';
import type { CatalogInput } from './merge-catalogs.ts';

const ABSENT_SHOWN = 20;
const TEXT_MAX = 120;

/** What applying would do or did: `+` is made, `~` changes, member by member; the rest is counted. */
export function printDifference(io: CliIo, found: CatalogApplied, input: CatalogInput): void {
  const style = createStyle(io);
  for (const one of found.differences) {
    const sign = one.action === 'create' ? style.green('+') : style.yellow('~');
    const place = input.placeOf(one.pointer);
    const where = place === undefined ? '' : style.dim(`  ${placeText(place)}`);
    io.writeOut(`${sign} ${style.bold(nameOf(one))}${where}\n`);
    if (one.action === 'change') for (const change of one.changes) printChange(io, style, change, one, input);
  }
  if (found.unchanged > 0) io.writeOut(style.dim(`= ${found.unchanged} unchanged\n`));
  printAbsent(io, style, found.not_in_file);
}

type Named = Pick<CatalogDifference, 'kind' | 'key' | 'customer' | 'effective_from'>;

function nameOf({ kind, key, customer, effective_from: from }: Named): string {
  const words = [kind, customer === undefined ? key : `${customer}/${key}`];
  return [...words, ...(from === undefined ? [] : [`from ${from}`])].join(' ');
}

type Change = CatalogDifference['changes'][number];

function printChange(io: CliIo, style: Style, change: Change, one: CatalogDifference, input: CatalogInput): void {
  const path = pathText(change, one, input.value);
  const [old, next] = [valueText(change.old), valueText(change.new)];
  if (change.old === undefined) io.writeOut(`    ${style.green('+')} ${path}${style.green(next)}\n`);
  else if (change.new === undefined) io.writeOut(`    ${style.red('-')} ${path}${style.red(old)}\n`);
  else io.writeOut(`    ${style.yellow('~')} ${path}${style.red(old)} -> ${style.green(next)}\n`);
}

/** `prices[0] (output_tokens) charge_model.unit_amount: `, with what names the element in a list. */
function pathText(change: Change, one: CatalogDifference, file: unknown): string {
  let text = '';
  let at = change.old !== undefined && change.new === undefined ? undefined : valueAt(file, one.pointer);
  for (const segment of segmentsOf(change.pointer)) {
    const isIndex = Array.isArray(at) || (at === undefined && /^\d+$/.test(segment));
    at = memberOf(at, segment);
    text += isIndex ? `[${segment}]${label(at)}` : `${text === '' || text.endsWith(' ') ? '' : '.'}${segment}`;
  }
  return text === '' ? '' : `${text.trimEnd()}: `;
}

/** What people call an element of a list: its key, the feature or the meter. */
function label(element: unknown): string {
  const name = memberOf(element, 'key') ?? memberOf(element, 'feature') ?? memberOf(element, 'meter');
  if (typeof name !== 'string') return '';
  const match = memberOf(element, 'match');
  const matched = typeof match === 'object' && match !== null ? Object.entries(match) : [];
  return ` (${[name, ...matched.map(([dimension, value]) => `${dimension}=${String(value)}`)].join(' ')}) `;
}

function valueText(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
  return text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)}…` : text;
}

function printAbsent(io: CliIo, style: Style, { count, entries }: CatalogApplied['not_in_file']): void {
  if (count === 0) return;
  const shown = entries.slice(0, ABSENT_SHOWN).map(nameOf);
  const more = count > shown.length ? `, and ${count - shown.length} more` : '';
  io.writeOut(style.dim(`not in the file, stays: ${shown.join(', ')}${more}\n`));
}

/** What there is to do, in one line. */
export function summary(found: CatalogApplied): string {
  const parts = [
    ...(found.created > 0 ? [`${found.created} to create`] : []),
    ...(found.changed > 0 ? [`${found.changed} to change`] : []),
  ];
  if (parts.length === 0)
    return `No difference: the catalog is as the file says (${plural(found.unchanged, 'entry', 'entries')}).`;
  return `${parts.join(', ')}.`;
}

function valueAt(value: unknown, pointer: string): unknown {
  return segmentsOf(pointer).reduce(memberOf, value);
}

function memberOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  return Object.entries(value).find(([member]) => member === name)?.[1];
}

function segmentsOf(pointer: string): string[] {
  return pointer
    .split('/')
    .slice(1)
    .map((segment) => segment.replaceAll('~1', '/').replaceAll('~0', '~'));
}
