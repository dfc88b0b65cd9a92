import { TOKEN_CLASSES, type Tokens } from '@ergon/usage';
import { isPromptClass } from './token-meters.ts';

/**
 * The length of a request's whole prompt in tokens, cached parts included: what long-context thresholds look at, and the
 * value of the `prompt_tokens` dimension.
 */
export function promptTokens(tokens: Tokens): number {
  return TOKEN_CLASSES.filter(isPromptClass).reduce((total, tokenClass) => total + (tokens[tokenClass] ?? 0), 0);
}
