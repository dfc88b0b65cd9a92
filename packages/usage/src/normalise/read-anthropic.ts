import { TOKEN_CLASSES, type Tokens, type UsageIteration } from '../record.ts';
import { count, type Findings, fault } from './count.ts';
import { disjointTokens, emptyFigures, type Figures, type MutableTokens, type OverlapRule } from './figures.ts';
import { type JsonObject, object, text } from './json.ts';

/** Anthropic Messages usage, of a whole answer or of one entry of `iterations[]`. */
export function readAnthropic(usage: JsonObject, figures: Figures, findings: Findings): void {
  figures.prompt = count(usage.input_tokens, 'input_tokens', findings);
  figures.output = count(usage.output_tokens, 'output_tokens', findings);
  figures.cacheRead = count(usage.cache_read_input_tokens, 'cache_read_input_tokens', findings);
  figures.cacheWrite = count(usage.cache_creation_input_tokens, 'cache_creation_input_tokens', findings);
  const lifetimes = object(usage.cache_creation);
  if (lifetimes !== undefined) {
    figures.cacheWrite5m = count(lifetimes.ephemeral_5m_input_tokens, 'ephemeral_5m_input_tokens', findings);
    figures.cacheWrite1h = count(lifetimes.ephemeral_1h_input_tokens, 'ephemeral_1h_input_tokens', findings);
  }
  const details = object(usage.output_tokens_details);
  if (details !== undefined) figures.reasoning = count(details.thinking_tokens, 'thinking_tokens', findings);
}

/** More passes than any real call has: beyond it, input is hostile rather than large. */
const ITERATIONS_MAX = 1000;

/** The billed passes and the sums over them. */
export type Iterations = { readonly billed: readonly UsageIteration[]; readonly tokens: Tokens };

type Pass = { readonly kind: string; readonly model?: string; tokens: MutableTokens };

/**
 * The billed passes of `usage.iterations[]`: each at its own model, without the attempt that a fallback replaced before it
 * produced anything. `undefined` where the call was one plain pass, whose top level says the same and more.
 */
export function readIterations(
  usage: JsonObject,
  rule: OverlapRule,
  isHourCache: boolean,
  findings: Findings,
): Iterations | undefined {
  const entries = usage.iterations;
  if (!Array.isArray(entries) || entries.length === 0) return undefined;
  if (entries.length > ITERATIONS_MAX) {
    fault(findings, 'too_many_iterations', `${entries.length} iterations; the top level was taken`);
    return undefined;
  }
  const passes = entries.map((entry: unknown) => readPass(object(entry) ?? {}, rule, isHourCache, findings));
  const hasFallback = passes.some((pass) => pass.kind === 'fallback_message');
  const billed = passes.filter((pass) => !(hasFallback && pass.kind === 'message' && (pass.tokens.output ?? 0) === 0));
  if (billed.length === 1 && billed[0]?.kind === 'message') return undefined;
  checkTopLevel(usage, billed, hasFallback, findings);
  const thinking = count(object(usage.output_tokens_details)?.thinking_tokens, 'thinking_tokens', findings);
  if (thinking > 0) attributeThinking(billed, thinking);
  return { billed, tokens: sumPasses(billed, findings) };
}

function readPass(entry: JsonObject, rule: OverlapRule, isHourCache: boolean, findings: Findings): Pass {
  const figures = emptyFigures();
  figures.isHourCache = isHourCache;
  readAnthropic(entry, figures, findings);
  const kind = text(entry.type) ?? 'message';
  const model = text(entry.model);
  const tokens = disjointTokens(figures, rule, findings);
  return model === undefined ? { kind, tokens } : { kind, model, tokens };
}

/**
 * The top level is the sum over the messages (10 of 10 fixtures). With a fallback it is the answer that served, or, where the
 * first attempt had begun to answer, both outputs; its input may then be the first attempt's, so only output is compared.
 */
function checkTopLevel(usage: JsonObject, billed: readonly Pass[], hasFallback: boolean, findings: Findings): void {
  const input = sumOf(billed, 'message', (tokens) => tokens.input ?? 0);
  const first = sumOf(billed, 'message', generated);
  const served = sumOf(billed, 'fallback_message', generated);
  const agrees = hasFallback
    ? usage.output_tokens === served || usage.output_tokens === first + served
    : usage.input_tokens === input && usage.output_tokens === first;
  if (agrees) return;
  const detail = `the passes that answered sum to ${first + served} out, unlike the top level; the passes were taken`;
  fault(findings, 'iterations_mismatch', detail);
}

function sumOf(passes: readonly Pass[], kind: string, figure: (tokens: Tokens) => number): number {
  return passes.reduce((sum, pass) => (pass.kind === kind ? sum + figure(pass.tokens) : sum), 0);
}

function generated(tokens: Tokens): number {
  return (tokens.output ?? 0) + (tokens.reasoning ?? 0);
}

/** Only the top level tells thinking; it is inside the output of the passes that answered, the last one first. */
function attributeThinking(billed: readonly Pass[], thinking: number): void {
  let left = thinking;
  for (const pass of billed.toReversed()) {
    const output = pass.tokens.output ?? 0;
    if (left === 0 || output === 0 || (pass.kind !== 'message' && pass.kind !== 'fallback_message')) continue;
    const reasoning = Math.min(left, output);
    left -= reasoning;
    pass.tokens = { ...pass.tokens, output: output - reasoning, reasoning };
  }
}

function sumPasses(billed: readonly Pass[], findings: Findings): Tokens {
  const sum: MutableTokens = {};
  for (const pass of billed) {
    for (const name of TOKEN_CLASSES) {
      const tokens = pass.tokens[name];
      if (tokens !== undefined) sum[name] = safeSum(sum[name] ?? 0, tokens, findings);
    }
  }
  return sum;
}

function safeSum(left: number, right: number, findings: Findings): number {
  const sum = left + right;
  if (sum <= Number.MAX_SAFE_INTEGER) return sum;
  fault(findings, 'count_too_large', 'the passes sum to more than 2^53 - 1 tokens; cut to that');
  return Number.MAX_SAFE_INTEGER;
}
