import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { CliError } from '../../cli-error.ts';
import { EXIT_CODE } from '../../exit-code.ts';

export type LogFile = {
  readonly path: string;
  /** Path from the directory that was searched: the same on every machine. */
  readonly relativePath: string;
};

type Surroundings = {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly homeDir: string;
  readonly cwd: string;
};

/** Where Claude Code keeps its logs: CLAUDE_CONFIG_DIR (a comma list) or both of its usual places. */
export function logDirectories({ env, homeDir, cwd }: Surroundings): string[] {
  const configured = (env['CLAUDE_CONFIG_DIR'] ?? '')
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '');
  const roots =
    configured.length > 0
      ? configured.map((one) => resolve(cwd, one))
      : [join(homeDir, '.config', 'claude'), join(homeDir, '.claude')];
  return roots.map((root) => (basename(root) === 'projects' ? root : join(root, 'projects')));
}

/** The log files under the given files and directories, or under the usual places, sorted by path. */
export function findLogs(paths: readonly string[], surroundings: Surroundings): LogFile[] {
  const places = paths.length > 0 ? paths.map((path) => resolve(surroundings.cwd, path)) : logDirectories(surroundings);
  const missing = paths.length > 0 ? places.find((place) => !existsSync(place)) : undefined;
  if (missing !== undefined) {
    throw new CliError(
      EXIT_CODE.usage,
      `there is nothing at ${missing}`,
      'Name a session file or a directory of them.',
    );
  }
  const byPath = new Map<string, LogFile>();
  for (const place of places.filter((one) => existsSync(one))) {
    for (const file of logsOf(place)) byPath.set(file.path, file);
  }
  if (byPath.size === 0) {
    throw new CliError(
      EXIT_CODE.usage,
      `no Claude Code logs in ${places.join(' or ')}`,
      'Name the directory that holds the *.jsonl files.',
    );
  }
  // By characters, not by the machine's language: the order decides which of two equal lines is taken.
  return [...byPath.values()].sort((a, b) =>
    a.relativePath < b.relativePath ? -1 : a.relativePath > b.relativePath ? 1 : 0,
  );
}

function logsOf(place: string): LogFile[] {
  if (statSync(place).isFile()) return [{ path: place, relativePath: relative(dirname(place), place) }];
  return readdirSync(place, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory() && /\.jsonl(\.gz|\.zst)?$/.test(entry.name))
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return { path, relativePath: relative(place, path).split(sep).join('/') };
    });
}
