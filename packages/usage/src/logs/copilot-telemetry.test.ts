import { expect, test } from 'vitest';
import { createCopilotReader } from './copilot-telemetry.ts';

const usage = {
  'gen_ai.usage.input_tokens': 100,
  'gen_ai.usage.output_tokens': 20,
  'gen_ai.usage.cache_read.input_tokens': 60,
};

function read(entries: readonly object[]) {
  const reader = createCopilotReader({ sessionId: 'file', modifiedAt: '2026-01-01T00:00:00Z' });
  const lines = [...entries.flatMap((entry) => reader.add(JSON.stringify(entry))), ...reader.finish()];
  return lines.flatMap((line) => (line.kind === 'call' ? [line.call] : []));
}

const chat = {
  type: 'span',
  name: 'chat gpt-5',
  traceId: 't1',
  spanId: 's1',
  endTime: [1_767_312_000, 5_000_000],
  attributes: {
    ...usage,
    'gen_ai.operation.name': 'chat',
    'gen_ai.response.id': 'r1',
    'gen_ai.response.model': 'gpt-5',
  },
};
const inference = {
  traceId: 't1',
  spanId: 's2',
  body: 'GenAI inference: gpt-5',
  attributes: { ...usage, 'event.name': 'gen_ai.client.inference.operation.details', 'gen_ai.response.id': 'r1' },
};
const turn = { traceId: 't1', body: 'copilot_chat.agent.turn: 1', attributes: { ...usage, 'turn.index': 1 } };
const summary = {
  type: 'span',
  name: 'invoke_agent copilot',
  traceId: 't1',
  spanId: 's3',
  attributes: { ...usage, 'gen_ai.operation.name': 'invoke_agent' },
};

test.each([
  { name: 'all four', entries: [summary, turn, inference, chat], ids: ['t1:s1'] },
  { name: 'no chat span', entries: [summary, turn, inference], ids: ['log:t1:s2'] },
  {
    name: 'turns and their summary',
    entries: [summary, turn, { ...turn, attributes: { ...usage, 'turn.index': 2 } }],
    ids: ['agent-turn:t1:1', 'agent-turn:t1:2'],
  },
  { name: 'a summary alone', entries: [summary], ids: ['t1:s3'] },
  { name: 'the same response in another trace', entries: [chat, { ...inference, traceId: 't2' }], ids: ['t1:s1'] },
  {
    name: 'two chat spans of one trace are two calls',
    entries: [chat, { ...chat, spanId: 's9' }],
    ids: ['t1:s1', 't1:s9'],
  },
  {
    name: 'tool spans are none',
    entries: [{ ...chat, name: 'execute_tool x', attributes: { ...usage, 'gen_ai.operation.name': 'execute_tool' } }],
    ids: [],
  },
])('$name: the most exact source counts', ({ entries, ids }) => {
  expect(read(entries).map((call) => call.id)).toEqual(ids);
});

test('a call has time, model and disjoint classes', () => {
  expect(read([chat])).toMatchObject([
    {
      occurredAt: '2026-01-02T00:00:00.005Z',
      sessionId: 'r1',
      record: { model: 'gpt-5', tokens: { input: 40, cache_read: 60, output: 20 } },
    },
  ]);
});

test('a turn borrows the model of its trace and cannot decide a context tier', () => {
  const named = { type: 'span', name: 'x', traceId: 't1', attributes: { 'gen_ai.request.model': 'gpt-5-mini' } };
  expect(read([turn, named])).toMatchObject([
    { record: { model: 'gpt-5-mini', isPromptSummed: true }, occurredAt: '2026-01-01T00:00:00Z' },
  ]);
});
