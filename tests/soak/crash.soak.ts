import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, readlinkSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { audit } from '../../packages/server/bench/support/audit.ts';
import { HttpConnection } from '../../packages/server/bench/support/http-client.ts';
import { family } from '../../packages/server/bench/support/process-stats.ts';
import { seedCard, seedCustomers, seedGrant, seedKey } from '../../packages/server/bench/support/seed.ts';
import {
  embeddedServer,
  type ServiceProcess,
  startService,
} from '../../packages/server/bench/support/service-process.ts';
import { type Call, type CardModels, cardSpec, event, FEATURES, MODELS } from '../property/arbitraries.ts';
import { expectedState } from '../property/expected-state.ts';
import { recordedState } from '../property/recorded-state.ts';

/**
 * DESIGN section 7, invariant 7: `kill -9` of the service, of its PostgreSQL, or of both, at random points of a load, again and
 * again on one data directory. Every acknowledged event is there exactly once; a request without an answer is wholly there or
 * wholly not; one that was told that nothing was recorded is not; totals, charges and ledger are those of the events that are
 * there. `CRASH_SEED` repeats the plan of a run (not its timing), `CRASH_ROUNDS` sets its length.
 */
const SEED = Number(process.env['CRASH_SEED'] ?? Date.now() % 1_000_000);
const ROUNDS = Number(process.env['CRASH_ROUNDS'] ?? 60);
const CHECK_EVERY = 15;
const CLIENTS = 8;
const ENVIRONMENT = 1;
const CUSTOMERS = Array.from({ length: 8 }, (_, index) => `customer_${index}`);
const MODES = [
  'both',
  'both',
  'service',
  'database',
  'database children too',
  'one backend',
  'while starting',
  'politely',
] as const;
type Mode = (typeof MODES)[number];

/** Prices whose running totals notice a lost or doubled event: tiers that rise and fall, packages, rounding. */
const CARD: CardModels = {
  requests: {
    type: 'graduated',
    tiers: [
      { up_to: '100', unit_amount: '0.01', flat_amount: '1' },
      { up_to: null, unit_amount: '0.002' },
    ],
  },
  input: { type: 'per_unit', unit_amount: '0.0000003333333' },
  output: {
    type: 'volume',
    tiers: [
      { up_to: '20000', unit_amount: '0.00002' },
      { up_to: '200000', unit_amount: '0.00001' },
      { up_to: null, unit_amount: '0.000005' },
    ],
  },
  cacheGpt: { type: 'package', package_size: '1000', package_amount: '0.0015', free_units: '500' },
  cacheOther: { type: 'per_unit', unit_amount: '0.00000003' },
  isHourly: true,
};

/** What we know of a request, over all attempts to send it. Neither flag: every attempt was told that nothing was recorded. */
type Sent = {
  readonly calls: readonly Call[];
  isAcknowledged: boolean;
  /** An attempt went without an answer, or was told that it may have been recorded. */
  mayBeThere: boolean;
};

let directory: string;
let dataDir: string;
let key = '';
let socketDir = '';
const sent: Sent[] = [];
const wrong: string[] = [];
const counts: Record<string, number> = {};
const history: Mode[] = [];

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'ergon-crash-'));
  dataDir = join(directory, 'data');
});

afterAll(() => {
  kill(databasePids());
  if (hasFailed) {
    console.log(`the last blows: ${history.slice(-3).join(', ')}`);
    console.log(readFileSync(join(dataDir, 'postgres.log'), 'utf8').split('\n').slice(-60).join('\n'));
  }
  rmSync(directory, { recursive: true, force: true });
  if (socketDir !== '') rmSync(socketDir, { recursive: true, force: true });
});

