import { hash } from 'node:crypto';
import { LIMITS } from '../limits.ts';
import { ByteWriter } from './byte-writer.ts';
import { ExactNumber, NotCanonicalError, writeCanonical } from './canonical.ts';
import { ATTRIBUTION_FIELDS, type CallStatus, type Captured, type EventError } from './event.ts';
import { formatInstant, parseInstant } from './instant.ts';

export type CaptureContext = {
  readonly environmentId: number;
  /** When the request was received, microseconds since 1970. */
  readonly receivedAt: number;
  /** Oldest time this key may send, microseconds since 1970. */
  readonly oldest: number;
  /** Reads back an event that was accepted once: rules about the moment of receipt do not apply. */
  readonly isStored?: boolean;
};

type Members = Readonly<Record<string, unknown>>;

/** Envelope members that say how the event travelled rather than what happened: no part of its identity or body. */
const TRANSPORT_MEMBERS: ReadonlySet<string> = new Set(['specversion', 'datacontenttype', 'dataschema']);
const ENVELOPE_MEMBERS: ReadonlySet<string> = new Set([
  'id',
  'source',
  'type',
  'subject',
  'time',
  'data',
  ...TRANSPORT_MEMBERS,
]);
/** CloudEvents 1.0, context attribute names. */
const EXTENSION_NAME = /^[a-z0-9]{1,20}$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters refused
const CONTROL_CHARACTER = /[\u0000-\u001f\u007f]/;

class Refusal extends Error {
  readonly error: EventError;
  constructor(code: string, detail: string, pointer?: string) {
    super(detail);
    this.error = pointer === undefined ? { code, detail } : { code, detail, pointer };
  }
}

/**
 * Checks one parsed JSON value against the event contract, in this order: object, id, source, type, subject, time, data,
 * attribution, size. The first rule that fails names the field and the remedy.
 */
export function captureEvent(value: unknown, index: number, context: CaptureContext): Captured {
  let id: string | undefined;
  try {
    if (!isMembers(value)) throw new Refusal('not_an_object', 'an event is a JSON object');
    id = requiredName(value, 'id');
    return { ok: true, event: capture(value, id, index, context) };
  } catch (error) {
    if (error instanceof Refusal) return { ok: false, index, id, error: error.error };
    if (error instanceof NotCanonicalError) {
      return { ok: false, index, id, error: { code: 'not_canonical', detail: `the event is ${error.message}` } };
    }
    throw error;
  }
}

/** Attribution fields as own members; read in one pass over `data`. */
const ATTRIBUTION: ReadonlySet<string> = new Set(ATTRIBUTION_FIELDS);

function capture(value: Members, id: string, index: number, context: CaptureContext) {
  const source = optionalName(value, 'source', '/source') ?? 'api';
  const type = requiredName(value, 'type');
  const subject = optionalName(value, 'subject', '/subject');
  const occurredAt = occurrence(value.time, context);
  const data = value.data ?? {};
  if (!isMembers(data)) throw new Refusal('invalid_field', 'data must be a JSON object', '/data');
  const hasExtensions = checkEnvelope(value);
  for (const field in data) if (ATTRIBUTION.has(field)) optionalName(data, field, `/data/${field}`);
  const status = callStatus(data.status);
  const attempt = attemptNumber(data.attempt);
  if (data.final !== undefined && data.final !== null && typeof data.final !== 'boolean') {
    throw new Refusal('invalid_field', 'final must be true or false', '/data/final');
  }
  const canonical = canonicalEvent(value, { id, source, type, subject, data, hasExtensions }, occurredAt);
  if (canonical.length > LIMITS.eventBytesMax) {
    throw new Refusal(
      'event_too_large',
      `the event has ${canonical.length} bytes; at most ${LIMITS.eventBytesMax} are accepted`,
    );
  }
  return {
    index,
    id,
    source,
    type,
    subject,
    occurredAt,
    isTimeFilled: value.time === undefined || value.time === null,
    data,
    status,
    attempt,
    isFinal: typeof data.final === 'boolean' ? data.final : status === 'ok',
    identity: eventIdentity(context.environmentId, source, id),
    bodyHash: hash('sha256', canonical, 'hex').slice(0, 32),
    canonical,
  };
}

/** The permanent identity of (environment, source, id): the first 128 bits of a SHA-256, as hexadecimal. */
export function eventIdentity(environmentId: number, source: string, id: string): string {
  // A NUL cannot occur in a source or id, so the three parts cannot run into one another.
  return hash('sha256', `${environmentId}\0${source}\0${id}`, 'hex').slice(0, 32);
}

