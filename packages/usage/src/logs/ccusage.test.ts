import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { sharedData } from '../shared-data.test-support.ts';
import type { AgentCall, LogLine } from './agent-call.ts';
import { createCallDeduplicator } from './call-deduplicator.ts';
import { parseClaudeCodeLine } from './claude-code-line.ts';
import { createCodexReader } from './codex-session.ts';
import { createGeminiReader, parseGeminiChat } from './gemini-chat.ts';
import { parseOpencodeMessage } from './opencode-message.ts';

/**
 * Token totals against the reference importer, ccusage 20.0.24. Where this importer is right and the reference is not, the
 * difference is asserted by its own test at the end, with the reason in its name.
 */

const scratch = mkdtempSync(join(tmpdir(), 'ergon-ccusage-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const ccusage = installCcusage();

/** npm does not mark the binary executable, so a copy is run. */
function installCcusage(): string | undefined {
  try {
    const packageFile = createRequire(import.meta.url).resolve('@ccusage/ccusage-linux-x64/package.json');
    const copy = join(scratch, 'ccusage');
    copyFileSync(join(dirname(packageFile), 'bin', 'ccusage'), copy);
    chmodSync(copy, 0o755);
    return copy;
  } catch {
    console.warn(
      'ccusage is not installed (an optional dependency for Linux x64): the comparisons with it did NOT run',
    );
    return undefined;
  }
}

type Totals = { input: number; output: number; cacheRead: number; cacheWrite: number; all: number };

function reference(agent: string, variable: string, folder: string, report = 'daily'): Totals {
  const env = { HOME: join(scratch, 'no-home'), [variable]: folder };
  const json = execFileSync(ccusage ?? '', [agent, report, '--json', '--offline', '--timezone', 'UTC'], {
    env,
    encoding: 'utf8',
  });
  const { totals } = JSON.parse(json);
  return {
    input: totals.inputTokens ?? 0,
    output: totals.outputTokens ?? 0,
    cacheRead: totals.cacheReadTokens ?? 0,
    cacheWrite: totals.cacheCreationTokens ?? 0,
    all: totals.totalTokens ?? 0,
  };
}

/** Our disjoint classes in the reference's words, which count reasoning as output for some agents and beside it for others. */
function ours(calls: readonly AgentCall[], reasoning: 'in output' | 'in total only'): Totals {
  const sums = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, all: 0 };
  for (const { record } of calls) {
    const { tokens } = record;
    const thought = tokens.reasoning ?? 0;
    sums.input += (tokens.input ?? 0) + (tokens.tool_use ?? 0);
    sums.output += (tokens.output ?? 0) + (tokens.hidden_output ?? 0) + (reasoning === 'in output' ? thought : 0);
    sums.cacheRead += tokens.cache_read ?? 0;
    sums.cacheWrite += (tokens.cache_write_5m ?? 0) + (tokens.cache_write_1h ?? 0);
    sums.all += thought;
  }
  const beside = reasoning === 'in output' ? 0 : sums.all;
  return { ...sums, all: sums.input + sums.output + sums.cacheRead + sums.cacheWrite + beside };
}

function callsOf(lines: Iterable<LogLine>): readonly AgentCall[] {
  const deduplicator = createCallDeduplicator();
  for (const line of lines) if (line.kind === 'call') deduplicator.add(line.call);
  return deduplicator.finish();
}

type Files = { readonly [path: string]: readonly object[] };

function writeFiles(files: Files): string {
  const folder = mkdtempSync(join(scratch, 'logs-'));
  for (const [path, entries] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), entries.map((entry) => `${JSON.stringify(entry)}\n`).join(''));
  }
  return folder;
}

/** The same fixtures on every run. */
const SEEDED = { seed: 20_261_121, numRuns: 40 };

const tokens = fc.nat(300_000);
const second = fc.nat(59).map((value) => String(value).padStart(2, '0'));

