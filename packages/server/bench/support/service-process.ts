import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type pg from 'pg';

/** The service as an operator starts it, in a process of its own, on loopback. */
export type ServiceProcess = {
  readonly url: string;
  readonly pid: number;
  readonly child: ChildProcess;
  /** What it wrote to standard output and error so far, its newest 64 KiB. */
  output(): string;
  /** Resolves once the process has ended, however it ended. */
  readonly ended: Promise<void>;
  /** SIGTERM, and its end. */
  stop(): Promise<void>;
};

export type ServiceOptions = {
  readonly dataDir: string;
  /** Absent: the service starts PostgreSQL in `dataDir`. */
  readonly databaseUrl?: string;
  readonly logLevel?: string;
  readonly readyMsMax?: number;
  /** Told of the process at once, long before it is ready. */
  readonly onSpawn?: (child: ChildProcess) => void;
};

const root = dirname(dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url))))));
const OUTPUT_KEPT = 64 * 1024;

/** Starts the service and waits until it answers /readyz. */
export async function startService(options: ServiceOptions): Promise<ServiceProcess> {
  const port = await freePort();
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    ERGON_DATA_DIR: options.dataDir,
    ERGON_PORT: String(port),
    ERGON_HOST: '127.0.0.1',
    ERGON_LOG_LEVEL: options.logLevel ?? 'warn',
  };
  delete env['DATABASE_URL'];
  delete env['NODE_OPTIONS'];
  if (options.databaseUrl !== undefined) env['DATABASE_URL'] = options.databaseUrl;
  const child = spawn(
    process.execPath,
    ['--max-semi-space-size=64', join(root, 'packages', 'server', 'src', 'main.ts')],
    {
      cwd: root,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  options.onSpawn?.(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-OUTPUT_KEPT);
    });
  }
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  // Whatever ends this process, the service ends too, and takes its PostgreSQL with it.
  const onExit = (): boolean => child.kill('SIGTERM');
  process.once('exit', onExit);
  void ended.then(() => process.off('exit', onExit));
  const url = `http://127.0.0.1:${port}`;
  const service: ServiceProcess = {
    url,
    pid: child.pid ?? 0,
    child,
    output: () => output,
    ended,
    stop: async () => {
      child.kill('SIGTERM');
      await ended;
    },
  };
  await ready(service, options.readyMsMax ?? 60_000);
  return service;
}

async function ready(service: ServiceProcess, withinMs: number): Promise<void> {
  const until = performance.now() + withinMs;
  while (performance.now() < until) {
    if (service.child.exitCode !== null || service.child.signalCode !== null) break;
    const isReady = await fetch(`${service.url}/readyz`).then(
      (response) => response.status === 200,
      () => false,
    );
    if (isReady) return;
    await sleep(20);
  }
  service.child.kill('SIGKILL');
  throw new Error(`the service did not become ready: ${service.output()}`);
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

export type EmbeddedServer = {
  readonly pid: number;
  readonly socketDir: string;
  readonly connection: pg.ClientConfig;
  readonly url: string;
};

/** The PostgreSQL that a service runs in its data directory, by the file PostgreSQL keeps there. */
export function embeddedServer(dataDir: string): EmbeddedServer {
  const [pid = '', , , port = '', socketDir = ''] = readFileSync(
    join(dataDir, 'postgres', 'postmaster.pid'),
    'utf8',
  ).split('\n');
  const connection = { host: socketDir.trim(), port: Number(port), user: 'ergon', database: 'ergon' };
  const url = `postgresql://ergon@localhost/ergon?host=${encodeURIComponent(connection.host)}&port=${connection.port}`;
  return { pid: Number(pid), socketDir: connection.host, connection, url };
}
