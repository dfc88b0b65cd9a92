import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Tokens, UsageRecord } from '../record.ts';
import { attributeUsage } from './attribute-usage.ts';
import { logCall } from './log-call.ts';
import { isModelCall } from './model-call.ts';
import { type OtelSpan, spanCalls } from './span-calls.ts';

type Case = {
  readonly name: string;
  readonly attributes: { readonly [name: string]: unknown };
  readonly tokens: Tokens;
  readonly also?: Partial<UsageRecord>;
};

const cases: readonly Case[] = [
  {
    name: 'the conventions: inclusive, numbers as text, doubles and integers',
    attributes: {
      'gen_ai.provider.name': 'anthropic',
      'gen_ai.request.model': 'claude-opus-4-6',
      'gen_ai.response.model': 'claude-opus-4-6-20260101',
      'gen_ai.usage.input_tokens': '1200',
      'gen_ai.usage.output_tokens': 340.0,
      'gen_ai.usage.cache_read.input_tokens': 1000,
      'gen_ai.usage.cache_creation.input_tokens': 150,
      'gen_ai.usage.reasoning.output_tokens': 40,
    },
    tokens: { input: 50, cache_write_5m: 150, cache_read: 1000, output: 300, reasoning: 40 },
    also: { provider: 'anthropic', model: 'claude-opus-4-6-20260101', quality: 'reported' },
  },
  {
    name: 'the newest name of cache writes',
    attributes: {
      'gen_ai.usage.input_tokens': 100,
      'gen_ai.usage.output_tokens': 1,
      'gen_ai.usage.cache_write.input_tokens': 60,
    },
    tokens: { input: 40, cache_write_5m: 60, output: 1 },
  },
  {
    name: 'cache above input cannot be inside it',
    attributes: {
      'gen_ai.system': 'Anthropic',
      'gen_ai.usage.prompt_tokens': 10,
      'gen_ai.usage.completion_tokens': 5,
      'gen_ai.usage.cache_read_input_tokens': 900,
    },
    tokens: { input: 10, cache_read: 900, output: 5 },
    also: { quality: 'reported' },
  },
  {
    name: 'a total that needs the cache beside the input',
    attributes: {
      'llm.provider': 'anthropic',
      'llm.model_name': 'claude-x',
      'llm.token_count.prompt': 1000,
      'llm.token_count.completion': 5,
      'llm.token_count.total': 1105,
      'llm.token_count.prompt_details.cache_read': 100,
    },
    tokens: { input: 1000, cache_read: 100, output: 5 },
    also: { model: 'claude-x' },
  },
  {
    name: 'OpenInference',
    attributes: {
      'llm.system': 'openai',
      'llm.token_count.prompt': 100,
      'llm.token_count.completion': 50,
      'llm.token_count.total': 150,
      'llm.token_count.prompt_details.cache_read': 60,
      'llm.token_count.completion_details.reasoning': 20,
      'llm.token_count.prompt_details.audio': 10,
      'llm.cost.total': '0.0012',
    },
    tokens: { input: 30, cache_read: 60, input_audio: 10, output: 30, reasoning: 20 },
    also: { providerReportedCost: { amount: '0.0012', currency: 'USD' } },
  },
  {
    name: 'AI SDK: the raw usage of the provider is preferred',
    attributes: {
      'ai.model.provider': 'anthropic.messages',
      'ai.usage.promptTokens': 10,
      'ai.usage.completionTokens': 5,
      'ai.response.providerMetadata': JSON.stringify({
        anthropic: {
          usage: { input_tokens: 10, cache_read_input_tokens: 7, cache_creation_input_tokens: 3, output_tokens: 5 },
        },
      }),
    },
    tokens: { input: 10, cache_write_5m: 3, cache_read: 7, output: 5 },
  },
  {
    name: 'AI SDK, old names: Anthropic leaves the cache out',
    attributes: {
      'ai.model.provider': 'anthropic.messages',
      'ai.usage.promptTokens': 10,
      'ai.usage.completionTokens': 5,
      'ai.usage.cachedInputTokens': 7,
    },
    tokens: { input: 10, cache_read: 7, output: 5 },
  },
  {
    name: 'AI SDK embeddings',
    attributes: { 'ai.model.id': 'text-embedding-3-small', 'ai.usage.tokens': 12 },
    tokens: { input: 12, output: 0 },
  },
  {
    name: 'output only is partial, not zero input',
    attributes: { 'gen_ai.usage.output_tokens': 5 },
    tokens: { output: 5 },
    also: { quality: 'partial' },
  },
];