const claudeLines = fc.array(
  fc.record({
    message: fc.constantFrom('msg_1', 'msg_2', 'msg_3', 'msg_4', undefined, ''),
    request: fc.constantFrom('req_1', 'req_2', undefined, ''),
    isSidechain: fc.constantFrom(false, false, true),
    version: fc.constantFrom('2.1.29', '2.1.30-beta.1', 'dev', undefined),
    model: fc.constantFrom('claude-opus-4-6', 'claude-haiku-4-5-20251001', '<synthetic>'),
    nulled: fc.constantFrom('none', 'none', 'none', 'none', 'speed', 'requestId', 'cwd', 'cache_read_input_tokens'),
    speed: fc.constantFrom('fast', 'standard', undefined),
    isProgress: fc.constantFrom(false, false, true),
    second,
    input: tokens,
    output: tokens,
    read: tokens,
    write5m: tokens,
    write1h: tokens,
  }),
  { minLength: 1, maxLength: 40 },
);

type ClaudeLine = typeof claudeLines extends fc.Arbitrary<(infer Line)[]> ? Line : never;

function claudeLine(line: ClaudeLine): object {
  const nulled = (name: string, value: unknown) => ({ [name]: line.nulled === name ? null : value });
  const message = {
    ...(line.message !== undefined && { id: line.message }),
    model: line.model,
    role: 'assistant',
    stop_reason: 'end_turn',
    content: [{ type: 'text', text: 'a "usage" of {"id":1}' }],
    usage: {
      input_tokens: line.input,
      cache_creation_input_tokens: line.write5m + line.write1h,
      ...nulled('cache_read_input_tokens', line.read),
      cache_creation: { ephemeral_5m_input_tokens: line.write5m, ephemeral_1h_input_tokens: line.write1h },
      output_tokens: line.output,
      ...nulled('speed', line.speed),
    },
  };
  const timestamp = `2026-02-03T04:05:${line.second}.000Z`;
  const request =
    line.nulled === 'requestId' ? { requestId: null } : line.request === undefined ? {} : { requestId: line.request };
  const outer = { sessionId: 's1', isSidechain: line.isSidechain, ...nulled('cwd', '/w'), version: line.version };
  if (!line.isProgress) return { ...outer, type: 'assistant', timestamp, ...request, message };
  return {
    ...outer,
    type: 'progress',
    timestamp,
    data: { type: 'agent_progress', agentId: 'a1', message: { type: 'assistant', timestamp, ...request, message } },
  };
}

function* claudeCalls(files: Files): Iterable<LogLine> {
  for (const [file, entries] of Object.entries(files)) {
    for (const [index, entry] of entries.entries())
      yield parseClaudeCodeLine(JSON.stringify(entry), { file, line: index });
  }
}

function checkClaude(first: readonly ClaudeLine[], again: readonly ClaudeLine[], report: string): void {
  const files = {
    'projects/p/a.jsonl': first.map(claudeLine),
    'projects/p/b/subagents/c.jsonl': again.map(claudeLine),
  };
  const folder = writeFiles(files);
  const expected = reference('claude', 'CLAUDE_CONFIG_DIR', folder, report);
  expect(ours(callsOf(claudeCalls(files)), 'in output')).toEqual(expected);
}

test.runIf(ccusage !== undefined)(
  'Claude Code: duplicates, sidechains that replay, subagents in progress lines, nulls, odd versions',
  () => {
    const requested = (line: ClaudeLine) => ({ ...line, request: line.request ?? 'req_1' });
    const check = (first: ClaudeLine[], again: ClaudeLine[]) =>
      checkClaude(first.map(requested), again.map(requested), 'daily');
    fc.assert(fc.property(claudeLines, claudeLines, check), SEEDED);
  },
);

// Bedrock and Vertex give no request id. The daily report then takes the lines of one message for several calls.
test.runIf(ccusage !== undefined)('Claude Code: lines without a request id, as the session report reads them', () => {
  const check = (first: ClaudeLine[], again: ClaudeLine[]) =>
    checkClaude(first.map(plain), again.map(plain), 'session');
  const plain = (line: ClaudeLine) => ({ ...line, isSidechain: false, isProgress: false });
  fc.assert(fc.property(claudeLines, claudeLines, check), SEEDED);
});

