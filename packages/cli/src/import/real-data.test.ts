import { decimal, multiply, sum, toText } from '@ergon/exact';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runOnce, startTestErgon, TEST_KEY, type TestErgon } from '../ergon.test-support.ts';
import { EXIT_CODE } from '../exit-code.ts';

const data = sharedData();
const trace = join(data, 'azure-llm-2023', 'AzureLLMInferenceTrace_code.csv');
const sessions = join(data, 'entire-cli-agent-sessions', 'raw_claude_code_jsonl_stripped');
const importTrace = [
  'import',
  'csv',
  trace,
  '--preset',
  'azure-llm-trace',
  '--set',
  'model=gpt-4o',
  '--customer',
  'acme',
  '--json',
];
const importSessions = ['import', 'claude-code', sessions, '--customer', 'eng', '--json'];

/** Sums over the columns of the trace, as its SOURCE.md gives them rounded. */
const TRACE = { requests: '8819', input_tokens: '18059974', output_tokens: '245896' };
/** The published usage of these sessions, without the two messages that were no calls. */
const SESSIONS = {
  requests: '593',
  input_tokens: '14870',
  output_tokens: '18932',
  cache_read_tokens: '54873931',
  cache_write_1h_tokens: '2984720',
};

let ergon: TestErgon;
beforeAll(async () => {
  ergon = await startTestErgon();
});
afterAll(() => ergon.stop());

type Row = { window_start?: string; group: Record<string, string>; value: string };

async function usage(meter: string, customer: string, ...more: string[]): Promise<Row[]> {
  const { code, out, error } = await ergon.run('usage', '--meter', meter, '--customer', customer, '--json', ...more);
  expect(error).toBe('');
  expect(code).toBe(EXIT_CODE.ok);
  return JSON.parse(out).rows;
}

async function totals(customer: string, meters: readonly string[]): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const meter of meters) found[meter] = total(await usage(meter, customer));
  return found;
}

function total(rows: readonly Row[]): string {
  return toText(sum(rows.map((row) => decimal(row.value))));
}

async function imported(argv: readonly string[]) {
  const { code, out, error } = await ergon.run(...argv);
  expect({ code, error }).toEqual({ code: EXIT_CODE.ok, error: '' });
  const { accepted, duplicates, conflicts, rejected, unreadable } = JSON.parse(out);
  return { accepted, duplicates, conflicts, rejected, unreadable };
}

test('the Azure trace: metered, rated and debited exactly, by hour, and a second import changes nothing', async () => {
  const [inputPrice, outputPrice] = ['0.0000025', '0.00001'];
  const card = {
    currency: 'USD',
    effective_from: '2023-01-01T00:00:00Z',
    prices: [
      {
        meter: 'input_tokens',
        match: { model: 'gpt-4o*' },
        charge_model: { type: 'per_unit', unit_amount: inputPrice },
      },
      {
        meter: 'output_tokens',
        match: { model: 'gpt-4o*' },
        charge_model: { type: 'per_unit', unit_amount: outputPrice },
      },
    ],
  };
  const file = join(ergon.directory, 'card.json');
  writeFileSync(file, JSON.stringify(card));
  expect(await ergon.run('rate-card', 'put', 'default', file)).toMatchObject({ code: EXIT_CODE.ok, error: '' });
  expect(await ergon.run('grant', 'acme', '100')).toMatchObject({ code: EXIT_CODE.ok, error: '' });
  const available = async () => JSON.parse((await ergon.run('wallet', 'acme', 'default', '--json')).out).available;
  expect(decimalText(await available())).toBe('100');

  const expected = { accepted: 8_819, duplicates: 0, conflicts: 0, rejected: 0, unreadable: 0 };
  expect(await imported(importTrace)).toEqual(expected);
  const charge = toText(
    sum([
      multiply(decimal(TRACE.input_tokens), decimal(inputPrice)),
      multiply(decimal(TRACE.output_tokens), decimal(outputPrice)),
    ]),
  );
  const state = async () => ({
    meters: await totals('acme', Object.keys(TRACE)),
    charge: decimalText(total(await usage('charge', 'acme'))),
    available: decimalText(await available()),
  });
  const before = await state();
  expect(before).toEqual({
    meters: TRACE,
    charge,
    available: toText(sum([decimal('100'), multiply(decimal(charge), decimal(-1))])),
  });

  const hours = await usage(
    'output_tokens',
    'acme',
    '--window',
    'hour',
    '--by',
    'model',
    '--from',
    '2023-11-16',
    '--to',
    '2023-11-17',
  );
  expect(hours.map((row) => row.window_start?.slice(0, 13))).toEqual(['2023-11-16T18', '2023-11-16T19']);
  expect(new Set(hours.map((row) => row.group['model']))).toEqual(new Set(['gpt-4o']));
  expect(total(hours)).toBe(TRACE.output_tokens);

  expect(await imported(importTrace)).toEqual({ ...expected, accepted: 0, duplicates: 8_819 });
  expect(await state()).toEqual(before);

  const first = JSON.parse((await ergon.run(...importTrace, '--dry-run')).out).first;
  const { id } = JSON.parse(first);
  const explained = await ergon.run('explain', 'azure-llm-trace', id);
  expect(explained).toMatchObject({ code: EXIT_CODE.ok, error: '' });
  expect(explained.out).toContain('4,808 × 0.0000025 = 0.01202 USD');
});

