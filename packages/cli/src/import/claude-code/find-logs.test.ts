import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { findLogs, logDirectories } from './find-logs.ts';

const home = mkdtempSync(join(tmpdir(), 'ergon-logs-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

function write(path: string): void {
  mkdirSync(join(home, path, '..'), { recursive: true });
  writeFileSync(join(home, path), '');
}

test('the usual places, or the list in CLAUDE_CONFIG_DIR', () => {
  expect(logDirectories({ env: {}, homeDir: '/h', cwd: '/' })).toEqual([
    '/h/.config/claude/projects',
    '/h/.claude/projects',
  ]);
  const env = { CLAUDE_CONFIG_DIR: '/x, y ,/z/projects' };
  expect(logDirectories({ env, homeDir: '/h', cwd: '/w' })).toEqual(['/x/projects', '/w/y/projects', '/z/projects']);
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
  const found = findLogs([], { env: {}, homeDir: home, cwd: '/' });
  expect(found.map((file) => file.relativePath)).toEqual(['a/s1/sub/agent.jsonl.gz', 'aa/s3.jsonl', 'b/s2.jsonl']);
  expect(findLogs([join(home, '.claude/projects/b/s2.jsonl')], { env: {}, homeDir: home, cwd: '/' })).toHaveLength(1);
});

test('nothing to import is said, with where it looked', () => {
  expect(() => findLogs([], { env: {}, homeDir: '/nowhere', cwd: '/' })).toThrow(
    'no Claude Code logs in /nowhere/.config/claude/projects or /nowhere/.claude/projects',
  );
  expect(() => findLogs(['missing'], { env: {}, homeDir: home, cwd: home })).toThrow(
    `there is nothing at ${home}/missing`,
  );
});