test.runIf(ccusage !== undefined)('Claude Code: the six real sessions', () => {
  const sessions = join(sharedData('entire-cli-agent-sessions'), 'raw_claude_code_jsonl_stripped');
  const folder = mkdtempSync(join(scratch, 'real-'));
  mkdirSync(join(folder, 'projects', 'p'), { recursive: true });
  const lines: LogLine[] = [];
  for (const file of readdirSync(sessions)) {
    const text = gunzipSync(readFileSync(join(sessions, file))).toString();
    writeFileSync(join(folder, 'projects', 'p', file.replace('.gz', '')), text);
    for (const [index, line] of text.split('\n').entries())
      lines.push(parseClaudeCodeLine(line, { file, line: index + 1 }));
  }
  expect(ours(callsOf(lines), 'in output')).toEqual(reference('claude', 'CLAUDE_CONFIG_DIR', folder));
});

/** A session as Codex writes it: cumulative totals, some counts re-sent, some without `last_token_usage`. */
const codexSessions = fc.record({
  model: fc.constantFrom('gpt-5.1-codex', 'gpt-5', 'codex-auto-review', undefined),
  isSpawned: fc.boolean(),
  replayed: fc.nat(3),
  day: fc.constantFrom('2026-01-02', '2025-10-01', '2026-04-30'),
  calls: fc.array(
    fc.record({
      cached: tokens,
      fresh: tokens.map((count) => count + 1),
      visible: tokens,
      reasoning: tokens,
      hasLast: fc.constantFrom(true, true, false),
      isResent: fc.boolean(),
    }),
    { minLength: 1, maxLength: 8 },
  ),
});

type CodexSession = typeof codexSessions extends fc.Arbitrary<infer Session> ? Session : never;

function codexEntries({ model, isSpawned, replayed, day, calls }: CodexSession): object[] {
  const spawn = isSpawned && { source: { subagent: { thread_spawn: { parent_thread_id: 'p1' } } } };
  const at = (time: string) => ({ timestamp: `${day}T${time}Z` });
  const entries: object[] = [
    { ...at('00:00:00.000'), type: 'session_meta', payload: { id: 's1', cwd: '/w', ...spawn } },
  ];
  if (model !== undefined) entries.push({ ...at('00:00:00.001'), type: 'turn_context', payload: { model } });
  const sum = {
    input_tokens: 0,
    cached_input_tokens: 0,
    output_tokens: 0,
    reasoning_output_tokens: 0,
    total_tokens: 0,
  };
  for (const [index, call] of calls.entries()) {
    const last = {
      input_tokens: call.cached + call.fresh,
      cached_input_tokens: call.cached,
      output_tokens: call.visible + call.reasoning,
      reasoning_output_tokens: call.reasoning,
      total_tokens: call.cached + call.fresh + call.visible + call.reasoning,
    };
    sum.input_tokens += last.input_tokens;
    sum.cached_input_tokens += last.cached_input_tokens;
    sum.output_tokens += last.output_tokens;
    sum.reasoning_output_tokens += last.reasoning_output_tokens;
    sum.total_tokens += last.total_tokens;
    const isReplayed = isSpawned && index < replayed;
    const info = { total_token_usage: { ...sum }, ...(call.hasLast && { last_token_usage: last }) };
    const time = isReplayed ? `00:00:0${1 + index}.${200 - index}` : `00:01:${10 + 5 * index}.000`;
    const entry = { ...at(time), type: 'event_msg', payload: { type: 'token_count', info } };
    entries.push(entry);
    if (call.isResent && !isReplayed) entries.push({ ...entry, ...at(`00:01:${12 + 5 * index}.500`) });
  }
  return entries;
}

