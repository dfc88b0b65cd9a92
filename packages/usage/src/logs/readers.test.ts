import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { LogLine } from './agent-call.ts';
import { createCallDeduplicator } from './call-deduplicator.ts';
import { parseClaudeCodeLine } from './claude-code-line.ts';
import { createCodexReader, type SessionReader } from './codex-session.ts';
import { createCopilotReader } from './copilot-telemetry.ts';
import { createGeminiReader, parseGeminiChat } from './gemini-chat.ts';
import { parseOpencodeMessage } from './opencode-message.ts';

const file = { sessionId: 'f', modifiedAt: '2026-01-01T00:00:00Z' };

function stateless(parse: (line: string) => LogLine): SessionReader {
  return { add: (line) => [parse(line)], finish: () => [] };
}

const readers: readonly { readonly agent: string; readonly create: () => SessionReader }[] = [
  { agent: 'Claude Code', create: () => stateless((line) => parseClaudeCodeLine(line, { file: 'f', line: 1 })) },
  { agent: 'Codex', create: () => createCodexReader(file) },
  { agent: 'Gemini CLI', create: () => createGeminiReader(file) },
  {
    agent: 'Gemini CLI, one document',
    create: () => ({ add: (line) => parseGeminiChat(line, file), finish: () => [] }),
  },
  { agent: 'opencode', create: () => stateless((data) => parseOpencodeMessage({ data })) },
  { agent: 'Copilot', create: () => createCopilotReader(file) },
];

/** Field names that the readers look for, with anything in them. */
const names = [
  'type timestamp sessionId requestId message usage data model id isSidechain version payload info last_token_usage source git',
  'total_token_usage input_tokens output_tokens tokens input output cached total messages stats models attributes traceId spanId',
  'modelID providerID time created cache read write cost name body endTime startTime gen_ai.usage.input_tokens session_meta',
].flatMap((line) => line.split(' '));
const words = fc.constantFrom(
  'event_msg',
  'token_count',
  'gemini',
  'agent_progress',
  'span',
  'chat',
  '2026-01-02T00:00:00Z',
  'x',
);
const { tree } = fc.letrec((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small' },
    fc.oneof(words, fc.integer(), fc.double(), fc.constant(null), fc.string()),
    fc.dictionary(fc.constantFrom(...names), tie('tree'), { maxKeys: 10 }),
    fc.array(tie('tree'), { maxLength: 3 }),
  ),
}));

const lines = fc.array(
  fc.oneof(
    tree.map((value) => JSON.stringify(value) ?? ''),
    fc.string(),
  ),
  { maxLength: 12 },
);

describe.each(readers)('$agent', ({ create }) => {
  test('no lines make the reader throw, and every call has an identity, a time and sound counts', () => {
    fc.assert(
      fc.property(lines, (texts) => {
        const reader = create();
        for (const line of [...texts.flatMap((text) => reader.add(text)), ...reader.finish()]) {
          if (line.kind !== 'call') continue;
          expect(line.call.id).not.toBe('');
          expect(Number.isNaN(Date.parse(line.call.occurredAt))).toBe(false);
          for (const count of Object.values(line.call.record.tokens)) expect(Number.isSafeInteger(count)).toBe(true);
        }
      }),
      { numRuns: 500 },
    );
  });

  test('a half-written last line is dropped or passed over', () => {
    const reader = create();
    const half = '{"type":"gemini","usage":{"input_tokens":1,"attributes":{"tokens":{"input":5';
    expect([...reader.add(half), ...reader.finish()].filter((line) => line.kind === 'call')).toEqual([]);
  });
});

