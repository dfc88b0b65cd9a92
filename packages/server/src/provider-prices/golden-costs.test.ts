import { toText } from '@ergon/exact';
import { normaliseUsage, type UsageInput } from '@ergon/usage';
import { beforeAll, expect, test } from 'vitest';
import { loadProviderPrices } from './load-provider-prices.ts';
import type { ProviderPrices } from './provider-prices.ts';

/** The amounts that the reference gives for its golden vectors (usage-objects.md, interop.md, prices-and-tokenizers.md). */

let prices: ProviderPrices;
beforeAll(async () => {
  const grok = { input: '0.30', cache_read: '0.075', output: '0.50' };
  prices = await loadProviderPrices({
    overrides: [{ provider: 'xai-list', model: 'grok', perMillionTokens: grok, source: 'the fixture' }],
  });
});

const AT = Date.parse('2026-03-01T00:00:00Z') * 1000;

const costs: readonly { name: string; input: UsageInput; usd: string }[] = [
  {
    name: 'xai xai-text.chunks at 0.30 / 0.075 / 0.50 a million: what its ticks say',
    input: { provider: 'xai-list', model: 'grok', tokens: { input: 1, cache_read: 11, output: 1, reasoning: 290 } },
    usd: '0.000146625',
  },
  {
    name: 'Gemini CLI 15327/23/11526/919/7/16276',
    input: {
      provider: 'google',
      model: 'gemini-3-flash-preview',
      tokens: { input: 3801, tool_use: 7, cache_read: 11_526, output: 23, reasoning: 919 },
    },
    usd: '0.0053063',
  },
  {
    name: 'opencode 100/50/20/10/20',
    input: {
      provider: 'anthropic',
      model: 'claude-sonnet-4-5',
      tokens: { input: 100, output: 50, reasoning: 20, cache_read: 10, cache_write_5m: 20 },
    },
    usd: '0.001428',
  },
  {
    name: '300,000 tokens into Sonnet 4.5: the tier is of the whole request, not marginal (ccusage: 1.20)',
    input: { provider: 'anthropic', model: 'claude-sonnet-4-5', tokens: { input: 300_000, output: 0 } },
    usd: '1.8',
  },
];

test.each(costs)('$name', ({ input, usd }) => {
  const cost = prices.cost(normaliseUsage(input), AT);
  expect(cost === undefined ? undefined : toText(cost.amount)).toBe(usd);
});

test('a loop over 950,648 tokens in sixty-one prompts is never priced at the long-context rate', () => {
  const usage = { input_tokens: 950_648, output_tokens: 0, server_tool_use: { web_search_requests: 61 } };
  const loop = normaliseUsage({ provider: 'anthropic', api: 'messages', model: 'claude-sonnet-4-5', usage });
  const cost = prices.cost(loop, AT);
  // 950,648 x 3 USD a million and 61 searches at 10 USD a thousand.
  expect(cost === undefined ? undefined : toText(cost.amount)).toBe('3.461944');
  expect(cost?.flags).not.toEqual([]);
});
