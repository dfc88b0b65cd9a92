import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { audit } from '../../packages/server/bench/support/audit.ts';
import { seedCard, seedKey } from '../../packages/server/bench/support/seed.ts';
import { connectionUrl } from '../support/ergon.ts';
import { createTestDatabase, type TestDatabase } from '../support/test-database.ts';
import type { Health } from './fuzz-server.ts';
import { generated, heavy, type Hostile } from './hostile-bodies.ts';

/**
 * POST /v1/events against at least 20,000 hostile requests on a socket: no 5xx, no stall, no memory growth, every refusal names
 * a code, and afterwards a valid event is recorded as ever. `FUZZ_SEED` repeats a run.
 */
const SEED = Number(process.env['FUZZ_SEED'] ?? Date.now() % 1_000_000_000);
const GENERATED = 20_000;
const CLIENTS = 16;
const ANSWER_MS_MAX = 5_000;
const LOOP_DELAY_MS_MAX = 1_500;
const MIB = 1024 * 1024;
/** Caches fill while the fuzz runs (customers, dimension sets, statements); a leak of 2 KiB a request would pass this. */
const HEAP_GROWTH_MAX = 40 * MIB;
const RSS_MAX = 1024 * MIB;

let database: TestDatabase;
let dataDir: string;
let server: ChildProcess;
let url: URL;
let key: string;
let sql: pg.Client;
const agent = new Agent({ keepAlive: true, maxSockets: CLIENTS });

beforeAll(async () => {
  database = await createTestDatabase();
  sql = new pg.Client(database.connection);
  await sql.connect();
  key = await seedKey(sql, 1);
  await seedMeters();
  await seedCard(sql, 1, {
    currency: 'USD',
    prices: [
      { meter: 'input_tokens', charge_model: { type: 'per_unit', unit_amount: '0.000003' } },
      { meter: 'output_tokens', charge_model: { type: 'per_unit', unit_amount: '0.000015' } },
      {
        meter: 'requests',
        charge_model: {
          type: 'graduated',
          tiers: [
            { up_to: '100', unit_amount: '0.01' },
            { up_to: null, unit_amount: '0.001' },
          ],
        },
      },
      { meter: 'amount', charge_model: { type: 'per_unit', unit_amount: '1' } },
      { meter: 'flops', charge_model: { type: 'per_unit', unit_amount: '0.000000000000000001' } },
    ],
  });
  dataDir = mkdtempSync(join(tmpdir(), 'ergon-fuzz-'));
  server = fork(new URL('./fuzz-server.ts', import.meta.url), {
    execArgv: ['--expose-gc'],
    env: {
      ...process.env,
      DATABASE_URL: connectionUrl(database.connection),
      ERGON_DATA_DIR: dataDir,
      ERGON_PORT: '0',
      ERGON_LOG_LEVEL: process.env['FUZZ_LOG'] ?? 'silent',
    },
  });
  const [address] = await once(server, 'message');
  url = new URL(String(address));
});

afterAll(async () => {
  agent.destroy();
  server.kill('SIGKILL');
  await sql.end();
  await database.drop();
  rmSync(dataDir, { recursive: true, force: true });
});

async function seedMeters(): Promise<void> {
  const specs = { amount: 'sum', who: 'unique', peak: 'max', last: 'latest' };
  for (const [name, aggregation] of Object.entries(specs)) {
    await sql.query('insert into meter (environment_id, key, spec) values (1, $1, $2)', [
      name,
      JSON.stringify({
        event_types: ['custom.event', 'llm.call'],
        aggregation,
        value: name === 'who' ? 'data.properties.who' : 'data.properties.amount',
        group_by: ['data.properties.region'],
        unit: 'unit',
      }),
    ]);
  }
}

async function health(): Promise<Health> {
  server.send('how are you');
  const [answer] = await once(server, 'message');
  return answer as Health;
}

type Answer = { readonly status: number; readonly text: string; readonly ms: number };

function send(hostile: Hostile): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const startedAt = performance.now();
    const outgoing = request(
      {
        host: url.hostname,
        port: url.port,
        path: '/v1/events',
        method: 'POST',
        agent,
        headers: { ...hostile.headers, authorization: `Bearer ${key}`, 'content-length': hostile.body.length },
      },
      (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
        incoming.on('end', () =>
          resolve({
            status: incoming.statusCode ?? 0,
            text: Buffer.concat(chunks).toString(),
            ms: performance.now() - startedAt,
          }),
        );
        incoming.on('error', reject);
      },
    );
    outgoing.setTimeout(ANSWER_MS_MAX * 4, () => outgoing.destroy(new Error('no answer')));
    outgoing.on('error', reject);
    outgoing.end(hostile.body);
  });
}

type Tally = {
  sent: number;
  accepted: number;
  rejected: number;
  slowestMs: number;
  readonly statuses: Map<number, number>;
  readonly codes: Map<string, number>;
  readonly faults: string[];
};

function newTally(): Tally {
  return { sent: 0, accepted: 0, rejected: 0, slowestMs: 0, statuses: new Map(), codes: new Map(), faults: [] };
}

