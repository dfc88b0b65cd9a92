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

const LAST_TYPES: ReadonlySet<unknown> = new Set([
  'message_delta',
  'message_stop',
  'message',
  'message-end',
  'response.completed',
  'response.incomplete',
  'response.failed',
  'response.done',
  'interaction.complete',
  'interaction.completed',
  'transcript.text.done',
  'image_generation.completed',
  'image_edit.completed',
]);

/** Whether the event carries an API's final figures, so that what follows adds nothing to the usage. */
export function isLastEvent(event: JsonObject): boolean {
  if (LAST_TYPES.has(event.type) || event.done === true) return true;
  if (event.object === 'response' || event.object === 'list' || event.data !== undefined) return true;
  if (object(object(event.metadata)?.usage) !== undefined || object(event.usage)?.inputTokens !== undefined)
    return true;
  if (event.finish_reason !== undefined && event.usage !== undefined) return true;
  // OpenAI's last chunk has usage and no choices; everyone else's last chunk tells why a choice finished.
  if (Array.isArray(event.choices) && event.choices.length === 0 && object(event.usage) !== undefined) return true;
  return isFinished(event.choices, 'finish_reason') || isFinished(event.candidates, 'finishReason');
}

function isFinished(alternatives: unknown, reason: string): boolean {
  return Array.isArray(alternatives) && alternatives.some((one) => typeof object(one)?.[reason] === 'string');
}
