import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Identity } from './identity.ts';

/** What `postmaster.pid` says of the server that wrote it. */
export type Postmaster = { readonly pid: number; readonly socketDir: string; readonly port: number };

/** The server named by `postmaster.pid`, if that file is there; it may be long dead. */
export function readPostmaster(clusterDir: string): Postmaster | undefined {
  let text: string;
  try {
    text = readFileSync(join(clusterDir, 'postmaster.pid'), 'utf8');
  } catch {
    return undefined;
  }
  // Lines: pid, data directory, start time, port, socket directory, listen address, shared memory, state.
  const lines = text.split('\n');
  const pid = Number(lines[0]);
  if (!Number.isSafeInteger(pid) || pid <= 1) return undefined;
  return { pid, port: Number(lines[3] ?? 0), socketDir: lines[4]?.trim() ?? '' };
}

/**
 * Whether process `pid` is the server of `clusterDir`. A number alone proves nothing: after a crash or in a restarted
 * container it may have been given to another process, and as root we must not signal whatever an unprivileged file names.
 */
export function isPostmasterOf(pid: number, clusterDir: string, identity: Identity): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  if (process.platform !== 'linux') return true;
  try {
    if (statSync(`/proc/${pid}`).uid !== identity.uid) return false;
    if (isZombie(pid)) return false;
    return readlinkSync(`/proc/${pid}/cwd`) === realpathSync(clusterDir);
  } catch {
    return false;
  }
}

/** A killed server whose parent is gone may wait for a slow reaper (in a container without an init, for ever). */
function isZombie(pid: number): boolean {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z');
}

/**
 * PostgreSQL will not start while the process named in `postmaster.pid` (or in the lock file of its socket) exists, were it
 * another program or a dead server that nobody has reaped. When it is not a server of
 * this directory, our own number is written instead: PostgreSQL disregards its parent's, and still goes on to check that no
 * orphan of the dead server holds its shared memory (which deleting the file would forgo).
 */
export function disownStalePid(clusterDir: string, stale: Postmaster, identity: Identity): void {
  replacePid(join(clusterDir, 'postmaster.pid'), stale.pid, identity);
  if (stale.socketDir !== '') replacePid(join(stale.socketDir, `.s.PGSQL.${stale.port}.lock`), stale.pid, identity);
}

function replacePid(path: string, stalePid: number, identity: Identity): void {
  let file: number;
  try {
    file = openSync(path, constants.O_RDWR | constants.O_NOFOLLOW);
  } catch {
    return;
  }
  try {
    const found = fstatSync(file);
    if (!found.isFile() || found.uid !== identity.uid || found.nlink !== 1) return;
    const [pid, ...rest] = readFileSync(file, 'utf8').split('\n');
    if (pid !== String(stalePid)) return;
    ftruncateSync(file);
    writeSync(file, [String(process.pid), ...rest].join('\n'), 0);
  } finally {
    closeSync(file);
  }
}