const CODE = /^[a-z][a-z0-9_]*$/;

async function attack(list: readonly Hostile[], tally: Tally): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      for (let hostile = list[next++]; hostile !== undefined; hostile = list[next++]) {
        try {
          check(hostile, await send(hostile), tally);
        } catch (error) {
          tally.faults.push(`${hostile.name}: ${String(error)}: ${shown(hostile)}`);
        }
      }
    }),
  );
}

function check(hostile: Hostile, answer: Answer, tally: Tally): void {
  const fault = (what: string): unknown =>
    tally.faults.push(`${hostile.name}: ${what}: ${shown(hostile)} -> ${answer.text.slice(0, 300)}`);
  tally.sent += 1;
  tally.slowestMs = Math.max(tally.slowestMs, answer.ms);
  tally.statuses.set(answer.status, (tally.statuses.get(answer.status) ?? 0) + 1);
  if (answer.ms > ANSWER_MS_MAX) fault(`answered after ${Math.round(answer.ms)} ms`);
  if (answer.status >= 500 || answer.status === 0) fault(`status ${answer.status}`);
  const body = JSON.parse(answer.text) as {
    code?: string;
    accepted?: number;
    duplicates?: number;
    conflicts?: number;
    rejected?: number;
    results?: { status: string; error?: { code?: string; detail?: string } }[];
  };
  if (answer.status !== 200) {
    if (!CODE.test(body.code ?? '')) fault('a refusal without a code');
    tally.codes.set(body.code ?? '', (tally.codes.get(body.code ?? '') ?? 0) + 1);
    return;
  }
  const { accepted = 0, duplicates = 0, conflicts = 0, rejected = 0, results = [] } = body;
  tally.accepted += accepted;
  tally.rejected += rejected;
  if (results.length !== duplicates + conflicts + rejected)
    fault('results do not list every event that was not accepted');
  for (const { status, error } of results) {
    if (status === 'duplicate') continue;
    if (!CODE.test(error?.code ?? '') || (error?.detail ?? '') === '')
      fault('an event refused without a code and a reason');
    tally.codes.set(error?.code ?? '', (tally.codes.get(error?.code ?? '') ?? 0) + 1);
  }
}

function shown(hostile: Hostile): string {
  return `${JSON.stringify(hostile.headers).slice(0, 200)} ${JSON.stringify(hostile.body.toString('latin1').slice(0, 1_500))}`;
}

function report(what: string, tally: Tally): void {
  const list = (counts: ReadonlyMap<string | number, number>) =>
    [...counts].map(([name, count]) => `${name} ${count}`).join(', ');
  console.log(
    `${what} (seed ${SEED}): ${tally.sent} requests, ${tally.accepted} events accepted, ${tally.rejected} rejected, slowest answer ${Math.round(tally.slowestMs)} ms`,
  );
  console.log(`  statuses: ${list(tally.statuses)}`);
  console.log(`  codes: ${list(tally.codes)}`);
}

/** The first of each kind of fault, and how many there were. */
function summary(faults: readonly string[]): string[] {
  const kinds = Map.groupBy(faults, (fault) => fault.split(': ', 2).join(': '));
  return [...kinds.values()].map((list) => `${list.length} x ${list[0]}`);
}

let valid = 0;
async function sendValid(): Promise<void> {
  valid += 1;
  const event = {
    id: `valid_${SEED}_${valid}`,
    source: 'fuzz-valid',
    type: 'llm.call',
    subject: 'valid',
    data: { model: 'gpt-5', tokens: { input: 10, output: 5 } },
  };
  const answer = await send({
    name: 'valid',
    body: Buffer.from(JSON.stringify(event)),
    headers: { 'content-type': 'application/json' },
  });
  expect(answer).toMatchObject({ status: 200 });
  expect(JSON.parse(answer.text)).toMatchObject({ accepted: 1, rejected: 0 });
}

test('20,000 hostile bodies: no 5xx, no stall, no growth, every refusal has a code', async () => {
  const bodies = generated(GENERATED, SEED);
  const warmUp = newTally();
  await attack(bodies.slice(0, 2_000), warmUp);
  await attack(heavy().slice(0, 30), warmUp);
  const before = await health();

  const tally = newTally();
  for (let from = 2_000; from < bodies.length; from += 2_000) {
    await attack(bodies.slice(from, from + 2_000), tally);
    await sendValid();
  }
  const after = await health();
  report('generated', tally);
  console.log(
    `  heap ${mib(before.heapBytes)} -> ${mib(after.heapBytes)} MiB, RSS ${mib(before.rssBytes)} -> ${mib(after.rssBytes)} MiB, event loop held up for at most ${Math.round(after.eventLoopDelayMsMax)} ms`,
  );
  expect(summary([...warmUp.faults, ...tally.faults])).toEqual([]);
  expect(warmUp.sent + tally.sent).toBeGreaterThanOrEqual(20_000);
  expect(tally.accepted).toBeGreaterThan(1_000);
  expect(after.heapBytes + after.externalBytes - before.heapBytes - before.externalBytes).toBeLessThan(HEAP_GROWTH_MAX);
  expect(after.eventLoopDelayMsMax).toBeLessThan(LOOP_DELAY_MS_MAX);
});

