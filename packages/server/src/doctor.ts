import { accessSync, constants, existsSync, statfsSync, statSync } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import pg from 'pg';
import type { ErgonConfig } from './config.ts';
import {
  databaseIdentity,
  packagedBinaries,
  readHolder,
  readPostmaster,
  runnableBinaries,
} from './store/embedded/index.ts';
import { latestMigration } from './store/migrate.ts';

/** One finding about a set-up; `remedy` says what to do unless all is well. */
export type DoctorCheck = {
  readonly name: string;
  readonly status: 'ok' | 'warn' | 'fail';
  readonly detail: string;
  readonly remedy?: string;
};

type DoctorConfig = Pick<ErgonConfig, 'host' | 'port' | 'dataDir' | 'databaseUrl'>;

const NODE_MAJOR_MIN = 24;
const FREE_BYTES_FAIL = 256 * 1024 * 1024;
const FREE_BYTES_WARN = 5 * 1024 * 1024 * 1024;
/** A disk that answers faster than this cannot have written; one slower than this bounds every answer. */
const FSYNC_MS_WARN = 30;
const CLOCK_SKEW_MS_MAX = 5_000;
/** No machine that runs this is set to a time before it was written. */
const EARLIEST = Date.UTC(2026, 10, 1);

/** Looks at everything a start needs, changes nothing that lasts, and never throws: what goes wrong is a finding. */
export async function diagnose(config: DoctorConfig): Promise<DoctorCheck[]> {
  const embedded = config.databaseUrl === undefined;
  const checks: (() => DoctorCheck | Promise<DoctorCheck>)[] = [
    checkNode,
    checkClock,
    () => checkDataDirectory(config.dataDir),
    ...(embedded
      ? [() => checkBinaries(config.dataDir), () => checkFreeSpace(config.dataDir), () => checkFsync(config.dataDir)]
      : []),
    () => checkPort(config),
    () => checkDatabase(config),
  ];
  const found: DoctorCheck[] = [];
  for (const check of checks) {
    try {
      found.push(await check());
    } catch (error) {
      found.push({
        name: 'doctor',
        status: 'fail',
        detail: error instanceof Error ? error.message : String(error),
        remedy: 'Follow the message',
      });
    }
  }
  return found;
}

function checkNode(): DoctorCheck {
  const name = 'Node';
  if (Number(process.versions.node.split('.')[0]) >= NODE_MAJOR_MIN)
    return { name, status: 'ok', detail: process.version };
  const remedy = 'Start with npm start, which brings Node 24, or install Node 24';
  return { name, status: 'fail', detail: `${process.version}, needs ${NODE_MAJOR_MIN} or later`, remedy };
}

function checkClock(): DoctorCheck {
  const now = Date.now();
  if (now >= EARLIEST) return { name: 'clock', status: 'ok', detail: new Date(now).toISOString() };
  const remedy = 'Set the clock: events more than an hour ahead of it are rejected';
  return { name: 'clock', status: 'fail', detail: `${new Date(now).toISOString()} is in the past`, remedy };
}

function checkDataDirectory(dataDir: string): DoctorCheck {
  const name = 'data directory';
  const existing = nearestExisting(dataDir);
  try {
    accessSync(existing, constants.W_OK | constants.X_OK);
  } catch {
    const remedy = `Make it writable for uid ${process.getuid?.()}, or set ERGON_DATA_DIR`;
    return { name, status: 'fail', detail: `${existing} cannot be written`, remedy };
  }
  const cluster = statSync(join(dataDir, 'postgres'), { throwIfNoEntry: false });
  const uid = process.getuid?.();
  if (cluster !== undefined && uid !== 0 && uid !== undefined && cluster.uid !== uid) {
    const remedy = `Start as that user or as root, or: chown -R ${uid} ${join(dataDir, 'postgres')}`;
    return { name, status: 'fail', detail: `${dataDir}/postgres belongs to uid ${cluster.uid}`, remedy };
  }
  return { name, status: 'ok', detail: existing === dataDir ? dataDir : `${dataDir} (made at the first start)` };
}

function checkBinaries(dataDir: string): DoctorCheck {
  const packaged = packagedBinaries();
  const identity = databaseIdentity(dataDir, join(dataDir, 'postgres'));
  const { directory, version } = runnableBinaries(identity, packaged);
  return {
    name: 'PostgreSQL binaries',
    status: 'ok',
    detail: `${version} in ${directory}, run as uid ${identity.uid}`,
  };
}

function checkFreeSpace(dataDir: string): DoctorCheck {
  const disk = statfsSync(nearestExisting(dataDir));
  const free = disk.bavail * disk.bsize;
  const detail = `${(free / 1024 ** 3).toFixed(1)} GiB free`;
  if (free >= FREE_BYTES_WARN) return { name: 'free space', status: 'ok', detail };
  const remedy = 'Free some, or move the data directory; the write-ahead log alone may take 4 GiB';
  return { name: 'free space', status: free < FREE_BYTES_FAIL ? 'fail' : 'warn', detail, remedy };
}

