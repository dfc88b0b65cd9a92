import { expect } from 'vitest';
import type { ErgonProcesses, TestEnvironment } from './processes.ts';

/** What can be published, and how a request tells whether it saw publish number `round`. */
type Kind = {
  readonly name: string;
  readonly publish: (round: number) => readonly [method: string, path: string, body: object];
  /** Throws where the process at a place still goes by what was before. */
  readonly check: (environment: TestEnvironment, place: number, round: number) => Promise<void>;
};

const PROCESSES = 3;
const price = (amount: number) => ({
  currency: 'USD',
  prices: [{ meter: 'api_calls', charge_model: { type: 'per_unit', unit_amount: String(amount) } }],
});

let events = 0;
/** Sends an event without a time of its own, and reads what became of it at the next process. */
async function recorded({ call }: TestEnvironment, place: number, subject: string) {
  const id = `e${events++}`;
  const sent = await call(place, 'POST', '/v1/events', { id, source: 'test', type: 'api.call', subject, data: {} });
  expect(sent.status, sent.text).toBe(200);
  const found = await call(place + 1, 'GET', `/v1/events/lookup?source=test&id=${id}`);
  expect(found.status, found.text).toBe(200);
  return found.body;
}

let holds = 0;
async function heldStatus({ call }: TestEnvironment, place: number, more: object): Promise<number> {
  const body = { id: `h${holds++}`, amount: '0.1', currency: 'USD', ...more };
  // A hold that twenty publishes have overtaken is told to come again, and decides nothing: it is asked again, as a client does.
  for (let attempt = 0; ; attempt++) {
    const answer = await call(place, 'POST', '/v1/holds', body);
    if (answer.status !== 503 || answer.body.code !== 'overloaded' || attempt === OVERTAKEN_MAX) return answer.status;
  }
}

const OVERTAKEN_MAX = 10;

const KINDS: readonly Kind[] = [
  {
    name: 'a version of a rate card',
    publish: (round) => ['PUT', '/v1/rate_cards/default', price(round + 1)],
    check: async (environment, place, round) => {
      const { lines } = await recorded(environment, place, 'acme');
      expect(lines[0].amount).toBe(String(round + 1));
    },
  },
  {
    name: "a customer's card",
    publish: (round) => ['PUT', '/v1/customers/moved', { rate_card: round % 2 === 0 ? 'one' : 'other' }],
    check: async (environment, place, round) => {
      const { lines } = await recorded(environment, place, 'moved');
      expect(lines[0].price.card).toBe(round % 2 === 0 ? 'one' : 'other');
    },
  },
  {
    name: 'a meter',
    publish: (round) => ['PUT', `/v1/meters/meter-${round}`, { event_types: ['api.call'], aggregation: 'count' }],
    check: async (environment, place, round) => {
      const { quantities } = await recorded(environment, place, 'metered');
      expect(quantities).toContainEqual(expect.objectContaining({ meter: `meter-${round}`, quantity: '1' }));
    },
  },
  {
    name: 'the limit of a budget',
    publish: (round) => [
      'POST',
      '/v1/budgets',
      {
        key: 'limit',
        scope: { customer: 'limited' },
        unit: 'USD',
        window: 'lifetime',
        limit: round % 2 === 0 ? '0' : '1000',
      },
    ],
    check: async (environment, place, round) => {
      expect(await heldStatus(environment, place, { customer: 'limited' })).toBe(round % 2 === 0 ? 402 : 201);
    },
  },
  {
    name: 'a policy',
    publish: (round) => [
      'PUT',
      '/v1/policies/dear',
      {
        mode: 'enforce',
        scope: { model: 'judged' },
        metric: 'charge',
        ladder: [{ at_least: round % 2 === 0 ? '0.05' : '5', action: 'refuse' }],
      },
    ],
    check: async (environment, place, round) => {
      expect(await heldStatus(environment, place, { model: 'judged' })).toBe(round % 2 === 0 ? 403 : 201);
    },
  },
];

/**
 * DESIGN section 9: after a publish is answered, no answer anywhere uses the old revision. Every kind of publish again and
 * again, each on another process than before; at its answer every process is asked at once. First each kind in an environment
 * of its own, where the question is the first that a process hears after the publish; then all kinds at once in one, while
 * all processes take events.
 */
export async function checkPublishes(processes: ErgonProcesses, rounds: number): Promise<void> {
  const apart: TestEnvironment[] = [];
  for (const _ of KINDS) apart.push(await withCards(processes));
  await Promise.all(KINDS.map((kind, first) => publishRounds(apart[first], kind, { first, rounds })));
  const shared = await withCards(processes);
  const load = startLoad(shared);
  try {
    await Promise.all(KINDS.map((kind, first) => publishRounds(shared, kind, { first, rounds })));
  } finally {
    await load.stop();
  }
  expect(load.failures()).toEqual([]);
  expect((await shared.call(0, 'POST', '/v1/audit', {})).body.differences).toEqual([]);
}

async function withCards(processes: ErgonProcesses): Promise<TestEnvironment> {
  const environment = await processes.environment();
  for (const card of ['default', 'one', 'other']) {
    expect((await environment.call(0, 'PUT', `/v1/rate_cards/${card}`, price(1))).status).toBe(200);
  }
  return environment;
}

type Rounds = { readonly first: number; readonly rounds: number };

async function publishRounds(environment: TestEnvironment | undefined, kind: Kind, { first, rounds }: Rounds) {
  if (environment === undefined) throw new Error('no environment');
  for (let round = 0; round < rounds; round++) {
    const [method, path, body] = kind.publish(round);
    const answer = await environment.call(first + round, method, path, body);
    expect(answer.status, `${kind.name}: ${answer.text}`).toBeLessThan(300);
    const places = Array.from({ length: 2 * PROCESSES }, (_, place) => place);
    await Promise.all(places.map((place) => kind.check(environment, place, round)));
  }
}

/** Two clients a process that send events of many customers, one request after the other. */
function startLoad({ call }: TestEnvironment): { stop(): Promise<void>; failures(): readonly string[] } {
  let isOver = false;
  const failures: string[] = [];
  const clients = Array.from({ length: 2 * PROCESSES }, async (_, place) => {
    for (let round = 0; !isOver; round++) {
      const batch = Array.from({ length: 10 }, (__, index) => ({
        id: `load-${place}-${round}-${index}`,
        source: 'load',
        type: 'api.call',
        subject: index % 3 === 0 ? 'acme' : `customer-${(round + index) % 50}`,
        data: {},
      }));
      const answer = await call(place, 'POST', '/v1/events', batch);
      if (answer.status !== 200) failures.push(answer.text);
    }
  });
  return {
    async stop() {
      isOver = true;
      await Promise.all(clients);
    },
    failures: () => failures,
  };
}
