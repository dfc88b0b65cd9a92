import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runOnce, startTestErgon, type TestErgon } from './ergon.test-support.ts';
import { EXIT_CODE } from './exit-code.ts';
import type { CliIo } from './io.ts';

let ergon: TestErgon;
beforeAll(async () => {
  ergon = await startTestErgon();
});
afterAll(() => ergon.stop());

const NOW = new Date().toISOString();

function events(ids: readonly string[], more: Record<string, unknown> = {}): string {
  return ids
    .map((id) =>
      JSON.stringify({
        id,
        source: 't',
        type: 'llm.call',
        time: NOW,
        data: { model: 'm', tokens: { input: 2, output: 1 } },
        ...more,
      }),
    )
    .join('\n');
}

function stdin(text: string | Uint8Array): Pick<CliIo, 'readIn'> {
  return {
    readIn: async function* () {
      yield typeof text === 'string' ? Buffer.from(text) : text;
    },
  };
}

function write(name: string, text: string): string {
  const path = join(ergon.directory, name);
  writeFileSync(path, text);
  return path;
}

const NO_VALUES = { ERGON_DATA_DIR: '', ERGON_URL: '', ERGON_PORT: '', ERGON_API_KEY: '' };
const refused: Partial<CliIo> = {
  fetch: () => Promise.reject(new TypeError('fetch failed', { cause: new Error('connect ECONNREFUSED') })),
};

