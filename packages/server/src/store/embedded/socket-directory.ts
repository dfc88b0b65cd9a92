import { createHash } from 'node:crypto';
import { chownSync, lstatSync, mkdirSync, realpathSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Identity } from './identity.ts';
import { LaunchError } from './launch-error.ts';

/** A Unix socket's path may have 107 bytes (103 on macOS); PostgreSQL adds `/.s.PGSQL.5432.lock` to the directory. */
const PATH_BYTES_MAX = 103 - '/.s.PGSQL.5432.lock'.length;

/**
 * The directory of the database's socket: short, the same at every start, and closed to other users, which is what
 * PostgreSQL's trust in whoever connects rests on.
 */
export function socketDirectory(clusterDir: string, identity: Identity): string {
  const hash = createHash('sha256').update(realpathSync(clusterDir)).digest('hex').slice(0, 12);
  const name = `ergon-${identity.uid}-${hash}`;
  const directory = [tmpdir(), '/tmp'].map((parent) => join(parent, name)).find(isShort) ?? join('/tmp', name);
  try {
    mkdirSync(directory, { mode: 0o700 });
    if (identity.isDropped) chownSync(directory, identity.uid, identity.gid);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
  const found = lstatSync(directory);
  const isOurs = found.uid === identity.uid || process.getuid === undefined;
  if (!found.isDirectory() || !isOurs || (found.mode & 0o077) !== 0) {
    throw new LaunchError(
      `${directory} exists and is not a private directory of uid ${identity.uid}`,
      'Remove it, or point TMPDIR at a directory of your own',
    );
  }
  return directory;
}

function isShort(path: string): boolean {
  return Buffer.byteLength(path) <= PATH_BYTES_MAX;
}