test('the Claude Code sessions: the published totals, and a second import changes nothing', async () => {
  const expected = { accepted: 593, duplicates: 0, conflicts: 0, rejected: 0, unreadable: 0 };
  expect(await imported(importSessions)).toEqual(expected);
  expect(await totals('eng', Object.keys(SESSIONS))).toEqual(SESSIONS);
  const byModel = await usage('requests', 'eng', '--by', 'model');
  expect(Object.fromEntries(byModel.map((row) => [row.group['model'], row.value]))).toEqual({
    'claude-opus-4-5-20251101': '274',
    'claude-opus-4-6': '301',
    'claude-haiku-4-5-20251001': '18',
  });
  expect(await imported(importSessions)).toEqual({ ...expected, accepted: 0, duplicates: 593 });
  expect(await totals('eng', Object.keys(SESSIONS))).toEqual(SESSIONS);
});

test('a session is a run, its subagents are runs below it', async () => {
  await ergon.run(...importSessions);
  const { out } = await ergon.run('run', '7ef17b32-b369-4858-bf72-eab23db52601', '--json');
  const run = JSON.parse(out);
  expect(run.children.map((child: { id: string }) => child.id)).toContain(
    '7ef17b32-b369-4858-bf72-eab23db52601:a9b926a',
  );
  expect(Number(run.subtree_totals.requests)).toBeGreaterThan(Number(run.totals.requests));
});

test('an import killed at any moment and run again is exact', async () => {
  const count = 60_000;
  const file = join(ergon.directory, 'killed.ndjson');
  const time = new Date().toISOString();
  const event = (index: number) =>
    JSON.stringify({
      id: `k${index}`,
      source: 'killed',
      type: 'llm.call',
      time,
      data: { model: 'm', tokens: { input: index, output: 1 } },
    });
  writeFileSync(file, Array.from({ length: count }, (_, index) => event(index)).join('\n'));
  const home = mkdtempSync(join(tmpdir(), 'ergon-home-'));
  const env = {
    ...process.env,
    HOME: home,
    ERGON_URL: ergon.url,
    ERGON_API_KEY: TEST_KEY,
    ERGON_DATA_DIR: ergon.directory,
  };
  const argv = ['import', 'cloudevents', file, '--customer', 'zeus', '--json'];
  const checkpoints = join(ergon.directory, 'imports');
  let kills = 0;
  for (let round = 0; round < 3; round += 1) {
    const child = spawn(process.execPath, [join(import.meta.dirname, '..', 'main.ts'), ...argv], {
      env,
      stdio: 'ignore',
    });
    const ended = once(child, 'exit');
    for (let waited = 0; waited < 20_000 && child.exitCode === null; waited += 5) {
      if (existsSync(checkpoints) && readdirSync(checkpoints).some((name) => name.endsWith('.json'))) break;
      await delay(5);
    }
    await delay(round * 60);
    if (child.exitCode === null) kills += 1;
    child.kill('SIGKILL');
    await ended;
  }
  expect(kills).toBeGreaterThan(0);
  const { code, out } = await runOnce({ env, homeDir: home, cwd: ergon.directory }, argv);
  const { records, accepted, duplicates, inputs } = JSON.parse(out);
  expect({ code, records, answered: accepted + duplicates }).toEqual({
    code: EXIT_CODE.ok,
    records: count,
    answered: count,
  });
  expect(inputs[0].resumed_at).toBeGreaterThan(0);
  expect(await totals('zeus', ['requests', 'input_tokens', 'output_tokens'])).toEqual({
    requests: String(count),
    input_tokens: String((count * (count - 1)) / 2),
    output_tokens: String(count),
  });
  expect(readdirSync(checkpoints)).toEqual([]);
  rmSync(home, { recursive: true, force: true });
}, 120_000);

test('without a server it imports straight into a data directory, and asks there', async () => {
  const home = mkdtempSync(join(tmpdir(), 'ergon-home-'));
  const io = { cwd: home, homeDir: home, env: {} };
  const dataDir = ['--data-dir', join(home, 'data')];
  const first = await runOnce(io, [...importSessions, ...dataDir]);
  expect(first).toMatchObject({ code: EXIT_CODE.ok, error: expect.stringContaining('No server runs here') });
  expect(JSON.parse(first.out)).toMatchObject({ accepted: 593, duplicates: 0 });
  const again = await runOnce(io, [...importSessions, ...dataDir]);
  expect(JSON.parse(again.out)).toMatchObject({ accepted: 0, duplicates: 593 });
  const asked = await runOnce(io, ['usage', '--meter', 'output_tokens', '--customer', 'eng', '--json', ...dataDir]);
  expect(total(JSON.parse(asked.out).rows)).toBe(SESSIONS.output_tokens);
  rmSync(home, { recursive: true, force: true });
}, 120_000);

function decimalText(value: string): string {
  return toText(sum([decimal(value)]))
    .replace(/(\.\d*?)0+$/, '$1')
    .replace(/\.$/, '');
}

/** The shared data beside the checkout; these tests are nothing without it, so its absence fails them. */
function sharedData(): string {
  for (let directory = resolve(import.meta.dirname); ; directory = dirname(directory)) {
    for (const path of [join(directory, 'shared', 'data'), join(directory, '..', 'shared', 'data')]) {
      if (existsSync(join(path, 'azure-llm-2023'))) return path;
    }
    if (directory === dirname(directory))
      throw new Error('../shared/data is not beside the checkout: the import tests need it');
  }
}
