import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import type { CliIo } from '../../io.ts';
import { plural, withGroups } from '../../print/number.ts';
import { fingerprint, inspectFile, openInput } from '../input-file.ts';
import type { ImportPlan } from '../run-import.ts';
import type { AgentLog, LogAccess, LogFile } from './agent-log.ts';
import { findLogs } from './find-logs.ts';
import { fixedData } from './fixed-data.ts';
import { type AgentLogNotes, noNotes, readAgentLogs } from './read-agent-logs.ts';

/** `ergon import claude-code|codex|...`: all files are one input, because a call may stand in several of them. */
export function agentLogPlan(
  io: CliIo,
  agent: AgentLog,
  paths: readonly string[],
  flags: { readonly customer: string | undefined; readonly set: readonly string[] },
): ImportPlan {
  const files = findLogs(agent, paths, io);
  const inspected = new Map(files.map((file) => [file, inspectFile(file.path)]));
  const fixed = fixedData(flags.set);
  const notes = noNotes();
  const nowMs = io.nowMs();
  return {
    kind: agent.name,
    customer: flags.customer,
    areCopiesHarmless: true,
    jobs: [
      {
        name: plural(files.length, `${agent.title} log`),
        fingerprint: stateOf(files),
        isRepeatable: () => notes.unfinished === 0,
        open: (onBytes) => {
          const access = logAccess(onBytes);
          return readAgentLogs({ agent, files, access, customer: flags.customer, fixed, nowMs }, notes);
        },
      },
    ],
    bytesTotal: [...inspected.values()].reduce((sum, state) => sum + state.bytes, 0),
    settings: [JSON.stringify(fixed), ...files.map((file) => file.path)],
    notes: () => describe(agent, notes),
  };
}

export function logAccess(onBytes: (count: number) => void): LogAccess {
  return {
    open: (file) => openInput(inspectFile(file.path), onBytes),
    modifiedAt: (file) => new Date(inspectFile(file.path).modifiedMs).toISOString(),
    skip: (file) => onBytes(inspectFile(file.path).bytes),
  };
}

/** One state of all files together; a database's log of recent writes is part of it. */
function stateOf(files: readonly LogFile[]): string {
  const hash = createHash('sha256');
  for (const file of files) {
    hash.update(`${file.relativePath}\n${fingerprint(inspectFile(file.path))}\n`);
    const recent = `${file.path}-wal`;
    if (file.path.endsWith('.db') && existsSync(recent)) hash.update(fingerprint(inspectFile(recent)));
  }
  return hash.digest('hex');
}

export function describe(agent: AgentLog, { usageLines, calls, synthetic, unfinished }: AgentLogNotes): string[] {
  return [
    ...(usageLines > calls
      ? [`${withGroups(usageLines)} lines with usage are ${plural(calls, 'call')}: ${agent.repeats}.`]
      : []),
    ...(synthetic > 0
      ? [`${plural(synthetic, 'message')} written by ${agent.title} itself left out: no call was made.`]
      : []),
    ...(unfinished > 0
      ? [`${plural(unfinished, 'call')} of the last five minutes may still be running; left for the next import.`]
      : []),
  ];
}
