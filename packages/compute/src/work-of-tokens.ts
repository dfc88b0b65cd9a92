import { TOKEN_CLASSES, type TokenClass, type Tokens } from '@ergon/usage';
import type { Work } from './count-flops.ts';

/** Each class's part in FLOPs (DESIGN, section 8). A rejected prediction is draft work, which `ergon-flops-1` leaves out. */
const PART: Readonly<Record<TokenClass, 'newTokens' | 'cachedTokens' | 'outputTokens' | 'draft'>> = {
  input: 'newTokens',
  tool_use: 'newTokens',
  cache_write_5m: 'newTokens',
  cache_write_1h: 'newTokens',
  cache_read: 'cachedTokens',
  output: 'outputTokens',
  reasoning: 'outputTokens',
  hidden_output: 'outputTokens',
  rejected_prediction: 'draft',
  input_audio: 'newTokens',
  input_image: 'newTokens',
  input_video: 'newTokens',
  output_audio: 'outputTokens',
  output_image: 'outputTokens',
};

/**
 * The work of a usage record's disjoint token classes. A class that was not reported adds nothing here; whether that makes
 * the count a lower bound is the record's quality to say.
 *
 * @example
 * workOfTokens({ input: 200, cache_read: 1000, output: 340 }); // 200 new, 1,000 cached, 340 output
 */
export function workOfTokens(tokens: Tokens): Work {
  const sum = { newTokens: 0, cachedTokens: 0, outputTokens: 0, draft: 0 };
  for (const name of TOKEN_CLASSES) sum[PART[name]] += tokens[name] ?? 0;
  return { newTokens: sum.newTokens, cachedTokens: sum.cachedTokens, outputTokens: sum.outputTokens };
}
