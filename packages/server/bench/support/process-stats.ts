import { readdirSync, readFileSync } from 'node:fs';

/** Kernel clock ticks a second, as /proc reports times; 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

type Stat = { readonly parent: number; readonly ownMicros: number; readonly childrenMicros: number };

/** proc(5), /proc/pid/stat: the command may hold spaces, so the fields are counted from its closing bracket. */
function stat(pid: number): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const micros = (index: number): number => (Number(fields[index]) * 1_000_000) / TICKS_PER_SECOND;
    return {
      parent: Number(fields[1]),
      ownMicros: micros(11) + micros(12),
      childrenMicros: micros(13) + micros(14),
    };
  } catch {
    return undefined; // Ended meanwhile.
  }
}

/** A process and everything it started that still runs. */
export function family(pid: number): number[] {
  const parents = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    const child = Number(name);
    const parent = Number.isInteger(child) ? stat(child)?.parent : undefined;
    if (parent === undefined) continue;
    const siblings = parents.get(parent);
    if (siblings === undefined) parents.set(parent, [child]);
    else siblings.push(child);
  }
  const found = [pid];
  for (let index = 0; index < found.length; index++) found.push(...(parents.get(found[index] ?? -1) ?? []));
  return found;
}

/** Processor time of one process, all its threads, in microseconds. */
export function processMicros(pid: number): number {
  return stat(pid)?.ownMicros ?? 0;
}

/** Processor time of a PostgreSQL server: the postmaster, its live children, and those it has waited for. */
export function serverMicros(postmaster: number): number {
  const waitedFor = stat(postmaster)?.childrenMicros ?? 0;
  return family(postmaster).reduce((sum, pid) => sum + processMicros(pid), waitedFor);
}

/** Proportional set size in bytes: shared pages count once over all who share them. */
export function pssBytes(pids: readonly number[]): number {
  let bytes = 0;
  for (const pid of pids) {
    try {
      const match = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'));
      bytes += Number(match?.[1] ?? 0) * 1024;
    } catch {
      // Ended meanwhile.
    }
  }
  return bytes;
}
