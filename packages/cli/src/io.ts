import { homedir } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';

/** The form of `fetch` that both a real network and an in-process server have. */
export type Fetch = (request: Request) => Promise<Response>;

/** Everything the commands touch outside themselves, so that a test can run them in-process. */
export type CliIo = {
  readonly writeOut: (text: string) => void;
  readonly writeError: (text: string) => void;
  readonly readIn: () => AsyncIterable<Uint8Array>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly homeDir: string;
  readonly isOutTty: boolean;
  /** The terminal for a progress bar, where standard error is one. */
  readonly terminal: NodeJS.WritableStream | undefined;
  readonly columns: number;
  readonly fetch: Fetch;
  readonly nowMs: () => number;
  /** 0 <= value < 1. */
  readonly random: () => number;
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  /** Aborted by SIGINT or SIGTERM. */
  readonly signal: AbortSignal;
};

/** The real surroundings of the process. */
export function processIo(signal: AbortSignal): CliIo {
  return {
    writeOut: (text) => void process.stdout.write(text),
    writeError: (text) => void process.stderr.write(text),
    readIn: () => process.stdin,
    env: process.env,
    cwd: process.cwd(),
    homeDir: homedir(),
    isOutTty: process.stdout.isTTY === true,
    terminal: process.stderr.isTTY === true ? process.stderr : undefined,
    columns: process.stdout.columns ?? 100,
    fetch: (request) => fetch(request),
    nowMs: () => Date.now(),
    random: () => Math.random(),
    sleep: async (milliseconds, sleepSignal) => {
      await delay(milliseconds, undefined, { signal: sleepSignal }).catch(() => undefined);
    },
    signal,
  };
}