test.each(cases)('$name', ({ attributes, tokens, also = {} }) => {
  const record = attributeUsage(attributes);
  expect(record?.tokens).toEqual(tokens);
  expect(record).toMatchObject(also);
  const listed = Object.entries(attributes).map(([key, value]) => ({
    key,
    value: typeof value === 'number' ? { intValue: String(value) } : { stringValue: value },
  }));
  const [call] = spanCalls([
    {
      traceId: 't',
      spanId: 's',
      attributes: [...listed, { key: 'gen_ai.operation.name', value: { stringValue: 'chat' } }],
    },
  ]);
  expect(call?.record.tokens).toEqual(tokens);
});

test('attributes without usage tell none', () => {
  expect(attributeUsage({ 'gen_ai.request.model': 'gpt-5' })).toBeUndefined();
});

test.each([
  [{ 'gen_ai.operation.name': 'chat' }, true],
  [{ 'gen_ai.operation.name': 'embeddings' }, true],
  [{ 'gen_ai.operation.name': 'invoke_agent' }, false],
  [{ 'gen_ai.operation.name': 'execute_tool' }, false],
  [{ 'ai.operationId': 'ai.generateText' }, false],
  [{ 'ai.operationId': 'ai.generateText.doGenerate' }, true],
  [{ 'ai.operationId': 'ai.embedMany.doEmbed' }, true],
  [{ 'openinference.span.kind': 'LLM' }, true],
  [{ 'openinference.span.kind': 'CHAIN', 'gen_ai.operation.name': 'chat' }, false],
  [{ 'llm.request.type': 'completion' }, true],
  [{ 'traceloop.span.kind': 'workflow', 'llm.request.type': 'chat' }, false],
  [{}, false],
])('%o is a model call: %s', (attributes, expected) => {
  expect(isModelCall(attributes)).toBe(expected);
});

describe('a trace', () => {
  const usage = { 'gen_ai.usage.input_tokens': 10, 'gen_ai.usage.output_tokens': 2 };
  const span = (spanId: string, parentSpanId: string | undefined, attributes: object): OtelSpan => ({
    traceId: 't',
    spanId,
    parentSpanId,
    attributes: { ...usage, ...attributes },
    startTimeUnixNano: '1767312000000123456',
    endTimeUnixNano: '1767312001500123456',
  });
  const spans = [
    span('agent', undefined, { 'gen_ai.operation.name': 'invoke_agent' }),
    span('generate', 'agent', { 'ai.operationId': 'ai.generateText' }),
    span('do', 'generate', { 'ai.operationId': 'ai.generateText.doGenerate' }),
    span('http', 'do', { 'http.request.method': 'POST' }),
    span('sdk', 'http', {
      'gen_ai.operation.name': 'chat',
      'gen_ai.response.id': 'resp_1',
      'gen_ai.conversation.id': 'c1',
    }),
    span('other', 'agent', { 'gen_ai.operation.name': 'chat', 'gen_ai.response.id': 'resp_2' }),
    span('again', undefined, { 'gen_ai.operation.name': 'chat', 'gen_ai.response.id': 'resp_2' }),
  ];

  test('counts each call once, the deepest span of it', () => {
    expect(spanCalls(spans).map((call) => call.spanId)).toEqual(['sdk', 'other']);
  });

  test('keeps time, session and identity', () => {
    expect(spanCalls(spans)[0]).toMatchObject({
      id: 't:resp_1',
      occurredAt: '2026-01-02T00:00:00.000123Z',
      durationMs: 1500,
      sessionId: 'c1',
      isError: false,
    });
  });

  test('the order of the spans does not matter', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray(spans, { minLength: spans.length }), (shuffled) => {
        const ids = spanCalls(shuffled).map((call) => call.id);
        expect(ids.toSorted()).toEqual(['t:resp_1', 't:resp_2']);
      }),
    );
  });

  test('a cycle of parents ends', () => {
    const a = span('a', 'b', { 'gen_ai.operation.name': 'chat' });
    const b = span('b', 'a', { 'gen_ai.operation.name': 'invoke_agent' });
    expect(spanCalls([a, b]).map((call) => call.spanId)).toEqual(['a']);
  });
});

