/**
 * What reading usage costs: nanoseconds a usage object, and Claude Code log lines a second beside the reference importer
 * where npm installed it. Run: `npm run node -- packages/usage/bench/main.ts`.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import {
  createCallDeduplicator,
  createCallWatch,
  normaliseUsage,
  parseClaudeCodeLine,
  type UsageInput,
  usageWarnings,
  type WatchedCall,
} from '../src/index.ts';

const SAMPLES = 20_000;
const ROUNDS = 7;
const MESSAGES = 50_000;

const objects: readonly (readonly [string, UsageInput])[] = [
  [
    'OpenAI chat',
    {
      provider: 'openai',
      api: 'chat.completions',
      model: 'gpt-5-mini',
      usage: {
        prompt_tokens: 1200,
        completion_tokens: 340,
        total_tokens: 1540,
        prompt_tokens_details: { cached_tokens: 1000, audio_tokens: 0 },
        completion_tokens_details: { reasoning_tokens: 100, audio_tokens: 0, rejected_prediction_tokens: 0 },
      },
    },
  ],
  [
    'Anthropic messages',
    {
      provider: 'anthropic',
      api: 'messages',
      model: 'claude-opus-4-6',
      usage: {
        input_tokens: 2,
        cache_creation_input_tokens: 25415,
        cache_read_input_tokens: 16496,
        cache_creation: { ephemeral_5m_input_tokens: 0, ephemeral_1h_input_tokens: 25415 },
        output_tokens: 1,
        service_tier: 'standard',
      },
    },
  ],
  [
    'canonical tokens',
    { provider: 'openai', model: 'gpt-5-mini', tokens: { input: 200, cache_read: 1000, output: 340 } },
  ],
];

for (const [name, input] of objects) {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const parsed: UsageInput[] = Array.from({ length: SAMPLES }, () => JSON.parse(JSON.stringify(input)));
    const from = process.hrtime.bigint();
    for (const one of parsed) normaliseUsage(one);
    best = Math.min(best, Number(process.hrtime.bigint() - from) / SAMPLES);
  }
  console.log(`${name}: ${best.toFixed(0)} ns`);
}

measureWarnings();

const folder = mkdtempSync(join(tmpdir(), 'ergon-usage-bench-'));
try {
  const file = writeSession();
  const from = performance.now();
  const lines = readFileSync(file, 'utf8').split('\n');
  const deduplicator = createCallDeduplicator();
  for (const [index, line] of lines.entries()) {
    const parsed = parseClaudeCodeLine(line, { file, line: index });
    if (parsed.kind === 'call') deduplicator.add(parsed.call);
  }
  const calls = deduplicator.finish().length;
  report(`Claude Code, ${lines.length} lines, ${calls} calls`, lines.length, performance.now() - from);
  runReference(lines.length);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** What a sound call pays for being checked, by itself and beside the calls before it. */
function measureWarnings(): void {
  const calls = Array.from({ length: 200_000 }, (_, index): WatchedCall => {
    const tokens = { input: 1_000 + ((index * 7919) % 100_000), output: (index * 31) % 5_000 };
    const record = normaliseUsage({ model: 'gpt-5-mini', tokens });
    return {
      customer: index % 50,
      source: 'app',
      minute: index % 60,
      callId: `call-${index}`,
      record,
      isFailed: false,
    };
  });
  let from = performance.now();
  let warned = 0;
  for (const { record } of calls) warned += usageWarnings({ record, type: 'llm.call' }).length;
  console.log(`warnings of a call: ${nanoseconds(from, calls.length)} ns (${warned} warned of)`);
  const watch = createCallWatch();
  from = performance.now();
  for (let first = 0; first < calls.length; first += 500) watch.see(calls.slice(first, first + 500));
  console.log(`call watch: ${nanoseconds(from, calls.length)} ns a call`);
}

function nanoseconds(from: number, count: number): string {
  return (((performance.now() - from) * 1_000_000) / count).toFixed(0);
}

/** A session of real proportions: a user's line, then each message on three lines. */
function writeSession(): string {
  const head = '"isSidechain":false,"sessionId":"s1","version":"2.1.29","cwd":"/w","gitBranch":"main"';
  const lines: string[] = [];
  for (let message = 0; message < MESSAGES; message++) {
    lines.push(
      `{${head},"type":"user","timestamp":"2026-02-03T00:00:00.000Z","message":{"content":"${'x'.repeat(600)}"}}`,
    );
    const usage = `{"input_tokens":2,"cache_creation_input_tokens":${message},"cache_read_input_tokens":16496,"output_tokens":9}`;
    const answer = `"id":"msg_${message}","model":"claude-opus-4-6","stop_reason":null,"usage":${usage},"content":[{"type":"text"}]`;
    const line = `{${head},"type":"assistant","timestamp":"2026-02-03T00:00:01.000Z","requestId":"req_${message}","message":{${answer}}}`;
    lines.push(line, line, line);
  }
  const file = join(folder, 'projects', 'p', 's1.jsonl');
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${lines.join('\n')}\n`);
  return file;
}

function runReference(lines: number): void {
  let binary: string;
  try {
    const packageFile = createRequire(import.meta.url).resolve('@ccusage/ccusage-linux-x64/package.json');
    binary = join(folder, 'ccusage');
    copyFileSync(join(dirname(packageFile), 'bin', 'ccusage'), binary);
    chmodSync(binary, 0o755);
  } catch {
    console.log('ccusage: not installed here');
    return;
  }
  const from = performance.now();
  execFileSync(binary, ['claude', 'daily', '--json', '--offline'], {
    env: { HOME: folder, CLAUDE_CONFIG_DIR: folder },
  });
  report('ccusage on the same file', lines, performance.now() - from);
}

function report(what: string, lines: number, milliseconds: number): void {
  console.log(`${what}: ${((lines / milliseconds) * 1000).toFixed(0)} lines/s`);
}