function* codexCalls(files: Files): Iterable<LogLine> {
  for (const [file, entries] of Object.entries(files)) {
    const reader = createCodexReader({ sessionId: file, modifiedAt: '2026-05-01T00:00:00Z' });
    for (const entry of entries) yield* reader.add(JSON.stringify(entry));
    yield* reader.finish();
  }
}

test.runIf(ccusage !== undefined)('Codex: cumulative totals, repeats, spawned sessions and copied histories', () => {
  const check = (first: CodexSession, other: CodexSession) => {
    const files = {
      'sessions/2026/01/02/rollout-a.jsonl': codexEntries(first),
      'sessions/2026/01/03/rollout-b.jsonl': codexEntries(other),
      'sessions/2026/01/04/rollout-copy-of-a.jsonl': codexEntries(first),
    };
    const folder = writeFiles(files);
    expect(ours(callsOf(codexCalls(files)), 'in output')).toEqual(reference('codex', 'CODEX_HOME', folder));
  };
  fc.assert(fc.property(codexSessions, codexSessions, check), SEEDED);
});

const geminiMessages = fc.array(
  fc.record({
    id: fc.constantFrom('1', '2', '3', undefined),
    isInside: fc.boolean(),
    fresh: tokens,
    cached: tokens,
    output: tokens,
    thoughts: tokens,
    tool: tokens,
  }),
  { minLength: 1, maxLength: 8 },
);

test.runIf(ccusage !== undefined)('Gemini CLI: cache inside or beside the input, messages written again', () => {
  fc.assert(
    fc.property(geminiMessages, (messages) => {
      const entries = messages.map(({ id, isInside, fresh, cached, output, thoughts, tool }) => ({
        ...(id !== undefined && { id }),
        type: 'gemini',
        timestamp: '2026-01-02T00:00:00Z',
        model: 'gemini-2.5-pro',
        tokens: {
          input: isInside ? fresh + cached : fresh,
          output,
          cached,
          thoughts,
          tool,
          total: fresh + cached + output + thoughts + tool,
        },
      }));
      const folder = writeFiles({ 'tmp/h/chats/session-1.jsonl': [{ sessionId: 'g1', kind: 'main' }, ...entries] });
      const reader = createGeminiReader({ sessionId: 'g1', modifiedAt: '2026-01-01T00:00:00Z' });
      const lines = [...entries.flatMap((entry) => reader.add(JSON.stringify(entry))), ...reader.finish()];
      const calls = lines.flatMap((line) => (line.kind === 'call' ? [line.call] : []));
      expect(ours(calls, 'in total only')).toEqual(reference('gemini', 'GEMINI_DATA_DIR', folder));
    }),
    SEEDED,
  );
});

test.runIf(ccusage !== undefined)('opencode: five disjoint figures', () => {
  const figures = fc.record({ input: tokens, output: tokens, reasoning: tokens, read: tokens, write: tokens });
  fc.assert(
    fc.property(fc.array(figures, { minLength: 1, maxLength: 5 }), (messages) => {
      const entries = messages.map(({ input, output, reasoning, read, write }, index) => ({
        id: `m${index}`,
        sessionID: 's1',
        role: 'assistant',
        providerID: 'anthropic',
        modelID: 'claude-sonnet-4-5',
        time: { created: 1_767_312_000_000 },
        tokens: { input, output, reasoning, cache: { read, write } },
        cost: 0,
      }));
      const folder = writeFiles(
        Object.fromEntries(entries.map((entry) => [`storage/message/s1/${entry.id}.json`, [entry]])),
      );
      const calls = callsOf(entries.map((entry) => parseOpencodeMessage({ data: JSON.stringify(entry) })));
      expect(ours(calls, 'in total only')).toEqual(reference('opencode', 'OPENCODE_DATA_DIR', folder));
    }),
    SEEDED,
  );
});

