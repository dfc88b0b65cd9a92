import { add, decimal, divide, equals, multiply, round, toText, ZERO } from '@ergon/exact';
import { TOKEN_CLASSES, type TokenClass, type Tokens, type UsageRecord } from '@ergon/usage';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { loadProviderPrices } from './load-provider-prices.ts';
import { providerCost } from './provider-cost.ts';
import type { ProviderPrices } from './provider-prices.ts';
import type { ProviderCost } from './types.ts';

let prices: ProviderPrices;
beforeAll(async () => {
  prices = await loadProviderPrices();
});

const NOW = Date.parse('2026-11-21T10:00:00Z') * 1000;

function record(partial: Partial<UsageRecord>): UsageRecord {
  return { tokens: {}, units: {}, quality: 'reported', flags: [], ...partial };
}

const text = (cost: ProviderCost | undefined) => cost && toText(cost.amount);
const codes = (cost: ProviderCost | undefined) => cost?.flags.map((flag) => flag.code);

type Row = [Partial<UsageRecord>, string | undefined, string[]?, number?];

describe('token classes', () => {
  const opus = { provider: 'anthropic', model: 'claude-opus-4-5' };
  test.each<Row>([
    [{ ...opus, tokens: { input: 1 } }, '0.000005'],
    [
      { ...opus, tokens: { input: 61, cache_write_5m: 100, cache_write_1h: 10, cache_read: 1000, output: 2 } },
      '0.00158',
    ],
    [{ ...opus, tokens: { reasoning: 4, hidden_output: 3, rejected_prediction: 2 } }, '0.000225'],
    [{ ...opus, tokens: { tool_use: 10, input_image: 10, output_image: 10 } }, '0.00035'],
    [{ provider: 'openai', model: 'gpt-5-pro', tokens: { cache_read: 10 } }, '0.00015', ['cache_read_at_input_price']],
    [{ provider: 'openai', model: 'gpt-5', tokens: { cache_write_5m: 8 } }, '0.00001', ['cache_write_at_input_price']],
    [
      { provider: 'aws', model: 'global.anthropic.claude-opus-4-5', tokens: { cache_write_1h: 100 } },
      '0.001',
      ['cache_write_1h_by_rule'],
    ],
    [
      { provider: 'openai', model: 'gpt-6-sol', tokens: { cache_write_1h: 100 } },
      '0.00025',
      ['cache_write_1h_at_5m_price'],
    ],
    [{ provider: 'openai', model: 'gpt-4o', tokens: { input_audio: 4 } }, '0.00001', ['audio_at_text_price']],
    [{ provider: 'openai', model: 'gpt-audio', tokens: { input_audio: 4, output_audio: 4 } }, '0.000384'],
    [{ provider: 'perplexity', model: 'sonar-deep-research', tokens: { output: 1, reasoning: 1 } }, '0.000011'],
    [{ provider: 'openai', model: 'text-embedding-3-small', tokens: { input: 50 } }, '0.000001'],
    [{ provider: 'openai', model: 'text-embedding-3-small', tokens: { output: 50 } }, undefined],
  ])('%j', (partial, amount, flags = []) => {
    const cost = prices.cost(record(partial), NOW);
    expect(text(cost)).toBe(amount);
    if (amount !== undefined) expect([codes(cost), cost?.isComplete]).toEqual([flags, true]);
  });

  test('a class without a price makes the amount a lower bound and says so', () => {
    const usage = record({ provider: 'openai', model: 'text-embedding-3-small', tokens: { input: 50, output: 1 } });
    const cost = prices.cost(usage, NOW);
    expect([text(cost), cost?.isComplete, codes(cost)]).toEqual(['0.000001', false, ['class_unpriced']]);
  });

  test.each([Number.NaN, -1, 1.5, 2 ** 60, Number.POSITIVE_INFINITY])(
    'a count of %s is flagged, not thrown',
    (count) => {
      const usage = record({ provider: 'openai', model: 'gpt-5', tokens: { input: count, output: 1 } });
      const cost = prices.cost(usage, NOW);
      expect([text(cost), cost?.isComplete, codes(cost)]).toEqual(['0.00001', false, ['quantity_invalid']]);
    },
  );
});

