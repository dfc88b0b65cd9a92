import { readFileSync, type Stats, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { LaunchError } from './launch-error.ts';

/** Whom PostgreSQL runs as. `isDropped`: we are root, it must not be. */
export type Identity = { readonly uid: number; readonly gid: number; readonly isDropped: boolean };

const NOBODY = 65_534;

/**
 * PostgreSQL refuses to run as root. Started as root, it runs as whoever owns its directory, else whoever owns the data
 * directory, else nobody.
 */
export function databaseIdentity(dataDir: string, clusterDir: string): Identity {
  const uid = process.getuid?.() ?? 0;
  const gid = process.getgid?.() ?? 0;
  if (process.getuid === undefined || uid !== 0) return { uid, gid, isDropped: false };
  for (const path of [clusterDir, dataDir]) {
    const owner = statSync(path, { throwIfNoEntry: false });
    if (owner !== undefined && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid || NOBODY, isDropped: true };
  }
  return { uid: NOBODY, gid: NOBODY, isDropped: true };
}

/** initdb insists that its user has a name. Reads /etc/passwd itself, because Node can only look up the current user. */
export function assertHasName(identity: Identity): void {
  if (process.platform !== 'linux') return;
  let users: string;
  try {
    users = readFileSync('/etc/passwd', 'utf8');
  } catch {
    return; // Names may come from elsewhere (LDAP); initdb will say if they do not.
  }
  if (users.split('\n').some((line) => line.split(':')[2] === String(identity.uid))) return;
  if (/^(passwd):.*\b(ldap|sss|systemd|nis|winbind)\b/m.test(nameSources())) return;
  throw new LaunchError(
    `PostgreSQL must run as uid ${identity.uid}, and that user has no entry in /etc/passwd`,
    `Add one (echo 'ergon:x:${identity.uid}:${identity.gid}::/nonexistent:/bin/false' >> /etc/passwd), run Ergon as a user that has a name, or set DATABASE_URL`,
  );
}

function nameSources(): string {
  try {
    return readFileSync('/etc/nsswitch.conf', 'utf8');
  } catch {
    return '';
  }
}

/** Whether `identity` may enter every directory above `path`, by the permission bits (access lists are not looked at). */
export function canReach(path: string, identity: Identity): boolean {
  if (!identity.isDropped) return true;
  for (let parent = dirname(path); ; parent = dirname(parent)) {
    if (!mayEnter(statSync(parent), identity)) return false;
    if (parent === dirname(parent)) return true;
  }
}

function mayEnter(directory: Stats, identity: Identity): boolean {
  if (directory.uid === identity.uid) return (directory.mode & 0o100) !== 0;
  if (directory.gid === identity.gid) return (directory.mode & 0o010) !== 0;
  return (directory.mode & 0o001) !== 0;
}

/** Options of `spawn` that make the child run as `identity`, in `cwd`. */
export function spawnAs(
  identity: Identity,
  cwd: string,
): { cwd: string; uid?: number; gid?: number; env: NodeJS.ProcessEnv } {
  const env: NodeJS.ProcessEnv = { PATH: process.env['PATH'] ?? '/usr/bin:/bin', TZ: 'UTC', LC_ALL: 'C' };
  return identity.isDropped ? { cwd, uid: identity.uid, gid: identity.gid, env } : { cwd, env };
}

/**
 * The name by which PostgreSQL finds its data directory. An unprivileged child cannot walk through a root-only home, but
 * it may be born inside: on Linux `/proc/self/cwd` leads to the working directory without walking through its parents.
 */
export function clusterPathFor(clusterDir: string, identity: Identity): string {
  if (canReach(join(clusterDir, 'x'), identity)) return clusterDir;
  if (process.platform === 'linux' && statSync('/proc/self/cwd', { throwIfNoEntry: false }) !== undefined) {
    return '/proc/self/cwd';
  }
  throw new LaunchError(
    `PostgreSQL runs as uid ${identity.uid}, which may not enter the directories above ${clusterDir}`,
    'Put the data directory elsewhere (ERGON_DATA_DIR=/var/lib/ergon) or run Ergon as an ordinary user',
  );
}
