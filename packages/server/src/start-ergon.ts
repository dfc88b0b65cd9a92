import { createServer, type Server } from 'node:http';
import { serve } from '@hono/node-server';
import pino from 'pino';
import type { ErgonConfig } from './config.ts';
import { ensureAdminKey } from './admin-key.ts';
import { deliverWebhooks } from './handoff/index.ts';
import { createApp } from './http/app.ts';
import type { AppServices } from './http/context.ts';
import { forgetAnswers } from './http/idempotency.ts';
import { KeyVerifier, RateLimiter } from './http/keys.ts';
import { serverMetrics } from './http/metrics.ts';
import { expireHolds, HoldDesk, Leases, StoreFailureDesk, StoreFailureJournal } from './govern/index.ts';
import { maintainGenerations } from './identity/index.ts';
import { type Job, startJobs } from './jobs.ts';
import { machineClock } from './machine-clock.ts';
import { expireGrants, watchWallets } from './ledger/index.ts';
import { adjustAllEnded, advanceDue, entitleDue } from './billing/index.ts';
import type { PolicyCache } from './policies/index.ts';
import { addressGuard, createOutbound } from './outbound/index.ts';
import { loadProviderPrices, type ProviderPrices } from './provider-prices/index.ts';
import { costSource } from './record/cost-source.ts';
import { fillUnrated } from './record/fill-unrated.ts';
import { GroupCommit } from './record/group-commit.ts';
import { forgetFindings } from './quality/index.ts';
import { rerateDue } from './rerate/index.ts';
import { recordServices } from './record/services.ts';
import { LIMITS } from './limits.ts';
import { type Database, openDatabase, withinMs } from './store/database.ts';
import { EnvironmentClocks } from './store/environment-clock.ts';
import { latestMigration, migrate } from './store/migrate.ts';
import { providePostgres } from './store/provide-postgres.ts';

export const VERSION = '0.1.0';

export type RunningErgon = {
  /** Where it listens; `undefined` when it was started without a socket. */
  readonly url: string | undefined;
  /** The administrator key this start has made; to be shown once. */
  readonly newAdminKey: string | undefined;
  /** The same service without a socket, for tests and for imports straight into a data directory. */
  fetch(request: Request): Promise<Response>;
  /** Answers what is in flight, then closes connections and the embedded database. */
  stop(): Promise<void>;
};

export type StartOptions = {
  /** Default true. */
  readonly listen?: boolean;
  /** Microseconds since 1970; tests move it. */
  readonly now?: () => number;
  /** The data directory was taken over by another service: the process should end. */
  readonly onLost?: () => void;
};

/** Longest a stop waits for requests in flight. */
const STOP_TIMEOUT_MS = 10_000;

/** The pool hangs the whole connection, with all its statements, on an error of it. */
function withoutClient(error: Error): object {
  const { client: _, ...rest } = pino.stdSerializers.err(error) as { client?: unknown };
  return rest;
}

/**
 * Starts the service: database, migrations, caches, HTTP.
 *
 * @throws LaunchError when a person has to change something (its message says what).
 */
export async function startErgon(config: ErgonConfig, options: StartOptions = {}): Promise<RunningErgon> {
  const log = pino({ level: config.logLevel, serializers: { err: withoutClient } });
  const postgres = await providePostgres({
    databaseUrl: config.databaseUrl,
    dataDir: config.dataDir,
    log,
    onLost: options.onLost ?? (() => undefined),
  });
  const database = openDatabase({ connection: postgres.connection, connectionsMax: config.connections }, (error) =>
    log.warn({ err: error }, 'a database connection was lost'),
  );
  try {
    const [prices] = await Promise.all([loadProviderPrices(), prepareDatabase(database)]);
    const newAdminKey = await ensureAdminKey(database, config.dataDir, config.apiKey);
    const services = wire(config, database, prices, options.now ?? machineClock(), log);
    await services.clocks.refresh(database.pool);
    await services.storeFailures.start();
    const app = createApp(services);
    const jobs = startJobs(backgroundJobs(services), (name, error) =>
      log.warn({ err: error, job: name }, 'a job failed'),
    );
    const server = options.listen === false ? undefined : await listen(app.fetch, config);
    const url = server === undefined ? undefined : urlOf(server, config.host);
    if (url !== undefined) postgres.announce(url);
    return {
      url,
      newAdminKey,
      fetch: async (request) => app.fetch(request),
      async stop() {
        if (server !== undefined) await close(server);
        await jobs.stop();
        await services.leases.stop();
        await services.groupCommit.close();
        await services.storeFailures.close();
        await database.close();
        await postgres.stop();
      },
    };
  } catch (error) {
    await database.close();
    await postgres.stop();
    throw error;
  }
}

