import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BenchOptions } from './ingest-bench.ts';
import { type LeasedResult, leasedBench } from './leased-bench.ts';
import { HttpConnection } from './support/http-client.ts';
import { processMicros, serverMicros } from './support/process-stats.ts';
import { say, whole } from './support/report.ts';
import { type Rig, startRig } from './support/rig.ts';
import { customerName } from './support/workload.ts';

/** A hold and its settlement, each a request of its own. */
export type HoldsResult = {
  readonly pairsPerSecond: number;
  readonly holdP50Ms: number;
  readonly holdP99Ms: number;
  readonly settleP50Ms: number;
  readonly settleP99Ms: number;
  /** 2 f + 1 ms, what the median is held to. */
  readonly targetP50Ms: number;
  /** One wallet, as many pairs as it takes. */
  readonly hotPairsPerSecond: number;
  /** Processor time of one hold and its settlement at the hot wallet, microseconds. */
  readonly serviceMicrosAPair: number;
  readonly postgresMicrosAPair: number;
  /** Admitted inside a process. */
  readonly leased: LeasedResult;
  readonly differences: readonly string[];
};

const PACE = 500;
const CONNECTIONS = 64;
const HOT_CONNECTIONS = 256;
const BUDGETS = [
  { key: 'each-customer', per: ['customer'], unit: 'USD', window: 'day', limit: '1000000000' },
  { key: 'everything', unit: 'USD', window: 'month', limit: '1000000000' },
];

/** Holds through HTTP against a wallet and two budgets, at a fixed pace over many customers, then as fast as one wallet allows. */
export async function holdsBench(options: BenchOptions, fdatasyncMs: number): Promise<HoldsResult> {
  const rig = await startRig(options.directory, 1);
  try {
    for (const budget of BUDGETS) await put(rig, budget);
    await load(rig, { seconds: 1, connections: CONNECTIONS, pace: PACE, customer: manyCustomers });
    const paced = await load(rig, {
      seconds: options.seconds,
      connections: CONNECTIONS,
      pace: PACE,
      customer: manyCustomers,
    });
    const one = () => customerName(0);
    await load(rig, { seconds: 1, connections: HOT_CONNECTIONS, pace: undefined, customer: one });
    const used = (): [number, number] => [processMicros(rig.services[0]?.pid ?? 0), serverMicros(rig.postmaster)];
    const before = used();
    const hot = await load(rig, {
      seconds: options.seconds,
      connections: HOT_CONNECTIONS,
      pace: undefined,
      customer: one,
    });
    const after = used();
    const leased = await leasedBench(rig, options.seconds);
    const result: HoldsResult = {
      pairsPerSecond: paced.pairs / paced.seconds,
      holdP50Ms: quantile(paced.holds, 0.5),
      holdP99Ms: quantile(paced.holds, 0.99),
      settleP50Ms: quantile(paced.settlements, 0.5),
      settleP99Ms: quantile(paced.settlements, 0.99),
      targetP50Ms: 2 * fdatasyncMs + 1,
      hotPairsPerSecond: hot.pairs / hot.seconds,
      serviceMicrosAPair: (after[0] - before[0]) / hot.pairs,
      postgresMicrosAPair: (after[1] - before[1]) / hot.pairs,
      leased,
      differences: await differences(rig),
    };
    conclude(result);
    return result;
  } finally {
    await rig.stop();
  }
}

function conclude(result: HoldsResult): void {
  const ms = (value: number): string => `${value.toFixed(2)} ms`;
  say(
    `holds at ${whole(result.pairsPerSecond)} pairs/s over a wallet and two budgets: hold p50 ${ms(result.holdP50Ms)} (held to 2 f + 1 = ${ms(result.targetP50Ms)}), p99 ${ms(result.holdP99Ms)}; settlement p50 ${ms(result.settleP50Ms)}, p99 ${ms(result.settleP99Ms)}`,
  );
  say(
    `one wallet, ${HOT_CONNECTIONS} connections: ${whole(result.hotPairsPerSecond)} pairs/s; processor time a pair: service ${whole(result.serviceMicrosAPair)} us, PostgreSQL ${whole(result.postgresMicrosAPair)} us`,
  );
  const { leased } = result;
  say(
    `leased, inside a process: hold and settlement p50 ${leased.p50Micros.toFixed(1)} us (held to 20), p99 ${leased.p99Micros.toFixed(1)} us; ${whole(leased.pairs)} pairs recorded, ${whole(leased.unleased)} times no lease had room`,
  );
}

