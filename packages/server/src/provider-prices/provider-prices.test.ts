import { toText } from '@ergon/exact';
import { TOKEN_CLASSES, type UsageRecord } from '@ergon/usage';
import { beforeAll, describe, expect, test } from 'vitest';
import { loadProviderPrices } from './load-provider-prices.ts';
import type { ProviderPrices } from './provider-prices.ts';
import type { PriceMiss, PriceQuery, ProviderCost } from './types.ts';

let prices: ProviderPrices;
beforeAll(async () => {
  prices = await loadProviderPrices();
});

const NOW = micros('2026-11-21T10:00:00Z');

function micros(text: string): number {
  return Date.parse(text) * 1000;
}

function record(partial: Partial<UsageRecord>): UsageRecord {
  return { tokens: {}, units: {}, quality: 'reported', flags: [], ...partial };
}

function perMillion(query: Omit<PriceQuery, 'at'> & { at?: number }, tokenClass: string): string | undefined {
  const price = prices.lookup({ at: NOW, ...query });
  const coefficient = price?.tiers[0].rates[TOKEN_CLASSES.findIndex((name) => name === tokenClass)]?.coefficient;
  if (price === undefined || coefficient === undefined) return undefined;
  return String(Number(coefficient * 1_000_000n) / 10 ** price.scale);
}

function text(cost: ProviderCost | undefined): string | undefined {
  return cost && toText(cost.amount);
}

const codes = (cost: ProviderCost | undefined) => cost?.flags.map((flag) => flag.code);

describe('figures of the table', () => {
  test.each([
    ['openai', 'gpt-5-mini', { input: '0.25', cache_read: '0.025', output: '2', reasoning: '2' }],
    ['openai', 'gpt-5-mini-2025-08-07', { input: '0.25' }],
    ['openai', 'gpt-5-mini-20250807', { input: '0.25' }],
    [
      'anthropic',
      'claude-opus-4-5-20251101',
      { input: '5', output: '25', cache_read: '0.5', cache_write_5m: '6.25', cache_write_1h: '10' },
    ],
    [undefined, 'claude-opus-4-5', { input: '5' }],
    [undefined, 'openai/gpt-5-mini', { input: '0.25' }],
    ['litellm', 'openai/gpt-5-mini', { input: '0.25' }],
    ['Azure_OpenAI', 'GPT-4o', { input: '2.5' }],
    ['bedrock', 'us.anthropic.claude-opus-4-5-20251101-v1:0', { input: '5.5', cache_write_1h: '11' }],
    ['bedrock', 'global.anthropic.claude-opus-4-5-20251101-v1:0', { input: '5' }],
    ['openrouter', 'anthropic/claude-sonnet-4.5', { input: '3' }],
    ['huggingface_together', 'Qwen/Qwen3-VL-8B-Instruct', { input: '0.18' }],
    ['openrouter', 'deepseek/deepseek-chat:free', { input: '0', output: '0' }],
  ])('%s %s', (provider, model, expected) => {
    for (const [tokenClass, figure] of Object.entries(expected)) {
      expect([tokenClass, perMillion({ provider, model }, tokenClass)]).toEqual([tokenClass, figure]);
    }
  });

  test.each([
    ['azure', 'gpt-4o', 'azure'],
    ['azure_openai', 'gpt-4o', 'azure'],
    ['azure.ai.openai', 'gpt-4o', 'azure'],
    ['anthropic-bedrock', 'us.anthropic.claude-opus-4-5', 'aws'],
    ['gcp.vertex_ai', 'claude-haiku-4-5', 'google'],
    ['xai', 'grok-4', 'x-ai'],
  ])('%s sells %s as %s: the seller of the call, not the maker of the model', (provider, model, id) => {
    expect(prices.lookup({ provider, model, at: NOW })?.provider).toBe(id);
  });

  test('no rate of the table needs more than 18 decimals', () => {
    for (const { id, models } of prices.providers) {
      for (const model of models) {
        const price = prices.lookup({ provider: id, model: model.id, at: NOW });
        if (price !== undefined) expect(price.scale).toBeLessThanOrEqual(18);
      }
    }
  });
});