describe('context tiers', () => {
  const sonnet = { provider: 'anthropic', model: 'claude-sonnet-4-5' };
  test.each<Row>([
    [{ ...sonnet, tokens: { input: 200_000 } }, '0.6'],
    [{ ...sonnet, tokens: { input: 200_001 } }, '1.200006', [], 200_000],
    // The whole request, not the part above: a marginal reading would give 1.20.
    [{ ...sonnet, tokens: { input: 300_000 } }, '1.8', [], 200_000],
    [{ ...sonnet, tokens: { input: 1, cache_read: 200_000, output: 1 } }, '0.1200285', [], 200_000],
    [{ ...sonnet, tokens: { input: 1, cache_write_5m: 100_000, cache_write_1h: 100_000 } }, '1.950006', [], 200_000],
    [{ ...sonnet, tokens: { output: 300_000 } }, '4.5'],
    [{ ...sonnet, tokens: { input: 950_648 }, isPromptSummed: true }, '2.851944', ['context_tier_undecided']],
    [{ ...sonnet, tokens: { input: 150_000 }, isPromptSummed: true }, '0.45'],
    [
      {
        ...sonnet,
        tokens: { input: 300_000 },
        iterations: [150_000, 150_000].map((input) => ({ kind: 'message', tokens: { input } })),
      },
      '0.9',
    ],
    [
      {
        ...sonnet,
        tokens: { input: 350_000 },
        iterations: [100_000, 250_000].map((input) => ({ kind: 'message', tokens: { input } })),
      },
      '1.8',
      [],
      200_000,
    ],
    [{ provider: 'openai', model: 'gpt-5.4', tokens: { input: 271_999 } }, '0.6799975'],
    [{ provider: 'openai', model: 'gpt-5.4', tokens: { input: 272_000 } }, '1.36', [], 271_999],
    [
      { provider: 'google', model: 'gemini-2.5-pro', tokens: { input: 199_999, tool_use: 2 } },
      '0.5000025',
      [],
      200_000,
    ],
    [
      { ...sonnet, tokens: { input_audio: 1, input_image: 100_000, input_video: 100_000 } },
      '1.200006',
      ['audio_at_text_price'],
      200_000,
    ],
    [{ ...sonnet, serviceTier: 'batch', tokens: { input: 300_000 } }, '0.9', ['service_tier_applied'], 200_000],
  ])('%j', (partial, amount, flags = [], above = undefined) => {
    const cost = prices.cost(record(partial), NOW);
    expect([text(cost), codes(cost), cost?.tier?.promptTokensAbove]).toEqual([amount, flags, above]);
  });
});

