import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { UsageInput } from '../normalise-usage.ts';
import type { Quality, Tokens, UsageRecord } from '../record.ts';
import { createUsageAccumulator } from './usage-accumulator.ts';

type Stream = {
  readonly name: string;
  readonly origin: UsageInput;
  readonly events: readonly object[];
  readonly tokens: Tokens;
  readonly quality?: Quality;
  readonly also?: Partial<UsageRecord>;
  /** How the events stand on the wire. */
  readonly framing?: 'sse' | 'lines' | 'array';
};

const anthropic = { provider: 'anthropic', api: 'messages' };
const openai = { provider: 'openai', api: 'chat.completions' };

const streams: readonly Stream[] = [
  {
    name: 'anthropic: the delta overwrites the provisional start',
    origin: anthropic,
    events: [
      { type: 'message_start', message: { model: 'claude-x', usage: { input_tokens: 43, output_tokens: 1 } } },
      { type: 'content_block_delta', delta: { type: 'text_delta', text: 'data: {"usage":{"input_tokens":9}}\n\n' } },
      { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { input_tokens: 61, output_tokens: 2 } },
      { type: 'message_stop' },
    ],
    tokens: { input: 61, output: 2 },
    also: { model: 'claude-x' },
  },
  {
    name: 'anthropic: a delta without lifetimes keeps the split of the start',
    origin: anthropic,
    events: [
      {
        type: 'message_start',
        message: {
          usage: {
            input_tokens: 3,
            cache_creation_input_tokens: 100,
            cache_read_input_tokens: 7,
            cache_creation: { ephemeral_5m_input_tokens: 0, ephemeral_1h_input_tokens: 100 },
            output_tokens: 1,
            service_tier: 'priority',
          },
        },
      },
      {
        type: 'message_delta',
        usage: {
          input_tokens: null,
          cache_creation_input_tokens: 100,
          cache_read_input_tokens: null,
          output_tokens: 9,
        },
      },
    ],
    tokens: { input: 3, cache_write_5m: 0, cache_write_1h: 100, cache_read: 7, output: 9 },
    also: { serviceTier: 'priority' },
  },
  {
    name: 'anthropic: compaction is billed beside the message',
    origin: anthropic,
    events: [
      { type: 'message_start', message: { usage: { input_tokens: 60385, output_tokens: 5 } } },
      {
        type: 'message_delta',
        usage: {
          input_tokens: 612,
          output_tokens: 2819,
          iterations: [
            { type: 'compaction', input_tokens: 60385, output_tokens: 522 },
            { type: 'message', input_tokens: 612, output_tokens: 2819 },
          ],
        },
      },
    ],
    tokens: { input: 60997, output: 3341 },
  },
  {
    name: 'anthropic: a fallback after the first attempt had begun to answer bills both',
    origin: anthropic,
    events: [
      { type: 'message_start', message: { model: 'claude-opus-5-5', usage: { input_tokens: 10, output_tokens: 0 } } },
      {
        type: 'message_delta',
        usage: {
          output_tokens: 70,
          iterations: [
            { type: 'message', model: 'claude-opus-5-5', input_tokens: 10, output_tokens: 40 },
            { type: 'fallback_message', model: 'claude-opus-4-8', input_tokens: 12, output_tokens: 30 },
          ],
        },
      },
    ],
    tokens: { input: 22, output: 70 },
    also: { model: 'claude-opus-4-8' },
  },
  {
    name: 'anthropic: several starts of zero are zero, not missing',
    origin: anthropic,
    events: [
      { type: 'message_start', message: { usage: { input_tokens: 0, output_tokens: 0 } } },
      { type: 'message_start', message: { usage: { input_tokens: 0, output_tokens: 0 } } },
    ],
    tokens: { input: 0, output: 0 },
  },
  {
    name: 'anthropic: a cut stream has a lower bound only',
    origin: anthropic,
    events: [{ type: 'message_start', message: { usage: { input_tokens: 43, output_tokens: 2 } } }],
    tokens: { input: 43, output: 2 },
    quality: 'lower_bound',
  },
  {
    name: 'openai chat: null usage until the last chunk',
    origin: openai,
    events: [
      { id: '', model: '', choices: [], prompt_filter_results: [] },
      {
        id: 'c',
        model: 'gpt-5-mini-2025-08-07',
        choices: [{ delta: { content: 'a' }, finish_reason: null }],
        usage: null,
      },
      { id: 'c', choices: [{ delta: {}, finish_reason: 'stop' }], usage: null },
      {
        id: 'c',
        choices: [],
        service_tier: 'priority',
        usage: { prompt_tokens: 5, completion_tokens: 1, total_tokens: 6 },
      },
    ],
    tokens: { input: 5, output: 1 },
    also: { model: 'gpt-5-mini-2025-08-07', serviceTier: 'priority' },
  },
  {
    name: 'openai chat: usage never arrives',
    origin: openai,
    events: [{ id: 'c', choices: [{ delta: { content: 'a' }, finish_reason: null }] }],
    tokens: {},
    quality: 'none',
  },
  {
    name: 'openai responses: usage and tool calls of the completed event',
    origin: { provider: 'openai', api: 'responses' },
    events: [
      { type: 'response.created', response: { model: 'gpt-5', usage: null, output: [] } },
      {
        type: 'response.completed',
        response: {
          model: 'gpt-5-2025-08-07',
          service_tier: 'flex',
          output: [
            { type: 'web_search_call', action: { type: 'search' } },
            { type: 'web_search_call', action: { type: 'open_page' } },
            { type: 'code_interpreter_call', container_id: 'k1' },
            { type: 'code_interpreter_call', container_id: 'k1' },
            { type: 'file_search_call' },
          ],
          usage: {
            input_tokens: 31073,
            input_tokens_details: { cached_tokens: 3712 },
            output_tokens: 4416,
            output_tokens_details: { reasoning_tokens: 3712 },
            total_tokens: 35489,
          },
        },
      },
    ],
    tokens: { input: 27361, cache_read: 3712, output: 704, reasoning: 3712 },
    also: {
      model: 'gpt-5-2025-08-07',
      serviceTier: 'flex',
      units: { web_searches: '1', code_executions: '1', file_searches: '1' },
    },
  },
  {
    name: 'perplexity: usage on every chunk, the last one counts',
    origin: { provider: 'perplexity' },
    events: [1, 200, 434].map((completion) => ({
      choices: [{ finish_reason: completion === 434 ? 'stop' : null }],
      usage: { prompt_tokens: 11, completion_tokens: completion, total_tokens: 11 + completion },
    })),
    tokens: { input: 11, output: 434 },
  },
  {
    name: 'gemini: chunks without figures do not erase, as one array',
    origin: { provider: 'google' },
    framing: 'array',
    events: [
      { usageMetadata: { trafficType: 'ON_DEMAND' }, modelVersion: 'gemini-3-pro' },
      { usageMetadata: { promptTokenCount: 10, totalTokenCount: 10 } },
      {
        candidates: [{ finishReason: 'STOP' }],
        usageMetadata: { promptTokenCount: 10, candidatesTokenCount: 4, thoughtsTokenCount: 6, totalTokenCount: 20 },
      },
      { usageMetadata: { trafficType: 'ON_DEMAND' } },
    ],
    tokens: { input: 10, output: 4, reasoning: 6 },
    also: { model: 'gemini-3-pro' },
  },
  {
    name: 'gemini interactions: the completed event',
    origin: { provider: 'google', api: 'interactions' },
    framing: 'lines',
    events: [
      { event_type: 'interaction.created', interaction: { status: 'in_progress', model: 'gemini-2.5-flash' } },
      {
        event_type: 'interaction.completed',
        interaction: {
          status: 'completed',
          model: 'gemini-2.5-flash',
          service_tier: 'standard',
          usage: {
            total_tokens: 148,
            total_input_tokens: 7,
            input_tokens_by_modality: [{ modality: 'text', tokens: 7 }],
            total_cached_tokens: 0,
            total_output_tokens: 26,
            total_tool_use_tokens: 0,
            total_thought_tokens: 115,
          },
        },
      },
    ],
    tokens: { input: 7, tool_use: 0, cache_read: 0, output: 26, reasoning: 115 },
    also: { model: 'gemini-2.5-flash', serviceTier: 'standard' },
  },
  {
    name: 'openrouter: usage after the end, on a choice without a reason',
    origin: { provider: 'openrouter' },
    events: [
      { choices: [{ delta: { content: 'a' }, finish_reason: 'stop' }] },
      {
        choices: [{ delta: { content: '' }, finish_reason: null }],
        usage: { prompt_tokens: 5, completion_tokens: 1, total_tokens: 6, cost: 0.0001 },
      },
    ],
    tokens: { input: 5, output: 1 },
    also: { providerReportedCost: { amount: '0.0001', currency: 'USD' } },
  },
  {
    name: 'vllm: continuous usage of a cut stream is a lower bound',
    origin: { provider: 'vllm' },
    events: [1, 2].map((completion) => ({
      choices: [{ finish_reason: null }],
      usage: { prompt_tokens: 5, completion_tokens: completion, total_tokens: 5 + completion },
    })),
    tokens: { input: 5, output: 2 },
    quality: 'lower_bound',
  },
  {
    name: 'bedrock: the metadata event',
    origin: { provider: 'bedrock', api: 'converse' },
    framing: 'lines',
    events: [
      { messageStart: { role: 'assistant' } },
      { metadata: { usage: { inputTokens: 4, outputTokens: 6, totalTokens: 10 }, metrics: { latencyMs: 1 } } },
    ],
    tokens: { input: 4, output: 6 },
  },
  {
    name: 'cohere: the message-end event',
    origin: { provider: 'cohere', api: 'chat' },
    events: [
      { type: 'content-delta', delta: { message: { content: { text: 'x' } } } },
      { type: 'message-end', delta: { usage: { billed_units: { input_tokens: 5, output_tokens: 2 } } } },
    ],
    tokens: { input: 5, output: 2 },
  },
  {
    name: 'ollama: counts on the last line',
    origin: { provider: 'ollama' },
    framing: 'lines',
    events: [
      { model: 'llama3', message: { role: 'assistant', content: 'x' }, done: false },
      {
        model: 'llama3',
        message: { role: 'assistant', content: '' },
        done: true,
        prompt_eval_count: 26,
        eval_count: 9,
      },
    ],
    tokens: { input: 26, output: 9 },
    also: { model: 'llama3' },
  },
];

