import { parseArgs } from 'node:util';
import { type FlopsResult, flopsBench } from './flops-bench.ts';
import { type IdentitiesResult, identitiesBench } from './identities-bench.ts';
import { type HoldsResult, holdsBench } from './holds-bench.ts';
import { type BenchOptions, type IngestResult, ingestBench, type Shape } from './ingest-bench.ts';
import { PURE_SCENARIOS, runPureBench } from './pure-benches.ts';
import { type ReplicasResult, replicasBench } from './replicas-bench.ts';
import { type SimulateResult, simulateBench } from './simulate-bench.ts';
import { fdatasyncMs, machine, say, whole } from './support/report.ts';
import { startGenerator } from './support/rig.ts';
import { tmpdir } from 'node:os';

/** `npm run bench`: docs/benchmarks.md says what it measures and how to read it. */
const SERVICE_SCENARIOS = ['ingest', 'flops', 'replicas', 'identities', 'holds', 'simulate'];
const SCENARIOS = [...PURE_SCENARIOS, ...SERVICE_SCENARIOS];
const USAGE = `npm run bench -- [scenario ...] [options]
  ${SCENARIOS.join(', ')}: which to run (default all)
  --scenarios ingest,replicas              the same as one word
  --batches 500:24,10:64,1:128              events a request : connections
  --seconds 3                              length of a round
  --rounds 3                               rounds of each, service and floor by turns
  --identities 2000000                     identities to load first (the acceptance figure is for 50000000)
  --events 10000000                        events of the month that simulate prices (default so many, a million in a run of everything)
  --directory DIR                          where data directories go (default: the system's temporary directory)
  --json                                   results as JSON on standard output`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    scenarios: { type: 'string', default: '' },
    batches: { type: 'string', default: '500:24,10:64,1:128' },
    seconds: { type: 'string', default: '3' },
    rounds: { type: 'string', default: '3' },
    identities: { type: 'string', default: '2000000' },
    events: { type: 'string' },
    directory: { type: 'string' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(USAGE);
  process.exit(0);
}

const options: BenchOptions = {
  shapes: values.batches.split(',').map(shapeOf),
  seconds: Number(values.seconds),
  rounds: Number(values.rounds),
  directory: values.directory,
};
const named = [...positionals, ...values.scenarios.split(',')].filter((name) => name !== '');
const unknown = named.filter((name) => !SCENARIOS.includes(name));
if (unknown.length > 0) {
  say(`no scenario ${unknown.join(', ')}\n${USAGE}`);
  process.exit(1);
}
const scenarios = new Set(named.length > 0 ? named : SCENARIOS);

process.once('SIGINT', () => process.exit(130));
process.once('SIGTERM', () => process.exit(143));
const SIMULATED = { alone: 10_000_000, amongOthers: 1_000_000 };
const host = machine();
const fdatasync = fdatasyncMs(values.directory ?? tmpdir());
say(
  `${host.cores} x ${host.cpu}, ${host.memory}, Linux ${host.kernel}, Node ${host.node}; load average ${host.loadAverage.toFixed(1)}`,
);
say(`one write of 8 KiB with fdatasync: ${fdatasync.toFixed(3)} ms (median of 200)`);
if (host.loadAverage > 0.7)
  say('other work is running on this machine: processor times hold, rates and latencies suffer');

for (const scenario of PURE_SCENARIOS) {
  if (!scenarios.has(scenario)) continue;
  say(`${scenario}:`);
  if (!runPureBench(scenario)) process.exitCode = 1;
}
if (SERVICE_SCENARIOS.every((scenario) => !scenarios.has(scenario))) process.exit();

const generator = await startGenerator();
const results: {
  machine: typeof host;
  fdatasyncMs: number;
  ingest?: IngestResult;
  flops?: FlopsResult;
  replicas?: ReplicasResult[];
  identities?: IdentitiesResult;
  holds?: HoldsResult;
  simulate?: SimulateResult;
} = { machine: host, fdatasyncMs: fdatasync };
const differences: string[] = [];
if (scenarios.has('ingest')) {
  results.ingest = await ingestBench(options, generator);
  differences.push(...results.ingest.differences);
}
if (scenarios.has('flops')) {
  results.flops = await flopsBench(options, generator);
  differences.push(...results.flops.differences);
}
if (scenarios.has('replicas')) {
  results.replicas = await replicasBench(options, generator);
  differences.push(...(results.replicas[0]?.differences ?? []));
}
if (scenarios.has('identities')) {
  results.identities = await identitiesBench(options, generator, Number(values.identities));
  differences.push(...results.identities.differences);
}
if (scenarios.has('holds')) {
  results.holds = await holdsBench(options, fdatasync);
  differences.push(...results.holds.differences);
}
if (scenarios.has('simulate')) {
  results.simulate = await simulateBench(
    options,
    generator,
    Number(values.events ?? SIMULATED[named.length > 0 ? 'alone' : 'amongOthers']),
  );
  differences.push(...results.simulate.differences);
}
generator.stop();

if (differences.length === 0) {
  const events =
    results.ingest === undefined
      ? ''
      : ` ${whole(results.ingest.events)} events and ${whole(results.ingest.duplicates)} duplicates in the ingest bench:`;
  say(`exact:${events} counts, quantities, charges, balances and postings are what the generator computes`);
} else {
  say(`WRONG: ${differences.length} differences`);
  for (const difference of differences.slice(0, 20)) say(`  ${difference}`);
  process.exitCode = 1;
}
if (values.json) console.log(JSON.stringify(results, undefined, 2));

function shapeOf(text: string): Shape {
  const [batch = 0, connections = 0] = text.split(':').map(Number);
  if (!Number.isInteger(batch) || !Number.isInteger(connections) || batch < 1 || batch > 5_000 || connections < 1) {
    say(`not a shape of requests: ${text}\n${USAGE}`);
    process.exit(1);
  }
  return { batch, connections };
}
