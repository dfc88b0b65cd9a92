import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { linkLibraries, packagedBinaries, runnableBinaries } from './binaries.ts';
import {
  alreadyRunning,
  claimDataDirectory,
  type EmbeddedPostgres,
  readHolder,
  startEmbeddedPostgres,
} from './index.ts';

const isRoot = process.getuid?.() === 0;
const silent = { info: (): void => undefined, warn: (): void => undefined, error: (): void => undefined };

let home: string;
const started: EmbeddedPostgres[] = [];

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'ergon-launch-'));
});

afterEach(async () => {
  for (const server of started.splice(0)) {
    await server.stop();
    rmSync(server.connection.host, { recursive: true, force: true });
  }
  rmSync(home, { recursive: true, force: true });
});

async function start(name = 'data'): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres({ dataDir: join(home, name), log: silent, isSynced: false });
  started.push(server);
  return server;
}

async function ask(server: EmbeddedPostgres, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client(server.connection);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

function killServer(pid: number | undefined): void {
  if (pid === undefined) throw new Error('no server to kill'); // kill(0) would be our own process group.
  process.kill(pid, 'SIGKILL');
}

async function eventually<T>(attempt: () => Promise<T>, timeoutMs = 20_000): Promise<T> {
  const startedAt = performance.now();
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (performance.now() - startedAt > timeoutMs) throw error;
      await sleep(20);
    }
  }
}

describe('the embedded PostgreSQL', () => {
  test('is durable, in UTF-8, checksummed, private, never root, and keeps its rows over a restart', async () => {
    const server = await start();
    const [row] = await ask(
      server,
      `select current_setting('fsync') as fsync, current_setting('synchronous_commit') as commit,
        current_setting('data_checksums') as checksums, current_setting('listen_addresses') as addresses,
        pg_encoding_to_char(encoding) as encoding from pg_database where datname = current_database()`,
    );
    expect(row).toEqual({ fsync: 'on', commit: 'on', checksums: 'on', addresses: '', encoding: 'UTF8' });
    expect(statSync(server.connection.host).mode & 0o777).toBe(0o700);
    expect(statSync(join(home, 'data', 'postgres')).uid).not.toBe(0);
    await ask(server, 'create table kept as select 41 + 1 as answer');
    await server.stop();
    expect(existsSync(join(home, 'data', 'postgres', 'postmaster.pid'))).toBe(false);
    expect(await ask(await start(), 'select answer from kept')).toEqual([{ answer: 42 }]);
  });

  test('recovers by itself after kill -9, with what was committed', async () => {
    const server = await start();
    await ask(server, 'create table kept as select 1 as answer');
    for (let round = 0; round < 2; round += 1) {
      const before = server.pid();
      killServer(before);
      expect(await eventually(() => ask(server, 'select answer from kept'))).toEqual([{ answer: 1 }]);
      await eventually(async () => expect([undefined, before]).not.toContain(server.pid()));
    }
  });

  test('two directories side by side do not see each other', async () => {
    const [first, second] = await Promise.all([start('first'), start('second')]);
    await ask(first, 'create table only_here (id integer)');
    await expect(ask(second, 'select * from only_here')).rejects.toThrow(/does not exist/);
  });

  test('two first starts at once on one directory end up on one server', async () => {
    const [first, second] = await Promise.all([start(), start()]);
    await ask(first, 'create table shared as select 7 as answer');
    expect(await ask(second, 'select answer from shared')).toEqual([{ answer: 7 }]);
    expect(first.pid()).toBe(second.pid());
    first.release();
  });

  test('a number in postmaster.pid that now belongs to another program does not block the start', async () => {
    const server = await start();
    await server.stop();
    const bystander = spawn('sleep', ['60']);
    const file = join(home, 'data', 'postgres', 'postmaster.pid');
    writeFileSync(file, `${bystander.pid}\n${home}\n1\n5432\n${server.connection.host}\n\n 1 1\nready\n`, {
      mode: 0o600,
    });
    const owner = statSync(join(home, 'data', 'postgres'));
    chownSync(file, owner.uid, owner.gid);
    expect(await ask(await start(), 'select 1 as answer')).toEqual([{ answer: 1 }]);
    expect(bystander.exitCode).toBe(null);
    bystander.kill();
  });

  test('lock files that a killed server left empty do not block the start', async () => {
    const server = await start();
    await ask(server, 'create table kept as select 5 as answer');
    await server.stop();
    const cluster = join(home, 'data', 'postgres');
    const owner = statSync(cluster);
    for (const file of [join(cluster, 'postmaster.pid'), join(server.connection.host, '.s.PGSQL.5432.lock')]) {
      writeFileSync(file, '', { mode: 0o600 });
      chownSync(file, owner.uid, owner.gid);
    }
    expect(await ask(await start(), 'select answer from kept')).toEqual([{ answer: 5 }]);
  });

  test('a data directory of another version is refused, untouched', async () => {
    const server = await start();
    await server.stop();
    writeFileSync(join(home, 'data', 'postgres', 'PG_VERSION'), '17\n');
    await expect(start()).rejects.toThrow(/written by PostgreSQL 17.*pg_upgrade/s);
  });

  test.runIf(isRoot)('as root, works under a home that only root may enter', async () => {
    chmodSync(home, 0o700);
    mkdirSync(join(home, 'deeper'), { mode: 0o700 });
    expect(await ask(await start('deeper/data'), 'select 1 as answer')).toEqual([{ answer: 1 }]);
  });

  test.runIf(isRoot)('as root, runs as the owner of the data directory', async () => {
    mkdirSync(join(home, 'data'));
    chownSync(join(home, 'data'), 2, 2);
    chmodSync(home, 0o755);
    await start();
    expect(statSync(join(home, 'data', 'postgres')).uid).toBe(2);
    expect(statSync(join(home, 'data', 'postgres.log')).uid).toBe(2);
  });
});

