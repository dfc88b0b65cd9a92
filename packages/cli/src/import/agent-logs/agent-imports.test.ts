import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runOnce, startTestErgon, TEST_KEY, type TestErgon } from '../../ergon.test-support.ts';
import { EXIT_CODE } from '../../exit-code.ts';

/** The logs of every agent, as each writes them, from the home directory through the command line into the service. */

const home = mkdtempSync(join(tmpdir(), 'ergon-agents-'));
let ergon: TestErgon;
beforeAll(async () => {
  ergon = await startTestErgon();
  for (const [path, lines] of Object.entries(LOGS)) {
    mkdirSync(dirname(join(home, path)), { recursive: true });
    writeFileSync(join(home, path), lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  }
  writeOpencodeDatabase(join(home, '.local/share/opencode/opencode.db'));
});
afterAll(async () => {
  await ergon.stop();
  rmSync(home, { recursive: true, force: true });
});

const day = '2026-11-02T10:00';

const codexCount = (second: number, input: number, cached: number, output: number, reasoning: number) => ({
  timestamp: `${day}:${second}.000Z`,
  type: 'event_msg',
  payload: {
    type: 'token_count',
    info: {
      last_token_usage: {
        input_tokens: input,
        cached_input_tokens: cached,
        output_tokens: output,
        reasoning_output_tokens: reasoning,
        total_tokens: input + output,
      },
    },
  },
});
const codexHead = (id: string, more = {}) => ({
  timestamp: `${day}:00.000Z`,
  type: 'session_meta',
  payload: {
    id,
    cwd: '/w/shop',
    cli_version: '0.63.0',
    git: { branch: 'feat/pay', commit_hash: 'abc1', repository_url: 'git@example.com:shop.git' },
    ...more,
  },
});
const codexModel = { timestamp: `${day}:01.000Z`, type: 'turn_context', payload: { model: 'gpt-5.1-codex' } };
const opencodeMessage = (id: string, input: number, session: string) => ({
  id,
  sessionID: session,
  role: 'assistant',
  providerID: 'anthropic',
  modelID: 'claude-sonnet-4-5',
  time: { created: Date.parse(`${day}:00Z`), completed: Date.parse(`${day}:09Z`) },
  path: { cwd: '/w/shop' },
  tokens: { input, output: 50, reasoning: 20, cache: { read: 10, write: 20 } },
  cost: 0.25,
});

const LOGS: Readonly<Record<string, readonly object[]>> = {
  '.codex/sessions/2026/11/02/rollout-a.jsonl': [
    codexHead('thread-a'),
    codexModel,
    codexCount(10, 1_000, 600, 300, 100),
    codexCount(20, 1_500, 900, 200, 50),
  ],
  // Archived, and gone on with: its first two counts are those of the session above.
  '.codex/archived_sessions/rollout-b.jsonl': [
    codexHead('thread-b'),
    codexModel,
    codexCount(10, 1_000, 600, 300, 100),
    codexCount(20, 1_500, 900, 200, 50),
    codexCount(40, 70, 0, 7, 0),
  ],
  '.codex/sessions/2026/11/02/rollout-child.jsonl': [
    codexHead('thread-child', { source: { subagent: { thread_spawn: { parent_thread_id: 'thread-a' } } } }),
    codexModel,
    codexCount(30, 90, 0, 9, 0),
    codexCount(50, 80, 0, 8, 0),
  ],
  '.gemini/tmp/h1/chats/session-1.jsonl': [
    { sessionId: 'g1', projectHash: 'h1', kind: 'main' },
    ...[5, 23].map((output) => ({
      id: '1',
      type: 'gemini',
      timestamp: `${day}:00Z`,
      model: 'gemini-2.5-pro',
      tokens: { input: 15_327, output, cached: 11_526, thoughts: 919, tool: 7, total: 15_327 + output + 919 + 7 },
    })),
    // The sum at the end repeats what the messages have told.
    {
      timestamp: `${day}:30Z`,
      stats: { models: { 'gemini-2.5-pro': { tokens: { prompt: 15_327, candidates: 23 } } } },
    },
  ],
  // Ids are unique within a chat only.
  '.gemini/tmp/h2/chats/session-2.json': [
    {
      sessionId: 'g2',
      projectHash: 'h2',
      messages: [
        { id: '1', type: 'user', content: 'x' },
        {
          id: '1',
          type: 'gemini',
          timestamp: `${day}:00Z`,
          model: 'gemini-2.5-flash',
          tokens: { input: 100, output: 10, cached: 0, thoughts: 0, tool: 0, total: 110 },
        },
      ],
    },
  ],
  '.gemini/tmp/h1/logs.json': [{ sessionId: 'g1', messageId: 0, type: 'user', message: 'x' }],
  // In the database as well, with other figures: the database counts.
  '.local/share/opencode/storage/message/ses_1/msg_1.json': [opencodeMessage('msg_1', 999_999, 'ses_1')],
  '.local/share/opencode/storage/message/ses_old/msg_old.json': [opencodeMessage('msg_old', 40, 'ses_old')],
  '.local/share/opencode/storage/session/p/ses_old.json': [{ id: 'ses_old', parentID: 'ses_1' }],
  '.copilot/otel/spans.jsonl': [
    {
      type: 'span',
      name: 'chat gpt-5',
      traceId: 't1',
      spanId: 's1',
      endTime: `${day}:00Z`,
      attributes: {
        'gen_ai.operation.name': 'chat',
        'gen_ai.request.model': 'gpt-5',
        'gen_ai.response.id': 'resp_1',
        'gen_ai.conversation.id': 'conversation-1',
        'gen_ai.usage.input_tokens': 500,
        'gen_ai.usage.output_tokens': 60,
        'gen_ai.usage.cache_read.input_tokens': 400,
        'github.copilot.git.branch': 'main',
      },
    },
    {
      name: 'invoke_agent copilot',
      traceId: 't1',
      spanId: 's0',
      endTime: `${day}:01Z`,
      attributes: {
        'gen_ai.operation.name': 'invoke_agent',
        'gen_ai.usage.input_tokens': 500,
        'gen_ai.usage.output_tokens': 60,
      },
    },
  ],
};

function writeOpencodeDatabase(path: string): void {
  const database = new DatabaseSync(path);
  database.exec(`pragma journal_mode = wal;
    create table session (id text primary key, parent_id text);
    create table message (id text primary key, session_id text, data text)`);
  const session = database.prepare('insert into session values (?, ?)');
  session.run('ses_1', null);
  session.run('ses_2', 'ses_1');
  const message = database.prepare('insert into message values (?, ?, ?)');
  message.run('msg_1', 'ses_1', JSON.stringify(opencodeMessage('msg_1', 100, 'ses_1')));
  message.run('msg_2', 'ses_2', JSON.stringify(opencodeMessage('msg_2', 30, 'ses_2')));
  message.run('msg_user', 'ses_1', JSON.stringify({ role: 'user' }));
  database.close();
}

type Case = { agent: string; calls: number; tokens: Readonly<Record<string, string>> };

const cases: readonly Case[] = [
  {
    agent: 'codex',
    calls: 5,
    tokens: { input_tokens: '1240', cache_read_tokens: '1500', output_tokens: '374', reasoning_tokens: '150' },
  },
  {
    agent: 'gemini-cli',
    calls: 2,
    tokens: {
      input_tokens: '3901',
      tool_use_tokens: '7',
      cache_read_tokens: '11526',
      output_tokens: '33',
      reasoning_tokens: '919',
    },
  },
  {
    agent: 'opencode',
    calls: 3,
    tokens: {
      input_tokens: '170',
      cache_read_tokens: '30',
      cache_write_5m_tokens: '60',
      output_tokens: '150',
      reasoning_tokens: '60',
    },
  },
  { agent: 'copilot', calls: 1, tokens: { input_tokens: '100', cache_read_tokens: '400', output_tokens: '60' } },
];

const surroundings = () => ({ homeDir: home, env: { ERGON_URL: ergon.url, ERGON_API_KEY: TEST_KEY } });

test.each(cases)('$agent: every call once, found where the agent keeps its logs', async ({ agent, calls, tokens }) => {
  const customer = `team-${agent}`;
  const importAgain = async () => {
    const { code, out } = await ergon.runWith(surroundings(), 'import', agent, '--customer', customer, '--json');
    const { accepted, duplicates, conflicts, rejected, unreadable } = JSON.parse(out);
    return { code, accepted, duplicates, conflicts, rejected, unreadable };
  };
  const none = { code: EXIT_CODE.ok, accepted: 0, duplicates: 0, conflicts: 0, rejected: 0, unreadable: 0 };
  expect(await importAgain()).toEqual({ ...none, accepted: calls });
  for (const [meter, value] of Object.entries({ requests: String(calls), ...tokens })) {
    const { out } = await ergon.run('usage', '--meter', meter, '--customer', customer, '--json');
    const rows: { value: string }[] = JSON.parse(out).rows;
    expect([meter, rows.map((row) => row.value)]).toEqual([meter, [value]]);
  }
  expect(await importAgain()).toEqual({ ...none, duplicates: calls });
});

async function recorded(agent: string, id: string) {
  const { out } = await ergon.run('explain', agent, id, '--json');
  return JSON.parse(out).event.data;
}

test('what it takes to attribute a call later is kept', async () => {
  for (const { agent } of cases) {
    await ergon.runWith(surroundings(), 'import', agent, '--customer', `team-${agent}`, '--set', 'user=ada');
  }
  const codexId = `${day}:50.000Z:gpt-5.1-codex:80:0:8:0:88`;
  expect(await recorded('codex', codexId)).toMatchObject({
    agent: 'codex',
    run_id: 'thread-child',
    parent_run_id: 'thread-a',
    properties: {
      cwd: '/w/shop',
      git_branch: 'feat/pay',
      git_commit: 'abc1',
      repository: 'git@example.com:shop.git',
      version: '0.63.0',
    },
  });
  expect(await recorded('gemini-cli', 'g1:1')).toMatchObject({ run_id: 'g1', properties: { project: 'h1' } });
  expect(await recorded('opencode', 'msg_2')).toMatchObject({
    run_id: 'ses_2',
    parent_run_id: 'ses_1',
    properties: { cwd: '/w/shop', reported_cost_usd: '0.25' },
  });
  expect(await recorded('opencode', 'msg_old')).toMatchObject({ run_id: 'ses_old', parent_run_id: 'ses_1' });
  expect(await recorded('copilot', 't1:s1')).toMatchObject({
    run_id: 'conversation-1',
    properties: { git_branch: 'main' },
  });
});

test('a dry run of everything needs no server, no customer, and says what each agent used', async () => {
  const { code, out, error } = await runOnce({ homeDir: home, env: {} }, ['import', '--dry-run', '--json']);
  expect({ code, error }).toEqual({ code: EXIT_CODE.ok, error: '' });
  const { sources } = JSON.parse(out);
  const calls = Object.fromEntries(sources.map((one: { agent: string; calls: number }) => [one.agent, one.calls]));
  expect(calls).toEqual({ 'claude-code': 0, codex: 5, 'gemini-cli': 2, opencode: 3, copilot: 1 });
  const text = await runOnce({ homeDir: home, env: {} }, ['import', '--dry-run']);
  expect(text.out).toMatch(/^codex +3 +5 +2026-11-02 +2026-11-02 +1,240 +0 +1,500 +524 /m);
  expect(text.out).toContain(`claude-code  ${home}/.config/claude/projects, ${home}/.claude/projects`);
});

test('a dry run on a machine without logs says where it looked', async () => {
  const { code, out } = await runOnce({ homeDir: '/nowhere', env: {} }, ['import', '--dry-run']);
  expect(code).toBe(EXIT_CODE.ok);
  for (const place of [
    '/nowhere/.claude/projects',
    '/nowhere/.codex/sessions',
    '/nowhere/.gemini/tmp',
    '/nowhere/.local/share/opencode',
    '/nowhere/.copilot/otel',
  ]) {
    expect(out).toContain(place);
  }
});

test.each([
  { argv: ['import'], message: 'say what to import' },
  { argv: ['import', 'codex'], message: 'no customer' },
  { argv: ['import', 'codex', '/nowhere', '--customer', 'a'], message: 'there is nothing at /nowhere' },
  { argv: ['import', 'codex', '--customer', 'a', '--set', 'tokens.input=5'], message: 'the log gives this' },
])('$argv is refused: $message', async ({ argv, message }) => {
  const { code, error } = await runOnce({ homeDir: home, env: {} }, argv);
  expect(code).toBe(EXIT_CODE.usage);
  expect(error).toContain(message);
});

test('a call that may still be written waits for the next import', async () => {
  const nowMs = () => Date.parse(`${day}:00Z`) + 60_000;
  const dry = ['import', 'gemini-cli', '--dry-run', '--json'];
  const { out } = await runOnce({ homeDir: home, env: {}, nowMs }, dry);
  expect(JSON.parse(out)).toMatchObject({
    events: 0,
    notes: expect.arrayContaining([expect.stringContaining('2 calls of the last five minutes')]),
  });
});

test('a database that is none is told and stops nothing', async () => {
  const path = join(home, 'broken.db');
  writeFileSync(path, 'this is no database, however long it is read'.repeat(100));
  const { code, out } = await runOnce({ homeDir: home, env: {} }, ['import', 'opencode', path, '--dry-run', '--json']);
  expect(code).toBe(EXIT_CODE.partial);
  expect(JSON.parse(out).issues[0]).toContain('the database cannot be read');
});
