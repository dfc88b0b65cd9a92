import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import type { TestProject } from 'vitest/node';
import { startEmbeddedPostgres } from '../../packages/server/src/store/embedded/index.ts';
import { migrate } from '../../packages/server/src/store/migrate.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** `logFile` is null where the server is not ours. */
    testPostgres: { readonly config: pg.ClientConfig; readonly template: string; readonly logFile: string | null };
  }
}

/**
 * Before all test files: one PostgreSQL for them (ours, in a temporary directory, or TEST_DATABASE_URL), and in it one
 * migrated database from which `createTestDatabase` copies. Removes everything afterwards.
 */
export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  const url = process.env['TEST_DATABASE_URL'];
  const server =
    url === undefined || url === ''
      ? await ownServer()
      : { config: { connectionString: url }, logFile: null, stop: noStop };
  const template = `ergon_test_template_${process.pid}_${Date.now().toString(36)}`;
  const admin = new pg.Client(server.config);
  await admin.connect();
  await admin.query(`create database ${template} template template0 encoding 'UTF8'`);
  const client = new pg.Client({ ...withDatabase(server.config, template) });
  await client.connect();
  await migrate(client);
  await client.end();
  project.provide('testPostgres', { config: server.config, template, logFile: server.logFile });
  return async () => {
    await admin.query(`drop database if exists ${template} with (force)`);
    await admin.end();
    await server.stop();
  };
}

async function ownServer(): Promise<{ config: pg.ClientConfig; logFile: string; stop: () => Promise<void> }> {
  const dataDir = mkdtempSync(join(tmpdir(), 'ergon-test-'));
  const silent = (): void => undefined;
  const server = await startEmbeddedPostgres({
    dataDir,
    isSynced: false,
    log: { info: silent, warn: console.warn, error: console.error },
    // Durable settings stay as in production, so that tests see production's behaviour; more test files than replicas connect.
    // And what waits in a circle of locks is told whole.
    settings: { max_connections: '200', log_error_verbosity: 'default', log_min_error_statement: 'error' },
  });
  return {
    config: { ...server.connection },
    logFile: join(dataDir, 'postgres.log'),
    stop: async () => {
      await server.stop();
      rmSync(dataDir, { recursive: true, force: true });
      rmSync(server.connection.host, { recursive: true, force: true });
    },
  };
}

async function noStop(): Promise<void> {
  // Somebody else's server.
}

/** The same server, another database. */
function withDatabase(config: pg.ClientConfig, database: string): pg.ClientConfig {
  if (config.connectionString === undefined) return { ...config, database };
  const url = new URL(config.connectionString);
  url.pathname = `/${database}`;
  return { connectionString: url.href };
}
