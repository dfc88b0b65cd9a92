import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import type { ErgonProcesses, ProcessAnswer, TestEnvironment } from './processes.ts';

/**
 * Everything at once on a few customers: holds and all that ends them, events in batches over several customers, with and
 * without holds, voids, grants given and taken back, top-ups paid and failed, budgets, cards, re-ratings, subscriptions changed, and a
 * sandbox's clock that closes their periods and lets holds and grants expire. Whatever comes when: no circle of locks, no
 * answer that is a failure of the service, nothing left held, and books that the audit recomputes.
 */
const CUSTOMERS = ['ares', 'hera', 'iris', 'zeus'];
const CLIENTS = 24;
const CLOCK_FROM = Date.UTC(2026, 9, 5);
const HOUR_MS = 3_600_000;

type Storm = {
  readonly environment: TestEnvironment;
  readonly random: () => number;
  readonly counts: Map<string, number>;
  readonly wrong: string[];
  /** Ids of events that were sent, for voids. */
  readonly sent: string[];
  readonly grants: { readonly customer: string; readonly id: string }[];
  isOver: boolean;
};

type Deed = { readonly name: string; readonly weight: number; readonly run: (client: Client) => Promise<void> };

/** One of those who act, each on a process of its own choice every time. */
type Client = {
  readonly storm: Storm;
  readonly below: (limit: number) => number;
  readonly pick: <T>(values: readonly T[]) => T;
  /** Sends, and notes an answer that is none of those expected. */
  readonly ask: (method: string, path: string, body: unknown, expected: readonly number[]) => Promise<ProcessAnswer>;
};

let serial = 0;
const next = (prefix: string): string => `${prefix}${serial++}`;

const usage = (customer: string, more: object = {}) => {
  const id = next('e');
  const data = {
    provider: 'openai',
    model: 'gpt-5',
    feature: 'chat',
    team: 'red',
    tokens: { input: 40, output: 7 },
    ...more,
  };
  return { id, source: 'storm', type: 'llm.call', subject: customer, data };
};

/** Takes a hold and ends it, or leaves it to expire. */
async function hold(client: Client): Promise<void> {
  const { ask, below, pick } = client;
  const customer = pick(CUSTOMERS);
  const request = { customer, team: 'red', feature: 'chat', run_id: pick(['r1', 'r2', 'r3']), parent_run_id: 'root' };
  const times = { dispatched: below(5) === 0, expires_in_seconds: 7_200 };
  const body = { id: next('h'), ...request, ...times, amount: '0.01', currency: 'USD' };
  const held = await ask('POST', '/v1/holds', body, [201, 402]);
  if (held.status === 201) await endHold(client, body);
}

type Held = { readonly id: string; readonly customer: string; readonly dispatched: boolean };

async function endHold({ storm, ask, below, pick }: Client, { id, customer, dispatched }: Held): Promise<void> {
  const path = `/v1/holds/${id}`;
  // One that was dispatched may have settled at its estimate by now, and another amount is a conflict.
  const settled = dispatched ? [200, 409] : [200];
  const event = usage(customer, { hold_id: id });
  switch (below(7)) {
    case 0:
      break;
    case 1:
      await ask('POST', `${path}/release`, {}, [200, 409]);
      break;
    case 2:
      await ask('POST', `${path}/extend`, { expires_in_seconds: 9_000 }, [200, 409]);
      await ask('POST', `${path}/settle`, { amount: '0.006' }, settled);
      break;
    case 3:
      await ask('POST', `${path}/settle`, { event: usage(customer) }, [200]);
      break;
    case 4:
      // By amount and by event at once: whichever is first, one charge.
      await Promise.all([
        ask('POST', `${path}/settle`, { amount: '0.04' }, [200, 409]),
        ask('POST', '/v1/events', event, [200]),
      ]);
      storm.sent.push(event.id);
      break;
    default:
      await ask('POST', '/v1/events', [event, usage(pick(CUSTOMERS))], [200]);
      storm.sent.push(event.id);
  }
}