/** Park and Miller. The plan of blows and the load draw apart, so that a seed repeats the plan whatever the load's timing. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271 + 11) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}
const random = randomFrom(SEED);
const plan = randomFrom(SEED + 1);

function below(limit: number): number {
  return Math.floor(random() * limit);
}

let requests = 0;
function newCalls(): Call[] {
  requests += 1;
  const size = random() < 0.3 ? 1 : 1 + below(25);
  return Array.from({ length: size }, (_, index) => ({
    id: `crash_${requests}_${index}`,
    customer: CUSTOMERS[random() < 0.4 ? 0 : below(CUSTOMERS.length)] ?? '',
    model: MODELS[below(MODELS.length)] ?? 'gpt-5',
    feature: FEATURES[below(FEATURES.length)] ?? 'chat',
    input: below(2_000),
    cacheRead: below(3) === 0 ? below(3_000) : 0,
    output: below(900),
    hoursAgo: below(3),
  }));
}

/** One client of a round: new requests and repeats of old ones, until the connection fails or the round ends. */
async function client(service: ServiceProcess, until: () => boolean): Promise<void> {
  const headers = [`authorization: Bearer ${key}`, 'content-type: application/json'];
  while (!until()) {
    let connection: HttpConnection;
    try {
      connection = await HttpConnection.open(service.url, '/v1/events', headers);
    } catch {
      return; // Nobody listens any more.
    }
    while (!until()) {
      const earlier = random() < 0.1 ? sent[below(sent.length)] : undefined;
      const now = earlier ?? { calls: newCalls(), isAcknowledged: false, mayBeThere: false };
      if (earlier === undefined) sent.push(now);
      try {
        const answer = await connection.post(Buffer.from(JSON.stringify(now.calls.map(event))));
        learn(now, answer);
        // A breath between requests: the test is about the moment of the blow, not about how much there is to audit.
        await sleep(answer.status === 200 ? below(10) : 20);
      } catch {
        now.mayBeThere = true;
        break;
      }
    }
    connection.close();
  }
}

function learn(request: Sent, { status, body }: { status: number; body: string }): void {
  counts[`status ${status}`] = (counts[`status ${status}`] ?? 0) + 1;
  const answer = JSON.parse(body) as { accepted?: number; duplicates?: number; code?: string };
  if (status === 200) {
    const { accepted = 0, duplicates = 0 } = answer;
    const size = request.calls.length;
    const isWhole = (accepted === size && duplicates === 0) || (accepted === 0 && duplicates === size);
    if (!isWhole) wrong.push(`${request.calls[0]?.id}: ${accepted} accepted and ${duplicates} duplicates of ${size}`);
    if (request.isAcknowledged && accepted > 0) wrong.push(`${request.calls[0]?.id} was accepted twice`);
    request.isAcknowledged = true;
    return;
  }
  if (status !== 503) wrong.push(`status ${status}: ${body.slice(0, 300)}`);
  if (answer.code === 'maybe_recorded') request.mayBeThere = true;
}

function databasePids(): number[] {
  try {
    const { pid } = embeddedServer(dataDir);
    // A number alone proves nothing: it may be another process's by now.
    if (readlinkSync(`/proc/${pid}/cwd`) !== realpathSync(join(dataDir, 'postgres'))) return [];
    return family(pid);
  } catch {
    return [];
  }
}

function kill(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // Ended by itself.
    }
  }
}

async function round(mode: Mode): Promise<void> {
  let child: ChildProcess | undefined;
  const starting = startService({
    dataDir,
    logLevel: 'fatal',
    onSpawn: (spawned) => {
      child = spawned;
    },
  }).catch((error: unknown) => {
    // Only a start that we cut off may fail.
    if (mode !== 'while starting') wrong.push(String(error));
    return undefined;
  });
  if (mode === 'while starting') {
    await sleep(below(900));
    child?.kill('SIGKILL');
    if (random() < 0.5) kill(databasePids());
  }
  const service = await starting;
  if (service === undefined) return;
  if (key === '') await seed();
  let isOver = false;
  const clients = Array.from({ length: CLIENTS }, () => client(service, () => isOver));
  if (mode !== 'while starting') await sleep(30 + below(700));
  await strike(service, mode);
  isOver = true;
  await service.ended;
  await Promise.all(clients);
}

async function strike(service: ServiceProcess, mode: Mode): Promise<void> {
  const [postmaster, ...children] = databasePids();
  const goOn = async (): Promise<void> => {
    await sleep(200 + below(600));
    kill([service.pid]);
  };
  switch (mode) {
    case 'politely':
      return service.stop();
    case 'service':
    case 'while starting':
      return kill([service.pid]);
    case 'both': {
      const all = [service.pid, ...(postmaster === undefined ? [] : [postmaster]), ...children];
      return kill(random() < 0.5 ? all : all.toReversed());
    }
    case 'database':
      kill(postmaster === undefined ? [] : [postmaster]);
      return goOn();
    case 'database children too':
      kill(postmaster === undefined ? [] : [postmaster, ...children]);
      return goOn();
    case 'one backend':
      kill(children.length === 0 ? [] : [children[below(children.length)] ?? 0].filter((pid) => pid > 1));
      return goOn();
  }
}