describe('iterations', () => {
  const fable = { provider: 'anthropic', model: 'claude-fable-5' };
  test('each at its own model: compaction and advisor are billed beside the message', () => {
    const iterations = [
      { kind: 'compaction', tokens: { input: 60_385, output: 522 } },
      { kind: 'advisor_message', model: 'claude-opus-4-8', tokens: { input: 1000, output: 100 } },
      { kind: 'message', tokens: { input: 612, output: 2819 } },
    ];
    const cost = prices.cost(record({ ...fable, tokens: { input: 61_997, output: 3441 }, iterations }), NOW, {
      explain: true,
    });
    // (60385 + 612) * 10 + (522 + 2819) * 50 + 1000 * 5 + 100 * 25, per million
    expect(text(cost)).toBe('0.78452');
    expect(cost?.lines?.map((line) => line.model)).toEqual([
      'claude-fable-5',
      'claude-fable-5',
      'claude-opus-4-8',
      'claude-opus-4-8',
      'claude-fable-5',
      'claude-fable-5',
    ]);
  });

  test('an unknown model among them makes the amount a lower bound', () => {
    const iterations = [
      { kind: 'message', tokens: { input: 100 } },
      { kind: 'advisor_message', model: 'claude-imaginary-9', tokens: { input: 100 } },
    ];
    const cost = prices.cost(record({ ...fable, tokens: { input: 200 }, iterations }), NOW);
    expect([text(cost), cost?.isComplete, codes(cost)]).toEqual(['0.001', false, ['iteration_model_unpriced']]);
  });

  test('thousands of them stay flagged within bounds', () => {
    const iterations = Array.from({ length: 5000 }, (_, index) => ({
      kind: 'message',
      model: index === 0 ? 'claude-fable-5' : `claude-imaginary-${index}`,
      tokens: { input: 100 },
    }));
    const cost = prices.cost(record({ ...fable, tokens: { input: 500_000 }, iterations }), NOW);
    expect([text(cost), cost?.isComplete, cost?.flags.length]).toEqual(['0.001', false, 40]);
  });

  test('a known model among them is priced where the record names an unknown one', () => {
    const iterations = [{ kind: 'fallback_message', model: 'claude-opus-4-8', tokens: { input: 412, output: 264 } }];
    const usage = record({
      provider: 'anthropic',
      model: 'claude-imaginary-9',
      tokens: { input: 412, output: 264 },
      iterations,
    });
    const cost = prices.cost(usage, NOW);
    expect([text(cost), cost?.source]).toEqual(['0.00866', '@pydantic/genai-prices 0.1.8']);
  });

  test("what is said of another model's price reaches the cost", () => {
    const iterations = [
      { kind: 'message', tokens: { input: 1 } },
      { kind: 'advisor_message', model: 'claude-opus-4-5', tokens: { input: 1 } },
    ];
    const usage = record({
      provider: 'anthropic',
      model: 'claude-opus-4-6',
      speed: 'fast',
      tokens: { input: 2 },
      iterations,
    });
    expect(codes(prices.cost(usage, NOW))).toEqual(['speed_applied', 'speed_unpriced']);
  });
});

describe('units', () => {
  test.each<Row>([
    [{ provider: 'anthropic', model: 'claude-opus-4-5', units: { web_searches: '3', web_fetches: '2' } }, '0.03'],
    [{ provider: 'openai', model: 'gpt-5', units: { file_searches: '4' } }, '0.01'],
    [
      { provider: 'groq', model: 'whisper-large-v3', units: { audio_seconds: '3.5' } },
      '0.000308333333',
      ['minimum_applied'],
    ],
    [{ provider: 'openai', model: 'whisper-1', units: { audio_seconds: '90.5' } }, '0.00905'],
    [{ provider: 'mistral', model: 'mistral-ocr-2512', units: { pages: '3' } }, '0.006'],
    [{ provider: 'openai', model: 'gpt-5', units: { images: '1' } }, undefined],
    [{ provider: 'openai', model: 'whisper-1', units: { audio_seconds: 'lots' } }, undefined],
    [{ provider: 'openai', model: 'whisper-1', units: { audio_seconds: '-3' } }, undefined],
  ])('%j', (partial, amount, flags = []) => {
    const cost = prices.cost(record(partial), NOW);
    expect(text(cost)).toBe(amount);
    if (amount !== undefined) expect(codes(cost)).toEqual(flags);
  });

  test('a fee for each call is added once, and only to a call whose usage is known', () => {
    const sonar = { provider: 'perplexity', model: 'sonar' };
    const withFee = prices.cost(record({ ...sonar, tokens: { input: 11, output: 434 } }), NOW, { explain: true });
    expect(withFee?.lines?.map((line) => line.class)).toEqual(['input', 'output', 'requests']);
    expect(prices.cost(record(sonar), NOW)).toBeUndefined();
  });
});

const tokensOf: fc.Arbitrary<Tokens> = fc.dictionary(
  fc.constantFrom(...TOKEN_CLASSES),
  fc.oneof(fc.nat(2_000_000), fc.nat(500)),
);

