import { lstatSync, readdirSync, readlinkSync, realpathSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Identity } from './identity.ts';

/** PostgreSQL writes a lock file at once after making it; one that is still empty after this long has no writer any more. */
const WRITTEN_WITHIN_MS = 1_000;

/**
 * Removes the lock files that a server left empty because it was killed between making and writing one: PostgreSQL refuses
 * to start on them for ever. Only where nobody can still be about to write: the file is old enough, and no process works in
 * the cluster's directory (every server enters it before it makes its first lock file). Call only when no server is known
 * to run; a file that may not go yet stays for the next attempt.
 */
export function removeEmptyLocks(clusterDir: string, socketDir: string, port: number, identity: Identity): void {
  const abandoned = [join(clusterDir, 'postmaster.pid'), join(socketDir, `.s.PGSQL.${port}.lock`)].filter((path) =>
    isAbandoned(path, identity),
  );
  if (abandoned.length === 0 || hasProcessIn(clusterDir)) return;
  for (const path of abandoned) unlinkSync(path);
}

function isAbandoned(path: string, identity: Identity): boolean {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined || !found.isFile() || found.size > 0) return false;
  return found.uid === identity.uid && Date.now() - found.mtimeMs > WRITTEN_WITHIN_MS;
}

/** Where there is no `/proc` (macOS), the file's age alone decides. */
function hasProcessIn(directory: string): boolean {
  if (process.platform !== 'linux') return false;
  const wanted = realpathSync(directory);
  return readdirSync('/proc').some((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      return readlinkSync(`/proc/${name}/cwd`) === wanted;
    } catch {
      return false; // Ended meanwhile, or another user's.
    }
  });
}
