import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { sharedData } from '../shared-data.test-support.ts';
import type { AgentCall } from './agent-call.ts';
import { createCallDeduplicator } from './call-deduplicator.ts';
import { parseClaudeCodeLine } from './claude-code-line.ts';

const folder = sharedData('entire-cli-agent-sessions');
const sessions = join(folder, 'raw_claude_code_jsonl_stripped');

function importSession(file: string): { calls: readonly AgentCall[]; from: string; to: string } {
  const deduplicator = createCallDeduplicator();
  let from = '9';
  let to = '0';
  const lines = gunzipSync(readFileSync(join(sessions, file)))
    .toString()
    .split('\n');
  for (const [index, line] of lines.entries()) {
    const at = /"timestamp":"([^"]+)"/.exec(line)?.[1];
    if (at !== undefined && at < from) from = at;
    if (at !== undefined && at > to) to = at;
    const parsed = parseClaudeCodeLine(line, { file, line: index + 1 });
    if (parsed.kind === 'call') expect(deduplicator.add(parsed.call)).toEqual([]);
    expect(parsed.kind).not.toBe('dropped');
  }
  return { calls: deduplicator.finish(), from, to };
}

type Totals = { calls: number; input: number; output: number; cacheRead: number; write5m: number; write1h: number };

function totals(rows: readonly (readonly number[])[]): Totals {
  const sums = [0, 0, 0, 0, 0];
  for (const row of rows) for (const [column, value] of row.entries()) sums[column] = (sums[column] ?? 0) + value;
  const [input = 0, output = 0, cacheRead = 0, write5m = 0, write1h = 0] = sums;
  return { calls: rows.length, input, output, cacheRead, write5m, write1h };
}

/** The published table's columns, by name. */
function publishedRows(): readonly { readonly [column: string]: string }[] {
  const [head = '', ...lines] = gunzipSync(readFileSync(join(folder, 'usage_events.csv.gz')))
    .toString()
    .trim()
    .split('\n');
  const names = head.split(',');
  return lines.map((line) => Object.fromEntries(line.split(',').map((cell, column) => [names[column] ?? '', cell])));
}

const published = publishedRows();

// The raw files are slices of their sessions, so the published rows are compared within the slice's own time span.
test.each(readdirSync(sessions))('%s imports to the published totals, per model, main thread and subagents', (file) => {
  const { calls, from, to } = importSession(file);
  const rows = published.filter(
    (row) => `${row.session_id}.jsonl.gz` === file && (row.ts_utc ?? '') >= from && (row.ts_utc ?? '') <= to,
  );
  expect(rows.length).toBeGreaterThan(40);
  for (const model of new Set(rows.map((row) => row.model))) {
    for (const isMain of [true, false]) {
      const expected = rows
        .filter((row) => row.model === model && (row.thread === 'main') === isMain)
        .map((row) =>
          [
            row.input_tokens,
            row.output_tokens,
            row.cache_read_tokens,
            row.cache_write_5m_tokens,
            row.cache_write_1h_tokens,
          ].map(Number),
        );
      const found = calls
        .filter((call) => call.record.model === model && (call.agentId === undefined) === isMain)
        .map(({ record: { tokens } }) => [
          tokens.input ?? 0,
          tokens.output ?? 0,
          tokens.cache_read ?? 0,
          tokens.cache_write_5m ?? 0,
          tokens.cache_write_1h ?? 0,
        ]);
      expect(totals(found)).toEqual(totals(expected));
    }
  }
});

test('all six sessions together are the calls and tokens of the published table', () => {
  const calls = readdirSync(sessions).flatMap((file) => importSession(file).calls);
  const billed = calls.filter((call) => call.record.model !== '<synthetic>');
  const sum = (pick: (call: AgentCall) => number | undefined) =>
    billed.reduce((total, call) => total + (pick(call) ?? 0), 0);
  expect(calls.length - billed.length).toBe(2);
  expect(billed.length).toBe(593);
  expect(sum((call) => call.record.tokens.input)).toBe(14_870);
  expect(sum((call) => call.record.tokens.output)).toBe(18_932);
  expect(sum((call) => call.record.tokens.cache_read)).toBe(54_873_931);
  expect(sum((call) => (call.record.tokens.cache_write_1h ?? 0) + (call.record.tokens.cache_write_5m ?? 0))).toBe(
    2_984_720,
  );
});

test('a subagent keeps its session, its own id and what started it', () => {
  const { calls } = importSession('7ef17b32-b369-4858-bf72-eab23db52601.jsonl.gz');
  const sub = calls.find((call) => call.agentId === 'a9b926a');
  expect(sub).toMatchObject({
    sessionId: '7ef17b32-b369-4858-bf72-eab23db52601',
    parentId: 'toolu_01NtQkzazmXXm25xMKBjj2cj',
    cwd: '/workspace/cli',
    gitBranch: 'main',
    version: '2.1.37',
    isSidechain: false,
  });
  expect(sub?.record.model).toBe('claude-haiku-4-5-20251001');
});
