import { ABSENT, count, type Findings, known, note } from './count.ts';
import type { Figures } from './figures.ts';
import { type JsonObject, object } from './json.ts';

/** Gemini generateContent and Live `usageMetadata`, in the wire's names or the Python SDK's. */
export function readGemini(usage: JsonObject, figures: Figures, findings: Findings): void {
  const named =
    usage.promptTokenCount === undefined && usage.prompt_token_count !== undefined ? fromPython(usage) : usage;
  figures.prompt = count(named.promptTokenCount, 'promptTokenCount', findings);
  figures.cacheRead = count(named.cachedContentTokenCount, 'cachedContentTokenCount', findings);
  figures.toolUse = count(named.toolUsePromptTokenCount, 'toolUsePromptTokenCount', findings);
  figures.reasoning = count(named.thoughtsTokenCount, 'thoughtsTokenCount', findings);
  figures.output = count(named.candidatesTokenCount ?? named.responseTokenCount, 'candidatesTokenCount', findings);
  figures.total = count(named.totalTokenCount, 'totalTokenCount', findings);
  const prompt = byModality(named.promptTokensDetails, findings);
  const cached = byModality(named.cacheTokensDetails, findings);
  if (prompt !== undefined) takePrompt(prompt, cached, figures, findings);
  const output = byModality(named.candidatesTokensDetails ?? named.responseTokensDetails, findings);
  if (output !== undefined) takeOutput(output, figures);
}

/** The Python SDK's `model_dump()` writes the same members in snake case. */
function fromPython(usage: JsonObject): JsonObject {
  return {
    promptTokenCount: usage.prompt_token_count,
    cachedContentTokenCount: usage.cached_content_token_count,
    toolUsePromptTokenCount: usage.tool_use_prompt_token_count,
    thoughtsTokenCount: usage.thoughts_token_count,
    candidatesTokenCount: usage.candidates_token_count ?? usage.response_token_count,
    totalTokenCount: usage.total_token_count,
    promptTokensDetails: usage.prompt_tokens_details,
    cacheTokensDetails: usage.cache_tokens_details,
    candidatesTokensDetails: usage.candidates_tokens_details ?? usage.response_tokens_details,
  };
}

/** Gemini Interactions `usage`. */
export function readInteractions(usage: JsonObject, figures: Figures, findings: Findings): void {
  figures.prompt = count(usage.total_input_tokens, 'total_input_tokens', findings);
  figures.cacheRead = count(usage.total_cached_tokens, 'total_cached_tokens', findings);
  figures.toolUse = count(usage.total_tool_use_tokens, 'total_tool_use_tokens', findings);
  figures.reasoning = count(usage.total_thought_tokens, 'total_thought_tokens', findings);
  figures.output = count(usage.total_output_tokens, 'total_output_tokens', findings);
  figures.total = count(usage.total_tokens, 'total_tokens', findings);
  const prompt = byModality(usage.input_tokens_by_modality, findings);
  const cached = byModality(usage.cached_tokens_by_modality, findings);
  if (prompt !== undefined) takePrompt(prompt, cached, figures, findings);
  const output = byModality(usage.output_tokens_by_modality, findings);
  if (output !== undefined) takeOutput(output, figures);
}

type Modalities = { audio: number; image: number; video: number; all: number };

/** `[{modality, tokenCount}]`, or `[{modality, tokens}]` in Interactions. Text and documents are plain input. */
function byModality(details: unknown, findings: Findings): Modalities | undefined {
  if (!Array.isArray(details)) return undefined;
  const sums: Modalities = { audio: ABSENT, image: ABSENT, video: ABSENT, all: 0 };
  for (const entry of details) {
    const detail = object(entry);
    if (detail === undefined) continue;
    const tokens = known(
      count(detail.tokenCount ?? detail.token_count ?? detail.tokens, 'tokenCount by modality', findings),
    );
    sums.all += tokens;
    const modality = typeof detail.modality === 'string' ? detail.modality.toUpperCase() : '';
    if (modality === 'AUDIO') sums.audio = known(sums.audio) + tokens;
    else if (modality === 'IMAGE') sums.image = known(sums.image) + tokens;
    else if (modality === 'VIDEO') sums.video = known(sums.video) + tokens;
  }
  return sums;
}

function takePrompt(prompt: Modalities, cached: Modalities | undefined, figures: Figures, findings: Findings): void {
  // The Live API's details exceed its own prompt figure (535 of 50), so they say nothing about it.
  if (prompt.all > known(figures.prompt) + known(figures.toolUse)) {
    const detail = `tokens by modality sum to ${prompt.all}, above the prompt of ${figures.prompt}; they were not used`;
    note(findings, 'modality_details_ignored', detail);
    return;
  }
  figures.promptAudio = uncached(prompt.audio, cached?.audio);
  figures.promptImage = uncached(prompt.image, cached?.image);
  figures.promptVideo = uncached(prompt.video, cached?.video);
}

function uncached(tokens: number, cached: number | undefined): number {
  return tokens === ABSENT ? ABSENT : Math.max(0, tokens - known(cached ?? ABSENT));
}

function takeOutput(output: Modalities, figures: Figures): void {
  if (output.all > known(figures.output)) return;
  figures.outputAudio = output.audio;
  figures.outputImage = output.image;
}