function wire({ events, framing = 'sse' }: Stream): string {
  if (framing === 'array') return JSON.stringify(events, undefined, 2);
  if (framing === 'lines') return events.map((event) => `${JSON.stringify(event)}\n`).join('');
  return `: hello\n\n${events.map((event) => `event: x\r\ndata: ${JSON.stringify(event)}\r\n\r\n`).join('')}`;
}

describe.each(streams)('$name', (stream) => {
  const { origin, events, tokens, quality = 'reported', also = {} } = stream;

  function whole(): UsageRecord {
    const accumulator = createUsageAccumulator(origin);
    accumulator.addText(wire(stream));
    return accumulator.record();
  }

  test('gives the expected record', () => {
    expect(whole().tokens).toEqual(tokens);
    expect(whole()).toMatchObject({ quality, ...also });
  });

  test('any cutting of the text gives the same record', () => {
    const text = wire(stream);
    fc.assert(
      fc.property(fc.array(fc.nat(text.length), { maxLength: 20 }), fc.boolean(), (cuts, isAskedBetween) => {
        const accumulator = createUsageAccumulator(origin);
        let from = 0;
        for (const cut of [...cuts.toSorted((a, b) => a - b), text.length]) {
          accumulator.addText(text.slice(from, cut));
          if (isAskedBetween) accumulator.record();
          from = cut;
        }
        expect(accumulator.record()).toEqual(whole());
      }),
      { numRuns: 60 },
    );
  });

  test('replaying any suffix changes nothing', () => {
    for (let from = 0; from < events.length; from++) {
      const accumulator = createUsageAccumulator(origin);
      for (const event of [...events, ...events.slice(from), ...events.slice(from)]) accumulator.addEvent(event);
      expect(accumulator.record()).toEqual(whole());
    }
  });
});

test('the usage of a whole answer reads like that of its stream', () => {
  const accumulator = createUsageAccumulator(anthropic);
  accumulator.addText(
    JSON.stringify(
      { type: 'message', model: 'claude-x', content: [], usage: { input_tokens: 61, output_tokens: 2 } },
      undefined,
      2,
    ),
  );
  expect(accumulator.record()).toMatchObject({
    model: 'claude-x',
    tokens: { input: 61, output: 2 },
    quality: 'reported',
  });
});

test('no events make an accumulator throw', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.anything(), fc.jsonValue())), fc.string(), (events, text) => {
      const accumulator = createUsageAccumulator({ provider: 'openai' });
      for (const event of events) accumulator.addEvent(event);
      accumulator.addText(text);
      accumulator.record();
    }),
  );
});

test('a million small pieces of one line take linear time', () => {
  const accumulator = createUsageAccumulator(openai);
  const from = performance.now();
  accumulator.addText('data: {"x":"');
  for (let piece = 0; piece < 1_000_000; piece++) accumulator.addText('yyyyyyyy');
  accumulator.addText('","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}\n\n');
  expect(accumulator.record().tokens).toEqual({ input: 1, output: 1 });
  expect(performance.now() - from).toBeLessThan(5000);
});