describe('after kill -9 of the service', () => {
  test('the next start takes over the server that still runs, and can stop it', async () => {
    const first = await start();
    const pid = first.pid();
    first.release(); // What a killed service does: nothing more, and the server lives on.
    const second = await start();
    expect(second.pid()).toBe(pid);
    killServer(pid);
    await eventually(() => ask(second, 'select 1'));
    await eventually(async () => expect([undefined, pid]).not.toContain(second.pid()));
  });
});

describe('the claim on a data directory', () => {
  const claimOf = (server: EmbeddedPostgres, onLost = (): void => undefined) =>
    claimDataDirectory({ dataDir: join(home, 'data'), connection: server.connection, log: silent, onLost });

  test('is held by one service, named to the second, free after release', async () => {
    const server = await start();
    const first = await claimOf(server);
    if (!first.ok) throw new Error('the first claim was refused');
    first.claim.announce('http://127.0.0.1:4600');
    const second = await claimOf(server);
    expect(second).toEqual({ ok: false, holder: { pid: process.pid, url: 'http://127.0.0.1:4600' } });
    expect(alreadyRunning('/d', readHolder(join(home, 'data')))[0]).toBe(
      `another Ergon (pid ${process.pid}, http://127.0.0.1:4600) is already using /d`,
    );
    await first.claim.release();
    const third = await claimOf(server);
    expect(third.ok).toBe(true);
    if (third.ok) await third.claim.release();
  });

  test('is taken again after the database was killed', async () => {
    const server = await start();
    const first = await claimOf(server);
    if (!first.ok) throw new Error('the first claim was refused');
    const before = server.pid();
    killServer(before);
    await eventually(async () => {
      const held = await ask(server, `select 1 from pg_locks where locktype = 'advisory' and granted`);
      expect(held).toHaveLength(1);
    });
    expect((await claimOf(server)).ok).toBe(false);
    await first.claim.release();
  });
});

describe('the binaries', () => {
  test('get their library links when npm did not run the install script', () => {
    const copy = join(home, 'native');
    cpSync(packagedBinaries().directory, copy, { recursive: true, verbatimSymlinks: true });
    const listed: unknown = JSON.parse(readFileSync(join(copy, 'pg-symlinks.json'), 'utf8'));
    if (!Array.isArray(listed)) throw new Error('no list of links');
    for (const { target } of listed) unlinkSync(join(home, String(target)));
    expect(spawnSync(join(copy, 'bin', 'postgres'), ['--version']).status).not.toBe(0);
    expect(linkLibraries(copy)).toBe(true);
    expect(spawnSync(join(copy, 'bin', 'postgres'), ['--version']).status).toBe(0);
  });

  test.runIf(isRoot)('are copied where the database user can run them, and a damaged copy is made anew', () => {
    const source = { directory: join(home, 'closed', 'native'), version: '18.0-test' };
    mkdirSync(join(home, 'closed'), { mode: 0o700 });
    cpSync(packagedBinaries().directory, source.directory, { recursive: true, verbatimSymlinks: true });
    const identity = { uid: 65_534, gid: 65_534, isDropped: true };
    const copy = runnableBinaries(identity, source);
    expect(copy.directory).toMatch(/^\/(var\/tmp|var\/lib|opt)\/ergon-postgres-18\.0-test-0-/);
    expect(statSync(copy.directory).uid).toBe(0);
    writeFileSync(join(copy.directory, 'bin', 'initdb'), 'planted');
    runnableBinaries(identity, source);
    expect(statSync(join(copy.directory, 'bin', 'initdb')).size).toBeGreaterThan(10_000);
    chmodSync(copy.directory, 0o777);
    expect(runnableBinaries(identity, source).directory).not.toBe(copy.directory);
    rmSync(copy.directory, { recursive: true });
    rmSync(copy.directory.replace('/var/tmp/', '/var/lib/'), { recursive: true, force: true });
  });
});
