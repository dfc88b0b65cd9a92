import { expect, test } from 'vitest';
import { collect } from '../../collect.test-support.ts';
import { claudeCode } from './claude-code.ts';
import { noNotes, readAgentLogs } from './read-agent-logs.ts';

const NOW = Date.parse('2026-03-01T00:00:00Z');

type Line = {
  message: string;
  request: string;
  output: number;
  at?: string;
  stop?: string | null;
  session?: string;
  model?: string;
  sidechain?: boolean;
};

function line({ message, request, output, at, stop, session, model, sidechain }: Line): string {
  return JSON.stringify({
    type: 'assistant',
    sessionId: session ?? 's1',
    version: '2.1.29',
    cwd: '/w',
    gitBranch: 'main',
    isSidechain: sidechain ?? false,
    timestamp: at ?? '2026-02-01T10:00:00.000Z',
    requestId: request,
    message: {
      id: message,
      model: model ?? 'claude-opus-4-6',
      stop_reason: stop ?? null,
      usage: { input_tokens: 3, output_tokens: output },
    },
  });
}

async function read(files: Readonly<Record<string, readonly string[]>>, fixed = {}) {
  const notes = noNotes();
  const items = await collect(
    readAgentLogs(
      {
        agent: claudeCode,
        files: Object.keys(files).map((relativePath) => ({ path: relativePath, relativePath })),
        access: {
          open: async function* (file) {
            yield Buffer.from((files[file.path] ?? []).join('\n'));
          },
          modifiedAt: () => '2026-02-01T00:00:00.000Z',
          skip: () => undefined,
        },
        customer: 'eng',
        fixed,
        nowMs: NOW,
      },
      notes,
    ),
  );
  const events = items.flatMap((item) => (item.kind === 'event' ? [JSON.parse(item.line)] : []));
  return { items, events, notes };
}

test('a call of many lines and files is one event, with the largest output, the raw usage and its attribution', async () => {
  const lines = [
    line({ message: 'm1', request: 'r1', output: 1 }),
    line({ message: 'm1', request: 'r1', output: 104, at: '2026-02-01T10:00:02.000Z' }),
    line({ message: 'm2', request: 'r2', output: 7, stop: 'end_turn' }),
    '{"type":"user"}',
  ];
  const { events, notes } = await read(
    { 'p/a.jsonl': lines, 'p/copy.jsonl': lines },
    { user: 'ada', properties: { cost_center: '7' } },
  );
  expect(notes).toEqual({ usageLines: 6, calls: 2, synthetic: 0, unfinished: 0 });
  expect(events[0]).toEqual({
    specversion: '1.0',
    id: 'm1:r1',
    source: 'claude-code',
    type: 'llm.call',
    subject: 'eng',
    time: '2026-02-01T10:00:02.000Z',
    data: {
      provider: 'anthropic',
      api: 'messages',
      model: 'claude-opus-4-6',
      usage: { input_tokens: 3, output_tokens: 104 },
      quality: 'lower_bound',
      agent: 'claude-code',
      run_id: 's1',
      user: 'ada',
      properties: { session_id: 's1', cwd: '/w', git_branch: 'main', version: '2.1.29', cost_center: '7' },
    },
  });
  expect(events[1]).toMatchObject({ id: 'm2:r2', data: { quality: 'reported' } });
});

test('the body of an event does not depend on which other files are there', async () => {
  const a = [line({ message: 'm1', request: 'r1', output: 4 }), line({ message: 'm2', request: 'r2', output: 5 })];
  const b = [line({ message: 'm2', request: 'r2', output: 5 }), line({ message: 'm3', request: 'r3', output: 6 })];
  const alone = await read({ 'a.jsonl': a });
  const together = await read({ 'a.jsonl': a, 'b.jsonl': b });
  const reversed = await read({ 'b.jsonl': b, 'a.jsonl': a });
  expect(together.events).toEqual(expect.arrayContaining(alone.events));
  expect(reversed.events).toEqual(expect.arrayContaining(together.events));
});

test('a sidechain that replays its parent under a new request is not counted', async () => {
  const { events } = await read({
    'a.jsonl': [line({ message: 'm1', request: 'r1', output: 4 })],
    'agent.jsonl': [
      line({ message: 'm1', request: 'r9', output: 4, sidechain: true }),
      line({ message: 'm5', request: 'r5', output: 1, sidechain: true }),
    ],
  });
  expect(events.map((event) => event.id)).toEqual(['m1:r1', 'm5:r5']);
});

test('a call that may still be running waits for the next import; one with a stop reason does not', async () => {
  const at = '2026-02-28T23:58:00.000Z';
  const { events, notes } = await read({
    'a.jsonl': [
      line({ message: 'm1', request: 'r1', output: 1, at }),
      line({ message: 'm2', request: 'r2', output: 9, at, stop: 'end_turn' }),
    ],
  });
  expect(events.map((event) => event.id)).toEqual(['m2:r2']);
  expect(notes.unfinished).toBe(1);
});

test('what Claude Code wrote itself is no call; a broken line is told', async () => {
  const { items, events, notes } = await read({
    'a.jsonl': [
      line({ message: 'm1', request: 'r1', output: 0, model: '<synthetic>' }),
      '{"message":{"usage":{"inp',
      line({ message: 'm2', request: 'r2', output: 2 }),
    ],
  });
  expect(notes).toMatchObject({ synthetic: 1, calls: 1 });
  expect(events).toHaveLength(1);
  expect(items[0]).toEqual({
    kind: 'problem',
    place: 'a.jsonl:2',
    detail: 'a line with usage that is not JSON (cut off?)',
  });
});
