import { TOKEN_CLASSES, type TokenClass } from '@ergon/usage';

/** The meter that is the sum of all token classes. */
export const TOTAL_TOKENS_METER = 'total_tokens';

/** DESIGN section 8: the class whose price applies where a class has none of its own. */
const FALLS_BACK_TO: Readonly<Record<TokenClass, TokenClass | undefined>> = {
  input: undefined,
  tool_use: 'input',
  cache_write_5m: 'input',
  cache_write_1h: 'input',
  cache_read: 'input',
  output: undefined,
  reasoning: 'output',
  hidden_output: 'output',
  rejected_prediction: 'output',
  input_audio: 'input',
  input_image: 'input',
  input_video: 'input',
  output_audio: 'output',
  output_image: 'output',
};

/** Meters of the token classes, which sum to `total_tokens`. */
export const TOKEN_METERS: readonly string[] = TOKEN_CLASSES.map(meterOf);

/** Meter to meter: whose price applies where a meter has no matching price. */
export const FALLBACK_METERS: ReadonlyMap<string, string> = new Map(
  TOKEN_CLASSES.flatMap((tokenClass): [string, string][] => {
    const fallback = FALLS_BACK_TO[tokenClass];
    return fallback === undefined ? [] : [[meterOf(tokenClass), meterOf(fallback)]];
  }),
);

/** Whether tokens of this class were part of the prompt: those that are input, or are priced as input by default. */
export function isPromptClass(tokenClass: TokenClass): boolean {
  return tokenClass === 'input' || FALLS_BACK_TO[tokenClass] === 'input';
}

function meterOf(tokenClass: TokenClass): string {
  return `${tokenClass}_tokens`;
}
