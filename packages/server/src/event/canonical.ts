/**
 * RFC 8785 canonical JSON: keys sorted by UTF-16 code units, shortest number notation. Two bodies are the same event when
 * their canonical texts are equal, however they were spelled or ordered on the way.
 */
import { decimal, toText } from '@ergon/exact';
import { LIMITS } from '../limits.ts';
import type { ByteWriter } from './byte-writer.ts';

/** A JSON number that a double would round, kept as its literal (see {@link parseJsonExact}). */
export class ExactNumber {
  readonly text: string;
  constructor(literal: string) {
    this.text = toText(decimal(literal));
  }
}

/** Thrown while writing canonical text; the caller turns it into a rejected event. */
export class NotCanonicalError extends Error {}

const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const COMMA = 0x2c;
const COLON = 0x3a;

/**
 * Writes the canonical text of a parsed JSON value.
 *
 * @throws NotCanonicalError when it nests too deep or holds something that JSON cannot.
 */
export function writeCanonical(writer: ByteWriter, value: unknown, depth = 0): void {
  switch (typeof value) {
    case 'string':
      writer.string(value);
      return;
    case 'number':
      if (!Number.isFinite(value)) throw new NotCanonicalError('holding a number beyond every limit');
      writer.number(Object.is(value, -0) ? 0 : value);
      return;
    case 'boolean':
      writer.ascii(value ? 'true' : 'false');
      return;
    case 'object':
      if (value === null) writer.ascii('null');
      else if (depth >= LIMITS.depthMax) throw new NotCanonicalError(`nested deeper than ${LIMITS.depthMax} levels`);
      else if (Array.isArray(value)) writeArray(writer, value, depth);
      else if (value instanceof ExactNumber) writer.ascii(value.text);
      else writeObject(writer, value, depth);
      return;
    default:
      throw new NotCanonicalError(`holding a ${typeof value}, which JSON has not`);
  }
}

function writeArray(writer: ByteWriter, values: readonly unknown[], depth: number): void {
  writer.byte(OPEN_BRACKET);
  for (let index = 0; index < values.length; index++) {
    if (index > 0) writer.byte(COMMA);
    writeCanonical(writer, values[index], depth + 1);
  }
  writer.byte(CLOSE_BRACKET);
}

function writeObject(writer: ByteWriter, value: object, depth: number): void {
  const keys = sortedKeys(value);
  const members = value as Readonly<Record<string, unknown>>;
  writer.byte(OPEN_BRACE);
  for (let index = 0; index < keys.length; index++) {
    const key = keys[index] ?? '';
    if (index > 0) writer.byte(COMMA);
    writer.string(key);
    writer.byte(COLON);
    writeCanonical(writer, members[key], depth + 1);
  }
  writer.byte(CLOSE_BRACE);
}

/** Objects of events have a dozen members: below this an insertion sort in place beats the built-in one, which allocates. */
const INSERTION_SORT_MAX = 40;

function sortedKeys(value: object): string[] {
  const keys = Object.keys(value);
  if (keys.length > INSERTION_SORT_MAX) return keys.sort();
  for (let index = 1; index < keys.length; index++) {
    const key = keys[index] ?? '';
    let position = index;
    while (position > 0 && (keys[position - 1] ?? '') > key) {
      keys[position] = keys[position - 1] ?? '';
      position--;
    }
    keys[position] = key;
  }
  return keys;
}

/** A number of sixteen digits or more, or with an exponent: only such a text can hold one that a double rounds. */
const LONG_NUMBER = /(?:^|[[:,])\s*-?(?:\d[\d.]{15,}|[\d.]+[eE])/;

/**
 * `JSON.parse` that keeps every number exact: a literal that a double cannot hold becomes an {@link ExactNumber}. The slow
 * reviver runs only where a quick scan finds a long number.
 *
 * @throws SyntaxError as JSON.parse does.
 */
export function parseJsonExact(text: string): unknown {
  if (!LONG_NUMBER.test(text)) return JSON.parse(text);
  return JSON.parse(text, (_key, value: unknown, context?: { source?: string }) => {
    if (typeof value !== 'number' || context?.source === undefined) return value;
    const { source } = context;
    return holds(value, source) ? value : exactOrDouble(value, source);
  });
}

function holds(value: number, literal: string): boolean {
  if (!Number.isFinite(value)) return false;
  try {
    return toText(decimal(literal)) === toText(decimal(String(value)));
  } catch {
    return false;
  }
}

function exactOrDouble(value: number, literal: string): unknown {
  try {
    return new ExactNumber(literal);
  } catch {
    // Beyond every limit of an exact decimal (1e400): the double, or infinity, is refused later by whoever reads it.
    return value;
  }
}
