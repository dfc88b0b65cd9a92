import { TOKEN_CLASSES, type Tokens } from '@ergon/usage';
import { isPromptClass } from './token-meters.ts';

const PROMPT_CLASSES = TOKEN_CLASSES.filter(isPromptClass);

/**
 * The length of a request's whole prompt in tokens, cached parts included: what long-context thresholds look at, and the
 * value of the `prompt_tokens` dimension.
 */
export function promptTokens(tokens: Tokens): number {
  let total = 0;
  for (const tokenClass of PROMPT_CLASSES) total += tokens[tokenClass] ?? 0;
  return total;
}
