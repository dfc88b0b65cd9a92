import { type JsonObject, object } from '../normalise/json.ts';

/**
 * Where each API puts usage in its events. `inner` is the answer that an event wraps (`response`, `message`,
 * `interaction`), or the event itself.
 */
export function findUsage(outer: JsonObject, inner: JsonObject): JsonObject | undefined {
  return (
    object(inner.usage) ??
    object(outer.usage) ??
    object(inner.usageMetadata) ??
    object(outer.usageMetadata) ??
    object(object(outer.metadata)?.usage) ??
    object(object(outer.delta)?.usage) ??
    object(object(outer.x_groq)?.usage) ??
    cohereMeta(outer) ??
    ollamaCounts(outer)
  );
}

function cohereMeta(event: JsonObject): JsonObject | undefined {
  const meta = object(event.meta);
  return meta?.billed_units === undefined ? undefined : meta;
}

/** Ollama puts the counts into its last line itself, beside the text. */
function ollamaCounts({ prompt_eval_count, eval_count }: JsonObject): JsonObject | undefined {
  return prompt_eval_count === undefined && eval_count === undefined ? undefined : { prompt_eval_count, eval_count };
}

/**
 * Whether usage in this event is provisional: the answer is still being written, and a later event will say more. Everything
 * else, unknown shapes included, says what there is to say.
 */
export function isProvisional(event: JsonObject): boolean {
  return event.type === 'message_start' || isUnfinished(event.choices) || isUnfinished(event.candidates);
}

/** Whether the event ends the answer, so that the usage of any event before it stands. */
export function isEnd(event: JsonObject): boolean {
  if (event.type === 'message_delta' || event.type === 'message_stop' || event.done === true) return true;
  return isFinished(event.choices) || isFinished(event.candidates);
}

function isUnfinished(alternatives: unknown): boolean {
  return Array.isArray(alternatives) && alternatives.length > 0 && !isFinished(alternatives);
}

/** A choice of chat.completions, or a candidate of Gemini, tells why it ended. */
function isFinished(alternatives: unknown): boolean {
  if (!Array.isArray(alternatives)) return false;
  return alternatives.some((one) => {
    const reason = object(one);
    return typeof (reason?.finish_reason ?? reason?.finishReason) === 'string';
  });
}
