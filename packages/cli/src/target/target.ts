import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Api, createApi, createClient } from '../client/index.ts';
import { CliError } from '../cli-error.ts';
import { EXIT_CODE } from '../exit-code.ts';
import type { CliIo, Fetch } from '../io.ts';
import { readServedUrl, readStoredKey } from './data-directory.ts';
import { variable } from './variable.ts';

/** Where a command does its work. */
export type Target = {
  readonly api: Api;
  /** For messages: the address, or the data directory. */
  readonly label: string;
  /** Names the target in checkpoints. */
  readonly identity: string;
  /** Whether requests leave this machine. */
  readonly isRemote: boolean;
  /** Whether no server ran, so that the command works on the data directory itself. */
  readonly isInProcess: boolean;
  /** Where checkpoints are kept. */
  readonly stateDir: string;
  readonly close: () => Promise<void>;
};

/** The global options of the command line. */
export type TargetOptions = {
  readonly url?: string | undefined;
  readonly key?: string | undefined;
  readonly dataDir?: string | undefined;
};

export type OpenOptions = {
  /** Whether a data directory may be made where there is none. */
  readonly mayCreate: boolean;
  readonly onNote: (text: string) => void;
};

/**
 * Finds the server: the one that `--url` or ERGON_URL names; else the one that serves the data directory; else, unless the
 * directory was named, the one on the local port; else the data directory itself, with the service inside this process.
 */
export async function openTarget(io: CliIo, options: TargetOptions, open: OpenOptions): Promise<Target> {
  const named = options.url ?? variable(io, 'ERGON_URL');
  const namedDir = options.dataDir ?? variable(io, 'ERGON_DATA_DIR');
  const dataDir = resolve(io.cwd, namedDir ?? '.ergon');
  const key = options.key ?? variable(io, 'ERGON_API_KEY');
  if (named !== undefined) {
    const url = parseUrl(named);
    // The key of the local data directory is an administrator's; it is shown to no other machine.
    return connected(io, url, key ?? (isLoopback(url) ? readStoredKey(dataDir) : undefined), dataDir, open);
  }
  const served = readServedUrl(dataDir);
  const local = new URL(`http://127.0.0.1:${variable(io, 'ERGON_PORT') ?? '4600'}`);
  for (const url of [...(served === undefined ? [] : [served]), ...(namedDir === undefined ? [local] : [])]) {
    if (await answers(io, url)) return connected(io, url, key ?? readStoredKey(dataDir), dataDir, open);
  }
  return inProcess(io, dataDir, key, open);
}

function connected(io: CliIo, url: URL, apiKey: string | undefined, dataDir: string, open: OpenOptions): Target {
  if (apiKey === undefined) {
    throw new CliError(
      EXIT_CODE.denied,
      `no key for ${url.origin}`,
      `Set ERGON_API_KEY (or --key), or name with --data-dir the data directory of a server on this machine; ${dataDir} has no key.`,
    );
  }
  const isRemote = !isLoopback(url);
  const baseUrl = url.href.replace(/\/+$/, '');
  return {
    api: api(io, baseUrl, apiKey, io.fetch, open),
    label: baseUrl,
    identity: baseUrl,
    isRemote,
    isInProcess: false,
    stateDir: !isRemote && existsSync(dataDir) ? join(dataDir, 'imports') : join(io.homeDir, '.ergon-import'),
    close: () => Promise.resolve(),
  };
}

async function inProcess(io: CliIo, dataDir: string, key: string | undefined, open: OpenOptions): Promise<Target> {
  if (!existsSync(dataDir) && !open.mayCreate) {
    throw new CliError(
      EXIT_CODE.unreachable,
      `no server runs on this machine, and there is no data directory ${dataDir}`,
      'Start one with `ergon serve`, or say where it is with --url or --data-dir.',
    );
  }
  open.onNote(`No server runs here; working in the data directory ${dataDir}.`);
  const { startInProcess } = await import('./in-process.ts');
  const server = await startInProcess(io, dataDir);
  return {
    api: api(io, 'http://in-process', key ?? server.adminKey, server.fetch, open),
    label: dataDir,
    identity: dataDir,
    isRemote: false,
    isInProcess: true,
    stateDir: join(dataDir, 'imports'),
    close: () => server.stop(),
  };
}

function api(io: CliIo, baseUrl: string, apiKey: string, fetch: Fetch, open: OpenOptions): Api {
  const onRetry = (reason: string, delayMs: number): void => {
    open.onNote(`${reason}; trying again in ${(delayMs / 1_000).toFixed(1)} s`);
  };
  const { nowMs, random, sleep, signal } = io;
  return createApi(createClient({ baseUrl, apiKey, fetch, nowMs, random, sleep, signal, onRetry }));
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && (url.protocol === 'http:' || url.protocol === 'https:')) return url;
  throw new CliError(
    EXIT_CODE.usage,
    `${JSON.stringify(text)} is no address`,
    'Expected something like http://127.0.0.1:4600.',
  );
}

function isLoopback(url: URL): boolean {
  return url.hostname === 'localhost' || url.hostname === '[::1]' || /^127\./.test(url.hostname);
}

async function answers(io: CliIo, url: URL): Promise<boolean> {
  try {
    const response = await io.fetch(new Request(new URL('/healthz', url), { signal: AbortSignal.timeout(2_000) }));
    await response.text();
    return response.ok;
  } catch {
    return false;
  }
}
