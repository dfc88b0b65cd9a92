import { closeSync, fdatasyncSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { join } from 'node:path';

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2;
}

export function whole(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

export function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 1024 / 1024)} MiB`;
}

/** Progress and results go to standard error, so that `--json` leaves standard output to the machine. */
export function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

export type Machine = {
  readonly cpu: string;
  readonly cores: number;
  readonly memory: string;
  readonly kernel: string;
  readonly node: string;
  readonly loadAverage: number;
};

export function machine(): Machine {
  const [cpu] = cpus();
  return {
    cpu: cpu?.model ?? 'unknown',
    cores: cpus().length,
    memory: mebibytes(totalmem()),
    kernel: `${release()}${isVirtual() ? ', virtual machine' : ''}`,
    node: process.version,
    loadAverage: loadavg()[0] ?? 0,
  };
}

function isVirtual(): boolean {
  try {
    return /^flags.*\bhypervisor\b/m.test(readFileSync('/proc/cpuinfo', 'utf8'));
  } catch {
    return false;
  }
}

/** Milliseconds to write 8 KiB at the end of a file and make them durable: the median of 200, in the data directory. */
export function fdatasyncMs(directory: string): number {
  const path = join(directory, 'fdatasync.bench');
  const file = openSync(path, 'w');
  const block = Buffer.alloc(8192, 0x5a);
  const times: number[] = [];
  for (let round = 0; round < 200; round++) {
    const startedAt = performance.now();
    writeSync(file, block);
    fdatasyncSync(file);
    times.push(performance.now() - startedAt);
  }
  closeSync(file);
  rmSync(path);
  return median(times);
}
