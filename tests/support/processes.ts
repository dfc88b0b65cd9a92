import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { inject } from 'vitest';
import { seedKey } from '../../packages/server/bench/support/seed.ts';
import { type ServiceProcess, startService } from '../../packages/server/bench/support/service-process.ts';
import { connectionUrl } from './ergon.ts';
import { createTestDatabase } from './test-database.ts';

/** JSON of an answer: tests read members without declaring them. */
type Json = ReturnType<typeof JSON.parse>;

export type ProcessAnswer = { readonly status: number; readonly text: string; readonly body: Json };

export type TestEnvironment = {
  readonly id: number;
  readonly name: string;
  readonly keyId: string;
  /** Sends one request to a process by its place; places go round. */
  call(place: number, method: string, path: string, body?: unknown): Promise<ProcessAnswer>;
  /** The same, to one process. */
  send(service: ServiceProcess, method: string, path: string, body?: unknown): Promise<ProcessAnswer>;
};

/** The service in processes of its own that share one database, as replicas do. */
export type ErgonProcesses = {
  readonly services: readonly ServiceProcess[];
  /** A connection of the test's own to the same database. */
  readonly sql: pg.Client;
  /** Another connection to it, which the caller ends. */
  connect(): Promise<pg.Client>;
  /** @param clockAt stops the environment's clock there. */
  environment(clockAt?: string): Promise<TestEnvironment>;
  /** One process more, which the caller stops. */
  start(): Promise<ServiceProcess>;
  /** How often PostgreSQL broke a circle of locks, as far as its connections have told: the last of it when they end. */
  deadlocks(): Promise<number>;
  /** What PostgreSQL's log says of them, where the test may read it. */
  deadlockReport(): string;
  /** The processes alone; then what they counted is all told. */
  stopServices(): Promise<void>;
  stop(): Promise<void>;
};

export async function startErgonProcesses(count: number): Promise<ErgonProcesses> {
  const database = await createTestDatabase();
  const databaseUrl = connectionUrl(database.connection);
  const directory = mkdtempSync(join(tmpdir(), 'ergon-test-processes-'));
  let started = 0;
  const start = (): Promise<ServiceProcess> =>
    startService({ dataDir: join(directory, String(started++)), databaseUrl, logLevel: 'error' });
  const services = await Promise.all(Array.from({ length: count }, start));
  const connect = async (): Promise<pg.Client> => {
    const client = new pg.Client(database.connection);
    await client.connect();
    return client;
  };
  const sql = await connect();
  const agent = new Agent({ keepAlive: true, maxFreeSockets: 1_024 });
  let environments = 0;
  return {
    services,
    sql,
    connect,
    start,
    async environment(clockAt) {
      const name = `processes-${environments++}`;
      const result = await sql.query<{ id: number }>(
        `insert into environment (key, name, is_sandbox, clock_at) values ($1, $1, $2, $3) returning id`,
        [name, clockAt !== undefined, clockAt ?? null],
      );
      const id = result.rows[0]?.id ?? 0;
      const key = await seedKey(sql, id);
      // Processes learn within a second that a clock was stopped.
      if (clockAt !== undefined) await sleep(1_500);
      const sendTo = (url: string, method: string, path: string, body: unknown): Promise<ProcessAnswer> =>
        send(agent, key, { method, url: `${url}${path}`, body });
      return {
        id,
        name,
        keyId: key.split('_')[1] ?? '',
        call: (place, method, path, body) => sendTo(services[place % count]?.url ?? '', method, path, body),
        send: (service, method, path, body) => sendTo(service.url, method, path, body),
      };
    },
    async deadlocks() {
      const { rows } = await sql.query<{ deadlocks: string }>(
        'select deadlocks::text from pg_stat_database where datname = current_database()',
      );
      return Number(rows[0]?.deadlocks);
    },
    deadlockReport,
    async stopServices() {
      await Promise.all(services.map((service) => service.stop()));
    },
    async stop() {
      agent.destroy();
      await sql.end();
      await Promise.all(services.map((service) => service.stop()));
      await database.drop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Our own server's log: the statements that waited for each other. */
function deadlockReport(): string {
  const { logFile } = inject('testPostgres');
  const lines = logFile === null ? [] : readFileSync(logFile, 'utf8').split('\n');
  return lines.filter((_, at) => lines.slice(Math.max(0, at - 12), at + 1).some(isDeadlock)).join('\n');
}

function isDeadlock(line: string): boolean {
  return line.includes('deadlock detected');
}

type Sent = { readonly method: string; readonly url: string; readonly body: unknown };

/** Node's own client: a thousand requests in flight are a thousand sockets. */
function send(agent: Agent, key: string, { method, url, body }: Sent): Promise<ProcessAnswer> {
  const payload = body === undefined ? undefined : JSON.stringify(body);
  const headers = {
    authorization: `Bearer ${key}`,
    ...(payload !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) }),
  };
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, agent, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        const isJson = response.headers['content-type']?.includes('json') ?? false;
        resolve({ status: response.statusCode ?? 0, text, body: isJson ? JSON.parse(text) : undefined });
      });
    });
    sent.on('error', (error: NodeJS.ErrnoException) => {
      // The service had closed the idle connection: nothing of the request has been read.
      const isStale = sent.reusedSocket && error.code === 'ECONNRESET';
      if (isStale) resolve(send(agent, key, { method, url, body }));
      else reject(error);
    });
    sent.end(payload);
  });
}
