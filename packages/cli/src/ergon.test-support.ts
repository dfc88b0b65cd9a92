import { loadConfig, startErgon } from '@ergon/server';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectionUrl } from '../../../tests/support/ergon.ts';
import { createTestDatabase } from '../../../tests/support/test-database.ts';
import type { ExitCode } from './exit-code.ts';
import type { CliIo, Fetch } from './io.ts';
import { runCli } from './run-cli.ts';

/** An administrator's key, well formed and known to nobody else. */
export const TEST_KEY = `ergon_${'0123456789abcdef'}_${'k'.repeat(43)}`;

export type Ran = { readonly code: ExitCode; readonly out: string; readonly error: string };

export type TestErgon = {
  readonly url: string;
  readonly directory: string;
  /** Runs a command line in-process against this server. */
  readonly run: (...argv: string[]) => Promise<Ran>;
  /** The same with other surroundings. */
  readonly runWith: (surroundings: Partial<CliIo>, ...argv: string[]) => Promise<Ran>;
  readonly fetch: Fetch;
  readonly stop: () => Promise<void>;
};

/** The real service on a database of its own, listening on a free port. */
export async function startTestErgon(): Promise<TestErgon> {
  const directory = mkdtempSync(join(tmpdir(), 'ergon-cli-'));
  const database = await createTestDatabase();
  const server = await startErgon(
    loadConfig({
      DATABASE_URL: connectionUrl(database.connection),
      ERGON_DATA_DIR: directory,
      ERGON_API_KEY: TEST_KEY,
      ERGON_PORT: '0',
      ERGON_LOG_LEVEL: 'silent',
    }),
  );
  const url = server.url ?? '';
  const runWith = (surroundings: Partial<CliIo>, ...argv: string[]) =>
    runOnce({ homeDir: directory, env: { ERGON_URL: url, ERGON_API_KEY: TEST_KEY }, ...surroundings }, argv);
  return {
    url,
    directory,
    run: (...argv) => runWith({}, ...argv),
    runWith,
    fetch: (request) => server.fetch(request),
    stop: async () => {
      await server.stop();
      await database.drop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Runs one command line with surroundings made up for a test. */
export async function runOnce(surroundings: Partial<CliIo>, argv: readonly string[]): Promise<Ran> {
  let [out, error] = ['', ''];
  const io: CliIo = {
    writeOut: (text) => {
      out += text;
    },
    writeError: (text) => {
      error += text;
    },
    readIn: async function* () {
      yield new Uint8Array();
    },
    env: {},
    cwd: tmpdir(),
    homeDir: tmpdir(),
    isOutTty: false,
    terminal: undefined,
    columns: 100,
    fetch: (request) => fetch(request),
    nowMs: () => Date.now(),
    random: () => 0,
    sleep: () => Promise.resolve(),
    signal: new AbortController().signal,
    ...surroundings,
  };
  const code = await runCli(argv, io);
  return { code, out, error };
}
