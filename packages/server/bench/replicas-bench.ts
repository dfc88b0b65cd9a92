import { type BenchOptions, prepare, rate, type Shape } from './ingest-bench.ts';
import { median, say, whole } from './support/report.ts';
import { type Generator, measure, startRig } from './support/rig.ts';
import { verify } from './support/verify.ts';

export type ReplicasResult = {
  readonly batch: number;
  /** One process, customers as popular as in the main bench. */
  readonly oneProcess: number;
  /** One process, 90 % of the load on one customer. */
  readonly oneProcessHot: number;
  /** Three processes on one PostgreSQL, 90 % of the load on one customer. */
  readonly threeProcessesHot: number;
  readonly ofOneProcess: number;
  readonly deadlocks: number;
  readonly differences: readonly string[];
};

const HOT_SHARE = 0.9;

/** What several processes lose to one another over one customer's rows. */
export async function replicasBench(options: BenchOptions, generator: Generator): Promise<ReplicasResult[]> {
  const rig = await startRig(options.directory, 3);
  try {
    const results: ReplicasResult[] = [];
    for (const shape of options.shapes.filter((one) => one.batch > 1)) {
      const one: number[] = [];
      const oneHot: number[] = [];
      const threeHot: number[] = [];
      const run = async (hotShare: number, processes: number, into: number[], seconds: number): Promise<void> => {
        await prepare(generator, shape, seconds, hotShare);
        const connections = shape.connections * (processes === 1 ? 1 : 2);
        into.push(rate(await measure(rig, generator, { connections, seconds }, processes)));
      };
      await run(HOT_SHARE, 3, [], 1);
      for (let round = 0; round < Math.min(2, options.rounds); round++) {
        await run(0, 1, one, options.seconds);
        await run(HOT_SHARE, 1, oneHot, options.seconds);
        await run(HOT_SHARE, 3, threeHot, options.seconds);
      }
      results.push(await conclude(shape, { one, oneHot, threeHot }, await deadlocks(rig.sql)));
    }
    const differences = await verify(rig);
    return results.map((result) => ({ ...result, differences }));
  } finally {
    await rig.stop();
  }
}

async function conclude(
  shape: Shape,
  rates: { one: number[]; oneHot: number[]; threeHot: number[] },
  deadlocked: number,
): Promise<ReplicasResult> {
  const result = {
    batch: shape.batch,
    oneProcess: median(rates.one),
    oneProcessHot: median(rates.oneHot),
    threeProcessesHot: median(rates.threeHot),
    ofOneProcess: median(rates.threeHot) / median(rates.one),
    deadlocks: deadlocked,
    differences: [],
  };
  say(
    `batches of ${shape.batch}: one process ${whole(result.oneProcess)} events/s; 90 % on one customer: ${whole(result.oneProcessHot)} with one process, ${whole(result.threeProcessesHot)} with three (${result.ofOneProcess.toFixed(2)} of one process), ${deadlocked} deadlocks`,
  );
  return result;
}

async function deadlocks(sql: {
  query: (text: string) => Promise<{ rows: { deadlocks: string }[] }>;
}): Promise<number> {
  const { rows } = await sql.query('select deadlocks from pg_stat_database where datname = current_database()');
  return Number(rows[0]?.deadlocks ?? 0);
}
