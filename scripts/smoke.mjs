// What a newcomer does, and what may go wrong: a fresh clone, npm start, an event, a clean stop, a second start, a second
// service on the same directory, kill -9 of the service and of the database. Writes {"passed": n, "failed": n} to the file
// named by the first argument. Plain JavaScript for any Node from 20 on.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const home = mkdtempSync(join(tmpdir(), 'ergon-smoke-'));
const clone = join(home, 'clone');
const dataDir = join(home, 'data');
const apiKey = 'ergon_smoke_0123456789abcdef0123456789abcdef';
const tally = { passed: 0, failed: 0 };
const running = new Set();
let port = 0;

try {
  await check('a fresh clone', async () => {
    execFileSync('git', ['clone', '--quiet', '--no-hardlinks', root, clone], { stdio: 'inherit' });
    port = await freePort();
  });
  const first = await check('npm start installs and answers', () => startService(10 * 60_000));
  await check('an event is accepted, and is a duplicate the second time', async () => {
    expectEqual(await postEvent(), { accepted: 1, duplicates: 0 });
    expectEqual(await postEvent(), { accepted: 0, duplicates: 1 });
  });
  await check('a second service on the same data directory says so and stops', async () => {
    const second = npmStart(await freePort());
    const code = await within(20_000, second.exited);
    if (code !== 1) throw new Error(`exit code ${code}, not 1`);
    if (!/another Ergon.*already using/.test(second.output())) throw new Error(second.output());
  });
  await check('SIGTERM stops service and database cleanly', async () => {
    const pids = [servicePid(), databasePid()];
    process.kill(pids[0], 'SIGTERM');
    const code = await within(30_000, first.exited);
    if (code !== 0) throw new Error(`exit code ${code}, not 0: ${first.output()}`);
    await within(5_000, gone(pids[1]));
  });
  let service = await check('a second start is ready in under 3 s', async () => {
    const startedAt = Date.now();
    const again = await startService(30_000);
    const ms = Date.now() - startedAt;
    console.log(`  ready after ${ms} ms`);
    if (ms >= 3_000) throw new Error(`took ${ms} ms`);
    return again;
  });
  service = await check('after kill -9 of the service, the next start knows the event', async () => {
    process.kill(servicePid(), 'SIGKILL');
    await within(10_000, service.exited);
    const again = await startService(30_000);
    expectEqual(await postEvent(), { accepted: 0, duplicates: 1 });
    return again;
  });
  await check('after kill -9 of the database, the service recovers by itself', async () => {
    process.kill(databasePid(), 'SIGKILL');
    await eventually(30_000, async () => expectEqual(await postEvent(), { accepted: 0, duplicates: 1 }));
  });
  await check('SIGTERM of npm start stops everything', async () => {
    const pid = databasePid();
    const last = service ?? [...running].at(-1);
    last.child.kill('SIGTERM');
    await within(30_000, last.exited);
    await within(5_000, gone(pid));
  });
} finally {
  await stopEverything();
  rmSync(home, { recursive: true, force: true });
}
if (process.argv[2]) writeFileSync(process.argv[2], JSON.stringify(tally));
console.log(`smoke: ${tally.passed} passed, ${tally.failed} failed`);
process.exit(tally.failed === 0 ? 0 : 1);

/** After a failed check something may still run: it is asked to stop, then made to. */
async function stopEverything() {
  const exits = [...running].map(({ child, exited }) => {
    child.kill('SIGTERM');
    return exited;
  });
  await within(15_000, Promise.all(exits)).catch(() => undefined);
  for (const pidOf of [servicePid, databasePid]) {
    try {
      process.kill(pidOf(), 'SIGKILL');
    } catch {
      // Gone, as it should be.
    }
  }
}

async function check(name, work) {
  try {
    const result = await work();
    tally.passed += 1;
    console.log(`ok    ${name}`);
    return result;
  } catch (error) {
    tally.failed += 1;
    console.log(`FAIL  ${name}\n      ${error instanceof Error ? error.stack : error}`);
    return undefined;
  }
}

function npmStart(onPort) {
  const env = { ...process.env, ERGON_DATA_DIR: dataDir, ERGON_PORT: String(onPort), ERGON_API_KEY: apiKey };
  delete env.DATABASE_URL;
  const child = spawn('npm', ['start'], { cwd: clone, stdio: ['ignore', 'pipe', 'pipe'], env });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      text = (text + chunk).slice(-20_000);
    });
  }
  const exited = new Promise((resolve) => {
    child.once('exit', (code, signal) => {
      running.delete(service);
      resolve(code ?? signal);
    });
  });
  const service = { child, exited, output: () => text };
  running.add(service);
  return service;
}

async function startService(timeoutMs) {
  const service = npmStart(port);
  const ready = eventually(timeoutMs, async () => {
    const answer = await fetch(`http://127.0.0.1:${port}/healthz`);
    if (!answer.ok) throw new Error(`/healthz answers ${answer.status}`);
  });
  const ended = service.exited.then((code) => {
    throw new Error(`npm start ended with ${code}:\n${service.output()}`);
  });
  ended.catch(() => undefined);
  await Promise.race([ready, ended]);
  return service;
}

async function postEvent() {
  const answer = await fetch(`http://127.0.0.1:${port}/v1/events`, {
    method: 'POST',
    headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/cloudevents+json' },
    body: JSON.stringify({
      specversion: '1.0',
      id: 'smoke-1',
      source: 'smoke',
      type: 'api.request',
      subject: 'customer-1',
      data: { count: 1 },
    }),
    signal: AbortSignal.timeout(10_000),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`POST /v1/events answers ${answer.status}: ${text}`);
  const { accepted, duplicates } = JSON.parse(text);
  return { accepted, duplicates };
}

function servicePid() {
  return JSON.parse(readFileSync(join(dataDir, 'running.json'), 'utf8')).pid;
}

function databasePid() {
  return Number(readFileSync(join(dataDir, 'postgres', 'postmaster.pid'), 'utf8').split('\n')[0]);
}

function expectEqual(found, wanted) {
  if (JSON.stringify(found) === JSON.stringify(wanted)) return;
  throw new Error(`expected ${JSON.stringify(wanted)}, got ${JSON.stringify(found)}`);
}

async function eventually(timeoutMs, attempt) {
  const endsAt = Date.now() + timeoutMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > endsAt) throw error;
      await sleep(50);
    }
  }
}

function gone(pid) {
  return eventually(60_000, () => {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    throw new Error(`process ${pid} still runs`);
  });
}

async function within(timeoutMs, promise) {
  const late = sleep(timeoutMs, undefined, { ref: false }).then(() => {
    throw new Error(`not within ${timeoutMs} ms`);
  });
  return Promise.race([promise, late]);
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port: found } = server.address();
      server.close(() => resolve(found));
    });
  });
}
