import { ABSENT, count, type Findings } from './count.ts';
import type { Figures } from './figures.ts';
import { type JsonObject, object } from './json.ts';

/**
 * Usage of the chat.completions shape, which OpenAI, Azure and a dozen others share with additions of their own
 * (reference/usage-objects.md, overlap table). Every addition has its own name, so one reader takes them all.
 */
export function readChat(usage: JsonObject, figures: Figures, findings: Findings): void {
  figures.prompt = count(usage.prompt_tokens, 'prompt_tokens', findings);
  figures.output = count(usage.completion_tokens, 'completion_tokens', findings);
  figures.total = count(usage.total_tokens, 'total_tokens', findings);
  const prompt = object(usage.prompt_tokens_details ?? usage.prompt_token_details);
  if (prompt !== undefined) readPromptDetails(prompt, figures, findings);
  const completion = object(usage.completion_tokens_details);
  if (completion !== undefined) {
    figures.reasoning = count(completion.reasoning_tokens, 'reasoning_tokens', findings);
    figures.outputAudio = count(completion.audio_tokens, 'completion audio_tokens', findings);
    figures.outputImage = count(completion.image_tokens, 'completion image_tokens', findings);
    figures.rejectedPrediction = count(completion.rejected_prediction_tokens, 'rejected_prediction_tokens', findings);
  }
  if (figures.reasoning === ABSENT) figures.reasoning = count(usage.reasoning_tokens, 'reasoning_tokens', findings);
  if (figures.cacheRead === ABSENT) readFlatCache(usage, figures, findings);
  // LiteLLM answers in this shape for Anthropic too, cache inside the prompt, with Anthropic's names beside it.
  if (figures.cacheWrite === ABSENT && usage.cache_creation_input_tokens !== undefined) {
    figures.cacheWrite = count(usage.cache_creation_input_tokens, 'cache_creation_input_tokens', findings);
  }
}

function readPromptDetails(details: JsonObject, figures: Figures, findings: Findings): void {
  figures.cacheRead = count(details.cached_tokens, 'cached_tokens', findings);
  figures.cacheWrite = count(
    details.cache_write_tokens ?? details.cache_creation_input_tokens ?? details.cache_creation_tokens,
    'cache_write_tokens',
    findings,
  );
  figures.promptAudio = count(details.audio_tokens, 'prompt audio_tokens', findings);
  figures.promptImage = count(details.image_tokens, 'prompt image_tokens', findings);
}

/** DeepSeek, Moonshot, Mistral and Azure's non-OpenAI models put cache and audio figures beside the prompt figure. */
function readFlatCache(usage: JsonObject, figures: Figures, findings: Findings): void {
  const cached =
    usage.prompt_cache_hit_tokens ?? usage.cached_tokens ?? usage.num_cached_tokens ?? usage.cache_read_input_tokens;
  figures.cacheRead = count(cached, 'cached tokens', findings);
  if (figures.promptAudio === ABSENT) {
    figures.promptAudio = count(usage.audio_prompt_tokens, 'audio_prompt_tokens', findings);
  }
}

/** Usage of the Responses shape, shared by images, transcription and realtime (the latter two say `input_token_details`). */
export function readResponses(usage: JsonObject, figures: Figures, findings: Findings): void {
  figures.prompt = count(usage.input_tokens, 'input_tokens', findings);
  figures.output = count(usage.output_tokens, 'output_tokens', findings);
  figures.total = count(usage.total_tokens, 'total_tokens', findings);
  const input = object(usage.input_tokens_details ?? usage.input_token_details);
  if (input !== undefined) {
    readPromptDetails(input, figures, findings);
    const cached = object(input.cached_tokens_details);
    if (cached !== undefined) takeCachedModalities(cached, figures, findings);
  }
  const output = object(usage.output_tokens_details ?? usage.output_token_details);
  if (output !== undefined) {
    figures.reasoning = count(output.reasoning_tokens, 'reasoning_tokens', findings);
    figures.outputAudio = count(output.audio_tokens, 'output audio_tokens', findings);
    figures.outputImage = count(output.image_tokens, 'output image_tokens', findings);
  }
}

/** Realtime tells how much of each modality was cached; those tokens are cache reads, not audio or images. */
function takeCachedModalities(cached: JsonObject, figures: Figures, findings: Findings): void {
  const audio = count(cached.audio_tokens, 'cached audio_tokens', findings);
  const image = count(cached.image_tokens, 'cached image_tokens', findings);
  if (audio > 0 && figures.promptAudio !== ABSENT) figures.promptAudio = Math.max(0, figures.promptAudio - audio);
  if (image > 0 && figures.promptImage !== ABSENT) figures.promptImage = Math.max(0, figures.promptImage - image);
}
