import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { CliError } from '../../cli-error.ts';
import { EXIT_CODE } from '../../exit-code.ts';
import type { AgentLog, LogFile, Surroundings } from './agent-log.ts';

/** The log files of an agent under the given files and directories, or under its usual places, in the order they are read. */
export function findLogs(agent: AgentLog, paths: readonly string[], surroundings: Surroundings): LogFile[] {
  if (paths.length > 0) {
    const places = paths.map((path) => resolve(surroundings.cwd, path));
    const missing = places.find((place) => !existsSync(place));
    if (missing !== undefined) {
      throw new CliError(
        EXIT_CODE.usage,
        `there is nothing at ${missing}`,
        'Name a session file or a directory of them.',
      );
    }
    return some(agent, places);
  }
  return some(agent, agent.places(surroundings));
}

function some(agent: AgentLog, places: readonly string[]): LogFile[] {
  const files = logsIn(agent, places);
  if (files.length > 0) return files;
  throw new CliError(
    EXIT_CODE.usage,
    `no ${agent.title} logs in ${places.join(' or ')}`,
    'Name the directory that holds them.',
  );
}

/** The same where nothing found is an answer as well. */
export function logsIn(agent: AgentLog, places: readonly string[]): LogFile[] {
  const byPath = new Map<string, LogFile>();
  for (const place of places.filter((one) => existsSync(one))) {
    for (const file of logsOf(agent, place)) byPath.set(file.path, file);
  }
  const rank = (file: LogFile): number => agent.rank?.(file.path) ?? 0;
  // By characters, not by the machine's language: the order decides which of two equal lines is taken.
  return [...byPath.values()].sort(
    (a, b) => rank(a) - rank(b) || (a.relativePath < b.relativePath ? -1 : a.relativePath > b.relativePath ? 1 : 0),
  );
}

function logsOf(agent: AgentLog, place: string): LogFile[] {
  if (statSync(place).isFile()) return [{ path: place, relativePath: relative(dirname(place), place) }];
  return readdirSync(place, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return { path, relativePath: relative(place, path).split(sep).join('/') };
    })
    .filter((file) => agent.isLog(file.relativePath));
}
