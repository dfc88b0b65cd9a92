import { type ChildProcess, spawn } from 'node:child_process';
import { chownSync, closeSync, mkdirSync, openSync, readFileSync, realpathSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { type Binaries, runnableBinaries } from './binaries.ts';
import { createCluster, SUPERUSER } from './cluster.ts';
import { removeEmptyLocks } from './empty-locks.ts';
import { clusterPathFor, databaseIdentity, type Identity, spawnAs } from './identity.ts';
import { LaunchError } from './launch-error.ts';
import type { Log } from './log.ts';
import { disownStalePid, isPostmasterOf, readPostmaster } from './postmaster.ts';
import { DEFAULT_SETTINGS, type Settings, settingArguments } from './settings.ts';
import { socketDirectory } from './socket-directory.ts';

export type EmbeddedPostgresOptions = {
  /** Holds `postgres/` (the cluster) and `postgres.log`; made if missing. */
  readonly dataDir: string;
  readonly log: Log;
  /** Added to, and winning over, {@link DEFAULT_SETTINGS}. */
  readonly settings?: Settings;
  /** Default true; false skips the sync after initdb, for databases that are thrown away. */
  readonly isSynced?: boolean;
};

/** Has the shape of `pg`'s client and pool configuration. */
export type EmbeddedConnection = {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
};

export type EmbeddedPostgres = {
  readonly connection: EmbeddedConnection;
  /** The running server's process, or undefined while it is being restarted. */
  pid(): number | undefined;
  /** Shuts the server down cleanly ("fast": open transactions are rolled back) and ends the supervision. */
  stop(): Promise<void>;
  /** Ends the supervision and leaves the server running, for another process that uses it. */
  release(): void;
};

const DATABASE = 'ergon';
const PORT = 5432;
const POLL_MS = 20;
/** An adopted server is not our child, so its end is seen by looking. */
const ADOPTED_POLL_MS = 250;
const RESTART_DELAY_MS_MAX = 10_000;
/** A server that lived this long did not fail at starting: the next restart is immediate again. */
const STABLE_AFTER_MS = 60_000;
/** Long enough for orphans of a killed server to notice and leave its shared memory. */
const FIRST_START_ATTEMPTS = 8;
const STOP_WAIT_MS = 60_000;
const LOG_BYTES_MAX = 16 * 1024 * 1024;

type Running = { readonly pid: number; readonly child: ChildProcess | undefined; readonly ended: Promise<void> };

type Launch = {
  readonly clusterDir: string;
  readonly logFile: string;
  readonly binaries: Binaries;
  readonly identity: Identity;
  readonly socketDir: string;
  readonly settings: Settings;
  readonly log: Log;
};

/**
 * Starts PostgreSQL on `dataDir`, or takes over the one that already runs there, and keeps it running: when it dies, it is
 * started again, with growing delays. Creates the cluster and the database `ergon` at the first start.
 *
 * @throws LaunchError when a person has to change something.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const launch = prepare(options);
  let running: Running | undefined = await startOrAdopt(launch, FIRST_START_ATTEMPTS);
  const socketDir = readPostmaster(launch.clusterDir)?.socketDir || launch.socketDir;
  const connection = { host: socketDir, port: PORT, user: SUPERUSER, database: DATABASE };
  await createDatabase(connection);

  const supervision = new AbortController();
  const supervised = supervise(launch, running, supervision.signal, (now) => {
    running = now;
  });
  return {
    connection,
    pid: () => running?.pid,
    stop: async () => {
      supervision.abort();
      await supervised;
      if (running !== undefined) await shutDown(running, launch);
      running = undefined;
    },
    release: () => supervision.abort(),
  };
}

function prepare(options: EmbeddedPostgresOptions): Launch {
  mkdirSync(options.dataDir, { recursive: true, mode: 0o700 });
  const dataDir = realpathSync(options.dataDir);
  const clusterDir = join(dataDir, 'postgres');
  const identity = databaseIdentity(dataDir, clusterDir);
  const binaries = runnableBinaries(identity);
  const startedAt = performance.now();
  const outcome = createCluster({ dataDir, clusterDir, binaries, identity, isSynced: options.isSynced ?? true });
  if (outcome === 'created') {
    options.log.info(
      { dataDir, uid: identity.uid, ms: Math.round(performance.now() - startedAt) },
      'database cluster created',
    );
  }
  assertVersion(clusterDir, binaries);
  return {
    clusterDir,
    logFile: join(dataDir, 'postgres.log'),
    binaries,
    identity,
    socketDir: socketDirectory(clusterDir, identity),
    settings: { ...DEFAULT_SETTINGS, ...options.settings },
    log: options.log,
  };
}

function assertVersion(clusterDir: string, binaries: Binaries): void {
  const found = readFileSync(join(clusterDir, 'PG_VERSION'), 'utf8').trim();
  if (binaries.version.startsWith(`${found}.`)) return;
  throw new LaunchError(
    `${clusterDir} was written by PostgreSQL ${found}, and these binaries are ${binaries.version}`,
    'Upgrade the cluster with pg_upgrade, or run the Ergon release that wrote it',
  );
}

/** A live server of this directory, whoever started it; when there is none, a new one. Resolves once it answers queries. */
async function startOrAdopt(launch: Launch, attemptsMax: number): Promise<Running> {
  for (let attempt = 1; ; attempt += 1) {
    const known = readPostmaster(launch.clusterDir);
    const isAlive = known !== undefined && isPostmasterOf(known.pid, launch.clusterDir, launch.identity);
    if (known !== undefined && !isAlive) disownStalePid(launch.clusterDir, known, launch.identity);
    if (!isAlive) removeEmptyLocks(launch.clusterDir, launch.socketDir, PORT, launch.identity);
    const candidate = isAlive ? adopt(known.pid, launch) : await launchServer(launch);
    if (await answers(candidate, launch)) {
      launch.log.info(
        { database_pid: candidate.pid, adopted: isAlive },
        isAlive ? 'database found running' : 'database started',
      );
      return candidate;
    }
    if (attempt >= attemptsMax) {
      throw new LaunchError(`PostgreSQL does not start: ${lastLines(launch.logFile)}`, `See ${launch.logFile}`);
    }
    await sleep(Math.min(100 * 2 ** (attempt - 1), RESTART_DELAY_MS_MAX));
  }
}

function adopt(pid: number, launch: Launch): Running {
  const ended = (async (): Promise<void> => {
    while (isPostmasterOf(pid, launch.clusterDir, launch.identity)) {
      await sleep(ADOPTED_POLL_MS, undefined, { ref: false });
    }
  })();
  return { pid, child: undefined, ended };
}

async function launchServer(launch: Launch): Promise<Running> {
  const logFile = openLog(launch);
  try {
    const child = spawn(
      join(launch.binaries.directory, 'bin', 'postgres'),
      [
        ...['-D', clusterPathFor(launch.clusterDir, launch.identity), '-k', launch.socketDir, '-p', String(PORT)],
        ...settingArguments(launch.settings),
      ],
      // Its own process group: Ctrl-C in the terminal must reach us only, and we then stop it in the right order.
      { ...spawnAs(launch.identity, launch.clusterDir), detached: true, stdio: ['ignore', logFile, logFile] },
    );
    const ended = new Promise<void>((resolve) => {
      child.once('exit', () => resolve());
      child.once('error', () => resolve());
    });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
    child.unref();
    return { pid: child.pid ?? 0, child, ended };
  } catch (cause) {
    throw new LaunchError(
      `cannot run PostgreSQL as uid ${launch.identity.uid}: ${cause instanceof Error ? cause.message : String(cause)}`,
      'Run Ergon as an ordinary user, or set DATABASE_URL',
      { cause },
    );
  } finally {
    closeSync(logFile);
  }
}

function openLog(launch: Launch): number {
  const size = statSync(launch.logFile, { throwIfNoEntry: false })?.size ?? 0;
  if (size > LOG_BYTES_MAX) renameSync(launch.logFile, `${launch.logFile}.1`);
  const file = openSync(launch.logFile, 'a', 0o600);
  if (launch.identity.isDropped) {
    const owner = statSync(join(launch.logFile, '..'));
    // In an ordinary user's directory the log is that user's too, so that a later start without root can write it.
    if (owner.uid !== 0) chownSync(launch.logFile, owner.uid, owner.gid);
  }
  return file;
}

/** True once the server answers a query, false when it ends first. Recovery after a crash may take minutes; that is waited for. */
async function answers(server: Running, launch: Launch): Promise<boolean> {
  let hasEnded = false;
  void server.ended.then(() => {
    hasEnded = true;
  });
  let waitedMs = 0;
  while (!hasEnded) {
    const known = readPostmaster(launch.clusterDir);
    if (known?.pid === server.pid && (await canQuery(known.socketDir || launch.socketDir))) return true;
    await sleep(POLL_MS);
    waitedMs += POLL_MS;
    if (waitedMs % 10_000 === 0) launch.log.warn({ pid: server.pid, waitedMs }, 'waiting for the database to recover');
  }
  return false;
}

async function canQuery(socketDir: string): Promise<boolean> {
  const client = new pg.Client({
    host: socketDir,
    port: PORT,
    user: SUPERUSER,
    database: 'postgres',
    connectionTimeoutMillis: 5_000,
  });
  client.on('error', () => undefined); // Told by the rejected promise as well.
  try {
    await client.connect();
    await client.query('select 1');
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function createDatabase(connection: EmbeddedConnection): Promise<void> {
  const client = new pg.Client({ ...connection, database: 'postgres' });
  await client.connect();
  try {
    const found = await client.query('select from pg_database where datname = $1', [connection.database]);
    if (found.rowCount === 0) await client.query(`create database ${client.escapeIdentifier(connection.database)}`);
  } catch (error) {
    // 42P04, or a unique violation of the catalog: another start made it between the two statements.
    if (!(error instanceof pg.DatabaseError && (error.code === '42P04' || error.code === '23505'))) throw error;
  } finally {
    await client.end();
  }
}

async function supervise(
  launch: Launch,
  first: Running,
  signal: AbortSignal,
  onChange: (running: Running | undefined) => void,
): Promise<void> {
  const aborted = new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  let running = first;
  let failures = 0;
  while (!signal.aborted) {
    const startedAt = performance.now();
    await Promise.race([running.ended, aborted]);
    if (signal.aborted) return;
    onChange(undefined);
    failures = performance.now() - startedAt > STABLE_AFTER_MS ? 0 : failures;
    launch.log.error({ pid: running.pid, lastLines: lastLines(launch.logFile) }, 'database ended; starting it again');
    const restarted = await restart(launch, signal, failures);
    if (restarted === undefined) return;
    running = restarted;
    failures += 1;
    onChange(running);
  }
}

async function restart(launch: Launch, signal: AbortSignal, failuresBefore: number): Promise<Running | undefined> {
  for (let failures = failuresBefore; !signal.aborted; failures += 1) {
    if (failures > 0) await sleep(Math.min(50 * 2 ** failures, RESTART_DELAY_MS_MAX), undefined, { ref: false });
    if (signal.aborted) return undefined;
    try {
      return await startOrAdopt(launch, 1);
    } catch (error) {
      launch.log.error({ err: error, failures }, 'database does not start; trying again');
    }
  }
  return undefined;
}

async function shutDown(server: Running, launch: Launch): Promise<void> {
  if (!isPostmasterOf(server.pid, launch.clusterDir, launch.identity)) return;
  process.kill(server.pid, 'SIGINT');
  server.child?.ref();
  const timeout = new AbortController();
  const late = sleep(STOP_WAIT_MS, 'late' as const, { signal: timeout.signal }).catch(() => 'ended' as const);
  if ((await Promise.race([server.ended, late])) === 'late') {
    launch.log.warn({ pid: server.pid }, 'database still shutting down; leaving it to finish');
  }
  timeout.abort();
}

function lastLines(logFile: string): string {
  try {
    return readFileSync(logFile, 'utf8').trim().split('\n').slice(-4).join(' | ');
  } catch {
    return '(no log)';
  }
}
