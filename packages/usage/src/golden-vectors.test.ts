import { expect, test } from 'vitest';
import { parseGeminiChat } from './logs/gemini-chat.ts';
import { parseOpencodeMessage } from './logs/opencode-message.ts';
import { normaliseUsage, type UsageInput } from './normalise-usage.ts';
import type { Tokens, UsageRecord } from './record.ts';
import { createUsageAccumulator } from './stream/usage-accumulator.ts';

/**
 * The golden vectors of the reference (usage-objects.md), each under the name of the fixture of vercel/ai it was read from:
 * the raw figures, and what they mean.
 */

type Vector = {
  readonly fixture: string;
  readonly origin: UsageInput;
  /** Events of a stream; where absent, `origin.usage` is the whole answer's. */
  readonly events?: readonly object[];
  readonly tokens: Tokens;
  readonly also?: Partial<UsageRecord>;
};

const anthropic = { provider: 'anthropic', api: 'messages' };

const vectors: readonly Vector[] = [
  {
    fixture: 'xai xai-text.chunks',
    origin: {
      provider: 'xai',
      api: 'chat.completions',
      usage: {
        prompt_tokens: 12,
        completion_tokens: 1,
        total_tokens: 303,
        prompt_tokens_details: { cached_tokens: 11 },
        completion_tokens_details: { reasoning_tokens: 290 },
        cost_in_usd_ticks: 1_466_250,
      },
    },
    tokens: { input: 1, cache_read: 11, output: 1, reasoning: 290 },
    also: { providerReportedCost: { amount: '0.000146625', currency: 'USD' } },
  },
  {
    fixture: 'xai responses xai-text-streaming.1',
    origin: {
      provider: 'xai',
      api: 'responses',
      usage: {
        input_tokens: 216,
        input_tokens_details: { cached_tokens: 192 },
        output_tokens: 863,
        output_tokens_details: { reasoning_tokens: 237 },
        total_tokens: 1079,
      },
    },
    tokens: { input: 24, cache_read: 192, output: 626, reasoning: 237 },
  },
  {
    fixture: 'google interactions google-search.chunks',
    origin: {
      provider: 'google',
      api: 'interactions',
      usage: {
        total_input_tokens: 22,
        total_output_tokens: 590,
        total_tool_use_tokens: 198,
        total_thought_tokens: 1173,
        total_tokens: 1983,
      },
    },
    tokens: { input: 22, tool_use: 198, output: 590, reasoning: 1173 },
  },
  {
    fixture: 'anthropic message-delta-input-tokens',
    origin: anthropic,
    events: [
      { type: 'message_start', message: { usage: { input_tokens: 43, output_tokens: 1 } } },
      { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { input_tokens: 61, output_tokens: 2 } },
      { type: 'message_stop' },
    ],
    tokens: { input: 61, output: 2 },
  },
  {
    fixture: 'anthropic compaction.1.chunks',
    origin: anthropic,
    events: [
      { type: 'message_start', message: { usage: { input_tokens: 60_385, output_tokens: 5 } } },
      {
        type: 'message_delta',
        delta: { stop_reason: 'end_turn' },
        usage: {
          input_tokens: 612,
          output_tokens: 2819,
          iterations: [
            { type: 'compaction', input_tokens: 60_385, output_tokens: 522 },
            { type: 'message', input_tokens: 612, output_tokens: 2819 },
          ],
        },
      },
    ],
    tokens: { input: 60_997, output: 3341 },
  },
  {
    fixture: 'anthropic fallback',
    origin: {
      ...anthropic,
      model: 'claude-fable-5',
      usage: {
        input_tokens: 412,
        output_tokens: 264,
        iterations: [
          { type: 'message', model: 'claude-fable-5', input_tokens: 408, output_tokens: 0 },
          { type: 'fallback_message', model: 'claude-opus-4-8', input_tokens: 412, output_tokens: 264 },
        ],
      },
    },
    tokens: { input: 412, output: 264 },
    also: { model: 'claude-opus-4-8' },
  },
  {
    fixture: 'anthropic programmatic-tool-calling.1',
    origin: anthropic,
    events: [
      { type: 'message_start', message: { usage: { input_tokens: 0, output_tokens: 0 } } },
      { type: 'message_start', message: { usage: { input_tokens: 0, output_tokens: 0 } } },
      { type: 'message_start', message: { usage: { input_tokens: 0, output_tokens: 0 } } },
    ],
    tokens: { input: 0, output: 0 },
  },
  {
    fixture: 'deepseek deepseek-json',
    origin: {
      provider: 'deepseek',
      api: 'chat.completions',
      usage: {
        prompt_tokens: 495,
        prompt_cache_hit_tokens: 320,
        prompt_cache_miss_tokens: 175,
        completion_tokens: 144,
        completion_tokens_details: { reasoning_tokens: 118 },
        total_tokens: 639,
      },
    },
    tokens: { input: 175, cache_read: 320, output: 26, reasoning: 118 },
  },
  {
    fixture: 'azure azure-deepseek-reasoning',
    origin: {
      provider: 'azure',
      api: 'chat.completions',
      usage: {
        prompt_tokens: 20,
        completion_tokens: 700,
        total_tokens: 720,
        prompt_tokens_details: null,
        completion_tokens_details: null,
        reasoning_tokens: 0,
      },
    },
    tokens: { input: 20, output: 700, reasoning: 0 },
  },
  {
    fixture: 'perplexity perplexity-text.chunks',
    origin: { provider: 'perplexity', api: 'chat.completions' },
    events: [1, 62, 124, 186, 248, 310, 372, 434].map((completion_tokens) => ({
      object: 'chat.completion.chunk',
      choices: [{ delta: { content: 'x' }, finish_reason: completion_tokens === 434 ? 'stop' : null }],
      usage: { prompt_tokens: 11, completion_tokens, total_tokens: 11 + completion_tokens },
    })),
    tokens: { input: 11, output: 434 },
  },
  {
    fixture: 'openai openai-web-search-tool.1.chunks',
    origin: {
      provider: 'openai',
      api: 'responses',
      usage: {
        input_tokens: 31_073,
        input_tokens_details: { cached_tokens: 3712 },
        output_tokens: 4416,
        output_tokens_details: { reasoning_tokens: 3712 },
        total_tokens: 35_489,
      },
    },
    tokens: { input: 27_361, cache_read: 3712, output: 704, reasoning: 3712 },
  },
  {
    // 35 + 12 of 109: the Gemini face of chat.completions hides its thoughts.
    fixture: 'google openai-compatible: two of the 409 chat-shaped totals',
    origin: {
      provider: 'google',
      api: 'chat.completions',
      usage: { prompt_tokens: 35, completion_tokens: 12, total_tokens: 109 },
    },
    tokens: { input: 35, output: 12, hidden_output: 62 },
  },
];

