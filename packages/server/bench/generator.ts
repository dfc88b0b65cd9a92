import { HttpConnection } from './support/http-client.ts';
import { createWorkload, CUSTOMERS, FIGURES, type Workload, type WorkloadOptions } from './support/workload.ts';

/**
 * The load generator, a process of its own. Its parent says what to prepare and where to send it; bodies are ready before the
 * clock starts.
 */
export type RunOptions = {
  readonly urls: readonly string[];
  readonly path: string;
  readonly key: string;
  readonly connections: number;
  readonly seconds: number;
  /** Requests a second, whether or not answers come (open loop); absent: each connection sends as soon as it is answered. */
  readonly requestsPerSecond?: number;
};

export type RunResult = {
  readonly seconds: number;
  readonly requests: number;
  readonly events: number;
  readonly distinct: number;
  readonly accepted: number;
  readonly duplicates: number;
  /** Requests without a 200, and what the first of them was told. */
  readonly failed: number;
  readonly failure: string | undefined;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly cpuMicros: number;
  /** Figures of every customer (see workload.ts), of the events sent. */
  readonly totals: Float64Array;
};

export type Command =
  | { readonly type: 'prepare'; readonly workload: WorkloadOptions }
  | { readonly type: 'run'; readonly run: RunOptions };

let workload: Workload | undefined;

process.on('message', (command: Command) => {
  if (command.type === 'prepare') {
    workload = createWorkload(command.workload);
    process.send?.('prepared');
    return;
  }
  if (workload === undefined) throw new Error('nothing is prepared');
  void run(workload, command.run).then((result) => process.send?.(result));
});
process.once('disconnect', () => process.exit(0));

type Tally = { accepted: number; duplicates: number; failed: number; failure: string | undefined; next: number };

async function run(load: Workload, options: RunOptions): Promise<RunResult> {
  const headers = [`authorization: Bearer ${options.key}`, 'content-type: application/json'];
  const connections = await Promise.all(
    Array.from({ length: options.connections }, (_, index) =>
      HttpConnection.open(options.urls[index % options.urls.length] ?? '', options.path, headers),
    ),
  );
  const tally: Tally = { accepted: 0, duplicates: 0, failed: 0, failure: undefined, next: 0 };
  const latencies: number[] = [];
  const cpu = process.cpuUsage();
  const startedAt = performance.now();
  const endsAt = startedAt + options.seconds * 1000;
  const send = async (connection: HttpConnection, body: Buffer, dueAt: number): Promise<void> => {
    try {
      const { status, body: answer } = await connection.post(body);
      latencies.push(performance.now() - dueAt);
      if (status === 200) count(answer, tally);
      else fail(tally, `${status} ${answer.slice(0, 300)}`);
    } catch (error) {
      fail(tally, String(error));
    }
  };
  if (options.requestsPerSecond === undefined) await closedLoop(load, connections, endsAt, tally, send);
  else await openLoop(load, connections, { startedAt, endsAt, perSecond: options.requestsPerSecond }, tally, send);
  const seconds = (performance.now() - startedAt) / 1000;
  const used = process.cpuUsage(cpu);
  for (const connection of connections) connection.close();
  const totals = new Float64Array(CUSTOMERS * FIGURES);
  const distinct = load.fold(tally.next, totals);
  latencies.sort((a, b) => a - b);
  const quantile = (part: number): number =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * part))] ?? 0;
  return {
    seconds,
    requests: tally.next,
    events: tally.next * load.batch,
    distinct,
    accepted: tally.accepted,
    duplicates: tally.duplicates,
    failed: tally.failed,
    failure: tally.failure,
    p50Ms: quantile(0.5),
    p99Ms: quantile(0.99),
    maxMs: quantile(1),
    cpuMicros: used.user + used.system,
    totals,
  };
}

type Send = (connection: HttpConnection, body: Buffer, dueAt: number) => Promise<void>;

async function closedLoop(
  load: Workload,
  connections: readonly HttpConnection[],
  endsAt: number,
  tally: Tally,
  send: Send,
): Promise<void> {
  await Promise.all(
    connections.map(async (connection) => {
      while (performance.now() < endsAt) {
        const body = load.bodies[tally.next];
        if (body === undefined) return;
        tally.next += 1;
        await send(connection, body, performance.now());
      }
    }),
  );
}

/** Requests fall due at fixed times; one that finds no connection free waits, and its latency counts from when it was due. */
async function openLoop(
  load: Workload,
  connections: readonly HttpConnection[],
  pace: { startedAt: number; endsAt: number; perSecond: number },
  tally: Tally,
  send: Send,
): Promise<void> {
  const free = [...connections];
  const due: number[] = [];
  const inFlight = new Set<Promise<void>>();
  const dispatch = (): void => {
    while (free.length > 0 && due.length > 0) {
      const body = load.bodies[tally.next];
      const connection = free.pop();
      const dueAt = due.shift();
      if (body === undefined || connection === undefined || dueAt === undefined) return;
      tally.next += 1;
      const sent = send(connection, body, dueAt).finally(() => {
        inFlight.delete(sent);
        free.push(connection);
        dispatch();
      });
      inFlight.add(sent);
    }
  };
  let planned = 0;
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const now = performance.now();
      const until = Math.min(now, pace.endsAt);
      for (; pace.startedAt + (planned * 1000) / pace.perSecond <= until; planned++)
        due.push(pace.startedAt + (planned * 1000) / pace.perSecond);
      dispatch();
      if (now < pace.endsAt) return;
      clearInterval(timer);
      resolve();
    }, 1);
  });
  while (inFlight.size > 0) await Promise.all(inFlight);
}

function count(answer: string, tally: Tally): void {
  const { accepted = 0, duplicates = 0 } = JSON.parse(answer) as { accepted?: number; duplicates?: number };
  tally.accepted += accepted;
  tally.duplicates += duplicates;
}

function fail(tally: Tally, failure: string): void {
  tally.failed += 1;
  tally.failure ??= failure;
}
