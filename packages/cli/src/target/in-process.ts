import { loadConfig, startErgon } from '@ergon/server';
import { CliError } from '../cli-error.ts';
import { EXIT_CODE } from '../exit-code.ts';
import type { CliIo, Fetch } from '../io.ts';
import { readStoredKey } from './data-directory.ts';
import { variable } from './variable.ts';

export type InProcess = { readonly fetch: Fetch; readonly adminKey: string; readonly stop: () => Promise<void> };

/** Starts the service on a data directory inside this process, without a socket. */
export async function startInProcess(io: CliIo, dataDir: string): Promise<InProcess> {
  // Its log would otherwise mix with the answer on standard output.
  const config = loadConfig({
    ...io.env,
    ERGON_DATA_DIR: dataDir,
    ERGON_LOG_LEVEL: variable(io, 'ERGON_LOG_LEVEL') ?? 'silent',
  });
  const server = await startErgon(config, { listen: false }).catch((error: unknown) => {
    throw new CliError(
      EXIT_CODE.failed,
      `the data directory ${dataDir} cannot be used: ${describe(error)}`,
      '`ergon doctor` looks for the cause.',
    );
  });
  const adminKey = variable(io, 'ERGON_API_KEY') ?? readStoredKey(dataDir);
  if (adminKey === undefined) {
    await server.stop();
    throw new CliError(
      EXIT_CODE.denied,
      `${dataDir} has no stored key`,
      'Set ERGON_API_KEY to an administrator key of this directory.',
    );
  }
  return { fetch: (request) => server.fetch(request), adminKey, stop: () => server.stop() };
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