const DEEDS: readonly Deed[] = [
  { name: 'hold', weight: 40, run: hold },
  {
    name: 'events',
    weight: 20,
    run: async ({ storm, ask, below, pick }) => {
      const batch = Array.from({ length: 1 + below(12) }, () => usage(pick(CUSTOMERS), { run_id: pick(['r1', 'r2']) }));
      await ask('POST', '/v1/events', batch, [200]);
      storm.sent.push(...batch.map(({ id }) => id));
    },
  },
  {
    name: 'void',
    weight: 4,
    run: async ({ storm, ask, pick }) => {
      const target = storm.sent.length === 0 ? 'never' : pick(storm.sent);
      const event = { id: next('v'), source: 'storm', type: 'event.void', data: { source: 'storm', id: target } };
      await ask('POST', '/v1/events', [event, usage(pick(CUSTOMERS))], [200]);
    },
  },
  {
    name: 'grant',
    weight: 10,
    run: async ({ storm, ask, below, pick }) => {
      const customer = pick(CUSTOMERS);
      const expires = below(2) === 0 ? new Date(CLOCK_FROM + (1 + below(2_000)) * HOUR_MS).toISOString() : null;
      // Little, so that it is soon spent: a void or a price that falls gives back to it.
      const body = { amount: '0.06', currency: 'USD', kind: pick(['paid', 'promotional']), expires_at: expires };
      const path = `/v1/customers/${customer}/wallets/main/grants`;
      // 400: what was drawn has passed by the sandbox's clock.
      const made = await ask('POST', path, body, expires === null ? [201] : [201, 400]);
      if (made.status === 201) storm.grants.push({ customer, id: made.body.id });
    },
  },
  {
    name: 'void a grant',
    weight: 3,
    run: async ({ storm, ask, below }) => {
      const [grant] = storm.grants.splice(below(storm.grants.length), 1);
      if (grant === undefined) return;
      await ask('DELETE', `/v1/customers/${grant.customer}/wallets/main/grants/${grant.id}`, undefined, [200]);
    },
  },
  {
    name: 'top up',
    weight: 4,
    run: async ({ ask, below, pick }) => {
      const path = `/v1/customers/${pick(CUSTOMERS)}/wallets/main/top_ups`;
      const made = await ask('POST', path, { amount: '0.07' }, [201]);
      // Twice at once, as a provider tells it.
      const answer = `${path}/${made.body.id}/${below(3) === 0 ? 'failed' : 'paid'}`;
      await Promise.all([ask('POST', answer, {}, [200]), ask('POST', answer, {}, [200])]);
    },
  },
  {
    name: 'budget',
    weight: 2,
    run: async ({ ask, pick }) => {
      const [method, path, body] = pick(budgets(pick(['2', '20', '400'])));
      await ask(method, path, body, [200]);
    },
  },
  {
    name: 'card',
    weight: 1,
    run: async ({ ask, pick }) => {
      await ask('PUT', '/v1/rate_cards/default', card(pick(['0.001', '0.0011', '0.0012'])), [200]);
    },
  },
  {
    name: 'change of a subscription',
    weight: 2,
    run: async ({ ask, pick }) => {
      const plan = pick(['small', 'large']);
      await ask('POST', `/v1/subscriptions/${pick(['s-ares', 's-hera'])}/change`, { plan, at: 'now' }, [200, 400, 409]);
    },
  },
  {
    name: 'rerate',
    weight: 1,
    run: async ({ ask, below, pick }) => {
      const span = { from: '2026-10-01T00:00:00Z', to: '2027-03-01T00:00:00Z' };
      const body = { ...span, customer: pick(CUSTOMERS), dry_run: below(2) === 0 };
      // 404: nothing was heard of the customer yet. 409: enough of them wait already.
      await ask('POST', '/v1/rerate', body, [201, 404, 409]);
    },
  },
  {
    name: 'read',
    weight: 4,
    run: async ({ ask, pick }) => {
      const customer = pick(CUSTOMERS);
      const paths = [`/v1/customers/${customer}/wallets/main`, '/v1/budgets', '/v1/subscriptions/s-ares/periods'];
      await ask('GET', pick(paths), undefined, [200]);
    },
  },
];