test.each(vectors)('$fixture', ({ origin, events, tokens, also = {} }) => {
  const record = events === undefined ? normaliseUsage(origin) : streamed(origin, events);
  expect(record.tokens).toEqual(tokens);
  expect(record).toMatchObject({ quality: 'reported', ...also });
});

function streamed(origin: UsageInput, events: readonly object[]): UsageRecord {
  const accumulator = createUsageAccumulator(origin);
  for (const event of events) accumulator.addEvent(event);
  return accumulator.record();
}

test('anthropic: 950,648 input tokens of a server-tool loop decide no context tier', () => {
  const usage = { input_tokens: 950_648, output_tokens: 900, server_tool_use: { web_search_requests: 61 } };
  const record = normaliseUsage({ ...anthropic, usage });
  expect(record).toMatchObject({ isPromptSummed: true, units: { web_searches: '61' } });
});

test('Gemini Live: the 535 of its details beside a prompt of 50 are not used', () => {
  const usage = {
    promptTokenCount: 50,
    responseTokenCount: 20,
    totalTokenCount: 70,
    promptTokensDetails: [{ modality: 'TEXT', tokenCount: 535 }],
  };
  expect(normaliseUsage({ provider: 'google', api: 'live', usage }).tokens).toEqual({ input: 50, output: 20 });
});