function backgroundJobs(services: AppServices): Job[] {
  const { database, record, holds, storeFailures, outbound, now, clocks, logError } = services;
  return [
    {
      name: 'identity generations',
      everyMs: 5_000,
      run: async () => {
        const isChanged = await maintainGenerations(database);
        if (isChanged || record.generations.isIncomplete) await record.generations.refresh(database.pool);
      },
    },
    { name: 'sandbox clocks', everyMs: 1_000, run: () => clocks.refresh(database.pool) },
    {
      name: 'billing periods',
      everyMs: 5_000,
      run: () => advanceDue(database, now(), (error) => logError(error, 'billing periods')),
    },
    { name: 'late usage', everyMs: 600_000, run: () => adjustAllEnded(database, now()) },
    { name: 'entitlements', everyMs: 5_000, run: () => entitleDue(database, now()) },
    { name: 're-rating', everyMs: 1_000, run: () => rerateDue(services) },
    { name: 'store failure', everyMs: 250, run: () => storeFailures.recover() },
    { name: 'hold expiry', everyMs: 1_000, run: () => expireHolds(database, holds, now()) },
    { name: 'grant expiry', everyMs: 30_000, run: () => expireGrants(database, now()) },
    { name: 'watched wallets', everyMs: 1_000, run: () => watchWallets(database, now(), false) },
    { name: 'wallet forecasts', everyMs: 30_000, run: () => watchWallets(database, now()) },
    { name: 'webhooks', everyMs: 1_000, run: () => deliverWebhooks({ database, outbound, now }) },
    { name: 'old findings', everyMs: 3_600_000, run: () => forgetFindings(database.pool, now()) },
    { name: 'kept answers', everyMs: 3_600_000, run: () => forgetAnswers(database) },
  ];
}

async function prepareDatabase(database: Database): Promise<void> {
  const client = await database.pool.connect();
  try {
    await migrate(client);
  } finally {
    client.release();
  }
  await fillUnrated(database);
}

function wire(
  config: ErgonConfig,
  database: Database,
  prices: ProviderPrices,
  now: () => number,
  log: pino.Logger,
): AppServices {
  const metrics = serverMetrics();
  const record = recordServices(database, costSource(prices));
  const clocks = new EnvironmentClocks(now);
  const groupCommit = new GroupCommit(database, record, {
    lanes: config.lanes,
    now: (environmentId) => clocks.now(environmentId),
    onGroup: (events, _requests, seconds) => {
      metrics.groupEvents.observe(events);
      metrics.groupSeconds.observe(seconds);
    },
    onFailure: (error) => {
      metrics.failures.inc({ kind: error instanceof Error ? error.name : 'unknown' });
      log.error({ err: error }, 'a record transaction failed');
    },
  });
  const clockNow = (environmentId: number): number => clocks.now(environmentId);
  const holds = new HoldDesk(database, clockNow);
  const policies: PolicyCache = new Map();
  const journal = new StoreFailureJournal(config.dataDir);
  const logError = (error: unknown, requestId: string): void =>
    log.error({ err: error, request_id: requestId }, 'a request failed');
  return {
    database,
    groupCommit,
    holds,
    leases: new Leases({ database, holds, record, policies, clocks, logError }),
    storeFailures: new StoreFailureDesk({ database, record, holds, policies, journal, now: clockNow, logError }),
    record,
    prices,
    keys: new KeyVerifier(database, now),
    rateLimiter: new RateLimiter(),
    metrics,
    outbound: createOutbound(addressGuard(config.webhookPrivateHosts)),
    policies,
    now,
    clocks,
    lateDays: config.lateDays,
    version: VERSION,
    readiness: () => readiness(database),
    logError,
  };
}

async function readiness(database: Database): Promise<{ ready: boolean; reason?: string }> {
  try {
    const result = await withinMs(
      LIMITS.storeAnswerMs,
      database.pool.query<{ number: number }>('select max(number) as number from schema_migration'),
    );
    const number = result.rows[0]?.number ?? 0;
    return number === latestMigration()
      ? { ready: true }
      : { ready: false, reason: `the schema is at migration ${number}, this build needs ${latestMigration()}` };
  } catch (error) {
    return {
      ready: false,
      reason: `the database does not answer: ${error instanceof Error ? error.message : 'unknown'}`,
    };
  }
}

async function listen(fetch: (request: Request) => Response | Promise<Response>, config: ErgonConfig): Promise<Server> {
  const server = serve({ fetch, hostname: config.host, port: config.port, createServer }) as Server;
  await new Promise<void>((resolve, reject) => {
    server.once('listening', resolve);
    server.once('error', reject);
  });
  return server;
}

function urlOf(server: Server, host: string): string {
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

async function close(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const timer = setTimeout(() => server.closeAllConnections(), STOP_TIMEOUT_MS);
  await closed;
  clearTimeout(timer);
}
