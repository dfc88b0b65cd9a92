/**
 * RFC 8785 canonical JSON: keys sorted by UTF-16 code units, shortest number notation. Two bodies are the same event when
 * their canonical texts are equal, however they were spelled or ordered on the way.
 */
import { decimal, toText } from '@ergon/exact';
import { LIMITS } from '../limits.ts';

/** A JSON number that a double would round, kept as its literal (see {@link parseJsonExact}). */
export class ExactNumber {
  readonly text: string;
  constructor(literal: string) {
    this.text = toText(decimal(literal));
  }
}

/** Thrown while writing canonical text; the caller turns it into a rejected event. */
export class NotCanonicalError extends Error {}

const PLAIN_STRING = /^[ !#-[\]-~]*$/;

export function canonicalJson(value: unknown): string {
  return write(value, 0);
}

function write(value: unknown, depth: number): string {
  switch (typeof value) {
    case 'string':
      return writeString(value);
    case 'number':
      if (!Number.isFinite(value)) throw new NotCanonicalError('holding a number beyond every limit');
      return Object.is(value, -0) ? '0' : String(value);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'object': {
      if (value === null) return 'null';
      if (depth >= LIMITS.depthMax) throw new NotCanonicalError(`nested deeper than ${LIMITS.depthMax} levels`);
      if (Array.isArray(value)) return writeArray(value, depth);
      if (value instanceof ExactNumber) return value.text;
      return writeObject(value, depth);
    }
    default:
      throw new NotCanonicalError(`not JSON: ${typeof value}`);
  }
}

export function writeString(value: string): string {
  return PLAIN_STRING.test(value) ? `"${value}"` : JSON.stringify(value);
}

function writeArray(values: readonly unknown[], depth: number): string {
  let text = '[';
  for (let index = 0; index < values.length; index++) {
    if (index > 0) text += ',';
    text += write(values[index], depth + 1);
  }
  return `${text}]`;
}

function writeObject(value: object, depth: number): string {
  const keys = Object.keys(value);
  for (let index = 1; index < keys.length; index++) {
    if ((keys[index - 1] ?? '') > (keys[index] ?? '')) {
      keys.sort();
      break;
    }
  }
  const members = value as Readonly<Record<string, unknown>>;
  let text = '{';
  for (let index = 0; index < keys.length; index++) {
    const key = keys[index] ?? '';
    text += index === 0 ? writeString(key) : `,${writeString(key)}`;
    text += ':';
    text += write(members[key], depth + 1);
  }
  return `${text}}`;
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
