import { setTimeout as sleep } from 'node:timers/promises';
import { audit } from './support/audit.ts';
import { type BenchOptions, prepare, rate, type Shape } from './ingest-bench.ts';
import { median, say, whole } from './support/report.ts';
import { GRANT, type Generator, type Measured, metered, type Rig, startRig } from './support/rig.ts';
import { seedCard, seedCustomers, seedEnvironment, seedGrantForAll, seedKey } from './support/seed.ts';
import { CARD, CUSTOMERS, customerName, MODELS } from './support/workload.ts';

/** Ingest where every model runs on a deployment against the same ingest without: medians of rounds measured by turns. */
export type FlopsResult = {
  readonly shapes: readonly (Shape & {
    readonly eventsPerSecond: number;
    readonly plainEventsPerSecond: number;
    /** Of the rates, and of the processor time an event costs: the second hardly sees other work on the machine. */
    readonly ofPlain: number;
    readonly ofPlainProcessor: number;
  })[];
  readonly differences: readonly string[];
};

type Side = { readonly environment: number; readonly key: string };

const WARM_UP_SECONDS = 3;

export async function flopsBench(options: BenchOptions, generator: Generator): Promise<FlopsResult> {
  const rig = await startRig(options.directory, 1);
  try {
    // Environments alike but for the deployments, on one service: a round of each stands beside one of the other.
    const plain = await newSide(rig, 'plain');
    const counted = await newSide(rig, 'counted');
    for (const model of MODELS) await deploy(rig, counted, model);
    const shapes: FlopsResult['shapes'][number][] = [];
    for (const shape of options.shapes) shapes.push(await benchShape(rig, generator, plain, counted, shape, options));
    await sleep(1_000);
    const { differences } = await audit(rig.sql, counted.environment);
    return { shapes, differences };
  } finally {
    await rig.stop();
  }
}

async function newSide(rig: Rig, name: string): Promise<Side> {
  const environment = await seedEnvironment(rig.sql, name);
  await seedCard(rig.sql, environment, CARD);
  const names = Array.from({ length: CUSTOMERS }, (_, index) => customerName(index));
  await seedCustomers(rig.sql, environment, names);
  await seedGrantForAll(rig.sql, environment, GRANT);
  return { environment, key: await seedKey(rig.sql, environment) };
}

/** Every model of the load as one that is served here: Llama 3.1 70B on four H100s. */
async function deploy(rig: Rig, side: Side, model: string): Promise<void> {
  const response = await fetch(`${rig.services[0]?.url}/v1/deployments/${model}`, {
    method: 'PUT',
    headers: { authorization: `Bearer ${side.key}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      model: 'llama-3.1-70b',
      serves: [model],
      accelerator: 'h100-sxm',
      accelerator_count: 4,
      weight_dtype: 'fp8',
      price: { per_device_hour: '2.50', currency: 'USD' },
      reference: { batch: 32 },
    }),
  });
  if (!response.ok) throw new Error(`a deployment was refused: ${await response.text()}`);
}

async function benchShape(
  rig: Rig,
  generator: Generator,
  plain: Side,
  counted: Side,
  shape: Shape,
  options: BenchOptions,
): Promise<FlopsResult['shapes'][number]> {
  const run = async (side: Side, seconds: number): Promise<Measured> => {
    await prepare(generator, shape, seconds);
    const urls = rig.services.map((service) => service.url);
    const pids = rig.services.map((service) => service.pid);
    const { connections } = shape;
    const result = await metered(rig, pids, () =>
      generator.run({ connections, seconds, key: side.key, path: '/v1/events', urls }),
    );
    if (result.failed > 0) throw new Error(`${result.failed} requests failed, the first with: ${result.failure}`);
    return result;
  };
  say(`FLOP meters, batches of ${shape.batch}, ${shape.connections} connections:`);
  await run(plain, WARM_UP_SECONDS);
  await run(counted, WARM_UP_SECONDS);
  const pairs: { plain: Measured; counted: Measured }[] = [];
  for (let round = 0; round < options.rounds; round++) {
    // Turns in changing order, so that neither always follows the other's dirty pages.
    const first = round % 2 === 0 ? await run(plain, options.seconds) : undefined;
    const second = await run(counted, options.seconds);
    pairs.push({ plain: first ?? (await run(plain, options.seconds)), counted: second });
  }
  const micros = (one: Measured): number => (one.serviceMicros + one.postgresMicros) / one.events;
  const result = {
    ...shape,
    eventsPerSecond: median(pairs.map((pair) => rate(pair.counted))),
    plainEventsPerSecond: median(pairs.map((pair) => rate(pair.plain))),
    ofPlain: median(pairs.map((pair) => rate(pair.counted) / rate(pair.plain))),
    ofPlainProcessor: median(pairs.map((pair) => micros(pair.plain) / micros(pair.counted))),
  };
  const cost = (of: (pair: (typeof pairs)[number]) => Measured): string => {
    const [service, postgres] = [
      median(pairs.map((pair) => of(pair).serviceMicros / of(pair).events)),
      median(pairs.map((pair) => of(pair).postgresMicros / of(pair).events)),
    ];
    return `${service.toFixed(1)} + ${postgres.toFixed(1)}`;
  };
  say(
    `  ${whole(result.eventsPerSecond)} events/s with, ${whole(result.plainEventsPerSecond)} without: ${result.ofPlain.toFixed(2)} of it; by processor time ${result.ofPlainProcessor.toFixed(2)}`,
  );
  say(
    `  CPU us an event, service + PostgreSQL: ${cost((pair) => pair.counted)}; without ${cost((pair) => pair.plain)}`,
  );
  return result;
}
