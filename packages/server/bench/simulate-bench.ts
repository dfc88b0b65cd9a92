import { ROLLUP_METERS } from '../src/catalog/built-in-meters.ts';
import type { BenchOptions } from './ingest-bench.ts';
import { processMicros, serverMicros } from './support/process-stats.ts';
import { median, say, whole } from './support/report.ts';
import { type Generator, measure, type Rig, startRig } from './support/rig.ts';
import { CARD } from './support/workload.ts';

/** A month of usage under other cards, by each of the ways that a simulation has. */
export type SimulateResult = {
  readonly events: number;
  readonly cards: readonly {
    readonly name: string;
    readonly method: string;
    readonly seconds: number;
    readonly eventsPerSecond: number;
    /** Processor time an event, in microseconds: what it is held to on a quiet machine follows from it. */
    readonly serviceMicros: number;
    readonly postgresMicros: number;
  }[];
  readonly differences: readonly string[];
};

/** Recorded by the service itself; the rest of the month is copies of their blocks. */
const INGESTED_MAX = 500_000;
const BATCH = 500;
const CONNECTIONS = 24;
/** Long enough for the slowest machine to take all the bodies there are. */
const INGEST_SECONDS_MAX = 600;
const TOTALS_SECONDS_MAX = 2;
const EVENTS_PER_SECOND_MIN = 250_000;

const perUnit = (unit_amount: string): object => ({ type: 'per_unit', unit_amount });
const BY_PROMPT = {
  type: 'by_prompt_size',
  bands: [
    { up_to: '2000', charge_model: perUnit('0.000002') },
    { up_to: null, charge_model: perUnit('0.000004') },
  ],
};
const fee = (more: object): object => ({ type: 'percentage', rate: '0.000001', fixed_amount: '0.0001', ...more });
const price = (meter: string, charge_model: object): object => ({ meter, charge_model });
/** The card in force, its prices divided in another way that costs the same. */
const same = (more: object, match: object): object => ({
  ...CARD,
  prices: CARD.prices.map((one) => ({
    ...one,
    match: { ...one.match, ...match },
    charge_model: { ...one.charge_model, ...more },
  })),
});

type Case = { readonly name: string; readonly card: object; readonly isSame: boolean; readonly method: string };

const CASES: readonly Case[] = [
  { name: 'the card in force', card: CARD, isSame: true, method: 'running_totals' },
  { name: 'its prices by type of event', card: same({}, { type: 'llm.call' }), isSame: true, method: 'summed_usage' },
  { name: 'its prices in windows of an hour', card: same({ window: 'hour' }, {}), isSame: true, method: 'events' },
  {
    name: 'long prompts dearer, a fee for each request',
    card: {
      currency: 'USD',
      prices: [price('input_tokens', BY_PROMPT), price('output_tokens', BY_PROMPT), price('requests', fee({}))],
    },
    isSame: false,
    method: 'events',
  },
  {
    name: 'the first 1,000 requests of a customer free',
    card: { currency: 'USD', prices: [price('requests', fee({ free_events: 1_000 }))] },
    isSame: false,
    method: 'events',
  },
];

/** Fills a month with `events` events, then simulates it under each card, `rounds` times. */
export async function simulateBench(
  options: BenchOptions,
  generator: Generator,
  events: number,
): Promise<SimulateResult> {
  const rig = await startRig(options.directory, 1);
  const differences: string[] = [];
  try {
    const recorded = await fill(rig, generator, events);
    const cards: SimulateResult['cards'][number][] = [];
    for (const one of CASES) {
      const times: number[] = [];
      const cpu = processorTime(rig);
      for (let round = 0; round < options.rounds; round++) {
        const startedAt = performance.now();
        const answer = await simulate(rig, one.card);
        times.push((performance.now() - startedAt) / 1000);
        if (answer.method !== one.method) differences.push(`${one.name}: ${answer.method}, not ${one.method}`);
        if (one.isSame && answer.totals.difference !== '0')
          differences.push(`${one.name}: costs ${answer.totals.difference} more than was charged`);
        const read = answer.events ?? answer.requests ?? String(recorded);
        if (read !== String(recorded)) differences.push(`${one.name}: ${read} events, not ${recorded}`);
      }
      const seconds = median(times);
      const used = processorTime(rig);
      const perEvent = (micros: number): number => micros / (options.rounds * recorded);
      const result = {
        name: one.name,
        method: one.method,
        seconds,
        eventsPerSecond: recorded / seconds,
        serviceMicros: perEvent(used.service - cpu.service),
        postgresMicros: perEvent(used.postgres - cpu.postgres),
      };
      cards.push(result);
      conclude(result, recorded);
    }
    return { events: recorded, cards, differences };
  } finally {
    await rig.stop();
  }
}

