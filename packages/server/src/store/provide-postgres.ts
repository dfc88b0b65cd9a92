import { mkdirSync } from 'node:fs';
import type pg from 'pg';
import { alreadyRunning, claimDataDirectory, LaunchError, type Log, startEmbeddedPostgres } from './embedded/index.ts';

export type PostgresOptions = {
  /** A server of the operator's own; absent, one is started in `dataDir`. */
  readonly databaseUrl: string | undefined;
  readonly dataDir: string;
  readonly log: Log;
  /** Another service took over the data directory while the database was away: stop serving. */
  readonly onLost: () => void;
};

export type ProvidedPostgres = {
  readonly connection: pg.PoolConfig;
  /** Tells later starts on this data directory where this service listens. */
  announce(url: string): void;
  /** After the pool is closed: shuts the embedded server down; leaves the operator's own alone. */
  stop(): Promise<void>;
};

/**
 * The PostgreSQL that keeps the truth, embedded or the operator's. A data directory serves one Ergon at a time; a
 * `DATABASE_URL` may serve several.
 *
 * @throws LaunchError when a person has to change something, another service on the data directory included.
 */
export async function providePostgres(options: PostgresOptions): Promise<ProvidedPostgres> {
  if (options.databaseUrl !== undefined) {
    mkdirSync(options.dataDir, { recursive: true, mode: 0o700 });
    return {
      connection: { connectionString: options.databaseUrl },
      announce: () => undefined,
      stop: () => Promise.resolve(),
    };
  }
  const { dataDir, log, onLost } = options;
  const server = await startEmbeddedPostgres({ dataDir, log });
  const outcome = await claimDataDirectory({ dataDir, connection: server.connection, log, onLost });
  if (!outcome.ok) {
    server.release(); // The other service's now, even if this process happened to start it.
    throw new LaunchError(...alreadyRunning(dataDir, outcome.holder));
  }
  return {
    connection: { ...server.connection },
    announce: (url) => outcome.claim.announce(url),
    stop: async () => {
      await outcome.claim.release();
      await server.stop();
    },
  };
}
