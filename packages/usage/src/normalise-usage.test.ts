import { expect, test } from 'vitest';
import { normaliseUsage, type UsageInput } from './normalise-usage.ts';
import type { Quality, Tokens } from './record.ts';

type Case = {
  readonly name: string;
  readonly input: UsageInput;
  readonly tokens: Tokens;
  readonly quality?: Quality;
  readonly flags?: readonly string[];
};

const chat = { provider: 'openai', api: 'chat.completions' };
const messages = { provider: 'anthropic', api: 'messages' };

const cases: readonly Case[] = [
  {
    name: 'canonical classes pass through',
    input: { tokens: { input: 200, cache_read: 1000, output: 340 } },
    tokens: { input: 200, cache_read: 1000, output: 340 },
  },
  {
    name: 'canonical counts as text and doubles',
    input: { tokens: { input: '200', output: 3.0, reasoning: null } },
    tokens: { input: 200, output: 3 },
  },
  {
    name: 'canonical classes that are none',
    input: { tokens: { input: 5, total: 9 } },
    tokens: { input: 5 },
    quality: 'partial',
    flags: ['unknown_token_class'],
  },
  {
    name: 'canonical negative, fraction, too large, not a number',
    input: { tokens: { input: -1, output: 2.5, reasoning: 2 ** 53, cache_read: 'many' } },
    tokens: { input: 0, output: 2 },
    quality: 'partial',
    flags: ['negative_count', 'fractional_count', 'count_too_large', 'not_a_count'],
  },
  { name: 'nothing at all', input: {}, tokens: {}, quality: 'none', flags: ['usage_missing'] },
  { name: 'zero is reported, not missing', input: { tokens: { input: 0 } }, tokens: { input: 0 } },
  {
    name: 'chat: cached and reasoning are inside',
    input: {
      ...chat,
      usage: {
        prompt_tokens: 1200,
        completion_tokens: 340,
        total_tokens: 1540,
        prompt_tokens_details: { cached_tokens: 1000 },
        completion_tokens_details: { reasoning_tokens: 100, rejected_prediction_tokens: 40 },
      },
    },
    tokens: { input: 200, cache_read: 1000, output: 200, reasoning: 100, rejected_prediction: 40 },
  },
  {
    name: 'chat: cached above the prompt',
    input: {
      ...chat,
      usage: { prompt_tokens: 10, completion_tokens: 1, prompt_tokens_details: { cached_tokens: 12 } },
    },
    tokens: { input: 0, cache_read: 12, output: 1 },
    quality: 'partial',
    flags: ['cached_above_prompt'],
  },
  {
    name: 'chat without provider and API',
    input: { usage: { prompt_tokens: 7, completion_tokens: 1 } },
    tokens: { input: 7, output: 1 },
  },
  {
    name: 'responses: the web search fixture',
    input: {
      provider: 'openai',
      api: 'responses',
      usage: {
        input_tokens: 31073,
        input_tokens_details: { cached_tokens: 3712 },
        output_tokens: 4416,
        output_tokens_details: { reasoning_tokens: 3712 },
        total_tokens: 35489,
      },
    },
    tokens: { input: 27361, cache_read: 3712, output: 704, reasoning: 3712 },
  },
  {
    name: 'messages: cache is outside the input',
    input: {
      ...messages,
      usage: {
        input_tokens: 2,
        cache_creation_input_tokens: 300,
        cache_read_input_tokens: 16,
        cache_creation: { ephemeral_5m_input_tokens: 100, ephemeral_1h_input_tokens: 150 },
        output_tokens: 9,
        output_tokens_details: { thinking_tokens: 4 },
      },
    },
    tokens: { input: 2, cache_write_5m: 150, cache_write_1h: 150, cache_read: 16, output: 5, reasoning: 4 },
  },
  {
    name: 'messages: unknown lifetime takes that of the request',
    input: {
      ...messages,
      cacheTtl: '1h',
      usage: { input_tokens: 2, cache_creation_input_tokens: 30, output_tokens: 1 },
    },
    tokens: { input: 2, cache_write_1h: 30, output: 1 },
  },
  {
    name: 'only one of two figures',
    input: { ...chat, usage: { completion_tokens: 4 } },
    tokens: { output: 4 },
    quality: 'partial',
    flags: ['input_missing'],
  },
  {
    name: 'a total that does not add up',
    input: { ...chat, usage: { prompt_tokens: 10, completion_tokens: 4, total_tokens: 12 } },
    tokens: { input: 10, output: 4 },
    quality: 'partial',
    flags: ['total_mismatch'],
  },
  {
    name: 'field names of another API win over the named one',
    input: { ...chat, usage: { input_tokens: 3, output_tokens: 4 } },
    tokens: { input: 3, output: 4 },
    flags: ['unexpected_shape'],
  },
  {
    name: 'a usage object of nobody',
    input: { usage: { colour: 'red' } },
    tokens: {},
    quality: 'none',
    flags: ['usage_not_recognised'],
  },
];

test.each(cases)('$name', ({ input, tokens, quality = 'reported', flags = [] }) => {
  const record = normaliseUsage(input);
  expect(record.tokens).toEqual(tokens);
  expect(record.quality).toBe(quality);
  expect(record.flags.map((flag) => flag.code)).toEqual(flags);
});

test('passes keep their own model, and the fallback is the model that answered', () => {
  const usage = {
    input_tokens: 412,
    output_tokens: 264,
    iterations: [
      { type: 'message', model: 'claude-fable-5', input_tokens: 408, output_tokens: 0 },
      { type: 'fallback_message', model: 'claude-opus-4-8', input_tokens: 412, output_tokens: 264 },
    ],
  };
  expect(normaliseUsage({ ...messages, model: 'claude-fable-5', usage })).toMatchObject({
    model: 'claude-opus-4-8',
    iterations: [{ kind: 'fallback_message', model: 'claude-opus-4-8', tokens: { input: 412, output: 264 } }],
  });
});

test('a server tool loop without passes is marked: its input sums several prompts', () => {
  const usage = {
    input_tokens: 950648,
    output_tokens: 1,
    server_tool_use: { web_search_requests: 61 },
    service_tier: 'batch',
  };
  expect(normaliseUsage({ ...messages, usage })).toMatchObject({
    isPromptSummed: true,
    units: { web_searches: '61' },
    serviceTier: 'batch',
  });
});