function manyCustomers(): string {
  return customerName(Math.floor(Math.random() * 1_000));
}

async function put(rig: Rig, budget: object): Promise<void> {
  const response = await fetch(`${rig.services[0]?.url ?? ''}/v1/budgets`, {
    method: 'POST',
    headers: { authorization: `Bearer ${rig.key}`, 'content-type': 'application/json' },
    body: JSON.stringify(budget),
  });
  if (response.status !== 200) throw new Error(`the budget was answered ${response.status}: ${await response.text()}`);
}

type Load = {
  readonly pairs: number;
  readonly seconds: number;
  readonly holds: number[];
  readonly settlements: number[];
};
type LoadOptions = {
  readonly seconds: number;
  readonly connections: number;
  /** Pairs a second, whether or not answers come; absent: a connection goes on as soon as it is answered. */
  readonly pace: number | undefined;
  readonly customer: () => string;
};

async function load(rig: Rig, options: LoadOptions): Promise<Load> {
  const headers = [`authorization: Bearer ${rig.key}`, 'content-type: application/json'];
  const url = rig.services[0]?.url ?? '';
  const open = (path: string) => HttpConnection.open(url, path, headers);
  const result = { pairs: 0, holds: [] as number[], settlements: [] as number[] };
  const startedAt = performance.now();
  const endsAt = startedAt + options.seconds * 1_000;
  let planned = 0;
  const client = async (): Promise<void> => {
    const connection = await open('/v1/holds');
    while (performance.now() < endsAt) {
      let dueAt = performance.now();
      if (options.pace !== undefined) {
        dueAt = startedAt + (planned++ * 1_000) / options.pace;
        if (dueAt >= endsAt) break;
        await sleep(Math.max(0, dueAt - performance.now()));
        // A timer wakes up to a millisecond late; that is the generator's, not the service's.
        dueAt = Math.max(dueAt, performance.now());
      }
      const id = randomUUID();
      const body = { id, customer: options.customer(), model: 'gpt-5-mini', amount: '0.013', currency: 'USD' };
      expectStatus(201, await connection.post(Buffer.from(JSON.stringify(body))));
      const heldAt = performance.now();
      result.holds.push(heldAt - dueAt);
      expectStatus(200, await connection.post(Buffer.from('{"amount":"0.007"}'), `/v1/holds/${id}/settle`));
      result.settlements.push(performance.now() - heldAt);
      result.pairs += 1;
    }
    connection.close();
  };
  await Promise.all(Array.from({ length: options.connections }, client));
  return { ...result, seconds: (performance.now() - startedAt) / 1_000 };
}

function expectStatus(status: number, answer: { readonly status: number; readonly body: string }): void {
  if (answer.status !== status) throw new Error(`expected ${status}: ${answer.status} ${answer.body.slice(0, 300)}`);
}

function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
}

/** Nothing stays held, and every counter has exactly what the settled holds add up to. */
async function differences(rig: Rig): Promise<string[]> {
  const { rows } = await rig.sql.query<{ settled: string; committed: string; held: string }>(
    `select (select coalesce(sum((settled ->> 'charge')::numeric), 0) from hold) as settled,
       (select coalesce(sum(committed), 0) / ${BUDGETS.length} from budget_counter) as committed,
       (select coalesce(sum(held), 0) from budget_counter) + (select coalesce(sum(balance), 0) from account where kind = 'held') as held`,
  );
  const [row] = rows;
  const found: string[] = [];
  if (Number(row?.held) !== 0) found.push(`${row?.held} is held after every hold was settled`);
  if (Number(row?.settled) !== Number(row?.committed))
    found.push(`holds were settled at ${row?.settled}, budgets have committed ${row?.committed}`);
  return found;
}