test('Gemini CLI 15327/23/11526/919/7/16276', () => {
  const tokens = { input: 15_327, output: 23, cached: 11_526, thoughts: 919, tool: 7, total: 16_276 };
  const message = {
    id: '1',
    type: 'gemini',
    timestamp: '2026-01-02T00:00:00Z',
    model: 'gemini-3-flash-preview',
    tokens,
  };
  const chat = JSON.stringify({ sessionId: 'g', messages: [message] });
  expect(parseGeminiChat(chat, { sessionId: 'g', modifiedAt: '2026-01-01T00:00:00Z' })).toMatchObject([
    { call: { record: { tokens: { input: 3801, tool_use: 7, cache_read: 11_526, output: 23, reasoning: 919 } } } },
  ]);
});

test('opencode 100/50/20/10/20', () => {
  const data = {
    id: 'm',
    providerID: 'anthropic',
    modelID: 'claude-sonnet-4-5',
    time: { created: 1_767_312_000_000 },
    tokens: { input: 100, output: 50, reasoning: 20, cache: { read: 10, write: 20 } },
  };
  expect(parseOpencodeMessage({ data: JSON.stringify(data) })).toMatchObject({
    call: { record: { tokens: { input: 100, output: 50, reasoning: 20, cache_read: 10, cache_write_5m: 20 } } },
  });
});

/** Rules 1 to 4 of the reference, where one figure shows them. */
const rules: readonly { rule: string; input: UsageInput; tokens: Tokens; flags: readonly string[] }[] = [
  {
    rule: '1: reasoning that the total needs beside the output is beside it',
    input: {
      usage: {
        prompt_tokens: 10,
        completion_tokens: 5,
        total_tokens: 35,
        completion_tokens_details: { reasoning_tokens: 20 },
      },
    },
    tokens: { input: 10, output: 5, reasoning: 20 },
    flags: ['reasoning_outside_output'],
  },
  {
    rule: '1: another residual is hidden output, and said',
    input: {
      provider: 'openai',
      api: 'chat.completions',
      usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 22 },
    },
    tokens: { input: 10, output: 5, hidden_output: 7 },
    flags: ['hidden_output'],
  },
  {
    rule: '2: null is not zero, absent is neither',
    input: { ...anthropic, usage: { input_tokens: 4, output_tokens: 0, cache_read_input_tokens: null } },
    tokens: { input: 4, output: 0 },
    flags: [],
  },
  {
    rule: '3: cached above the prompt stops at zero',
    input: {
      provider: 'xai',
      api: 'chat.completions',
      usage: { prompt_tokens: 5, completion_tokens: 1, total_tokens: 6, prompt_tokens_details: { cached_tokens: 9 } },
    },
    tokens: { input: 0, cache_read: 9, output: 1 },
    flags: ['cached_above_prompt', 'total_mismatch'],
  },
  {
    rule: "4: writes without a lifetime take the request's, else five minutes",
    input: {
      ...anthropic,
      cacheTtl: '1h',
      usage: { input_tokens: 1, output_tokens: 1, cache_creation_input_tokens: 8 },
    },
    tokens: { input: 1, output: 1, cache_write_1h: 8 },
    flags: [],
  },
];

test.each(rules)('rule $rule', ({ input, tokens, flags }) => {
  const record = normaliseUsage(input);
  expect(record.tokens).toEqual(tokens);
  expect(record.flags.map((flag) => flag.code)).toEqual(flags);
});
