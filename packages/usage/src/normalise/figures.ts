import { TOKEN_CLASSES, type TokenClass, type Tokens } from '../record.ts';
import { ABSENT, type Findings, fault, known, note } from './count.ts';

/**
 * A provider's figures under common names, still overlapping as the provider reports them. {@link ABSENT} where it sent
 * none. Which figure contains which is said by {@link OverlapRule}, never by the reader of a wire shape.
 */
export type Figures = {
  prompt: number;
  cacheRead: number;
  /** All cache writes, lifetime unknown or split in the next two. */
  cacheWrite: number;
  cacheWrite5m: number;
  cacheWrite1h: number;
  /** The lifetime the request asked for, where the answer does not say. */
  isHourCache: boolean;
  toolUse: number;
  /** Modalities, without their cached part where the provider tells it. Always inside `prompt`. */
  promptAudio: number;
  promptImage: number;
  promptVideo: number;
  output: number;
  reasoning: number;
  /** Always inside `output`. */
  outputAudio: number;
  outputImage: number;
  rejectedPrediction: number;
  total: number;
};

/** What contains what, per dialect (reference/usage-objects.md, overlap table). */
export type OverlapRule = {
  /** Whether the input figure contains cache reads and writes. */
  readonly cache: 'included' | 'excluded';
  /** Whether the output figure contains reasoning; `where_it_fits`: if more than the output, it is outside output and total. */
  readonly reasoning: 'included' | 'excluded' | 'where_it_fits';
  /** Which figures are missing when absent: embeddings have no output, rerankers may be billed without tokens. */
  readonly expects: 'both' | 'input' | 'nothing';
  /** Whether a total above the sum is how this dialect reports hidden thinking, rather than something odd. */
  readonly residual: 'hidden_reasoning' | 'unexpected';
};

export type MutableTokens = { [Class in TokenClass]?: number };

export function emptyFigures(): Figures {
  return {
    prompt: ABSENT,
    cacheRead: ABSENT,
    cacheWrite: ABSENT,
    cacheWrite5m: ABSENT,
    cacheWrite1h: ABSENT,
    isHourCache: false,
    toolUse: ABSENT,
    promptAudio: ABSENT,
    promptImage: ABSENT,
    promptVideo: ABSENT,
    output: ABSENT,
    reasoning: ABSENT,
    outputAudio: ABSENT,
    outputImage: ABSENT,
    rejectedPrediction: ABSENT,
    total: ABSENT,
  };
}

/**
 * Cuts overlapping figures into classes that never overlap. Their sum is the provider's total wherever the provider's own
 * figures add up; where they do not, a flag says so and no class goes below zero.
 */
export function disjointTokens(figures: Figures, rule: OverlapRule, findings: Findings): Tokens {
  if (figures.cacheWrite !== ABSENT) splitCacheWrites(figures, findings);
  const cached = known(figures.cacheRead) + known(figures.cacheWrite5m) + known(figures.cacheWrite1h);
  const promptAll = wholePrompt(figures, rule, cached, findings);
  const isReasoningInside = settleOutput(figures, rule, promptAll, findings);

  const tokens: MutableTokens = {};
  if (figures.prompt !== ABSENT) tokens.input = promptAll - cached;
  if (figures.toolUse !== ABSENT) tokens.tool_use = figures.toolUse;
  if (figures.cacheWrite5m !== ABSENT) tokens.cache_write_5m = figures.cacheWrite5m;
  if (figures.cacheWrite1h !== ABSENT) tokens.cache_write_1h = figures.cacheWrite1h;
  if (figures.cacheRead !== ABSENT) tokens.cache_read = figures.cacheRead;
  if (figures.promptAudio + figures.promptImage + figures.promptVideo !== 3 * ABSENT)
    cutInput(tokens, figures, findings);
  if (figures.output !== ABSENT) cutOutput(tokens, figures, isReasoningInside, findings);
  if (figures.reasoning !== ABSENT) tokens.reasoning = figures.reasoning;
  if (figures.total !== ABSENT) {
    const outputAll = wholeOutput(figures, rule, isReasoningInside);
    addResidual(tokens, promptAll + known(figures.toolUse) + outputAll, figures.total, rule, findings);
  }
  return tokens;
}

/** Reads the two lifetimes out of a total and a split that may be incomplete (reference rule 4). */
function splitCacheWrites(figures: Figures, findings: Findings): void {
  const split = known(figures.cacheWrite5m) + known(figures.cacheWrite1h);
  const rest = figures.cacheWrite - split;
  const hasNoSplit = figures.cacheWrite5m === ABSENT && figures.cacheWrite1h === ABSENT;
  if (rest > 0 || hasNoSplit) {
    if (figures.isHourCache) figures.cacheWrite1h = known(figures.cacheWrite1h) + rest;
    else figures.cacheWrite5m = known(figures.cacheWrite5m) + rest;
  } else if (rest < 0) {
    const detail = `${figures.cacheWrite} cache writes, but ${split} by lifetime; the split was taken`;
    fault(findings, 'cache_write_mismatch', detail);
  }
}

/** The whole prompt, cache included. Fills a missing input figure from the total. */
function wholePrompt(figures: Figures, rule: OverlapRule, cached: number, findings: Findings): number {
  if (figures.prompt === ABSENT) return promptFromTotal(figures, rule, cached, findings);
  if (rule.cache === 'excluded') return figures.prompt + cached;
  if (cached <= figures.prompt) return figures.prompt;
  const detail = `${cached} cached of ${figures.prompt} prompt tokens; uncached input counted as 0`;
  fault(findings, 'cached_above_prompt', detail);
  return cached;
}