function processorTime(rig: Rig): { service: number; postgres: number } {
  const service = rig.services.reduce((sum, { pid }) => sum + processMicros(pid), 0);
  return { service, postgres: serverMicros(rig.postmaster) };
}

const HELD_TO: Readonly<Record<string, string>> = {
  running_totals: ` (held to ${TOTALS_SECONDS_MAX} s)`,
  events: ` (held to ${whole(EVENTS_PER_SECOND_MIN)} events/s)`,
};

function conclude(card: SimulateResult['cards'][number], events: number): void {
  const { name, method, seconds } = card;
  const rate = `${seconds.toFixed(2)} s, ${whole(card.eventsPerSecond)} events/s${HELD_TO[method] ?? ''}`;
  const cpu = `CPU µs an event: service ${card.serviceMicros.toFixed(2)}, PostgreSQL ${card.postgresMicros.toFixed(2)}`;
  say(`${whole(events)} events, ${name}: ${method}, ${rate}; ${cpu}`);
}

type Answer = {
  readonly method: string;
  readonly requests: string | null;
  readonly events: string | null;
  readonly totals: { readonly difference: string };
};

async function simulate(rig: Rig, card: object): Promise<Answer> {
  const response = await fetch(`${rig.services[0]?.url ?? ''}/v1/rate_cards/default/simulate`, {
    method: 'POST',
    headers: { authorization: `Bearer ${rig.key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ month: new Date().toISOString().slice(0, 7), card }),
  });
  if (!response.ok) throw new Error(`the simulation was answered ${response.status}: ${await response.text()}`);
  return (await response.json()) as Answer;
}

/** @returns how many events the month holds. */
async function fill(rig: Rig, generator: Generator, events: number): Promise<number> {
  const ingested = Math.min(events, INGESTED_MAX);
  await generator.prepare({
    name: `simulate-${process.pid}`,
    requests: Math.ceil(ingested / BATCH),
    batch: BATCH,
    hotShare: 0,
  });
  const run = await measure(rig, generator, { connections: CONNECTIONS, seconds: INGEST_SECONDS_MAX });
  const copies = Math.max(1, Math.round(events / ingested));
  if (copies > 1) await copyBlocks(rig, copies);
  const size = await rig.sql.query<{ bytes: string }>('select pg_database_size(current_database()) as bytes');
  const recorded = run.accepted * copies;
  say(
    `${whole(run.accepted)} calls of ${whole(1_000)} customers recorded by the service, each block ${copies} times: ${whole(recorded)} events, ${whole(Number(size.rows[0]?.bytes ?? 0) / 2 ** 20)} MiB`,
  );
  return recorded;
}

/** As if all of it had happened so many times: blocks are copied, sums are multiplied. */
async function copyBlocks({ sql }: Rig, copies: number): Promise<void> {
  await sql.query('begin');
  await sql.query(
    `with last as (select max(id) as id from event_block)
     insert into event_block (environment_id, id, received_at, time_from, time_to, event_count, events, ratings)
     select environment_id, b.id + last.id * n, received_at, time_from, time_to, event_count, events, ratings
     from event_block b, last, generate_series(1, $1::int - 1) n`,
    [copies],
  );
  await sql.query(
    `insert into customer_block (environment_id, customer_id, block_id, time_from, time_to)
     select c.environment_id, customer_id, c.block_id + last.id * n, time_from, time_to
     from customer_block c, (select max(block_id) as id from customer_block) last, generate_series(1, $1::int - 1) n`,
    [copies],
  );
  await sql.query(
    `update accumulator set totals = (select json_object_agg(t.key,
       json_build_object('q', ((t.value ->> 'q')::numeric * $1)::text, 'a', ((t.value ->> 'a')::numeric * $1)::text)) from json_each(totals) t)`,
    [copies],
  );
  const columns = ROLLUP_METERS.map(({ column }) => `${column} = ${column} * $1`).join(', ');
  await sql.query(`update usage_rollup set ${columns}`, [copies]);
  await sql.query('commit');
  await sql.query('vacuum analyze event_block, customer_block, accumulator, usage_rollup');
}