const MODELS = [
  ['openai', 'gpt-5-mini'],
  ['openai', 'gpt-6-sol'],
  ['anthropic', 'claude-sonnet-4-5'],
  ['anthropic', 'claude-opus-4-5'],
  ['google', 'gemini-2.5-pro'],
  ['openrouter', 'google/gemini-2.5-flash-lite'],
  ['aws', 'us.anthropic.claude-opus-4-5'],
  ['deepseek', 'deepseek-chat'],
] as const;

test('law: the cost is the sum of its lines, and of each class priced alone, at the tier of the whole prompt', () => {
  fc.assert(
    fc.property(fc.constantFrom(...MODELS), tokensOf, ([provider, model], tokens) => {
      const cost = prices.cost(record({ provider, model, tokens }), NOW, { explain: true });
      const quiet = prices.cost(record({ provider, model, tokens }), NOW);
      const price = prices.lookup({ provider, model, at: NOW });
      if (price === undefined || cost === undefined) return Object.keys(tokens).length === 0;
      const prompt = PROMPT.reduce((total, name) => total + (tokens[name] ?? 0), 0);
      const tier = price.tiers.filter((one, index) => index === 0 || prompt > one.promptTokensAbove).at(-1);
      let naive = ZERO;
      for (const [index, name] of TOKEN_CLASSES.entries()) {
        const perToken = divide(
          decimal(tier?.rates[index]?.coefficient ?? 0n),
          decimal(10n ** BigInt(price.scale)),
          EXACT,
        );
        naive = add(naive, multiply(decimal(tokens[name] ?? 0), perToken));
      }
      const lines = (cost.lines ?? []).reduce((total, line) => add(total, line.amount), ZERO);
      expect(equals(lines, naive)).toBe(true);
      expect(toText(cost.amount)).toBe(toText(round(naive, { places: 12, mode: 'half-away-from-zero' })));
      expect(quiet?.amount).toEqual(cost.amount);
      return true;
    }),
  );
});

test('law: no record makes the cost throw, and none costs less than nothing', () => {
  const wild = fc.record({
    provider: fc.oneof(fc.constantFrom('openai', 'anthropic', 'xai'), fc.string()),
    model: fc.oneof(fc.constantFrom('gpt-5', 'claude-opus-4-6', 'grok-4'), fc.string()),
    tokens: fc.dictionary(fc.constantFrom(...TOKEN_CLASSES), fc.oneof(fc.double(), fc.integer())),
    units: fc.dictionary(fc.constantFrom('web_searches', 'pages', 'audio_seconds'), fc.string()),
    serviceTier: fc.string(),
    region: fc.string(),
    speed: fc.constantFrom('fast', 'standard', ''),
    iterations: fc.array(fc.record({ kind: fc.string(), model: fc.string(), tokens: tokensOf }), { maxLength: 3 }),
    providerReportedCost: fc.record({ amount: fc.string(), currency: fc.constantFrom('USD', 'EUR') }),
  });
  fc.assert(
    fc.property(wild, fc.integer(), (partial, at) => {
      const cost = prices.cost(record(partial), at, { explain: true });
      return cost === undefined || cost.amount.coefficient >= 0n;
    }),
  );
});

test('providerCost alone gives what the table gives for a record without iterations', () => {
  const usage = record({
    provider: 'openai',
    model: 'gpt-5-mini',
    tokens: { input: 200, cache_read: 1000, output: 340 },
  });
  const price = prices.lookup({ provider: 'openai', model: 'gpt-5-mini', at: NOW });
  expect(providerCost(price, usage)).toEqual(prices.cost(usage, NOW));
  expect(text(providerCost(price, usage))).toBe('0.000755');
});

const EXACT = { places: 40, mode: 'half-away-from-zero' } as const;
const PROMPT: readonly TokenClass[] = [
  'input',
  'tool_use',
  'cache_write_5m',
  'cache_write_1h',
  'cache_read',
  'input_audio',
  'input_image',
  'input_video',
];
