import { fork } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { family, pssBytes } from './support/process-stats.ts';
import { median, mebibytes, say, whole } from './support/report.ts';
import { answerOf, type Generator, type Measured, measure, metered, type Rig, startRig } from './support/rig.ts';
import { verify } from './support/verify.ts';

export type Shape = { readonly batch: number; readonly connections: number };

export type BenchOptions = {
  readonly shapes: readonly Shape[];
  readonly seconds: number;
  readonly rounds: number;
  readonly directory: string | undefined;
};

/** Figures of one shape of request; times in microseconds of processor time an event. */
export type ShapeResult = {
  readonly batch: number;
  readonly connections: number;
  readonly eventsPerSecond: number;
  readonly floorEventsPerSecond: number;
  /** Median over the rounds of service by floor, each pair measured back to back. */
  readonly ofFloor: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly serviceMicros: number;
  readonly postgresMicros: number;
  readonly generatorMicros: number;
  readonly floorServiceMicros: number;
  readonly floorPostgresMicros: number;
  readonly walBytesPerEvent: number;
  readonly indexBlocksPerEvent: number;
  halfLoad?: { readonly eventsPerSecond: number; readonly p50Ms: number; readonly p99Ms: number };
};

export type IngestResult = {
  readonly shapes: ShapeResult[];
  readonly freshPssBytes: number;
  readonly loadedPssBytes: number;
  readonly events: number;
  readonly duplicates: number;
  readonly differences: readonly string[];
};

/** More than any service here reaches: a round must not run out of bodies before its time is up. */
function requestsFor(shape: Shape, seconds: number): number {
  const eventsPerSecond = shape.batch >= 100 ? 110_000 : shape.batch > 1 ? 60_000 : 14_000;
  return Math.ceil((eventsPerSecond * seconds) / shape.batch);
}

const WARM_UP_SECONDS = 3;

let prepared = 0;
/** Bodies with ids of their own, for one round. */
export async function prepare(generator: Generator, shape: Shape, seconds: number, hotShare = 0): Promise<void> {
  prepared += 1;
  await generator.prepare({
    name: `${process.pid}-${prepared}`,
    requests: requestsFor(shape, seconds),
    batch: shape.batch,
    hotShare,
  });
}

/** Ingest in every shape, floor and service by turns; then half the load of each; then the proof that all of it is right. */
export async function ingestBench(options: BenchOptions, generator: Generator): Promise<IngestResult> {
  const rig = await startRig(options.directory, 1);
  const floor = await startFloor(rig);
  try {
    const shapes: ShapeResult[] = [];
    for (const shape of options.shapes) shapes.push(await benchShape(rig, floor, generator, shape, options));
    for (const shape of shapes) await halfLoad(rig, generator, shape, options.seconds);
    const loadedPssBytes = pssBytes([...rig.services.flatMap((one) => family(one.pid)), ...family(rig.postmaster)]);
    say(
      `memory (PSS): ${mebibytes(rig.freshPssBytes)} after a fresh start, ${mebibytes(loadedPssBytes)} after the load`,
    );
    const differences = await verify(rig);
    return {
      shapes,
      freshPssBytes: rig.freshPssBytes,
      loadedPssBytes,
      events: rig.sent.accepted,
      duplicates: rig.sent.duplicates,
      differences: [...differences, ...(await floor.differences())],
    };
  } finally {
    await floor.stop();
    await rig.stop();
  }
}

type Floor = {
  readonly pid: number;
  readonly url: string;
  readonly sent: { distinct: number };
  differences(): Promise<string[]>;
  stop(): Promise<void>;
};

/** The floor in a database of its own on the same PostgreSQL, so that both have the same disk, settings and cache. */
async function startFloor(rig: Rig): Promise<Floor> {
  await rig.sql.query('create database floor');
  const connection = { ...rig.connection, database: 'floor' };
  const child = fork(new URL('./floor.ts', import.meta.url), [JSON.stringify(connection)]);
  const url = String(await answerOf(child));
  const sent = { distinct: 0 };
  return {
    pid: child.pid ?? 0,
    url,
    sent,
    async differences() {
      const client = new pg.Client(connection);
      await client.connect();
      const { rows } = await client.query<{ events: string }>('select count(*) as events from event');
      await client.end();
      const events = Number(rows[0]?.events);
      return events === sent.distinct
        ? []
        : [`the floor was sent ${sent.distinct} distinct events and holds ${events}`];
    },
    async stop() {
      child.disconnect();
      await new Promise((resolve) => child.once('exit', resolve));
    },
  };
}