describe('dates', () => {
  test.each([
    ['openai', 'o3', '2025-06-09T23:59:59.999Z', '10'],
    ['openai', 'o3', '2025-06-10T00:00:00Z', '2'],
    ['deepseek', 'deepseek-chat', '2025-08-01T00:29:59Z', undefined],
    ['deepseek', 'deepseek-chat', '2025-08-01T00:30:00Z', undefined],
    ['google', 'gemini-3.6-flash', '2026-12-31T23:59:59Z', undefined],
    ['google', 'gemini-3.6-flash', '2027-01-01T00:00:00Z', undefined],
  ])('%s %s at %s', async (provider, model, at, figure) => {
    // The expected figure is the literal, or the library's own answer for the same instant.
    const { calcPrice } = await import('@pydantic/genai-prices');
    const usage = { input_tokens: 1_000_000 };
    const library = calcPrice(usage, model, { providerId: provider, timestamp: new Date(at) });
    expect(perMillion({ provider, model, at: micros(at) }, 'input')).toBe(figure ?? String(library?.input_price));
  });

  test('a long-context price that ended keeps holding before its end', () => {
    const usage = record({ provider: 'anthropic', model: 'claude-opus-4-6', tokens: { input: 300_000 } });
    expect(text(prices.cost(usage, micros('2026-03-12T23:59:59Z')))).toBe('3');
    expect(text(prices.cost(usage, micros('2026-03-13T00:00:00Z')))).toBe('1.5');
  });
});

describe('what is unknown stays unknown', () => {
  test.each<[Omit<PriceQuery, 'at'>, PriceMiss]>([
    [{ provider: 'openai', model: 'gpt-99-imaginary' }, 'unknown_model'],
    [{ provider: 'vllm', model: 'deepseek-chat' }, 'unknown_provider'],
    [{ provider: 'constructor', model: '__proto__' }, 'unknown_provider'],
    [{ model: 'toString' }, 'unknown_model'],
    [{ model: '' }, 'no_model'],
    [{ provider: 'openai', model: 'g'.repeat(201) }, 'name_too_long'],
    [{ provider: 'p'.repeat(201), model: 'gpt-5' }, 'name_too_long'],
    [{ provider: 'google', model: 'gemma-3' }, 'no_figures'],
    [{ provider: 'google', model: 'gemini-2.5-pro', serviceTier: 'PROVISIONED_THROUGHPUT' }, 'prepaid_capacity'],
    [{ provider: 'openai', model: 'gpt-5', serviceTier: 'scale' }, 'prepaid_capacity'],
  ])('%j', (query, reason) => {
    expect(prices.lookup({ ...query, at: NOW })).toBeUndefined();
    expect(prices.missReason({ ...query, at: NOW })).toBe(reason);
    const { provider, model, serviceTier } = query;
    const usage = record({
      model,
      tokens: { input: 5 },
      ...(provider === undefined ? {} : { provider }),
      ...(serviceTier === undefined ? {} : { serviceTier }),
    });
    expect(prices.cost(usage, NOW)).toBeUndefined();
  });

  test('a record that reports nothing costs an unknown amount, one that reports zero costs zero', () => {
    expect(prices.cost(record({ provider: 'openai', model: 'gpt-5', quality: 'none' }), NOW)).toBeUndefined();
    expect(text(prices.cost(record({ provider: 'openai', model: 'gpt-5', tokens: { input: 0 } }), NOW))).toBe('0');
  });

  test('a flood of hostile names leaves the answer for a known one the same object', () => {
    const known = { provider: 'openai', model: 'gpt-5-mini', at: NOW };
    const first = prices.lookup(known);
    for (let index = 0; index < 20_000; index++) {
      prices.lookup({ provider: index % 2 === 0 ? 'openai' : `p${index}`, model: `gpt-hostile-${index}`, at: NOW });
    }
    expect(prices.lookup(known)).toBe(first);
  });
});