async function seed(): Promise<void> {
  socketDir = embeddedServer(dataDir).socketDir;
  await withSql(async (sql) => {
    await seedCustomers(sql, ENVIRONMENT, CUSTOMERS);
    await seedCard(sql, ENVIRONMENT, cardSpec(CARD));
    for (const customer of CUSTOMERS) {
      await seedGrant(sql, ENVIRONMENT, { customer, amount: '2.5', priority: 1, kind: 'promotional' });
      await seedGrant(sql, ENVIRONMENT, { customer, amount: '40' });
    }
    key = await seedKey(sql, ENVIRONMENT);
  });
}

async function withSql<T>(work: (sql: pg.Client) => Promise<T>): Promise<T> {
  const sql = new pg.Client(embeddedServer(dataDir).connection);
  await sql.connect();
  try {
    return await work(sql);
  } finally {
    await sql.end();
  }
}

/** Looks at everything, on a service that has just started again after the last blow. */
async function check(): Promise<void> {
  const service = await startService({ dataDir, logLevel: 'fatal' });
  try {
    await withSql(async (sql) => {
      const present = new Set<string>();
      const books = await audit(sql, ENVIRONMENT, (id) => present.add(id));
      wrong.push(...books.differences);
      const there: Call[] = [];
      for (const { calls, isAcknowledged, mayBeThere } of sent) {
        const found = calls.filter((call) => present.delete(call.id)).length;
        const isRight = found === calls.length ? isAcknowledged || mayBeThere : found === 0 && !isAcknowledged;
        if (!isRight) {
          const known = isAcknowledged
            ? 'acknowledged'
            : mayBeThere
              ? 'not answered'
              : 'told that nothing was recorded';
          wrong.push(`${calls[0]?.id}: ${known}, and ${found} of ${calls.length} events are there`);
        }
        if (found > 0) there.push(...calls);
      }
      if (present.size > 0) wrong.push(`${present.size} events are there that nobody sent`);
      if (books.events !== there.length) wrong.push(`${books.events} events in blocks, ${there.length} sent`);
      expect(wrong.slice(0, 10)).toEqual([]);
      expect(await recordedState(sql, ENVIRONMENT)).toEqual(expectedState(there, CARD));
      counts['events there'] = there.length;
    });
  } finally {
    await service.stop();
  }
}

let hasFailed = true;
test(`${ROUNDS} crashes under load lose nothing, double nothing, halve nothing`, async () => {
  console.log(`crash test, seed ${SEED}`);
  const startedAt = performance.now();
  for (let number = 0; number < ROUNDS; number++) {
    const mode = number === 0 ? 'both' : (MODES[Math.floor(plan() * MODES.length)] ?? 'both');
    counts[mode] = (counts[mode] ?? 0) + 1;
    history.push(mode);
    await round(mode);
    expect(wrong.slice(0, 10)).toEqual([]);
    if ((number + 1) % CHECK_EVERY === 0 || number + 1 === ROUNDS) {
      await check();
      const acknowledged = sent.filter((one) => one.isAcknowledged).length;
      const unanswered = sent.filter((one) => !one.isAcknowledged && one.mayBeThere).length;
      console.log(
        `  ${number + 1} crashes, ${sent.length} requests: ${acknowledged} acknowledged, ${unanswered} unanswered, ${sent.length - acknowledged - unanswered} refused; ${counts['events there']} events there, all right; ${Math.round((performance.now() - startedAt) / 1000)} s`,
      );
    }
  }
  console.log(
    `  ${Object.entries(counts)
      .map(([name, count]) => `${name}: ${count}`)
      .join(', ')}`,
  );
  expect(sent.filter((one) => one.isAcknowledged).length).toBeGreaterThan(ROUNDS);
  hasFailed = false;
});