test('a chain of twenty thousand nested calls takes linear time and counts its end', () => {
  const spans = Array.from({ length: 20_000 }, (_, index) => ({
    traceId: 't',
    spanId: `s${index}`,
    parentSpanId: `s${index - 1}`,
    attributes: { 'gen_ai.operation.name': 'chat', 'gen_ai.usage.input_tokens': 1, 'gen_ai.usage.output_tokens': 1 },
  }));
  const from = performance.now();
  expect(spanCalls(spans)).toHaveLength(1);
  expect(performance.now() - from).toBeLessThan(2000);
});

describe('log records', () => {
  test.each(['claude_code.api_request', 'api_request'])('Claude Code: %s, input without cache', (name) => {
    const call = logCall({
      timeUnixNano: '1767312000000000000',
      body: { stringValue: 'claude_code.api_request' },
      attributes: {
        'event.name': name,
        'event.timestamp': '2026-01-02T00:00:01.000Z',
        'session.id': 's1',
        model: 'claude-opus-4-6',
        input_tokens: '2',
        output_tokens: '40',
        cache_read_tokens: '1000',
        cache_creation_tokens: '30',
        cost_usd: '0.0045',
      },
    });
    expect(call).toMatchObject({
      id: 'claude_code.api_request:s1:2026-01-02T00:00:01.000Z',
      sessionId: 's1',
      occurredAt: '2026-01-02T00:00:01.000Z',
      record: {
        model: 'claude-opus-4-6',
        tokens: { input: 2, cache_write_5m: 30, cache_read: 1000, output: 40 },
        providerReportedCost: { amount: '0.0045', currency: 'USD' },
      },
    });
  });

  test('Gemini CLI: thoughts and tool tokens are beside', () => {
    const attributes = {
      model: 'gemini-2.5-pro',
      input_token_count: 100,
      output_token_count: 5,
      cached_content_token_count: 60,
      thoughts_token_count: 7,
      tool_token_count: 3,
      total_token_count: 115,
    };
    expect(logCall({ eventName: 'gemini_cli.api_response', attributes })?.record.tokens).toEqual({
      input: 40,
      tool_use: 3,
      cache_read: 60,
      output: 5,
      reasoning: 7,
    });
  });

  test('Codex: cache and reasoning are inside', () => {
    const attributes = {
      'event.name': 'codex.sse_event',
      'event.kind': 'response.completed',
      'conversation.id': 'c1',
      model: 'gpt-5-codex',
      input_token_count: 100,
      cached_token_count: 60,
      output_token_count: 50,
      reasoning_token_count: 20,
      tool_token_count: 150,
    };
    expect(logCall({ attributes })).toMatchObject({
      sessionId: 'c1',
      record: { tokens: { input: 40, cache_read: 60, output: 30, reasoning: 20 } },
    });
    expect(logCall({ attributes: { ...attributes, 'event.kind': 'response.created' } })).toBeUndefined();
  });

  test('an inference event agrees with the span it belongs to', () => {
    const attributes = {
      'gen_ai.operation.name': 'chat',
      'gen_ai.response.id': 'resp_1',
      'gen_ai.usage.input_tokens': 3,
      'gen_ai.usage.output_tokens': 4,
    };
    const identity = { traceId: 't', spanId: 's', attributes };
    const log = logCall({ ...identity, eventName: 'gen_ai.client.inference.operation.details' });
    expect(log?.id).toBe(spanCalls([identity])[0]?.id);
  });

  test('other events are no calls', () => {
    expect(logCall({ eventName: 'claude_code.user_prompt', attributes: { input_tokens: 3 } })).toBeUndefined();
    expect(logCall({ eventName: 'constructor', attributes: {} })).toBeUndefined();
  });
});

test('no attributes make the parsers throw', () => {
  fc.assert(
    fc.property(fc.anything(), fc.anything(), (attributes, value) => {
      spanCalls([{ traceId: 't', spanId: 's', attributes, startTimeUnixNano: value, status: value }]);
      logCall({ eventName: 'claude_code.api_request', timeUnixNano: value, body: value, attributes });
      attributeUsage({
        'gen_ai.usage.input_tokens': value,
        'gen_ai.usage.cost': value,
        'ai.response.providerMetadata': value,
      });
    }),
    { numRuns: 1000 },
  );
});