test('every command has a help with what it is for, and those that are not obvious an example', async () => {
  const { code, out } = await runOnce({}, ['--help']);
  expect(code).toBe(EXIT_CODE.ok);
  const commands = [...out.matchAll(/^ {2}([a-z][a-z-]*)(?: [<[]\S+)* {2,}/gm)]
    .map((match) => match[1] ?? '')
    .filter((name) => name !== 'help');
  expect(commands.length).toBeGreaterThan(20);
  for (const command of [
    'import csv',
    'import claude-code',
    'usage',
    'explain',
    'grant',
    'rate-card put',
    'keys create',
    'serve',
    ...commands,
  ]) {
    const help = await runOnce({}, [...command.split(' '), '--help']);
    expect(help.code).toBe(EXIT_CODE.ok);
    expect(help.out).toMatch(/^Usage: ergon/);
  }
  for (const command of [
    ...['import', 'import csv', 'usage', 'explain', 'grant', 'rate-card put', 'keys create'],
    ...['estimate', 'models', 'accelerators', 'calibrate', 'tokenizers'],
  ]) {
    expect((await runOnce({}, [...command.split(' '), '--help'])).out).toMatch(/Examples?:\n {2}\$ /);
  }
});

test.each<[string[], Partial<CliIo>, number, RegExp]>([
  [['nonsense'], {}, EXIT_CODE.usage, /unknown command 'nonsense'/],
  [['usage', '--window', 'week'], {}, EXIT_CODE.usage, /minute, hour, day, month/],
  [
    ['usage', '--from', 'yesterday', '--url', 'http://127.0.0.1:1'],
    {},
    EXIT_CODE.usage,
    /--from "yesterday" is no time/,
  ],
  [['grant', 'acme', '-5x'], {}, EXIT_CODE.usage, /unknown option|no amount/],
  [['grant', 'acme', '0'], {}, EXIT_CODE.usage, /"0" is no amount/],
  [['grant', 'acme', '5', '--currency', 'DOLLARS'], {}, EXIT_CODE.usage, /"DOLLARS" is no currency/],
  [['subscribe', 'acme', 'pro', '--trial-days', 'ten'], {}, EXIT_CODE.usage, /a whole number from 0 to 366/],
  [['keys', 'create', 'n', '--requests-per-minute', '1k'], {}, EXIT_CODE.usage, /a whole number from 1 to 10000000/],
  [['meters', '--url', 'ftp://x'], {}, EXIT_CODE.usage, /is no address/],
  [['meters', '--url', 'http://ergon.example'], {}, EXIT_CODE.denied, /no key for http:\/\/ergon.example/],
  [['meters', '--url', 'http://ergon.example', '--key', 'k'], refused, EXIT_CODE.unreachable, /connect ECONNREFUSED/],
  [
    ['meters'],
    { ...refused, cwd: '/nowhere', env: NO_VALUES },
    EXIT_CODE.unreachable,
    /no data directory \/nowhere\/.ergon/,
  ],
  [['meters'], { ...refused, cwd: '/nowhere' }, EXIT_CODE.unreachable, /no data directory \/nowhere\/.ergon/],
  [['import', 'cloudevents', '/nowhere/x'], {}, EXIT_CODE.usage, /cannot read \/nowhere\/x: ENOENT/],
  [['import', 'csv', '-', '--customer', 'a', '--map', 'time=t'], {}, EXIT_CODE.usage, /no event type/],
  [['import', 'csv', '-', '--map', 'oops'], {}, EXIT_CODE.usage, /"oops" is not TARGET=COLUMN/],
])('%j ends with what happened and what to do', async (argv, surroundings, code, message) => {
  const ran = await runOnce(surroundings, argv);
  expect(ran.error).toMatch(message);
  expect(ran.code).toBe(code);
  expect(ran.out).toBe('');
});

test('with --json an error is one JSON line', async () => {
  const { code, error } = await runOnce(refused, ['meters', '--url', 'http://ergon.example', '--key', 'k', '--json']);
  expect(JSON.parse(error.trim().split('\n').at(-1) ?? '')).toEqual({
    error: {
      message: 'no answer from http://ergon.example: connect ECONNREFUSED',
      hint: expect.stringContaining('ergon serve'),
      code: null,
      exit_code: code,
    },
  });
});

test('the stored key of the data directory is sent to this machine only', async () => {
  const seen: (string | null)[] = [];
  const surroundings: Partial<CliIo> = {
    env: { ERGON_DATA_DIR: ergon.directory },
    fetch: async (request) => {
      seen.push(request.headers.get('authorization'));
      return new Response('{"data":[]}');
    },
  };
  writeFileSync(join(ergon.directory, 'api-key'), 'stored\n');
  expect((await runOnce(surroundings, ['meters', '--url', 'http://localhost:9'])).code).toBe(EXIT_CODE.ok);
  expect((await runOnce(surroundings, ['meters', '--url', 'https://localhost.example'])).code).toBe(EXIT_CODE.denied);
  expect(seen).toEqual(['Bearer stored']);
});

test('a wrong key is refused with where keys come from', async () => {
  const { code, error } = await ergon.run(
    'import',
    'cloudevents',
    write('one.ndjson', events(['x'])),
    '--customer',
    'acme',
    '--key',
    'wrong',
  );
  expect(code).toBe(EXIT_CODE.denied);
  expect(error).toContain('ERGON_API_KEY');
});

test('events from a compressed stream; what is no event or is refused is told with its place and written to --rejects', async () => {
  const text = [events(['a', 'b']), 'nope', events(['c'], { type: 5 }), events(['d'])].join('\n');
  const rejects = join(ergon.directory, 'rejects.ndjson');
  const ran = await ergon.runWith(
    stdin(gzipSync(text)),
    'import',
    'cloudevents',
    '-',
    '--customer',
    'acme',
    '--rejects',
    rejects,
  );
  expect(ran.code).toBe(EXIT_CODE.partial);
  expect(ran.out).toMatch(/accepted +3\n/);
  expect(ran.out).toContain('standard input:3: not JSON');
  expect(ran.out).toMatch(/standard input:4: \w+: .*type/);
  const written = readFileSync(rejects, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(written).toMatchObject([
    { kind: 'unreadable', place: 'standard input:3' },
    { kind: 'rejected', id: 'c', event: { type: 5 } },
  ]);
});

test('another event under a recorded identity stays out, and the summary says what differs', async () => {
  await ergon.runWith(stdin(events(['f1', 'f2'])), 'import', 'cloudevents', '-', '--customer', 'acme');
  const ran = await ergon.runWith(
    stdin(events(['f1', 'f2'], { data: { model: 'm', tokens: { input: 2, output: 9 } } })),
    'import',
    'cloudevents',
    '-',
    '--customer',
    'acme',
    '--json',
  );
  expect(ran.code).toBe(EXIT_CODE.partial);
  expect(JSON.parse(ran.out)).toMatchObject({
    accepted: 0,
    duplicates: 0,
    conflicts: 2,
    conflict_details: { recorded_smaller: 2, tokens_missing: 16, different: 0 },
  });
  expect(JSON.parse(ran.out).conflict_details.examples[0].differences).toEqual([
    '/data/tokens/output: recorded 1, here 9',
  ]);
});

test('an interruption is told, and the same command goes on after it', async () => {
  const ids = Array.from({ length: 4_000 }, (_, index) => `i${index}`);
  const file = write('interrupted.ndjson', events(ids));
  const abort = new AbortController();
  let requests = 0;
  let nowMs = Date.now();
  const surroundings: Partial<CliIo> = {
    signal: abort.signal,
    nowMs: () => (nowMs += 300),
    fetch: (request) => {
      requests += 1;
      if (requests === 3) abort.abort(new Error('interrupted'));
      return fetch(request);
    },
  };
  const argv = ['import', 'cloudevents', file, '--customer', 'acme', '--concurrency', '1'];
  const first = await ergon.runWith(surroundings, ...argv);
  expect(first.code).toBe(EXIT_CODE.interrupted);
  expect(first.out).toContain('Run the same command again to go on');
  const second = await ergon.run(...argv, '--json');
  const { accepted, duplicates, inputs } = JSON.parse(second.out);
  expect({ code: second.code, accepted, duplicates }).toEqual({ code: EXIT_CODE.ok, accepted: 4_000, duplicates: 0 });
  expect(inputs[0].resumed_at).toBeGreaterThanOrEqual(1_000);
});

test('a file that changed after an interruption is read from its beginning, and nothing is counted twice', async () => {
  const file = write('changed.ndjson', events(Array.from({ length: 2_000 }, (_, index) => `c${index}`)));
  const abort = new AbortController();
  let nowMs = Date.now();
  const surroundings: Partial<CliIo> = {
    signal: abort.signal,
    nowMs: () => (nowMs += 300),
    fetch: async (request) => {
      const answer = await fetch(request);
      abort.abort(new Error('interrupted'));
      return answer;
    },
  };
  const argv = ['import', 'cloudevents', file, '--customer', 'acme', '--concurrency', '1'];
  expect((await ergon.runWith(surroundings, ...argv)).code).toBe(EXIT_CODE.interrupted);
  writeFileSync(file, events(Array.from({ length: 2_001 }, (_, index) => `c${index}`)));
  const again = await ergon.run(...argv, '--json');
  expect(again.error).toContain('has changed since its import was interrupted');
  const { accepted, duplicates, records } = JSON.parse(again.out);
  expect({ records, sum: accepted + duplicates }).toEqual({ records: 2_001, sum: 2_001 });
  expect(duplicates).toBeGreaterThanOrEqual(500);
});

test('a server that is away for a moment does not end an import', async () => {
  let requests = 0;
  const surroundings: Partial<CliIo> = {
    ...stdin(events(Array.from({ length: 1_200 }, (_, index) => `r${index}`))),
    fetch: async (request) => {
      requests += 1;
      if (requests % 3 === 1)
        return new Response('{"code":"overloaded"}', { status: 503, headers: { 'retry-after': '1' } });
      if (requests % 3 === 2) throw new TypeError('fetch failed', { cause: new Error('read ECONNRESET') });
      return fetch(request);
    },
  };
  const ran = await ergon.runWith(
    surroundings,
    'import',
    'cloudevents',
    '-',
    '--customer',
    'acme',
    '--json',
    '--concurrency',
    '1',
  );
  expect(JSON.parse(ran.out)).toMatchObject({ records: 1_200, accepted: 1_200 });
  expect(ran.error).toContain('trying again in 1.0 s');
  expect(ran.error).toContain('read ECONNRESET; trying again');
});

test('a dry run says what would be sent, and sends nothing', async () => {
  const never: Partial<CliIo> = {
    fetch: () => {
      throw new Error('a request was made');
    },
  };
  const { code, out } = await ergon.runWith(
    { ...never, ...stdin(events(['a', 'b', 'c'])) },
    'import',
    'cloudevents',
    '-',
    '--customer',
    'acme',
    '--dry-run',
    '--json',
  );
  expect(code).toBe(EXIT_CODE.ok);
  expect(JSON.parse(out)).toMatchObject({
    events: 3,
    customers: { acme: 3 },
    models: { m: 3 },
    tokens: { input: '6', output: '3' },
    from: NOW,
    to: NOW,
  });
});

test('on a terminal there is a bar, elsewhere a line every few seconds', async () => {
  const { PassThrough } = await import('node:stream');
  const terminal = Object.assign(new PassThrough(), { isTTY: true, columns: 100 });
  let drawn = '';
  terminal.on('data', (chunk: Buffer) => {
    drawn += chunk.toString();
  });
  const file = write('bar.ndjson', events(Array.from({ length: 1_500 }, (_, index) => `p${index}`)));
  expect((await ergon.runWith({ terminal }, 'import', 'cloudevents', file, '--customer', 'acme')).code).toBe(
    EXIT_CODE.ok,
  );
  expect(drawn).toContain('░');
  let nowMs = 0;
  const plain = await ergon.runWith(
    { nowMs: () => (nowMs += 6_000) },
    'import',
    'cloudevents',
    file,
    '--customer',
    'acme',
  );
  expect(plain.error).toMatch(/bar\.ndjson: 100 %, .*1,500 duplicates/);
});

test('the commands that ask: grant, wallet, entries, usage, events, explain, customers, meters, keys, audit', async () => {
  const card = write(
    'card.json',
    JSON.stringify({
      currency: 'USD',
      prices: [{ meter: 'output_tokens', charge_model: { type: 'per_unit', unit_amount: '0.5' } }],
    }),
  );
  expect((await ergon.run('rate-card', 'put', 'default', card)).out).toContain('Published rate card default version');
  expect(JSON.parse((await ergon.run('rate-card', 'get', 'default')).out)).toMatchObject({ currency: 'USD' });
  expect((await ergon.run('grant', 'ask', '10')).out).toContain('Granted 10.00 USD to ask');
  const time = new Date().toISOString();
  const event = { id: 'q1', source: 't', type: 'llm.call', time, data: { model: 'm', tokens: { output: 3 } } };
  expect(
    (await ergon.runWith(stdin(JSON.stringify(event)), 'import', 'cloudevents', '-', '--customer', 'ask')).code,
  ).toBe(EXIT_CODE.ok);
  const said = async (...argv: string[]) => {
    const ran = await ergon.run(...argv);
    expect({ argv, code: ran.code, error: ran.error }).toEqual({ argv, code: EXIT_CODE.ok, error: '' });
    return ran.out;
  };
  expect(await said('wallet', 'ask')).toMatch(/available +8\.50 USD/);
  expect(await said('entries', 'ask')).toContain('1.50');
  expect(await said('usage', '--meter', 'charge', '--customer', 'ask', '--by', 'model')).toMatch(/m +USD +1\.50 +█/);
  expect(await said('events', '--customer', 'ask')).toMatch(/ask +llm\.call +m +t +q1/);
  expect(await said('explain', 't', 'q1')).toContain('3 × 0.5 = 1.50 USD');
  const takenBack = { id: 'q2', source: 't', type: 'event.void', data: { source: 't', id: 'q1', reason: 'a test' } };
  await ergon.runWith(stdin(JSON.stringify(takenBack)), 'import', 'cloudevents', '-');
  expect(await said('explain', 't', 'q1')).toMatch(/^Voided by t q2, \d{4}-\S+Z: a test$/m);
  expect(await said('customers')).toMatch(/ask .*provisional|ask /);
  expect(await said('meters')).toContain('output_tokens');
  expect(await said('audit')).toMatch(/differences +none/);
  expect((await ergon.run('explain', 't', 'nothing')).code).toBe(EXIT_CODE.notFound);
  const created = JSON.parse(await said('keys', 'create', 'for tests', '--role', 'read', '--json'));
  expect(await said('keys', 'list')).toMatch(new RegExp(`${created.id} +for tests +read`));
  expect(
    (await ergon.runWith(stdin(events(['z'])), 'import', 'cloudevents', '-', '--customer', 'ask', '--key', created.key))
      .code,
  ).toBe(EXIT_CODE.denied);
  expect(await said('keys', 'revoke', created.id)).toContain('Revoked');
});

test('serve says where it is and shows the key once; other commands find it, and go on without it', async () => {
  const dataDir = join(ergon.directory, 'served');
  const abort = new AbortController();
  const here = {
    cwd: ergon.directory,
    homeDir: ergon.directory,
    env: { ERGON_LOG_LEVEL: 'silent', ERGON_DATA_DIR: dataDir },
  };
  let said = '';
  const told = Promise.withResolvers<void>();
  const surroundings: Partial<CliIo> = {
    ...here,
    signal: abort.signal,
    writeOut: (text) => {
      said += text;
      told.resolve();
    },
  };
  const serving = runOnce(surroundings, ['serve', '--port', '0', '--json']);
  await told.promise;
  const { url, data_dir, new_admin_key } = JSON.parse(said);
  expect(data_dir).toBe(dataDir);
  expect(readFileSync(join(dataDir, 'api-key'), 'utf8').trim()).toBe(new_admin_key);
  const granted = await runOnce(here, ['grant', 'acme', '7']);
  expect(granted).toMatchObject({ code: EXIT_CODE.ok, error: '' });
  const second = await runOnce(here, ['serve', '--port', '0']);
  expect(second).toMatchObject({
    code: EXIT_CODE.failed,
    error: expect.stringContaining(`${url}) is already using ${dataDir}`),
  });
  abort.abort(new Error('interrupted'));
  expect((await serving).code).toBe(EXIT_CODE.ok);
  const asked = await runOnce(here, ['wallet', 'acme']);
  expect(asked.error).toContain('No server runs here');
  expect(asked.out).toMatch(/available +7\.00 USD/);
}, 120_000);

test('a month of real usage under a card that is not published', async () => {
  const draft = write(
    'draft.json',
    JSON.stringify({
      currency: 'USD',
      prices: [{ meter: 'output_tokens', charge_model: { type: 'per_unit', unit_amount: '2' } }],
    }),
  );
  const call = { id: 'sim-1', source: 's', type: 'llm.call', time: NOW, data: { model: 'm', tokens: { output: 3 } } };
  await ergon.runWith(stdin(JSON.stringify(call)), 'import', 'cloudevents', '-', '--customer', 'simulated');
  const { code, out } = await ergon.run(
    'rate-card',
    'simulate',
    'default',
    '--card',
    draft,
    '--customer',
    'simulated',
    '--month',
    NOW.slice(0, 7),
  );
  expect(code).toBe(EXIT_CODE.ok);
  expect(out).toMatch(/simulated +[\d.]+ +6\.00 +[\d.]+/);

  // A fixed fee for each: the events are read one by one, and a terminal shows how far it is.
  const fee = write(
    'fee.json',
    JSON.stringify({
      currency: 'USD',
      prices: [{ meter: 'requests', charge_model: { type: 'percentage', rate: '0.1', fixed_amount: '2' } }],
    }),
  );
  const { PassThrough } = await import('node:stream');
  const terminal = Object.assign(new PassThrough(), { isTTY: true, columns: 100 });
  let drawn = '';
  terminal.on('data', (chunk: Buffer) => {
    drawn += chunk.toString();
  });
  const arguments_ = ['rate-card', 'simulate', 'default', '--card', fee, '--month', NOW.slice(0, 7)];
  const single = await ergon.runWith({ terminal }, ...arguments_, '--customer', 'simulated');
  expect(single.out).toMatch(/simulated +[\d.]+ +2\.10 +[\d.]+/);
  expect(single.out).toContain('from 1 event: requests prices each event by itself');
  expect(drawn).toMatch(/ 0 of [\d,]+ events/);
});
