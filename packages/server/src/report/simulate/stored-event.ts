import { parseJsonExact } from '../../event/canonical.ts';
import type { CallStatus } from '../../event/event.ts';
import { parseInstant } from '../../event/instant.ts';

/** An event as pricing looks at it. Its stored body was checked when it came. */
export type EventView = {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly subject: string | undefined;
  readonly occurredAt: number;
  readonly data: Readonly<Record<string, unknown>>;
  readonly status: CallStatus;
  readonly isFinal: boolean;
  /** A member of `data` that is a text. */
  text(name: string): string | undefined;
  /** Whether the body holds these characters anywhere. */
  mentions(characters: string): boolean;
};

type StoredBody = {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly subject?: string;
  readonly time?: string;
  readonly data: Readonly<Record<string, unknown>>;
};

/** An event of which nobody asks more than that it was there. */
export const PLAIN_EVENT: EventView = {
  ...{ id: '', source: '', type: '', subject: undefined, occurredAt: 0, data: {}, status: 'ok', isFinal: true },
  text: () => undefined,
  mentions: () => false,
};

/**
 * A stored event whose body is parsed only when somebody asks for what cannot be read off its text. Bodies are canonical: `data` is the
 * first member, `time` and `type` the last ones, and most simulations ask for these and a text or two of `data`.
 */
export class StoredEvent implements EventView {
  readonly type: string;
  /** Where the member `type` begins, when it is the last one; else -1. */
  readonly #typeAt: number;
  readonly #text: string;
  readonly #receivedAt: number;
  readonly #isExact: boolean;
  #parsed: StoredBody | undefined;

  /** @param isExact whether a number that a double rounds must keep its digits; the quantities of built-in meters stand in the rating. */
  constructor(text: string, receivedAt: number, isExact: boolean) {
    this.#text = text;
    this.#receivedAt = receivedAt;
    this.#isExact = isExact;
    const at = text.lastIndexOf(TYPE);
    const type = textBefore(text, TYPE, at, text.length - 1);
    this.#typeAt = type === undefined ? -1 : at;
    this.type = type ?? this.#body.type;
  }

  get #body(): StoredBody {
    this.#parsed ??= (this.#isExact ? parseJsonExact(this.#text) : JSON.parse(this.#text)) as StoredBody;
    return this.#parsed;
  }

  get id(): string {
    return this.#body.id;
  }

  get source(): string {
    return this.#body.source;
  }

  get subject(): string | undefined {
    return this.#body.subject;
  }

  get data(): Readonly<Record<string, unknown>> {
    return this.#body.data;
  }

  get occurredAt(): number {
    const end = this.#typeAt;
    const read = end === -1 ? undefined : textBefore(this.#text, TIME, this.#text.lastIndexOf(TIME, end), end);
    const time = read ?? this.#body.time;
    return time === undefined ? this.#receivedAt : (parseInstant(time) ?? this.#receivedAt);
  }

  get status(): CallStatus {
    return (this.data.status as CallStatus | null | undefined) ?? 'ok';
  }

  get isFinal(): boolean {
    const { final } = this.data;
    return typeof final === 'boolean' ? final : this.status === 'ok';
  }

  text(name: string): string | undefined {
    const read = this.#parsed === undefined ? readText(this.#text, name) : UNSURE;
    if (read !== UNSURE) return read;
    const value = this.data[name];
    return typeof value === 'string' ? value : undefined;
  }

  mentions(characters: string): boolean {
    return this.#text.includes(characters);
  }
}

const TYPE = ',"type":"';
const TIME = ',"time":"';
const DATA = '{"data":{';
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACE = 0x7b;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACE = 0x7d;

/** The value of the member that stands at `from`, begins with `start` and ends before `end`. */
function textBefore(text: string, start: string, from: number, end: number): string | undefined {
  if (from === -1) return undefined;
  const value = text.slice(from + start.length, end - 1);
  // Other members follow it, or it is a text that only looks like one.
  return value.includes('"') || value.includes('\\') ? undefined : value;
}

const UNSURE = Symbol('unsure');

/** Walks the members of `data` up to a name; gives up at what needs a parser. */
function readText(text: string, name: string): string | undefined | typeof UNSURE {
  if (!text.startsWith(DATA)) return UNSURE;
  let at = DATA.length;
  while (text.charCodeAt(at) === QUOTE) {
    const keyEnd = text.indexOf('"', at + 1);
    if (text.charCodeAt(keyEnd + 1) !== COLON) return UNSURE;
    const isAsked = keyEnd - at - 1 === name.length && text.startsWith(name, at + 1);
    const from = keyEnd + 2;
    const first = text.charCodeAt(from);
    // Members are sorted: it would have come before this one.
    if (first === OPEN_BRACE || first === OPEN_BRACKET)
      return isAsked || text.slice(at + 1, keyEnd) > name ? undefined : UNSURE;
    const end = first === QUOTE ? textEnd(text, from) : scalarEnd(text, from);
    if (end === -1) return UNSURE;
    if (isAsked) return first === QUOTE ? plainText(text.slice(from + 1, end - 1)) : undefined;
    if (text.charCodeAt(end) !== COMMA) return text.charCodeAt(end) === CLOSE_BRACE ? undefined : UNSURE;
    at = end + 1;
  }
  return text.charCodeAt(at) === CLOSE_BRACE ? undefined : UNSURE;
}

/** Behind the closing quote; -1 where the quote found may be an escaped one. */
function textEnd(text: string, from: number): number {
  const quote = text.indexOf('"', from + 1);
  return quote === -1 || text.charCodeAt(quote - 1) === BACKSLASH ? -1 : quote + 1;
}

function scalarEnd(text: string, from: number): number {
  let at = from;
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === COMMA || code === CLOSE_BRACE) return at;
  }
  return -1;
}

function plainText(value: string): string | typeof UNSURE {
  return value.includes('\\') ? UNSURE : value;
}
