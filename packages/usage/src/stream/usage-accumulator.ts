import { type JsonObject, object, text } from '../normalise/json.ts';
import { normaliseUsage, type UsageInput } from '../normalise-usage.ts';
import type { UsageFlag, UsageRecord } from '../record.ts';
import { countToolCalls } from './count-tool-calls.ts';
import { createEventDecoder } from './event-decoder.ts';
import { findUsage, isEnd, isProvisional } from './find-usage.ts';
import { mergeUsage } from './merge-usage.ts';

/** Reads the usage of one answer while it passes by. */
export type UsageAccumulator = {
  /** Takes a piece of the body as text, cut anywhere: server-sent events, newline-delimited JSON, or one JSON document. */
  readonly addText: (text: string) => void;
  /** Takes one event already parsed, or a whole answer that was not streamed. */
  readonly addEvent: (event: unknown) => void;
  /** The record of what has arrived so far; the stream may go on. */
  readonly record: () => UsageRecord;
};

const INCOMPLETE: UsageFlag = Object.freeze({
  code: 'stream_incomplete',
  detail: 'the stream ended before its last event, so the output figure is a lower bound',
});

/**
 * An accumulator for one answer of any known API. Usage on the wire is cumulative: a later figure overwrites an earlier one
 * field by field, and an absent or null one keeps it; nothing is ever added. So the record depends neither on how the
 * stream was cut nor on events that arrive twice.
 *
 * @example
 * const accumulator = createUsageAccumulator({ provider: 'anthropic', api: 'messages', model: 'claude-opus-4-6' });
 * for await (const text of body) accumulator.addText(text);
 * const record = accumulator.record();
 */
export function createUsageAccumulator(origin: Omit<UsageInput, 'usage' | 'tokens'>): UsageAccumulator {
  let usage: JsonObject | undefined;
  let model: string | undefined;
  let serviceTier: string | undefined;
  let output: unknown;
  let isCutShort = false;
  let isEnded = false;
  const decoder = createEventDecoder(addEvent);

  function addEvent(event: unknown): void {
    const outer = object(event);
    if (outer === undefined) {
      if (Array.isArray(event)) for (const part of event) if (!Array.isArray(part)) addEvent(part);
      return;
    }
    const inner = object(outer.response) ?? object(outer.message) ?? object(outer.interaction) ?? outer;
    const found = findUsage(outer, inner);
    if (found !== undefined) {
      usage = mergeUsage(usage, found);
      isCutShort = isProvisional(outer);
    }
    model = text(inner.model) ?? text(outer.model) ?? text(inner.modelVersion) ?? model;
    serviceTier = text(inner.service_tier) ?? bedrockTier(inner) ?? serviceTier;
    if (Array.isArray(inner.output)) output = inner.output;
    isEnded ||= isEnd(outer);
  }

  function record(): UsageRecord {
    const end = decoder.end();
    const toolCalls = countToolCalls(output);
    const units = toolCalls === undefined ? origin.units : { ...toolCalls, ...object(origin.units) };
    const whole = normaliseUsage({
      ...origin,
      usage,
      units,
      model: model ?? origin.model,
      serviceTier: serviceTier ?? origin.serviceTier,
    });
    const flags = end.isTooLong ? [...whole.flags, TOO_LONG] : whole.flags;
    const isCut =
      isCutShort && !isEnded && !end.isDone && whole.quality === 'reported' && (whole.tokens.output ?? 0) > 0;
    return isCut ? { ...whole, quality: 'lower_bound', flags: [...flags, INCOMPLETE] } : { ...whole, flags };
  }

  return { addText: decoder.add, addEvent, record };
}

const TOO_LONG: UsageFlag = Object.freeze({
  code: 'event_too_long',
  detail: 'an event above the size limit was skipped; its usage, if it had any, is missing',
});

function bedrockTier(inner: JsonObject): string | undefined {
  return text(object(inner.serviceTier)?.type) ?? text(object(object(inner.metadata)?.serviceTier)?.type);
}