const card = (unit_amount: string) => ({
  currency: 'USD',
  prices: [
    { meter: 'output_tokens', charge_model: { type: 'per_unit', unit_amount } },
    // Falls as it grows, so that a charge may reverse earlier debits.
    {
      meter: 'input_tokens',
      charge_model: {
        type: 'volume',
        tiers: [
          { up_to: '2000', unit_amount: '0.0001' },
          { up_to: null, unit_amount: '0.00004' },
        ],
      },
    },
  ],
});

/** Budgets whose scopes overlap; POST makes or changes. */
function budgets(limit: string): (readonly ['POST', string, object])[] {
  return [
    { key: 'day', window: 'day' },
    { key: 'all', window: 'lifetime', limit: '100000' },
    { key: 'each', per: ['customer'], window: 'rolling:24h' },
    { key: 'ares', scope: { customer: 'ares' }, window: 'hour', time_zone: 'Europe/Athens' },
    { key: 'root', scope: { run: 'root' }, window: 'day', mode: 'warn' },
  ].map((spec) => ['POST', '/v1/budgets', { unit: 'USD', limit, ...spec }] as const);
}

export async function storm(processes: ErgonProcesses, forMs: number, seed: number): Promise<string> {
  const environment = await processes.environment(new Date(CLOCK_FROM).toISOString());
  const state: Storm = {
    ...{ environment, random: randomFrom(seed), counts: new Map(), wrong: [], sent: [], grants: [] },
    isOver: false,
  };
  await prepare(environment);
  const clients = Array.from({ length: CLIENTS }, () => act(state));
  const clock = moveClock(state);
  await sleep(forMs);
  state.isOver = true;
  await Promise.all([...clients, clock]);
  // After the last hold: one that was taken later would never expire.
  await moveTo(state, 10_000);
  expect(state.wrong.slice(0, 5), logged(processes).slice(0, 5).join('\n')).toEqual([]);
  await settle(processes, state);
  await processes.stopServices();
  // A process tells what it counted when it ends.
  expect(await processes.deadlocks(), processes.deadlockReport()).toBe(0);
  await makeDeadlock(processes);
  expect(await processes.deadlocks(), 'one that was made').toBe(1);
  expect(logged(processes)).toEqual([]);
  return [...state.counts].map(([name, count]) => `${name}: ${count}`).join(', ');
}

/** At the level of errors only a failure of the service is a line of JSON. */
function logged(processes: ErgonProcesses): string[] {
  const lines = processes.services.flatMap((service) => service.output().split('\n'));
  return lines.filter((line) => line.startsWith('{'));
}

async function prepare({ call }: TestEnvironment): Promise<void> {
  const steps: (readonly [string, string, object])[] = [
    ['PUT', '/v1/rate_cards/default', card('0.001')],
    ['PUT', '/v1/rate_cards/plan', card('0.002')],
    ...CUSTOMERS.map(
      (customer) =>
        [
          'POST',
          `/v1/customers/${customer}/wallets/main/grants`,
          { amount: '0.3', currency: 'USD', kind: 'paid' },
        ] as const,
    ),
    ...budgets('20'),
    ...['small', 'large'].map(
      (plan) =>
        [
          'PUT',
          `/v1/plans/${plan}`,
          {
            currency: 'USD',
            rate_card: 'plan',
            cadence: { unit: 'day', count: 1 },
            fees: [{ key: 'base', amount: plan === 'small' ? '1' : '3' }],
          },
        ] as const,
    ),
    ['POST', '/v1/subscriptions', { key: 's-ares', customer: 'ares', plan: 'small' }],
    ['POST', '/v1/subscriptions', { key: 's-hera', customer: 'hera', plan: 'large', time_zone: 'Asia/Tokyo' }],
  ];
  for (const [method, path, body] of steps) {
    const answer = await call(0, method, path, body);
    expect(answer.status, `${path}: ${answer.text}`).toBeLessThan(300);
  }
}