test('heavy bodies: deep, long, wide, bombs, sums at the edge of what the tables hold', async () => {
  const before = await health();
  const tally = newTally();
  for (let round = 0; round < 3; round++) await attack(heavy(), tally);
  await sendValid();
  const after = await health();
  report('heavy', tally);
  console.log(
    `  heap ${mib(before.heapBytes)} -> ${mib(after.heapBytes)} MiB, RSS at most ${mib(after.rssBytesMax)} MiB, event loop held up for at most ${Math.round(after.eventLoopDelayMsMax)} ms`,
  );
  expect(summary(tally.faults)).toEqual([]);
  expect(after.heapBytes + after.externalBytes - before.heapBytes - before.externalBytes).toBeLessThan(HEAP_GROWTH_MAX);
  expect(after.rssBytesMax).toBeLessThan(RSS_MAX);
  expect(after.eventLoopDelayMsMax).toBeLessThan(LOOP_DELAY_MS_MAX);
});

function mib(bytes: number): number {
  return Math.round(bytes / MIB);
}

/** Requests that no HTTP client would send; the connection may be closed, but an answer is never a 5xx. */
const RAW: Readonly<Record<string, string>> = {
  'no host': 'POST /v1/events HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}',
  'two lengths': 'POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}',
  'negative length': 'POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n{}',
  'length and chunks':
    'POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'bad chunk': 'POST /v1/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n{}\r\n0\r\n\r\n',
  'huge header': `POST /v1/events HTTP/1.1\r\nHost: x\r\nX-A: ${'a'.repeat(200_000)}\r\n\r\n`,
  'NUL in a header': 'POST /v1/events HTTP/1.1\r\nHost: x\r\nX-A: a\u0000b\r\n\r\n',
  'no HTTP': '\u0016\u0003\u0001\u0000\u0000',
  'strange method': 'BREW /v1/events HTTP/1.1\r\nHost: x\r\n\r\n',
  'strange path': 'POST /v1/events/%ff%00/../..//v1/events?a=%zz HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n',
  'strange host': 'POST /v1/events HTTP/1.1\r\nHost: [::1\r\nContent-Length: 0\r\n\r\n',
  'no key': 'POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}',
  'strange keys': `POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ergon_${'0'.repeat(16)}_${'A'.repeat(43)}\r\nContent-Length: 2\r\n\r\n{}`,
  'key of another scheme':
    'POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Basic Og==\r\nContent-Length: 2\r\n\r\n{}',
  expects: 'POST /v1/events HTTP/1.1\r\nHost: x\r\nExpect: 200-maybe\r\nContent-Length: 2\r\n\r\n{}',
  upgrade:
    'POST /v1/events HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n',
  'body cut off': 'POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{"id":',
};

test.each(Object.entries(RAW))('raw request: %s', async (_name, text) => {
  const socket = connect({ host: url.hostname, port: Number(url.port) });
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.on('error', () => undefined); // A reset is an answer too.
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  await once(socket, 'connect');
  socket.end(Buffer.from(text, 'latin1'));
  const timer = setTimeout(() => socket.destroy(), 3_000);
  await closed;
  clearTimeout(timer);
  expect(Buffer.concat(chunks).toString('latin1')).not.toMatch(/^HTTP\/1\.1 5/);
  await sendValid();
});

test('an upload without an end is refused without being kept', async () => {
  const before = await health();
  const uploads = Array.from({ length: 4 }, () => endless(192 * MIB));
  const sent = await Promise.all(uploads);
  const after = await health();
  console.log(`  ${sent.map(mib).join(', ')} MiB taken of 192 each, RSS at most ${mib(after.rssBytesMax)} MiB`);
  expect(after.rssBytesMax - Math.max(before.rssBytesMax, before.rssBytes)).toBeLessThan(256 * MIB);
  await sendValid();
});

/** Sends chunks until the server has had enough; returns the bytes it took. */
async function endless(bytesMax: number): Promise<number> {
  const socket = connect({ host: url.hostname, port: Number(url.port) });
  let isOpen = true;
  socket.on('data', () => undefined);
  socket.on('error', () => undefined);
  socket.once('close', () => {
    isOpen = false;
  });
  await once(socket, 'connect');
  socket.write(
    `POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${key}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`,
  );
  const chunk = Buffer.concat([Buffer.from('100000\r\n'), Buffer.alloc(MIB, 0x20), Buffer.from('\r\n')]);
  let sent = 0;
  while (isOpen && sent < bytesMax) {
    sent += MIB;
    if (!socket.write(chunk)) await drainedOrClosed(socket);
  }
  socket.destroy();
  return sent;
}

function drainedOrClosed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      socket.off('drain', done).off('close', done);
      resolve();
    };
    socket.once('drain', done).once('close', done);
  });
}

test('after all of it the books are right', async () => {
  const { events, differences } = await audit(sql, 1);
  console.log(`  ${events} events audited`);
  expect(events).toBeGreaterThan(1_000);
  expect(differences.slice(0, 10)).toEqual([]);
});
