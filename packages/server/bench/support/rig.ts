import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { Command, RunOptions, RunResult } from '../generator.ts';
import { family, processMicros, pssBytes, serverMicros } from './process-stats.ts';
import { seedCard, seedCustomers, seedGrantForAll, seedKey } from './seed.ts';
import { embeddedServer, type ServiceProcess, startService } from './service-process.ts';
import { CARD, CUSTOMERS, customerName, FIGURES, type WorkloadOptions } from './workload.ts';

export const GRANT = '1000000000';
const ENVIRONMENT = 1;

/** One installation under test: services, the PostgreSQL of the first, a key, a card, 1,000 customers with a wallet each. */
export type Rig = {
  readonly services: readonly ServiceProcess[];
  readonly postmaster: number;
  readonly sql: pg.Client;
  readonly connection: pg.ClientConfig;
  readonly key: string;
  readonly dataDir: string;
  /** Service and database together, right after the start, before any event. */
  readonly freshPssBytes: number;
  /** What every event sent so far must have added up to. */
  readonly sent: {
    distinct: number;
    accepted: number;
    duplicates: number;
    repeated: number;
    readonly totals: Float64Array;
  };
  stop(): Promise<void>;
};

export async function startRig(parent: string | undefined, processes: number): Promise<Rig> {
  const directory = mkdtempSync(join(parent ?? tmpdir(), 'ergon-bench-'));
  const dataDir = join(directory, 'data');
  const services = [await startService({ dataDir })];
  const { pid, connection, socketDir, url } = embeddedServer(dataDir);
  await sleep(2_000);
  const freshPssBytes = pssBytes([...family(services[0]?.pid ?? 0), ...family(pid)]);
  const sql = new pg.Client(connection);
  await sql.connect();
  const key = await seedKey(sql, ENVIRONMENT);
  await seedCard(sql, ENVIRONMENT, CARD);
  await seedCustomers(
    sql,
    ENVIRONMENT,
    Array.from({ length: CUSTOMERS }, (_, index) => customerName(index)),
  );
  await seedGrantForAll(sql, ENVIRONMENT, GRANT);
  // As autovacuum does within its first minute: plans for a thousand customers, not for none.
  await sql.query('analyze');
  for (let extra = 1; extra < processes; extra++)
    services.push(await startService({ dataDir: join(directory, `replica-${extra}`), databaseUrl: url }));
  return {
    services,
    postmaster: pid,
    sql,
    connection,
    key,
    dataDir,
    freshPssBytes,
    sent: { distinct: 0, accepted: 0, duplicates: 0, repeated: 0, totals: new Float64Array(CUSTOMERS * FIGURES) },
    async stop() {
      await sql.end();
      for (const service of services.toReversed()) await service.stop();
      rmSync(directory, { recursive: true, force: true });
      rmSync(socketDir, { recursive: true, force: true });
    },
  };
}

export type Generator = {
  prepare(workload: WorkloadOptions): Promise<void>;
  run(options: RunOptions): Promise<RunResult>;
  stop(): void;
};

export async function startGenerator(): Promise<Generator> {
  const child = fork(new URL('../generator.ts', import.meta.url), {
    serialization: 'advanced',
    execArgv: ['--max-old-space-size=8192'],
  });
  const ask = async (command: Command): Promise<unknown> => {
    const answer = answerOf(child);
    child.send(command, () => undefined); // A child that has ended is told by the answer.
    return answer;
  };
  return {
    prepare: async (workload) => {
      await ask({ type: 'prepare', workload });
    },
    run: async (run) => (await ask({ type: 'run', run })) as RunResult,
    stop: () => child.disconnect(),
  };
}

/** The next message of a child; its early end is an error rather than a wait without end. */
export async function answerOf(child: ChildProcess): Promise<unknown> {
  const ended = new AbortController();
  try {
    return await Promise.race([
      once(child, 'message', { signal: ended.signal }).then(([message]) => message as unknown),
      once(child, 'exit', { signal: ended.signal }).then(() => {
        throw new Error('a process of the bench ended early');
      }),
    ]);
  } finally {
    ended.abort();
  }
}

export type Measured = RunResult & {
  readonly serviceMicros: number;
  readonly postgresMicros: number;
  readonly walBytes: number;
};

/** One run of the prepared load against a rig, with the processor time of each part, added to what the rig must hold. */
export async function measure(
  rig: Rig,
  generator: Generator,
  run: Omit<RunOptions, 'key' | 'path' | 'urls'>,
  processes = 1,
): Promise<Measured> {
  const used = rig.services.slice(0, processes);
  const result = await metered(
    rig,
    used.map((service) => service.pid),
    () => generator.run({ ...run, key: rig.key, path: '/v1/events', urls: used.map((service) => service.url) }),
  );
  rig.sent.distinct += result.distinct;
  rig.sent.repeated += result.events - result.distinct;
  rig.sent.accepted += result.accepted;
  rig.sent.duplicates += result.duplicates;
  result.totals.forEach((value, index) => {
    rig.sent.totals[index] = (rig.sent.totals[index] ?? 0) + value;
  });
  if (result.failed > 0) throw new Error(`${result.failed} requests failed, the first with: ${result.failure}`);
  return result;
}

/** Any run, with the processor time of the given processes and of the rig's PostgreSQL, and the WAL it wrote. */
export async function metered(rig: Rig, pids: readonly number[], run: () => Promise<RunResult>): Promise<Measured> {
  const service = (): number => pids.reduce((sum, pid) => sum + processMicros(pid), 0);
  const before = { service: service(), postgres: serverMicros(rig.postmaster), wal: await walPosition(rig) };
  const result = await run();
  return {
    ...result,
    serviceMicros: service() - before.service,
    postgresMicros: serverMicros(rig.postmaster) - before.postgres,
    walBytes: (await walPosition(rig)) - before.wal,
  };
}

async function walPosition(rig: Rig): Promise<number> {
  const { rows } = await rig.sql.query<{ at: string }>(`select pg_current_wal_insert_lsn() - '0/0' as at`);
  return Number(rows[0]?.at ?? 0);
}
