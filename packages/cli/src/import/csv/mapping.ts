import { TOKEN_CLASSES } from '@ergon/usage';

/** How a text value is written into the event. */
export type ValueType = 'string' | 'integer' | 'number' | 'boolean';

const VALUE_TYPES: readonly ValueType[] = ['string', 'integer', 'number', 'boolean'];

/** Where a value goes: a member of the envelope, or a path inside `data`. */
export type Target =
  | { readonly kind: 'envelope'; readonly member: 'time' | 'subject' | 'type' }
  | { readonly kind: 'data'; readonly path: readonly string[]; readonly type: ValueType };

/** One `--map` (value from a column) or `--set` (the same value in every row). */
export type Assignment = {
  /** As it was written, for messages. */
  readonly text: string;
  readonly target: Target;
  readonly from: { readonly column: string } | { readonly value: string };
};

export type ParsedAssignment =
  | { readonly ok: true; readonly assignment: Assignment }
  | { readonly ok: false; readonly detail: string };

/** Parses `target=COLUMN` (`origin` `column`) or `target=value`, either with `:integer` and the like after it. */
export function parseAssignment(text: string, origin: 'column' | 'value'): ParsedAssignment {
  const equals = text.indexOf('=');
  if (equals < 1 || equals === text.length - 1) {
    const example = origin === 'column' ? '--map tokens.input=ContextTokens' : '--set model=gpt-5-mini';
    return {
      ok: false,
      detail: `${JSON.stringify(text)} is not TARGET=${origin.toUpperCase()}, for example ${example}`,
    };
  }
  const targetText = text.slice(0, equals);
  const { rest, type } = splitType(text.slice(equals + 1));
  const target = parseTarget(targetText, type);
  if (typeof target === 'string') return { ok: false, detail: target };
  return { ok: true, assignment: { text, target, from: origin === 'column' ? { column: rest } : { value: rest } } };
}

function splitType(text: string): { rest: string; type: ValueType | undefined } {
  const colon = text.lastIndexOf(':');
  const type = VALUE_TYPES.find((one) => one === text.slice(colon + 1));
  return colon > 0 && type !== undefined ? { rest: text.slice(0, colon), type } : { rest: text, type: undefined };
}

/** A target, or what is wrong with it. */
function parseTarget(text: string, type: ValueType | undefined): Target | string {
  if (text === 'time' || text === 'subject' || text === 'type') return { kind: 'envelope', member: text };
  if (text === 'customer') return { kind: 'envelope', member: 'subject' };
  if (text === 'id' || text === 'source') {
    return `${text} is no target of a mapping; use ${text === 'id' ? '--id-from COLUMN' : '--source NAME'}`;
  }
  const path = (text.startsWith('data.') ? text.slice('data.'.length) : text).split('.');
  if (path.some((name) => !/^[A-Za-z0-9_-]+$/.test(name) || name === '__proto__')) {
    return `${JSON.stringify(text)} is no path; write names joined by dots, such as tokens.input or properties.region`;
  }
  const [head, second] = path;
  if (head === 'tokens' && (path.length !== 2 || !TOKEN_CLASSES.some((one) => one === second))) {
    return `${JSON.stringify(text)} is no token class; there are ${TOKEN_CLASSES.map((one) => `tokens.${one}`).join(', ')}`;
  }
  return { kind: 'data', path, type: type ?? naturalType(path) };
}

function naturalType(path: readonly string[]): ValueType {
  const [head] = path;
  const last = path.at(-1) ?? '';
  if (head === 'tokens' || head === 'attempt') return 'integer';
  if (head === 'usage' || last.endsWith('_ms')) return 'number';
  return head === 'final' ? 'boolean' : 'string';
}
