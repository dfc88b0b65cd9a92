import { known } from '../normalise/count.ts';
import type { UsageRecord } from '../record.ts';

/** A sign that usage is being sent in a way that will bill wrongly. It stops nothing; it is shown to whoever can mend it. */
export type UsageWarning = {
  /** snake_case and stable. */
  readonly code: UsageWarningCode;
  /** What was seen, and what to do. */
  readonly detail: string;
};

export type UsageWarningCode =
  | 'output_tokens_only'
  | 'input_tokens_only'
  | 'no_model'
  | 'lump_sum'
  | 'whole_run'
  | 'totals_do_not_add_up'
  | 'no_usage'
  | 'no_failures'
  | 'arrives_twice';

/** What is known of one call besides its usage. */
export type CallFacts = {
  readonly record: UsageRecord;
  /** CloudEvents type, e.g. `llm.call`. */
  readonly type: string;
  readonly durationMs?: number | undefined;
  /** It ended in an error or was cancelled: what it lacks may never have been. */
  readonly isFailed?: boolean | undefined;
};

/** Above every context window sold: no one call reads or writes this much. */
const CALL_INPUT_MAX = 10_000_000;
const CALL_OUTPUT_MAX = 1_000_000;
/** Above what one call of nearly every model can do, and usual for the sum over an agent's run. */
const USUAL_INPUT_MAX = 2_000_000;
const USUAL_OUTPUT_MAX = 256_000;
const USUAL_DURATION_MS_MAX = 60 * 60 * 1000;

const NO_WARNINGS: readonly UsageWarning[] = Object.freeze([]);

/**
 * The classic mistakes that one call shows by itself. Cheap on a sound call: nothing is allocated.
 *
 * @example usageWarnings({ type: 'llm.call', record: normaliseUsage({ tokens: { output: 5 } }) })
 */
export function usageWarnings({ record, type, durationMs, isFailed }: CallFacts): readonly UsageWarning[] {
  if (type !== 'llm.call' && type !== 'embedding.call') return NO_WARNINGS;
  const { tokens } = record;
  const input = inputTokens(record);
  const output = known(tokens.output ?? -1) + known(tokens.reasoning ?? -1) + known(tokens.hidden_output ?? -1);
  let warnings: UsageWarning[] | undefined;
  const warn = (code: UsageWarningCode, detail: string): void => {
    warnings ??= [];
    warnings.push({ code, detail });
  };
  if (record.model === undefined)
    warn('no_model', 'no model was named, so no price that depends on the model can apply');
  const missing = isFailed === true ? undefined : missingPart(record, type, input, output);
  if (missing !== undefined) warn(missing.code, missing.detail);
  if ((input ?? 0) > CALL_INPUT_MAX || output > CALL_OUTPUT_MAX) {
    warn('lump_sum', `${input ?? 0} tokens in and ${output} out are no single call; send one event for each call`);
  } else if ((input ?? 0) > USUAL_INPUT_MAX || output > USUAL_OUTPUT_MAX || (durationMs ?? 0) > USUAL_DURATION_MS_MAX) {
    warn('whole_run', 'this looks like a whole agent run in one event; send each model call, with the run as run_id');
  }
  const mismatch = record.flags.find((flag) => MISMATCHES.has(flag.code));
  if (mismatch !== undefined) warn('totals_do_not_add_up', mismatch.detail);
  return warnings ?? NO_WARNINGS;
}

function missingPart(
  record: UsageRecord,
  type: string,
  input: number | undefined,
  output: number,
): UsageWarning | undefined {
  if (record.quality === 'none') {
    return { code: 'no_usage', detail: 'no usage was told; a call without figures is not a call without cost' };
  }
  if (input === undefined && output > 0) {
    const detail = `${output} output tokens and no input: input is most of the cost of most calls; send both`;
    return { code: 'output_tokens_only', detail };
  }
  if (type !== 'llm.call' || record.tokens.output !== undefined || (input ?? 0) === 0) return undefined;
  const detail = `${input} input tokens and no output; send both, and zero where there was none`;
  return { code: 'input_tokens_only', detail };
}

/** Flags of figures that contradict each other. */
const MISMATCHES: ReadonlySet<string> = new Set([
  'total_mismatch',
  'cached_above_prompt',
  'reasoning_above_output',
  'parts_above_output',
  'hidden_output',
  'cache_write_mismatch',
  'iterations_mismatch',
]);

/** Everything read, or `undefined` where nothing about input was told. */
function inputTokens({ tokens }: UsageRecord): number | undefined {
  if (tokens.input === undefined && tokens.cache_read === undefined && tokens.input_audio === undefined)
    return undefined;
  return (
    (tokens.input ?? 0) +
    (tokens.cache_read ?? 0) +
    (tokens.cache_write_5m ?? 0) +
    (tokens.cache_write_1h ?? 0) +
    (tokens.tool_use ?? 0) +
    (tokens.input_audio ?? 0) +
    (tokens.input_image ?? 0) +
    (tokens.input_video ?? 0)
  );
}
