import { type JsonObject, object, text } from '../normalise/json.ts';
import type { UsageRecord } from '../record.ts';
import { attributeUsage } from './attribute-usage.ts';
import { firstText, flattenAttributes } from './attributes.ts';
import { isModelCall } from './model-call.ts';
import { NAMES } from './names.ts';

/** One span, as OTLP's JSON has it. */
export type OtelSpan = {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string | undefined;
  readonly startTimeUnixNano?: unknown;
  readonly endTimeUnixNano?: unknown;
  /** OTLP's list of key and value, or a flat object. */
  readonly attributes?: unknown;
  readonly status?: unknown;
};

/** One model call told by telemetry. */
export type OtelCall = {
  /**
   * The same for a framework's span and the SDK's span of one call where both name the response: a store that knows the id
   * counts the call once even if they arrive apart.
   */
  readonly id: string;
  readonly traceId?: string;
  readonly spanId?: string;
  readonly responseId?: string;
  /** RFC 3339 UTC instant of the start; absent where the record has none. */
  readonly occurredAt?: string;
  readonly durationMs?: number;
  readonly isError: boolean;
  readonly record: UsageRecord;
  readonly sessionId?: string;
  readonly userId?: string;
  readonly agent?: string;
};

/** Longest chain of parents followed; deeper nesting is a cycle or an attack. */
const ANCESTORS_MAX = 256;

/**
 * The model calls of a set of spans, each once. Agents, chains and steps carry the sums of their children and are left out.
 * Where a framework's span and the provider SDK's span below it describe the same call, the deepest counts: a call span
 * with another call span under it, or with the same response id in the same trace, is left out.
 */
export function spanCalls(spans: readonly OtelSpan[]): readonly OtelCall[] {
  const parents = new Map<string, string | undefined>();
  const calls = new Map<string, OtelCall>();
  for (const span of spans) {
    const key = `${span.traceId}:${span.spanId}`;
    const parent = text(span.parentSpanId);
    parents.set(key, parent === undefined ? undefined : `${span.traceId}:${parent}`);
    const call = spanCall(span);
    if (call !== undefined) calls.set(key, call);
  }
  const wrappers = new Set<string>();
  for (const key of calls.keys()) markWrappers(key, parents, calls, wrappers);
  const deepest = new Map<string, OtelCall>();
  for (const [key, call] of calls) if (!wrappers.has(key)) deepest.set(call.id, deepest.get(call.id) ?? call);
  return [...deepest.values()];
}

/** Marks every call above this one; stops at one already marked, whose own ancestors are marked too. */
function markWrappers(
  key: string,
  parents: ReadonlyMap<string, string | undefined>,
  calls: ReadonlyMap<string, OtelCall>,
  wrappers: Set<string>,
): void {
  let above = parents.get(key);
  for (let step = 0; above !== undefined && above !== key && step < ANCESTORS_MAX; step++) {
    if (wrappers.has(above)) return;
    if (calls.has(above)) wrappers.add(above);
    above = parents.get(above);
  }
}

function spanCall(span: OtelSpan): OtelCall | undefined {
  const attributes = flattenAttributes(span.attributes);
  if (!isModelCall(attributes)) return undefined;
  const record = attributeUsage(attributes);
  if (record === undefined) return undefined;
  const responseId = firstText(attributes, NAMES.response);
  const started = nanoseconds(span.startTimeUnixNano);
  const ended = nanoseconds(span.endTimeUnixNano);
  return {
    id: responseId === undefined ? `${span.traceId}:${span.spanId}` : `${span.traceId}:${responseId}`,
    traceId: span.traceId,
    spanId: span.spanId,
    isError: object(span.status)?.code === 2 || text(attributes['error.type']) !== undefined,
    record,
    ...(responseId !== undefined && { responseId }),
    ...(started !== undefined && { occurredAt: instantOfNanoseconds(started) }),
    ...(started !== undefined &&
      ended !== undefined &&
      ended >= started && { durationMs: Number((ended - started) / 1_000_000n) }),
    ...attribution(attributes),
  };
}

/** Who the call belongs to, as far as attributes tell. */
export function attribution(attributes: JsonObject): Pick<OtelCall, 'sessionId' | 'userId' | 'agent'> {
  const sessionId = firstText(attributes, NAMES.session);
  const userId = firstText(attributes, NAMES.user);
  const agent = firstText(attributes, NAMES.agent);
  return {
    ...(sessionId !== undefined && { sessionId }),
    ...(userId !== undefined && { userId }),
    ...(agent !== undefined && { agent }),
  };
}

/** Nanoseconds of the year 9999; more is no time. */
const NANOSECONDS_MAX = 253_402_300_799_999_999_999n;

/** OTLP's 64-bit nanoseconds: text in JSON, sometimes a number, a bigint after decoding. */
export function nanoseconds(value: unknown): bigint | undefined {
  const isWhole = typeof value === 'number' && Number.isInteger(value);
  const isDigits = typeof value === 'string' && /^\d{1,21}$/.test(value);
  if (typeof value !== 'bigint' && !isWhole && !isDigits) return undefined;
  const time = BigInt(value);
  return time > 0n && time <= NANOSECONDS_MAX ? time : undefined;
}

/** With microseconds, which is what the store keeps. */
export function instantOfNanoseconds(time: bigint): string {
  const milliseconds = new Date(Number(time / 1_000_000n)).toISOString();
  const micros = String((time / 1000n) % 1000n).padStart(3, '0');
  return `${milliseconds.slice(0, -1)}${micros}Z`;
}