function promptFromTotal(figures: Figures, rule: OverlapRule, cached: number, findings: Findings): number {
  const rest = figures.total - known(figures.output) - known(figures.toolUse);
  const isDerivable = figures.total !== ABSENT && (figures.output !== ABSENT || rule.expects !== 'both');
  if (!isDerivable || rest < cached) {
    if (rule.expects !== 'nothing') fault(findings, 'input_missing', 'no input figure was reported');
    return cached;
  }
  figures.prompt = rest;
  // A reranker or an embedding that reports only a total has reported its input; elsewhere it is a deduction.
  if (rule.expects === 'both') fault(findings, 'input_from_total', `input taken as total less output: ${rest}`);
  return rest;
}

/**
 * Decides whether reasoning is inside the output figure: by the dialect's rule, corrected where the reported total proves
 * the other reading (reference rule 1). Fills a missing output figure from the total.
 */
function settleOutput(figures: Figures, rule: OverlapRule, promptAll: number, findings: Findings): boolean {
  const isInside = rule.reasoning !== 'excluded';
  if (figures.output === ABSENT) {
    if (rule.expects === 'both') outputFromTotal(figures, isInside, promptAll, findings);
    return isInside;
  }
  if (rule.reasoning === 'where_it_fits') return figures.reasoning <= figures.output;
  if (figures.reasoning <= 0 || figures.total === ABSENT) return isInside;
  const excess = figures.total - promptAll - known(figures.toolUse) - figures.output;
  if (isInside && excess === figures.reasoning) {
    const detail = `the total shows ${figures.reasoning} reasoning tokens outside the output figure`;
    note(findings, 'reasoning_outside_output', detail);
    return false;
  }
  if (!isInside && excess === 0 && figures.reasoning <= figures.output) {
    const detail = `the total shows ${figures.reasoning} reasoning tokens inside the output figure`;
    note(findings, 'reasoning_inside_output', detail);
    return true;
  }
  return isInside;
}

function outputFromTotal(figures: Figures, isInside: boolean, promptAll: number, findings: Findings): void {
  const outside = isInside ? 0 : known(figures.reasoning);
  const rest = figures.total - promptAll - known(figures.toolUse) - outside;
  if (figures.total === ABSENT || figures.prompt === ABSENT || rest < 0) {
    fault(findings, 'output_missing', 'no output figure was reported');
    return;
  }
  figures.output = rest;
  if (rest > 0) fault(findings, 'output_from_total', `output taken as total less input: ${rest}`);
}

function cutInput(tokens: MutableTokens, figures: Figures, findings: Findings): void {
  let left = known(tokens.input ?? ABSENT);
  const asked = known(figures.promptAudio) + known(figures.promptImage) + known(figures.promptVideo);
  if (asked > left) {
    const detail = `${asked} tokens by modality exceed ${left} uncached input tokens; cut to fit`;
    note(findings, 'modality_above_input', detail);
  }
  if (figures.promptAudio !== ABSENT) {
    tokens.input_audio = Math.min(figures.promptAudio, left);
    left -= tokens.input_audio;
  }
  if (figures.promptImage !== ABSENT) {
    tokens.input_image = Math.min(figures.promptImage, left);
    left -= tokens.input_image;
  }
  if (figures.promptVideo !== ABSENT) {
    tokens.input_video = Math.min(figures.promptVideo, left);
    left -= tokens.input_video;
  }
  if (tokens.input !== undefined) tokens.input = left;
}

function cutOutput(tokens: MutableTokens, figures: Figures, isReasoningInside: boolean, findings: Findings): void {
  let left = figures.output;
  if (isReasoningInside && figures.reasoning > left) {
    const detail = `${figures.reasoning} reasoning of ${left} output tokens; visible output counted as 0`;
    fault(findings, 'reasoning_above_output', detail);
    left = 0;
  } else if (isReasoningInside) {
    left -= known(figures.reasoning);
  }
  const asked = known(figures.outputAudio) + known(figures.outputImage) + known(figures.rejectedPrediction);
  if (asked > left) {
    const detail = `${asked} audio, image or rejected tokens exceed ${left} output tokens; cut to fit`;
    fault(findings, 'parts_above_output', detail);
  }
  if (figures.rejectedPrediction !== ABSENT) {
    tokens.rejected_prediction = Math.min(figures.rejectedPrediction, left);
    left -= tokens.rejected_prediction;
  }
  if (figures.outputAudio !== ABSENT) {
    tokens.output_audio = Math.min(figures.outputAudio, left);
    left -= tokens.output_audio;
  }
  if (figures.outputImage !== ABSENT) {
    tokens.output_image = Math.min(figures.outputImage, left);
    left -= tokens.output_image;
  }
  tokens.output = left;
}

/** Everything generated, as far as the provider's total knows of it. */
function wholeOutput(figures: Figures, rule: OverlapRule, isReasoningInside: boolean): number {
  if (rule.reasoning === 'where_it_fits') return known(figures.output);
  if (isReasoningInside) return Math.max(known(figures.output), known(figures.reasoning));
  return known(figures.output) + known(figures.reasoning);
}

function addResidual(tokens: MutableTokens, parts: number, total: number, rule: OverlapRule, findings: Findings): void {
  if (total === parts) return;
  if (total < parts || tokens.input === undefined || tokens.output === undefined) {
    fault(findings, 'total_mismatch', `the total is ${total}, its parts are ${parts}`);
    return;
  }
  tokens.hidden_output = total - parts;
  if (rule.residual === 'unexpected') {
    const detail = `the total exceeds its parts by ${total - parts}; taken as hidden output`;
    fault(findings, 'hidden_output', detail);
  }
}

/** Sum of all classes, for comparison: absurd figures may round it. */
export function sumTokens(tokens: Tokens): number {
  let sum = 0;
  for (const name of TOKEN_CLASSES) sum += tokens[name] ?? 0;
  return sum;
}