type Envelope = {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly subject: string | undefined;
  readonly data: Members;
  readonly hasExtensions: boolean;
};

/** Canonical texts of the events in flight, a chunk for some hundred of them. */
const canonicalWriter = new ByteWriter(256 * 1024);

function canonicalEvent(value: Members, envelope: Envelope, occurredAt: number): Buffer {
  const { id, source, type, subject, data } = envelope;
  const writer = canonicalWriter;
  writer.discard();
  const hasTime = value.time !== undefined && value.time !== null;
  if (envelope.hasExtensions) {
    const members: Record<string, unknown> = { ...value, id, source, type, data };
    for (const name of TRANSPORT_MEMBERS) delete members[name];
    if (subject === undefined) delete members.subject;
    if (hasTime) members.time = formatInstant(occurredAt);
    else delete members.time;
    writeCanonical(writer, members);
    return writer.take();
  }
  writer.ascii('{"data":');
  writeCanonical(writer, data, 1);
  writer.ascii(',"id":');
  writer.string(id);
  writer.ascii(',"source":');
  writer.string(source);
  if (subject !== undefined) {
    writer.ascii(',"subject":');
    writer.string(subject);
  }
  if (hasTime) {
    writer.ascii(',"time":');
    writer.string(formatInstant(occurredAt));
  }
  writer.ascii(',"type":');
  writer.string(type);
  writer.ascii('}');
  return writer.take();
}

/** Returns whether the event has extension attributes. */
function checkEnvelope(value: Members): boolean {
  if (value.specversion !== undefined && value.specversion !== '1.0') {
    throw new Refusal('unsupported_specversion', 'specversion must be "1.0"', '/specversion');
  }
  let hasExtensions = false;
  for (const key in value) {
    if (ENVELOPE_MEMBERS.has(key)) continue;
    if (!EXTENSION_NAME.test(key)) {
      const shown = key.slice(0, 60);
      throw new Refusal('unknown_member', `${shown} is no event member; put your own fields under data`, `/${shown}`);
    }
    hasExtensions = true;
  }
  return hasExtensions;
}

function occurrence(time: unknown, context: CaptureContext): number {
  if (time === undefined || time === null) return context.receivedAt;
  const micros = typeof time === 'string' ? parseInstant(time) : undefined;
  if (micros === undefined) {
    throw new Refusal(
      'invalid_time',
      'time must be an RFC 3339 instant with an offset, such as 2026-11-21T10:00:00Z',
      '/time',
    );
  }
  if (context.isStored === true) return micros;
  if (micros > context.receivedAt + LIMITS.futureMicrosMax) {
    throw new Refusal(
      'time_in_future',
      'time is more than an hour ahead of the server; check the clock that wrote it',
      '/time',
    );
  }
  if (micros < context.oldest) {
    throw new Refusal(
      'time_too_old',
      `time is before ${formatInstant(context.oldest)}; older events need a key with the scope events:backfill`,
      '/time',
    );
  }
  return micros;
}

function callStatus(value: unknown): CallStatus {
  if (value === undefined || value === null) return 'ok';
  if (value === 'ok' || value === 'error' || value === 'cancelled') return value;
  throw new Refusal('invalid_field', 'status must be "ok", "error" or "cancelled"', '/data/status');
}

function attemptNumber(value: unknown): number {
  if (value === undefined || value === null) return 1;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 1000) return value;
  throw new Refusal('invalid_field', 'attempt must be a whole number from 1 to 1000', '/data/attempt');
}

function requiredName(members: Members, key: string): string {
  const name = optionalName(members, key, `/${key}`);
  if (name === undefined) throw new Refusal('missing_field', `${key} is required`, `/${key}`);
  return name;
}

function optionalName(members: Members, key: string, pointer: string): string | undefined {
  const value = members[key];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string' || value.length === 0) {
    throw new Refusal('invalid_field', `${key} must be a string that is not empty`, pointer);
  }
  const fault = nameFault(value);
  if (fault !== undefined) throw new Refusal('invalid_field', `${key} ${fault}`, pointer);
  return value;
}

/** What is wrong with a text that is to become an index key; `undefined`: nothing. */
export function nameFault(text: string): string | undefined {
  if (text.length > LIMITS.nameLengthMax) {
    return `has ${text.length} characters; at most ${LIMITS.nameLengthMax} are accepted`;
  }
  const isPlain = !CONTROL_CHARACTER.test(text) && text.isWellFormed();
  return isPlain ? undefined : 'must not contain control characters or lone surrogates';
}

function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof ExactNumber);
}
