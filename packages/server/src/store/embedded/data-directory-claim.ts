import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { Log } from './log.ts';
import type { EmbeddedConnection } from './start-embedded-postgres.ts';

/** Who serves a data directory; `url` is empty until it listens. */
export type Holder = { readonly pid: number; readonly url: string };

export type Claim = {
  /** Tells later starts where this service listens. */
  announce(url: string): void;
  /** Lets go of the data directory. */
  release(): Promise<void>;
};

export type ClaimOutcome =
  | { readonly ok: true; readonly claim: Claim }
  | { readonly ok: false; readonly holder: Holder | undefined };

export type ClaimOptions = {
  readonly dataDir: string;
  readonly connection: EmbeddedConnection;
  readonly log: Log;
  /** The database was restarted and another service claimed the directory first: stop serving. */
  readonly onLost: () => void;
};

/** Any fixed number; migrations use their own. */
const CLAIM_LOCK = 4_600_000_002;
const ATTEMPT_MS = 50;
/** A killed service's connection takes a moment to be noticed as gone. */
const PATIENCE_DEAD_MS = 5_000;
const PATIENCE_ALIVE_MS = 500;

/**
 * Makes this process the one service of an embedded data directory: a session's advisory lock in that database, which
 * ends with the process however it ends. A file beside it says who holds it, for people and messages only.
 */
export async function claimDataDirectory(options: ClaimOptions): Promise<ClaimOutcome> {
  const first = await lock(options.connection);
  const startedAt = performance.now();
  let session = first;
  while (session === undefined) {
    const holder = readHolder(options.dataDir);
    const patienceMs = holder !== undefined && isAlive(holder.pid) ? PATIENCE_ALIVE_MS : PATIENCE_DEAD_MS;
    if (performance.now() - startedAt > patienceMs) return { ok: false, holder };
    await sleep(ATTEMPT_MS);
    session = await lock(options.connection);
  }
  return { ok: true, claim: holdClaim(session, options) };
}

function holdClaim(first: pg.Client, options: ClaimOptions): Claim {
  let session = first;
  let isReleased = false;
  const watch = (): void => {
    session.once('end', () => {
      if (!isReleased) void reclaim();
    });
  };
  const reclaim = async (): Promise<void> => {
    while (!isReleased) {
      try {
        const again = await lock(options.connection);
        if (again === undefined) {
          options.log.error({ holder: readHolder(options.dataDir) }, 'another service took over this data directory');
          options.onLost();
          return;
        }
        session = again;
        watch();
        if (isReleased) await session.end();
        return;
      } catch {
        await sleep(ATTEMPT_MS * 2, undefined, { ref: false }); // The database is being restarted.
      }
    }
  };
  watch();
  writeHolder(options.dataDir, { pid: process.pid, url: '' });
  return {
    announce: (url) => writeHolder(options.dataDir, { pid: process.pid, url }),
    release: async () => {
      isReleased = true;
      rmSync(holderFile(options.dataDir), { force: true });
      await session.end().catch(() => undefined);
    },
  };
}

/** A session that holds the lock, or undefined when another session does. */
async function lock(connection: EmbeddedConnection): Promise<pg.Client | undefined> {
  const client = new pg.Client({ ...connection, application_name: 'ergon claim', keepAlive: true });
  client.on('error', () => undefined); // 'end' follows, and is acted on.
  try {
    await client.connect();
    const result = await client.query<{ held: boolean }>('select pg_try_advisory_lock($1) as held', [CLAIM_LOCK]);
    if (result.rows[0]?.held === true) return client;
  } catch (error) {
    await client.end().catch(() => undefined);
    throw error;
  }
  await client.end();
  return undefined;
}

/** Who says to serve `dataDir`, whether or not it still runs. */
export function readHolder(dataDir: string): Holder | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(holderFile(dataDir), 'utf8'));
    if (typeof value !== 'object' || value === null || !('pid' in value) || !('url' in value)) return undefined;
    return { pid: Number(value.pid), url: String(value.url) };
  } catch {
    return undefined;
  }
}

/** What a second start on the same data directory says, and what to do about it. */
export function alreadyRunning(dataDir: string, holder: Holder | undefined): [message: string, remedy: string] {
  const where = holder === undefined || holder.url === '' ? '' : `, ${holder.url}`;
  const who = holder === undefined ? '' : ` (pid ${holder.pid}${where})`;
  return [
    `another Ergon${who} is already using ${dataDir}`,
    'Use that one, stop it, or set ERGON_DATA_DIR to another directory',
  ];
}

function writeHolder(dataDir: string, holder: Holder): void {
  const file = holderFile(dataDir);
  writeFileSync(`${file}.new`, `${JSON.stringify(holder)}\n`, { mode: 0o644 });
  renameSync(`${file}.new`, file);
}

function holderFile(dataDir: string): string {
  return join(dataDir, 'running.json');
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