async function act(storm: Storm): Promise<void> {
  const below = (limit: number): number => Math.floor(storm.random() * limit);
  const client: Client = {
    storm,
    below,
    pick(values) {
      const value = values[below(values.length)];
      if (value === undefined) throw new Error('nothing to pick from');
      return value;
    },
    async ask(method, path, body, expected) {
      const answer = await storm.environment.call(below(3), method, path, body);
      const deed = path.replace(/\/(h|s-)?\w*\d+\b|\/s-\w+/g, '/…').replace(/customers\/\w+/, 'customers/…');
      const name = `${method} ${deed} ${answer.status}`;
      storm.counts.set(name, (storm.counts.get(name) ?? 0) + 1);
      if (!expected.includes(answer.status)) storm.wrong.push(`${method} ${path} ${answer.status}: ${answer.text}`);
      return answer;
    },
  };
  const all = DEEDS.reduce((sum, { weight }) => sum + weight, 0);
  while (!storm.isOver) {
    let drawn = below(all);
    const deed = DEEDS.find(({ weight }) => (drawn -= weight) < 0);
    await deed?.run(client);
  }
}

/** Forwards by hours: periods close, holds and grants expire. */
async function moveClock(storm: Storm): Promise<void> {
  for (let hours = 1; !storm.isOver; hours += 3) {
    await sleep(600);
    await moveTo(storm, hours);
  }
}

async function moveTo({ environment, wrong }: Storm, hours: number): Promise<void> {
  const now = new Date(CLOCK_FROM + hours * HOUR_MS).toISOString();
  const answer = await environment.call(hours, 'PUT', '/v1/test_clock', { now });
  if (answer.status !== 200) wrong.push(`the clock: ${answer.text}`);
}

/** Everything that was held has expired by the clock; the books are recomputed from the events. */
async function settle(processes: ErgonProcesses, { environment, wrong }: Storm): Promise<void> {
  const left = async () => {
    const { rows } = await processes.sql.query<{ open: number; counted: number; funds: number }>(
      `select ((select count(*) from hold where environment_id = $1 and status in ('pending', 'dispatched'))
           + (select count(*) from rerate where environment_id = $1 and finished_at is null))::int as open,
         (select count(*) from budget_counter where environment_id = $1 and held <> 0)::int as counted,
         (select count(*) from account where environment_id = $1 and kind = 'held' and balance <> 0)::int as funds`,
      [environment.id],
    );
    return rows[0];
  };
  for (let tries = 0; ((await left())?.open ?? 0) > 0 && tries < 120; tries++) await sleep(250);
  const open = await processes.sql.query(
    `select to_jsonb(h) as hold from hold h where environment_id = $1 and status in ('pending', 'dispatched')`,
    [environment.id],
  );
  const told = [...open.rows.map((row) => JSON.stringify(row)), ...logged(processes).slice(-5)].join('\n');
  expect(await left(), told).toEqual({ open: 0, counted: 0, funds: 0 });
  const books = await environment.call(0, 'POST', '/v1/audit', {});
  expect(books.body.differences).toEqual([]);
  expect(wrong).toEqual([]);
}

/** Two who wait for each other, so that the count above is known to count. */
async function makeDeadlock(processes: ErgonProcesses): Promise<void> {
  const [one, other] = await Promise.all([processes.connect(), processes.connect()]);
  await Promise.all([one, other].map((client) => client.query('begin')));
  await one.query('select pg_advisory_xact_lock(1)');
  await other.query('select pg_advisory_xact_lock(2)');
  await Promise.allSettled([
    one.query('select pg_advisory_xact_lock(2)'),
    other.query('select pg_advisory_xact_lock(1)'),
  ]);
  await Promise.all([one.end(), other.end()]);
}

/** Park and Miller. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271 + 11) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}