describe('service tier, speed, region', () => {
  const million = { input: 1_000_000 };
  test.each<[Partial<UsageRecord>, string, string[]]>([
    [{ provider: 'openai', model: 'gpt-5', serviceTier: 'default' }, '1.25', []],
    [{ provider: 'openai', model: 'gpt-5', serviceTier: 'flex' }, '0.625', ['service_tier_applied']],
    [{ provider: 'openai', model: 'gpt-5', serviceTier: 'batch' }, '0.625', ['service_tier_applied']],
    [{ provider: 'openai', model: 'gpt-5', serviceTier: 'priority' }, '1.25', ['service_tier_unpriced']],
    [{ provider: 'openai', model: 'gpt-5', serviceTier: 'x'.repeat(9_999) }, '1.25', ['service_tier_unpriced']],
    [{ provider: 'google', model: 'gemini-2.5-flash', serviceTier: 'ON_DEMAND' }, '0.3', []],
    [
      { provider: 'google', model: 'gemini-2.5-flash', serviceTier: 'ON_DEMAND_FLEX' },
      '0.3',
      ['service_tier_unpriced'],
    ],
    [{ provider: 'anthropic', model: 'claude-opus-4-5', serviceTier: 'batch' }, '2.5', ['service_tier_applied']],
    [{ provider: 'anthropic', model: 'claude-opus-4-6', speed: 'fast' }, '30', ['speed_applied']],
    [{ provider: 'anthropic', model: 'claude-opus-5', speed: 'fast' }, '10', ['speed_applied']],
    [{ provider: 'anthropic', model: 'claude-opus-4-5', speed: 'fast' }, '5', ['speed_unpriced']],
    [{ provider: 'anthropic', model: 'claude-opus-4-6', region: 'us' }, '5.5', ['region_applied']],
    [{ provider: 'anthropic', model: 'claude-opus-4-6', speed: 'Fast' }, '30', ['speed_applied']],
    [{ provider: 'anthropic', model: 'claude-opus-4-6', region: 'US' }, '5.5', ['region_applied']],
    [{ provider: 'anthropic', model: 'claude-opus-4-5', region: 'us' }, '5', []],
    [{ provider: 'anthropic', model: 'claude-opus-4-6', region: 'global' }, '5', []],
    [
      { provider: 'anthropic', model: 'claude-opus-4-6', speed: 'fast', region: 'us' },
      '33',
      ['speed_applied', 'region_applied'],
    ],
  ])('%j', (partial, amount, flags) => {
    const cost = prices.cost(record({ ...partial, tokens: million }), NOW);
    expect([text(cost), codes(cost)]).toEqual([amount, flags]);
  });

  // The table prices these products under names of their own at a router: an independent witness of our multipliers.
  test.each([
    [{ provider: 'anthropic', model: 'claude-opus-4-6', speed: 'fast' }, 'anthropic/claude-opus-4.6-fast'],
    [{ provider: 'anthropic', model: 'claude-opus-4-7', speed: 'fast' }, 'anthropic/claude-opus-4.7-fast'],
    [{ provider: 'anthropic', model: 'claude-opus-4-8', speed: 'fast' }, 'anthropic/claude-opus-4.8-fast'],
    [{ provider: 'anthropic', model: 'claude-opus-5', speed: 'fast' }, 'anthropic/claude-opus-5-fast'],
    [{ provider: 'openai', model: 'gpt-6-sol', serviceTier: 'batch' }, 'openai/gpt-6-sol:batch'],
    [{ provider: 'openai', model: 'gpt-6-luna', serviceTier: 'batch' }, 'openai/gpt-6-luna:batch'],
  ])('%j costs what the table says of %s', (partial, model) => {
    const tokens = { input: 300_000, cache_read: 1000, cache_write_5m: 500, output: 7000 };
    const listed = prices.cost(record({ provider: 'openrouter', model, tokens }), NOW);
    expect(text(prices.cost(record({ ...partial, tokens }), NOW))).toBe(text(listed));
  });

  test('tools are not discounted with the tokens', () => {
    const usage = { provider: 'openai', model: 'gpt-5', tokens: million, units: { web_searches: '10' } };
    expect(text(prices.cost(record(usage), NOW))).toBe('1.35');
    expect(text(prices.cost(record({ ...usage, serviceTier: 'batch' }), NOW))).toBe('0.725');
  });
});

