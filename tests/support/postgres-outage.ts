import { readdirSync, readFileSync } from 'node:fs';

/** PostgreSQL's first process and all that it has started: each connection is a process of its own. */
export function postgresProcesses(postmaster: number): number[] {
  const children = readdirSync('/proc').flatMap((name) => {
    const pid = Number(name);
    return Number.isInteger(pid) && parentOf(pid) === postmaster ? [pid] : [];
  });
  return [postmaster, ...children];
}

/** Sends a signal to all of them; one that has ended meanwhile needs none. */
export function signalPostgres(postmaster: number, signal: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL'): void {
  for (const pid of postgresProcesses(postmaster)) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
    }
  }
}

function parentOf(pid: number): number | undefined {
  try {
    // "pid (name) state parent": the name may hold anything but ends with the last bracket.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return undefined;
  }
}