/** Deliberate differences: what the reference counts, what we count, and why. */
test.runIf(ccusage !== undefined)(
  'differs: a message without a request id written on two lines is one call, not two',
  () => {
    const files = ['01', '02'].map((second) => claudeLine({ ...base, request: undefined, second }));
    expect(claudeDaily(files)).toEqual({ ours: 30, reference: 60 });
  },
);

test.runIf(ccusage !== undefined)('differs: a null inside a tool call is no reason to drop the call', () => {
  const line = claudeLine(base);
  const files = [{ ...line, toolUseResult: { id: null } }];
  expect(claudeDaily(files)).toEqual({ ours: 30, reference: 0 });
});

test.runIf(ccusage !== undefined)('differs: the sums at the end of a chat repeat its messages', () => {
  const figures = { input: 10, output: 1, cached: 0, thoughts: 0, tool: 0, total: 11 };
  const message = {
    id: '1',
    type: 'gemini',
    timestamp: '2026-01-02T00:00:00Z',
    model: 'gemini-2.5-pro',
    tokens: figures,
  };
  const sums = { models: { 'gemini-2.5-pro': { tokens: { prompt: 10, candidates: 1, total: 11 } } } };
  const entries = [{ sessionId: 'g1', kind: 'main' }, message, { timestamp: '2026-01-02T00:00:01Z', stats: sums }];
  const folder = writeFiles({ 'tmp/h/chats/session-1.jsonl': entries });
  const count = (lines: readonly object[]) => {
    const reader = createGeminiReader({ sessionId: 'g1', modifiedAt: '2026-01-01T00:00:00Z' });
    const found = [...lines.flatMap((line) => reader.add(JSON.stringify(line))), ...reader.finish()];
    return ours(callsOf(found), 'in total only').all;
  };
  expect({ ours: count(entries), reference: reference('gemini', 'GEMINI_DATA_DIR', folder).all }).toEqual({
    ours: 11,
    reference: 22,
  });
  // Where there are no messages, the sums are all there is.
  expect(count(entries.filter((entry) => entry !== message))).toBe(11);
});

const base: ClaudeLine = {
  message: 'msg_1',
  request: 'req_1',
  isSidechain: false,
  version: '2.1.29',
  model: 'claude-opus-4-6',
  nulled: 'none',
  speed: undefined,
  isProgress: false,
  second: '01',
  input: 10,
  output: 20,
  read: 0,
  write5m: 0,
  write1h: 0,
};

function claudeDaily(entries: readonly object[]): { ours: number; reference: number } {
  const files = { 'projects/p/a.jsonl': entries };
  const folder = writeFiles(files);
  return {
    ours: ours(callsOf(claudeCalls(files)), 'in output').all,
    reference: reference('claude', 'CLAUDE_CONFIG_DIR', folder).all,
  };
}

test('the golden messages of the reference', () => {
  const chat = JSON.stringify({
    sessionId: 'g',
    messages: [
      {
        id: '1',
        type: 'gemini',
        timestamp: '2026-01-02T00:00:00Z',
        model: 'gemini-2.5-pro',
        tokens: { input: 15327, output: 23, cached: 11526, thoughts: 919, tool: 7, total: 16276 },
      },
    ],
  });
  const [gemini] = parseGeminiChat(chat, { sessionId: 'g', modifiedAt: '2026-01-01T00:00:00Z' });
  expect(gemini).toMatchObject({
    call: {
      record: {
        tokens: { input: 3801, tool_use: 7, cache_read: 11526, output: 23, reasoning: 919 },
        quality: 'reported',
      },
    },
  });
  const opencode = {
    id: 'm',
    providerID: 'anthropic',
    modelID: 'claude-sonnet-4-5',
    time: { created: 1_767_312_000_000 },
  };
  const tokens = { input: 100, output: 50, reasoning: 20, cache: { read: 10, write: 20 } };
  expect(parseOpencodeMessage({ data: JSON.stringify({ ...opencode, tokens }) })).toMatchObject({
    call: { record: { tokens: { input: 100, output: 50, reasoning: 20, cache_read: 10, cache_write_5m: 20 } } },
  });
});