describe('overrides', () => {
  const source = 'contract 7, 2026-10-01';
  test('replace the table, the most specific in force first', async () => {
    const own = await loadProviderPrices({
      overrides: [
        { provider: 'vllm', model: '*', perMillionTokens: { input: '0.1', output: '0.2' }, source },
        { provider: 'openai', model: 'gpt-*', perMillionTokens: { input: '7' }, to: NOW, source },
        { provider: 'openai', model: 'gpt-5*', perMillionTokens: { input: '1', output: '8' }, source },
        { provider: 'OpenAI', model: 'GPT-5-mini', perMillionTokens: { input: '0.2' }, from: NOW, source },
      ],
    });
    const input = (provider: string, model: string, at: number) =>
      text(own.cost(record({ provider, model, tokens: { input: 1_000_000 } }), at));
    expect(input('vllm', 'anything', NOW)).toBe('0.1');
    expect(input('openai', 'gpt-5.1', NOW)).toBe('1');
    expect(input('openai', 'gpt-5-mini', NOW)).toBe('0.2');
    expect(input('openai', 'gpt-5-mini', NOW - 1)).toBe('1');
    expect(input('openai', 'gpt-4o', NOW - 1)).toBe('7');
    expect(input('openai', 'gpt-4o', NOW)).toBe('2.5');
    expect(own.lookup({ provider: 'openai', model: 'gpt-5', at: NOW })?.source).toBe(source);
    expect(codes(own.cost(record({ provider: 'openai', model: 'gpt-5', tokens: { cache_read: 5 } }), NOW))).toEqual([
      'cache_read_at_input_price',
    ]);
  });

  test('carry context tiers and units', async () => {
    const own = await loadProviderPrices({
      overrides: [
        {
          provider: 'acme',
          model: 'm',
          perMillionTokens: { input: '1', output: '2' },
          contextTiers: [{ promptTokensAbove: 100, perMillionTokens: { input: '3' } }],
          perUnit: { images: '0.04' },
          source,
        },
      ],
    });
    const cost = own.cost(
      record({ provider: 'acme', model: 'm', tokens: { input: 101, output: 1 }, units: { images: '2' } }),
      NOW,
    );
    expect(text(cost)).toBe('0.080305');
    expect(cost?.tier).toEqual({ promptTokensAbove: 100 });
  });

  test.each([[{ input: '-1' }], [{ input: 'free' }], [{ input: '0.0000000000001' }], [{}]])(
    '%j is refused',
    async (perMillionTokens) => {
      const overrides = [{ provider: 'acme', model: 'm', perMillionTokens, source }];
      await expect(loadProviderPrices({ overrides })).rejects.toThrow(/price override acme\/m/);
    },
  );
});

describe("the provider's own figure (litellm#37924: a reported zero was taken as real)", () => {
  const usage = record({
    provider: 'xai',
    model: 'grok-3-mini',
    tokens: { input: 1, cache_read: 11, output: 1, reasoning: 290 },
  });
  const reported = (amount: string, currency = 'USD') => ({ providerReportedCost: { amount, currency } });
  test.each<[Partial<UsageRecord>, string, ProviderCost['basis'], string[]]>([
    [{}, '0.000146625', 'table', []],
    [reported('0.000146625'), '0.000146625', 'provider_reported', []],
    [reported('0.0002'), '0.0002', 'provider_reported', ['reported_cost_differs']],
    [reported('0'), '0.000146625', 'table', []],
    [reported('-1'), '0.000146625', 'table', []],
    [reported('NaN'), '0.000146625', 'table', []],
    [reported('0.0002', 'EUR'), '0.000146625', 'table', []],
  ])('%j', (partial, amount, basis, flags) => {
    const cost = prices.cost({ ...usage, ...partial }, NOW);
    expect([text(cost), cost?.basis, codes(cost)]).toEqual([amount, basis, flags]);
  });

  test('of a provider that is not on the list is not used', () => {
    const other = record({ provider: 'groq', model: 'no-such', tokens: { input: 1 }, ...reported('0.5') });
    expect(prices.cost(other, NOW)).toBeUndefined();
  });

  test('of a listed one stands in for a model without a price', () => {
    const cost = prices.cost(
      record({ provider: 'xai', model: 'no-such', tokens: { input: 1 }, ...reported('0.5') }),
      NOW,
    );
    expect([text(cost), cost?.basis, cost?.source]).toEqual(['0.5', 'provider_reported', 'reported by x-ai']);
  });
});
