import { count, type Findings, known } from './count.ts';
import type { Figures } from './figures.ts';
import { type JsonObject, object } from './json.ts';
import { readResponses } from './read-chat.ts';

/** Amazon Bedrock Converse `usage`; its legacy names repeat the same figures and are never added. */
export function readBedrock(usage: JsonObject, figures: Figures, findings: Findings): void {
  figures.prompt = count(usage.inputTokens, 'inputTokens', findings);
  figures.output = count(usage.outputTokens, 'outputTokens', findings);
  figures.total = count(usage.totalTokens, 'totalTokens', findings);
  const read = usage.cacheReadInputTokens ?? usage.cacheReadInputTokenCount;
  const written = usage.cacheWriteInputTokens ?? usage.cacheWriteInputTokenCount;
  figures.cacheRead = count(read, 'cacheReadInputTokens', findings);
  figures.cacheWrite = count(written, 'cacheWriteInputTokens', findings);
  if (!Array.isArray(usage.cacheDetails)) return;
  for (const entry of usage.cacheDetails) {
    const detail = object(entry);
    const tokens = count(detail?.inputTokens, 'cacheDetails inputTokens', findings);
    if (tokens <= 0) continue;
    if (detail?.ttl === '1h') figures.cacheWrite1h = known(figures.cacheWrite1h) + tokens;
    else figures.cacheWrite5m = known(figures.cacheWrite5m) + tokens;
  }
}

/** Cohere v2 `usage`, or `meta` of embed and rerank: what is billed where it is told, else what was processed. */
export function readCohere(usage: JsonObject, figures: Figures, findings: Findings): void {
  const billed = object(usage.billed_units);
  const processed = object(usage.tokens);
  figures.prompt = count(billed?.input_tokens ?? processed?.input_tokens, 'input_tokens', findings);
  figures.output = count(billed?.output_tokens ?? processed?.output_tokens, 'output_tokens', findings);
  figures.cacheRead = count(usage.cached_tokens, 'cached_tokens', findings);
  figures.promptImage = count(billed?.image_tokens, 'image_tokens', findings);
  // Embed bills image tokens beside the text tokens; the figures here want them inside.
  if (figures.promptImage > 0) figures.prompt = known(figures.prompt) + figures.promptImage;
}

/** Ollama's last line (`done: true`), which carries the counts beside durations in nanoseconds. */
export function readOllama(usage: JsonObject, figures: Figures, findings: Findings): void {
  figures.prompt = count(usage.prompt_eval_count, 'prompt_eval_count', findings);
  figures.output = count(usage.eval_count, 'eval_count', findings);
}

/** OpenAI Images: the Responses shape, whose output is all image where no details say otherwise. */
export function readImages(usage: JsonObject, figures: Figures, findings: Findings): void {
  readResponses(usage, figures, findings);
  if (object(usage.output_tokens_details) === undefined) figures.outputImage = figures.output;
}

/** Transcription billed by time: no tokens at all; the seconds are a unit. */
export function readDuration(): void {}
