import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { AGENTS } from './agents.ts';
import { claudeCode } from './claude-code.ts';
import { findLogs } from './find-logs.ts';

const home = mkdtempSync(join(tmpdir(), 'ergon-logs-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

function write(path: string): void {
  mkdirSync(join(home, path, '..'), { recursive: true });
  writeFileSync(join(home, path), '');
}

const places: readonly { agent: string; env: Record<string, string>; expected: readonly string[] }[] = [
  { agent: 'claude-code', env: {}, expected: ['/h/.config/claude/projects', '/h/.claude/projects'] },
  {
    agent: 'claude-code',
    env: { CLAUDE_CONFIG_DIR: '/x, y ,/z/projects' },
    expected: ['/x/projects', '/w/y/projects', '/z/projects'],
  },
  { agent: 'codex', env: {}, expected: ['/h/.codex/sessions', '/h/.codex/archived_sessions'] },
  { agent: 'codex', env: { CODEX_HOME: 'c' }, expected: ['/w/c/sessions', '/w/c/archived_sessions'] },
  { agent: 'gemini-cli', env: {}, expected: ['/h/.gemini/tmp'] },
  { agent: 'gemini-cli', env: { GEMINI_DATA_DIR: '/g' }, expected: ['/g/tmp'] },
  { agent: 'opencode', env: {}, expected: ['/h/.local/share/opencode'] },
  { agent: 'opencode', env: { XDG_DATA_HOME: '/d' }, expected: ['/d/opencode'] },
  { agent: 'opencode', env: { OPENCODE_DATA_DIR: '/o' }, expected: ['/o'] },
  { agent: 'copilot', env: {}, expected: ['/h/.copilot/otel'] },
  {
    agent: 'copilot',
    env: { COPILOT_HOME: '/c', COPILOT_OTEL_FILE_EXPORTER_PATH: 'out.jsonl' },
    expected: ['/w/out.jsonl', '/c/otel'],
  },
];

test.each(places)('$agent is looked for at $expected', ({ agent, env, expected }) => {
  const found = AGENTS.find((one) => one.name === agent)?.places({ env, homeDir: '/h', cwd: '/w' });
  expect(found).toEqual(expected);
});

test('logs are found at any depth, plain or compressed, in one order for both places', () => {
  for (const path of [
    '.claude/projects/b/s2.jsonl',
    '.claude/projects/a/s1/sub/agent.jsonl.gz',
    '.claude/projects/a/notes.txt',
    '.config/claude/projects/aa/s3.jsonl',
  ]) {
    write(path);
  }
  const found = findLogs(claudeCode, [], { env: {}, homeDir: home, cwd: '/' });
  expect(found.map((file) => file.relativePath)).toEqual(['a/s1/sub/agent.jsonl.gz', 'aa/s3.jsonl', 'b/s2.jsonl']);
  expect(
    findLogs(claudeCode, [join(home, '.claude/projects/b/s2.jsonl')], { env: {}, homeDir: home, cwd: '/' }),
  ).toHaveLength(1);
});

test('nothing to import is said, with where it looked', () => {
  expect(() => findLogs(claudeCode, [], { env: {}, homeDir: '/nowhere', cwd: '/' })).toThrow(
    'no Claude Code logs in /nowhere/.config/claude/projects or /nowhere/.claude/projects',
  );
  expect(() => findLogs(claudeCode, ['missing'], { env: {}, homeDir: home, cwd: home })).toThrow(
    `there is nothing at ${home}/missing`,
  );
});