describe('the deduplicator', () => {
  const line = (messageId: string, output: number) =>
    parseClaudeCodeLine(
      JSON.stringify({
        timestamp: '2026-01-02T00:00:00Z',
        requestId: 'r',
        message: {
          id: messageId,
          model: 'm',
          stop_reason: 'end_turn',
          usage: { input_tokens: 1, output_tokens: output },
        },
      }),
      { file: 'f', line: 1 },
    );
  const add = (deduplicator: ReturnType<typeof createCallDeduplicator>, parsed: LogLine) =>
    parsed.kind === 'call' ? deduplicator.add(parsed.call).map((call) => call.messageId) : ['not a call'];

  test('lets the oldest go when it is full, and only then', () => {
    const deduplicator = createCallDeduplicator(2);
    expect(add(deduplicator, line('a', 1))).toEqual([]);
    expect(add(deduplicator, line('b', 1))).toEqual([]);
    expect(add(deduplicator, line('a', 5))).toEqual([]);
    expect(add(deduplicator, line('c', 1))).toEqual(['a']);
    expect(deduplicator.finish().map((call) => call.messageId)).toEqual(['b', 'c']);
    expect(deduplicator.finish()).toEqual([]);
  });

  test('holds no more than it may, however many pass, in linear time', () => {
    const parsed = line('a', 1);
    const deduplicator = createCallDeduplicator(50_000);
    const from = performance.now();
    let released = 0;
    for (let index = 0; index < 400_000; index++) {
      if (parsed.kind === 'call') released += deduplicator.add({ ...parsed.call, messageId: `m${index}` }).length;
    }
    expect(released).toBe(350_000);
    expect(
      deduplicator
        .finish()
        .map((call) => call.messageId)
        .at(-1),
    ).toBe('m399999');
    expect(performance.now() - from).toBeLessThan(5000);
  });

  test('gives the same calls for any order of the lines, sidechains apart', () => {
    const parsed = ['a', 'b', 'c'].flatMap((id) => [1, 2, 3].map((output) => line(id, output)));
    fc.assert(
      fc.property(fc.shuffledSubarray(parsed, { minLength: parsed.length }), (shuffled) => {
        const deduplicator = createCallDeduplicator();
        for (const one of shuffled) add(deduplicator, one);
        const found = deduplicator.finish().map((call) => `${call.messageId} ${call.record.tokens.output}`);
        expect(found.toSorted()).toEqual(['a 3', 'b 3', 'c 3']);
      }),
    );
  });

  type Told = { readonly request?: string; readonly side?: boolean; readonly output: number; readonly speed?: string };
  const told = ({ request, side = false, output, speed }: Told) => {
    const usage = { input_tokens: 1, output_tokens: output, ...(speed !== undefined && { speed }) };
    const message = { id: 'm', model: 'x', stop_reason: 'end_turn', usage };
    const identity = {
      timestamp: '2026-01-02T00:00:00Z',
      isSidechain: side,
      ...(request !== undefined && { requestId: request }),
    };
    return parseClaudeCodeLine(JSON.stringify({ ...identity, message }), { file: 'f', line: 1 });
  };

  test.each<{ name: string; lines: readonly Told[]; outputs: readonly number[] }>([
    {
      name: 'the parent beats a larger replay',
      lines: [
        { request: 'r1', output: 5 },
        { request: 'r2', side: true, output: 9 },
      ],
      outputs: [5],
    },
    {
      name: 'the parent beats a replay that came first',
      lines: [
        { request: 'r2', side: true, output: 9 },
        { request: 'r1', output: 5 },
      ],
      outputs: [5],
    },
    {
      name: 'and again when it is repeated',
      lines: [
        { request: 'r2', side: true, output: 9 },
        { request: 'r1', output: 5 },
        { request: 'r1', output: 4 },
      ],
      outputs: [5],
    },
    {
      name: 'another request of the message is another call',
      lines: [
        { request: 'r1', output: 5 },
        { request: 'r2', output: 9 },
      ],
      outputs: [5, 9],
    },
    {
      name: 'the same request keeps the larger',
      lines: [
        { request: 'r1', output: 5 },
        { request: 'r1', output: 9 },
      ],
      outputs: [9],
    },
    {
      name: 'no request id is a request id of its own',
      lines: [{ output: 5 }, { output: 9 }, { request: 'r1', output: 1 }],
      outputs: [9, 1],
    },
  ])('$name', ({ lines: written, outputs }) => {
    const deduplicator = createCallDeduplicator();
    for (const one of written) add(deduplicator, told(one));
    expect(deduplicator.finish().map((call) => call.record.tokens.output)).toEqual(outputs);
  });

  test('of equal lines the one that tells its speed stays', () => {
    const deduplicator = createCallDeduplicator();
    for (const speed of [undefined, 'fast', undefined])
      add(deduplicator, told({ request: 'r', output: 1, ...(speed && { speed }) }));
    expect(deduplicator.finish().map((call) => call.record.speed)).toEqual(['fast']);
  });

  test('a hundred thousand requests of one message take linear time', () => {
    const parsed = line('a', 1);
    const deduplicator = createCallDeduplicator();
    const from = performance.now();
    for (let index = 0; index < 100_000; index++) {
      if (parsed.kind === 'call') deduplicator.add({ ...parsed.call, requestId: `r${index}` });
    }
    expect(deduplicator.finish()).toHaveLength(100_000);
    expect(performance.now() - from).toBeLessThan(3000);
  });
});