async function benchShape(
  rig: Rig,
  floor: Floor,
  generator: Generator,
  shape: Shape,
  options: BenchOptions,
): Promise<ShapeResult> {
  const { seconds } = options;
  const run = { connections: shape.connections, seconds };
  const runFloor = async (length: number): Promise<Measured> => {
    const result = await metered(rig, [floor.pid], () =>
      generator.run({ ...run, seconds: length, urls: [floor.url], path: '/', key: 'none' }),
    );
    floor.sent.distinct += result.distinct;
    if (result.failed > 0) throw new Error(`the floor failed: ${result.failure}`);
    return result;
  };
  say(`batches of ${shape.batch}, ${shape.connections} connections:`);
  // Long enough for the compiler to settle and the caches to fill: a service runs for months.
  await prepare(generator, shape, WARM_UP_SECONDS);
  await measure(rig, generator, { ...run, seconds: WARM_UP_SECONDS });
  await runFloor(1);
  const services: Measured[] = [];
  const floors: Measured[] = [];
  const blocksBefore = await indexBlocks(rig);
  for (let round = 0; round < options.rounds; round++) {
    await prepare(generator, shape, seconds);
    // Turns in changing order, so that neither always follows the other's dirty pages.
    if (round % 2 === 0) services.push(await measure(rig, generator, run));
    floors.push(await runFloor(seconds));
    if (round % 2 === 1) services.push(await measure(rig, generator, run));
    const [service, under] = [services[round], floors[round]];
    if (service === undefined || under === undefined) continue;
    say(
      `  round ${round + 1}: ${whole(rate(service))} events/s, floor ${whole(rate(under))}, ${(rate(service) / rate(under)).toFixed(2)} of it`,
    );
  }
  await nudge(rig, generator, shape);
  const events = services.reduce((sum, one) => sum + one.events, 0);
  const per = (runs: readonly Measured[], of: (one: Measured) => number): number =>
    median(runs.map((one) => of(one) / one.events));
  const result: ShapeResult = {
    ...shape,
    eventsPerSecond: median(services.map(rate)),
    floorEventsPerSecond: median(floors.map(rate)),
    ofFloor: median(services.map((one, round) => rate(one) / rate(floors[round] ?? one))),
    p50Ms: median(services.map((one) => one.p50Ms)),
    p99Ms: median(services.map((one) => one.p99Ms)),
    serviceMicros: per(services, (one) => one.serviceMicros),
    postgresMicros: per(services, (one) => one.postgresMicros),
    generatorMicros: per(services, (one) => one.cpuMicros),
    floorServiceMicros: per(floors, (one) => one.serviceMicros),
    floorPostgresMicros: per(floors, (one) => one.postgresMicros),
    walBytesPerEvent: per(services, (one) => one.walBytes),
    indexBlocksPerEvent: ((await indexBlocks(rig)) - blocksBefore) / events,
  };
  say(
    `  ${whole(result.eventsPerSecond)} events/s, ${result.ofFloor.toFixed(2)} of the floor's ${whole(result.floorEventsPerSecond)}; p50 ${result.p50Ms.toFixed(1)} ms, p99 ${result.p99Ms.toFixed(1)} ms`,
  );
  say(
    `  CPU us an event: service ${result.serviceMicros.toFixed(1)}, PostgreSQL ${result.postgresMicros.toFixed(1)}, generator ${result.generatorMicros.toFixed(1)}; floor ${result.floorServiceMicros.toFixed(1)} + ${result.floorPostgresMicros.toFixed(1)}`,
  );
  say(
    `  an event: ${whole(result.walBytesPerEvent)} bytes of WAL, ${result.indexBlocksPerEvent.toFixed(2)} index blocks`,
  );
  return result;
}

export function rate(run: Measured): number {
  return run.events / run.seconds;
}

/** Open loop at half the measured rate; latency counts from when a request was due. */
async function halfLoad(rig: Rig, generator: Generator, shape: ShapeResult, seconds: number): Promise<void> {
  const requestsPerSecond = shape.eventsPerSecond / shape.batch / 2;
  await prepare(generator, shape, seconds);
  const result = await measure(rig, generator, {
    connections: Math.max(64, shape.connections),
    seconds,
    requestsPerSecond,
  });
  shape.halfLoad = { eventsPerSecond: rate(result), p50Ms: result.p50Ms, p99Ms: result.p99Ms };
  say(
    `half load, batches of ${shape.batch}: ${whole(rate(result))} events/s, p50 ${result.p50Ms.toFixed(1)} ms, p99 ${result.p99Ms.toFixed(1)} ms`,
  );
}

/** Backends report their counters at most once a second, at the end of a transaction: a few more make the last ones known. */
async function nudge(rig: Rig, generator: Generator, shape: Shape): Promise<void> {
  await sleep(1_100);
  await prepare(generator, { ...shape, connections: 4 }, 0.1);
  await measure(rig, generator, { connections: 4, seconds: 0.05 });
  await sleep(100);
}

/** Index blocks that statements of the service's database asked for, in memory or not. */
async function indexBlocks(rig: Rig): Promise<number> {
  const { rows } = await rig.sql.query<{ blocks: string }>(
    'select coalesce(sum(idx_blks_read + idx_blks_hit), 0) as blocks from pg_statio_user_indexes',
  );
  return Number(rows[0]?.blocks);
}
