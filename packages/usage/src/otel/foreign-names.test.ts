import { expect, test } from 'vitest';
import { attributeUsage } from './attribute-usage.ts';
import { isModelCall } from './model-call.ts';
import { spanCalls } from './span-calls.ts';

/** Every name of the reference's table (otel-genai.md, "Older and foreign names to accept"), one by one. */

const INPUT = [
  'gen_ai.usage.input_tokens',
  'gen_ai.usage.prompt_tokens',
  'llm.usage.prompt_tokens',
  'llm.token_count.prompt',
  'ai.usage.inputTokens',
  'ai.usage.promptTokens',
  'ai.usage.tokens',
];
const OUTPUT = [
  'gen_ai.usage.output_tokens',
  'gen_ai.usage.completion_tokens',
  'llm.usage.completion_tokens',
  'llm.token_count.completion',
  'ai.usage.outputTokens',
  'ai.usage.completionTokens',
];
const CACHE_READ = [
  'gen_ai.usage.cache_read.input_tokens',
  'gen_ai.usage.cache_read_input_tokens',
  'gen_ai.usage.cache_read_tokens',
  'gen_ai.usage.details.cache_read_tokens',
  'gen_ai.usage.details.cache_read_input_tokens',
  'llm.token_count.prompt_details.cache_read',
  'ai.usage.cachedInputTokens',
  'ai.usage.inputTokenDetails.cacheReadTokens',
  'input_cached_tokens',
];
const CACHE_WRITE = [
  'gen_ai.usage.cache_creation.input_tokens',
  'gen_ai.usage.cache_write.input_tokens',
  'gen_ai.usage.cache_creation_input_tokens',
  'gen_ai.usage.cache_write_tokens',
  'gen_ai.usage.details.cache_write_tokens',
  'gen_ai.usage.details.cache_creation_input_tokens',
  'llm.token_count.prompt_details.cache_write',
  'ai.usage.inputTokenDetails.cacheWriteTokens',
  'input_cache_creation',
];
const REASONING = [
  'gen_ai.usage.reasoning.output_tokens',
  'gen_ai.usage.reasoning_tokens',
  'llm.usage.reasoning_tokens',
  'llm.token_count.completion_details.reasoning',
  'ai.usage.reasoningTokens',
  'ai.usage.outputTokenDetails.reasoningTokens',
];
const AUDIO = ['llm.token_count.prompt_details.audio'];
const PROVIDER = ['gen_ai.provider.name', 'gen_ai.system', 'llm.provider', 'llm.system', 'ai.model.provider'];
/** The one to be believed first comes first. */
const MODEL = [
  'gen_ai.response.model',
  'ai.response.model',
  'ai.model.id',
  'gen_ai.request.model',
  'llm.response.model',
  'llm.model_name',
  'model',
];
const SESSION = [
  'gen_ai.conversation.id',
  'session.id',
  'ai.telemetry.metadata.sessionId',
  'traceloop.association.properties.session_id',
];
const USER = [
  'enduser.id',
  'user.id',
  'gen_ai.user',
  'llm.user',
  'ai.telemetry.metadata.userId',
  'traceloop.association.properties.user_id',
];
const AGENT = [
  'gen_ai.agent.name',
  'agent.name',
  'traceloop.workflow.name',
  'traceloop.entity.name',
  'traceloop.entity.path',
  'ai.telemetry.functionId',
];

const plain = { 'gen_ai.usage.input_tokens': 100, 'gen_ai.usage.output_tokens': 50 };

test.each(INPUT)('input: %s', (name) => {
  expect(attributeUsage({ [name]: 100, 'gen_ai.usage.output_tokens': 50 })?.tokens).toEqual({ input: 100, output: 50 });
});
test.each(OUTPUT)('output: %s', (name) => {
  expect(attributeUsage({ 'gen_ai.usage.input_tokens': 100, [name]: 50 })?.tokens).toEqual({ input: 100, output: 50 });
});
test.each(CACHE_READ)('cache read, inside the input: %s', (name) => {
  expect(attributeUsage({ ...plain, [name]: 30 })?.tokens).toEqual({ input: 70, cache_read: 30, output: 50 });
});
test.each(CACHE_WRITE)('cache write, inside the input: %s', (name) => {
  expect(attributeUsage({ ...plain, [name]: 30 })?.tokens).toEqual({ input: 70, cache_write_5m: 30, output: 50 });
});
test.each(REASONING)('reasoning, inside the output: %s', (name) => {
  expect(attributeUsage({ ...plain, [name]: 30 })?.tokens).toEqual({ input: 100, output: 20, reasoning: 30 });
});
test.each(AUDIO)('audio, inside the input: %s', (name) => {
  expect(attributeUsage({ ...plain, [name]: 30 })?.tokens).toMatchObject({ input: 70, input_audio: 30 });
});
test.each(PROVIDER)('provider: %s', (name) => {
  expect(attributeUsage({ ...plain, [name]: 'openai' })?.provider).toBe('openai');
});
test.each(MODEL)('model: %s', (name) => {
  expect(attributeUsage({ ...plain, [name]: 'gpt-5' })?.model).toBe('gpt-5');
});
test('of several models the one that answered is believed', () => {
  for (const [index, name] of MODEL.entries()) {
    const attributes = Object.fromEntries(MODEL.slice(index).map((one) => [one, one]));
    expect(attributeUsage({ ...plain, ...attributes })?.model).toBe(name);
  }
});

function callOf(attributes: Readonly<Record<string, unknown>>) {
  const span = {
    traceId: 't',
    spanId: 's',
    name: 'chat gpt-5',
    startTimeUnixNano: '1767312000000000000',
    endTimeUnixNano: '1767312001000000000',
    attributes: { 'gen_ai.operation.name': 'chat', ...plain, ...attributes },
  };
  return spanCalls([span])[0];
}

test.each(SESSION)('session: %s', (name) => {
  expect(JSON.stringify(callOf({ [name]: 'session-9' }))).toContain('session-9');
});
test.each(USER)('user: %s', (name) => {
  expect(JSON.stringify(callOf({ [name]: 'ada-7' }))).toContain('ada-7');
});
test.each(AGENT)('agent: %s', (name) => {
  expect(JSON.stringify(callOf({ [name]: 'planner-5' }))).toContain('planner-5');
});

test.each([
  [{ 'gen_ai.operation.name': 'chat' }, true],
  [{ 'gen_ai.operation.name': 'generate_content' }, true],
  [{ 'gen_ai.operation.name': 'text_completion' }, true],
  [{ 'gen_ai.operation.name': 'embeddings' }, true],
  [{ 'gen_ai.operation.name': 'invoke_agent' }, false],
  [{ 'gen_ai.operation.name': 'execute_tool' }, false],
  [{ 'openinference.span.kind': 'LLM' }, true],
  [{ 'openinference.span.kind': 'EMBEDDING' }, true],
  [{ 'openinference.span.kind': 'CHAIN' }, false],
  [{ 'openinference.span.kind': 'AGENT' }, false],
  [{ 'traceloop.span.kind': 'workflow' }, false],
  [{ 'llm.request.type': 'completion' }, true],
  [{ 'ai.operationId': 'ai.generateText.doGenerate' }, true],
  [{ 'ai.operationId': 'ai.streamText.doStream' }, true],
  [{ 'ai.operationId': 'ai.generateText' }, false],
])('%j is a leaf model call: %s', (attributes, isLeaf) => {
  expect(isModelCall(attributes)).toBe(isLeaf);
});