/** Every answered request waits for one flush of the log, so this is the floor of the service's latency. */
async function checkFsync(dataDir: string): Promise<DoctorCheck> {
  const name = 'disk flush';
  const path = join(nearestExisting(dataDir), `.ergon-doctor-${process.pid}`);
  const file = await open(path, 'wx', 0o600);
  try {
    const times: number[] = [];
    for (let round = 0; round < 9; round += 1) {
      await file.write(Buffer.alloc(8192, round), 0, 8192, round * 8192);
      const startedAt = performance.now();
      await file.datasync();
      times.push(performance.now() - startedAt);
    }
    const median = times.toSorted((a, b) => a - b)[4] ?? 0;
    const detail = `fdatasync of 8 KiB takes ${median.toFixed(2)} ms (median of 9)`;
    if (median <= FSYNC_MS_WARN) return { name, status: 'ok', detail };
    return {
      name,
      status: 'warn',
      detail,
      remedy: 'Every answer waits for one: put the data directory on a faster disk',
    };
  } finally {
    await file.close();
    await rm(path, { force: true });
  }
}

async function checkPort(config: DoctorConfig): Promise<DoctorCheck> {
  const name = 'port';
  const where = `${config.host}:${config.port}`;
  const code = await new Promise<string>((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen(config.port, config.host, () => server.close(() => resolve('')));
  });
  if (code === '') return { name, status: 'ok', detail: `${where} is free` };
  const holder = readHolder(config.dataDir);
  if (code === 'EADDRINUSE' && holder?.url.endsWith(`:${config.port}`) === true) {
    return { name, status: 'ok', detail: `${where} is served by this data directory's Ergon (pid ${holder.pid})` };
  }
  const remedy = code === 'EADDRINUSE' ? 'Stop what listens there, or set ERGON_PORT' : 'Set ERGON_HOST and ERGON_PORT';
  return { name, status: 'fail', detail: `${where} cannot be listened on (${code})`, remedy };
}

async function checkDatabase(config: DoctorConfig): Promise<DoctorCheck> {
  const name = 'database';
  const connection = databaseConnection(config);
  if (connection === undefined) {
    return { name, status: 'ok', detail: 'not running; npm start starts it' };
  }
  const client = new pg.Client({ ...connection, connectionTimeoutMillis: 5_000 });
  client.on('error', () => undefined); // The query that meets it rejects.
  try {
    await client.connect();
    return await judgeDatabase(client);
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    const remedy =
      config.databaseUrl === undefined ? `See ${join(config.dataDir, 'postgres.log')}` : 'Check DATABASE_URL';
    return { name, status: 'fail', detail, remedy };
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function judgeDatabase(client: pg.Client): Promise<DoctorCheck> {
  const name = 'database';
  const { rows } = await client.query<{ version: string; fsync: string; now: string; migrated: string | null }>(
    `select current_setting('server_version') as version, current_setting('fsync') as fsync,
      (extract(epoch from clock_timestamp()) * 1000)::text as now, to_regclass('schema_migration')::text as migrated`,
  );
  const state = rows[0];
  if (state === undefined) return { name, status: 'fail', detail: 'no answer', remedy: 'Restart it' };
  if (state.fsync !== 'on') {
    return { name, status: 'fail', detail: 'fsync is off: answered events may be lost', remedy: 'Set fsync = on' };
  }
  if (Math.abs(Number(state.now) - Date.now()) > CLOCK_SKEW_MS_MAX) {
    const detail = `its clock is ${Math.round((Number(state.now) - Date.now()) / 1000)} s from this machine's`;
    return { name, status: 'warn', detail, remedy: 'Synchronise both clocks (NTP)' };
  }
  const detail = `PostgreSQL ${state.version}, fsync on`;
  if (state.migrated === null) return { name, status: 'warn', detail: `${detail}, empty`, remedy: 'Start Ergon once' };
  const latest = await client.query<{ number: number }>('select max(number) as number from schema_migration');
  const found = latest.rows[0]?.number ?? 0;
  if (found === latestMigration()) return { name, status: 'ok', detail: `${detail}, migration ${found}` };
  const remedy =
    found < latestMigration() ? 'Start Ergon: migrations run at start' : 'Run the newer Ergon that wrote it';
  return { name, status: 'warn', detail: `${detail}, migration ${found}, this build has ${latestMigration()}`, remedy };
}

function databaseConnection(config: DoctorConfig): pg.ClientConfig | undefined {
  if (config.databaseUrl !== undefined) return { connectionString: config.databaseUrl };
  const running = readPostmaster(join(config.dataDir, 'postgres'));
  if (running === undefined) return undefined;
  return { host: running.socketDir, port: running.port, user: 'ergon', database: 'ergon' };
}

function nearestExisting(path: string): string {
  return existsSync(path) || path === dirname(path) ? path : nearestExisting(dirname(path));
}
