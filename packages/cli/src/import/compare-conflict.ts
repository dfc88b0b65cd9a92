import { normaliseUsage, TOKEN_CLASSES, type Tokens } from '@ergon/usage';

/** Why an event of the input is not the one that the server has under the same source and id. */
export type ConflictFinding = {
  readonly kind: /** The same tokens of the same customer: only what surrounds them differs. */
    | 'same_usage'
    /** The input has more tokens than what was recorded. */
    | 'recorded_smaller'
    /** The input has no more tokens than what was recorded. */
    | 'recorded_larger'
    | 'different';
  /** `/data/model: recorded "a", here "b"`, at most five. */
  readonly differences: readonly string[];
  /** Tokens here minus tokens recorded. */
  readonly tokensMissing: number;
};

type Members = Readonly<Record<string, unknown>>;

const DIFFERENCES_MAX = 5;

/** Compares the event as it would be sent now with the one recorded earlier. */
export function compareConflict(sent: Members, recorded: Members): ConflictFinding {
  const differences: string[] = [];
  collect('', envelope(recorded), envelope(sent), differences);
  const [now, before] = [tokensOf(sent), tokensOf(recorded)];
  const tokensMissing = total(now) - total(before);
  const isSameTokens = TOKEN_CLASSES.every((name) => (now[name] ?? 0) === (before[name] ?? 0));
  const isSameCustomer = sent['subject'] === recorded['subject'];
  const kind = !isSameCustomer
    ? 'different'
    : isSameTokens
      ? 'same_usage'
      : tokensMissing > 0
        ? 'recorded_smaller'
        : 'recorded_larger';
  return { kind, differences: differences.slice(0, DIFFERENCES_MAX), tokensMissing };
}

function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What says nothing about the event itself is left out, and times are written in one way. */
function envelope(event: Members): Members {
  const { specversion: _, datacontenttype: __, dataschema: ___, ...rest } = event;
  const time = rest['time'];
  return typeof time === 'string'
    ? { ...rest, time: time.replace(/\.(\d*?)0*Z$/, (_all, digits) => (digits === '' ? 'Z' : `.${digits}Z`)) }
    : rest;
}

function collect(path: string, recorded: unknown, sent: unknown, found: string[]): void {
  if (isMembers(recorded) && isMembers(sent)) {
    for (const name of new Set([...Object.keys(recorded), ...Object.keys(sent)])) {
      collect(`${path}/${name}`, recorded[name], sent[name], found);
    }
  } else if (JSON.stringify(recorded) !== JSON.stringify(sent)) {
    found.push(`${path}: recorded ${show(recorded)}, here ${show(sent)}`);
  }
}

function show(value: unknown): string {
  return value === undefined ? 'nothing' : (JSON.stringify(value) ?? '').slice(0, 80);
}

function tokensOf(event: Members): Tokens {
  const data = isMembers(event['data']) ? event['data'] : {};
  const text = (name: string) => (typeof data[name] === 'string' ? data[name] : undefined);
  const { usage, tokens } = data;
  return normaliseUsage({ provider: text('provider'), api: text('api'), model: text('model'), usage, tokens }).tokens;
}

function total(tokens: Tokens): number {
  return TOKEN_CLASSES.reduce((sum, name) => sum + (tokens[name] ?? 0), 0);
}
