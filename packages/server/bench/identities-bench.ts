import { maintainGenerations } from '../src/identity/index.ts';
import { openDatabase } from '../src/store/database.ts';
import { type BenchOptions, prepare, rate, type Shape } from './ingest-bench.ts';
import { median, say, whole } from './support/report.ts';
import { type Generator, measure, type Measured, type Rig, startRig } from './support/rig.ts';
import { verify } from './support/verify.ts';

export type IdentitiesResult = {
  readonly identities: number;
  readonly batch: number;
  readonly emptyEventsPerSecond: number;
  readonly loadedEventsPerSecond: number;
  readonly ofEmpty: number;
  readonly walBytesPerEventEmpty: number;
  readonly walBytesPerEventLoaded: number;
  readonly differences: readonly string[];
};

/** What a long memory costs: two installations by turns, one of them with that many random identities already recorded. */
export async function identitiesBench(
  options: BenchOptions,
  generator: Generator,
  identities: number,
): Promise<IdentitiesResult> {
  const shape: Shape = options.shapes[0] ?? { batch: 500, connections: 8 };
  const empty = await startRig(options.directory, 1);
  const loaded = await startRig(options.directory, 1);
  try {
    await loadIdentities(loaded, identities);
    const runs: { empty: Measured[]; loaded: Measured[] } = { empty: [], loaded: [] };
    const run = async (rig: Rig, seconds: number): Promise<Measured> => {
      await prepare(generator, shape, seconds);
      return measure(rig, generator, { connections: shape.connections, seconds });
    };
    await run(empty, 1.5);
    await run(loaded, 1.5);
    for (let round = 0; round < options.rounds; round++) {
      const first = round % 2 === 0 ? 'empty' : 'loaded';
      for (const which of first === 'empty' ? (['empty', 'loaded'] as const) : (['loaded', 'empty'] as const))
        runs[which].push(await run(which === 'empty' ? empty : loaded, options.seconds));
    }
    const wal = (list: readonly Measured[]): number => median(list.map((one) => one.walBytes / one.events));
    const result = {
      identities,
      batch: shape.batch,
      emptyEventsPerSecond: median(runs.empty.map(rate)),
      loadedEventsPerSecond: median(runs.loaded.map(rate)),
      ofEmpty: median(runs.loaded.map((one, round) => rate(one) / rate(runs.empty[round] ?? one))),
      walBytesPerEventEmpty: wal(runs.empty),
      walBytesPerEventLoaded: wal(runs.loaded),
      differences: [...(await verify(empty)), ...(await verify(loaded))],
    };
    say(
      `with ${whole(identities)} identities: ${whole(result.loadedEventsPerSecond)} events/s, ${result.ofEmpty.toFixed(2)} of the ${whole(result.emptyEventsPerSecond)} without; WAL ${whole(result.walBytesPerEventLoaded)} bytes an event (${whole(result.walBytesPerEventEmpty)} without)`,
    );
    return result;
  } finally {
    await loaded.stop();
    await empty.stop();
  }
}

/** Rows of a generation that the service seals: its size is bounded, and a row takes 76 bytes. */
const GENERATION_ROWS = 3_000_000;

/**
 * Random identities as the service would hold them after a long life: full generations sealed, each with its filter, the rest
 * in the open one. An index is built after its rows, which is much quicker than by row.
 */
async function loadIdentities(rig: Rig, count: number): Promise<void> {
  const { sql } = rig;
  const database = openDatabase({ connection: { ...rig.connection }, connectionsMax: 3 }, () => undefined);
  await sql.query(`set maintenance_work_mem = '1GB'`);
  for (let done = 0; done < count; done += GENERATION_ROWS) {
    const { rows: open } = await sql.query<{ id: number }>('select max(id) as id from identity_generation');
    const generation = open[0]?.id ?? 1;
    const { rows: indexes } = await sql.query<{ indexname: string; indexdef: string }>(
      'select indexname, indexdef from pg_indexes where tablename = $1',
      [`identity_${generation}`],
    );
    for (const { indexname } of indexes) await sql.query(`drop index ${indexname}`);
    await sql.query(
      `insert into identity (generation, key, body, block_id, position)
       select $1, md5(random()::text || n)::uuid, md5(n::text)::uuid, 0, 0 from generate_series(1::bigint, $2::bigint) n`,
      [generation, Math.min(GENERATION_ROWS, count - done)],
    );
    for (const { indexdef } of indexes) await sql.query(indexdef);
    if (done + GENERATION_ROWS > count) break;
    await maintainGenerations(database, 1);
    say(`  ${whole(done + GENERATION_ROWS)} of ${whole(count)} identities`);
  }
  await database.close();
  await sql.query('analyze identity');
  await sql.query('checkpoint');
}
