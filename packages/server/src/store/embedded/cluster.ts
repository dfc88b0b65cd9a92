import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Binaries } from './binaries.ts';
import { assertHasName, clusterPathFor, type Identity, spawnAs } from './identity.ts';
import { LaunchError } from './launch-error.ts';

export const SUPERUSER = 'ergon';

/** What an interrupted start may leave behind is removed by a later one, once no start can still be working on it. */
const ABANDONED_AFTER_MS = 10 * 60_000;

export type ClusterOptions = {
  readonly dataDir: string;
  readonly clusterDir: string;
  readonly binaries: Binaries;
  readonly identity: Identity;
  /** False only for databases that are thrown away. */
  readonly isSynced: boolean;
};

/**
 * Creates PostgreSQL's data directory unless it exists. Made under another name and renamed when complete, so that a start
 * cut short leaves nothing that looks finished, and of two starts at once exactly one wins.
 */
export function createCluster(options: ClusterOptions): 'created' | 'existing' {
  const { dataDir, clusterDir, binaries, identity } = options;
  if (existsSync(clusterDir)) {
    assertUsable(clusterDir, identity);
    if (existsSync(join(clusterDir, 'PG_VERSION'))) return 'existing';
  }
  assertHasName(identity);
  removeAbandoned(dataDir);
  const fresh = mkdtempSync(join(dataDir, 'postgres.new-'));
  try {
    chmodSync(fresh, 0o700);
    if (identity.isDropped) chownSync(fresh, identity.uid, identity.gid);
    const run = spawnSync(
      join(binaries.directory, 'bin', 'initdb'),
      [
        ...['-D', clusterPathFor(fresh, identity), '--username', SUPERUSER, '--encoding', 'UTF8'],
        // C order is what B-trees on hashes and keys want, it never changes with the C library, and it needs no locale installed.
        ...['--locale-provider', 'builtin', '--builtin-locale', 'C.UTF-8', '--locale', 'C'],
        // Whoever can enter the socket's directory is us; nobody else can connect at all.
        ...['--auth-local', 'trust', '--auth-host', 'reject', '--data-checksums', '--no-instructions'],
        ...(options.isSynced ? [] : ['--no-sync']),
      ],
      { ...spawnAs(identity, fresh), stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8' },
    );
    if (run.status !== 0) {
      const said = (run.error?.message ?? `${run.stdout}\n${run.stderr}`).trim().split('\n').slice(-4).join(' | ');
      throw new LaunchError(
        `initdb failed in ${dataDir}: ${said}`,
        'Check free space and permissions, or run ergon doctor',
      );
    }
    return moveIntoPlace(fresh, clusterDir);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

function moveIntoPlace(fresh: string, clusterDir: string): 'created' | 'existing' {
  try {
    renameSync(fresh, clusterDir);
    return 'created';
  } catch (cause) {
    if (existsSync(join(clusterDir, 'PG_VERSION'))) return 'existing';
    throw new LaunchError(
      `${clusterDir} exists and is not a PostgreSQL data directory`,
      'Move it away, or choose another ERGON_DATA_DIR',
      { cause },
    );
  }
}

function assertUsable(clusterDir: string, identity: Identity): void {
  const owner = statSync(clusterDir).uid;
  if (process.getuid === undefined || owner === identity.uid) return;
  throw new LaunchError(
    `${clusterDir} belongs to uid ${owner}, and Ergon runs as uid ${identity.uid}`,
    `Start Ergon as uid ${owner} or as root, or give the directory away: chown -R ${identity.uid} ${clusterDir}`,
  );
}

function removeAbandoned(dataDir: string): void {
  for (const name of readdirSync(dataDir)) {
    if (!name.startsWith('postgres.new-')) continue;
    const path = join(dataDir, name);
    const found = statSync(path, { throwIfNoEntry: false });
    if (found !== undefined && Date.now() - found.mtimeMs > ABANDONED_AFTER_MS) {
      rmSync(path, { recursive: true, force: true });
    }
  }
}
