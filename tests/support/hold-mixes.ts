import { expect } from 'vitest';
import type { ErgonProcesses, TestEnvironment } from './processes.ts';

/** What only the environment knows of itself. */
type At = Pick<TestEnvironment, 'keyId' | 'name'>;

/**
 * DESIGN section 7, invariant 4: exactly as many of a thousand concurrent holds are admitted as fit, and after their release
 * exactly as many again. A mix says what limits them.
 */
export type HoldMix = {
  readonly name: string;
  /** The environment's clock stands still here: for windows whose end a test might otherwise meet. */
  readonly clockAt?: string;
  /** Grants and meters, before the budgets: [method, path, body]. */
  readonly before?: readonly (readonly [string, string, object])[];
  readonly budgets: (at: At) => readonly object[];
  /** What hold number `index` asks beside the usual. */
  readonly asks?: (index: number) => object;
  /** Members of a hold that takes it out of the budget's scope: such holds are always admitted. */
  readonly stranger?: object;
  /** How many of a thousand fit. */
  readonly fits: number;
  /** Where members have limits of their own: how many fit of each, and at least how many members there are. */
  readonly each?: { readonly of: (index: number) => string; readonly fits: number };
  /** Where members share what fits: how many of each there may be. */
  readonly most?: readonly { readonly of: (index: number) => string; readonly fits: number }[];
};

const HOLDS = 1_000;
const STRANGER_EVERY = 40;

/** A hold of 0.1 USD that has every dimension. */
const USUAL = {
  customer: 'acme',
  team: 'red',
  user: 'ann',
  feature: 'chat',
  provider: 'openai',
  model: 'gpt-5-mini',
  agent: 'triage',
  run_id: 'leaf',
  parent_run_id: 'root',
  work_item: 'BUG-1',
  tags: { region: 'eu-west-1' },
  amount: '0.1',
  currency: 'USD',
};

/** Room for 37 such holds and a half. */
const usd = (key: string, more: object = {}) => ({ key, unit: 'USD', window: 'lifetime', limit: '3.75', ...more });

type Dimension = { readonly scope: (at: At) => object; readonly stranger?: object };

/** How a budget selects by each dimension, and a hold that it does not select. */
const DIMENSIONS: Readonly<Record<string, Dimension>> = {
  customer: { scope: () => ({ customer: 'acme' }), stranger: { customer: 'other' } },
  team: { scope: () => ({ team: 'red' }), stranger: { team: 'blue' } },
  user: { scope: () => ({ user: 'an*' }), stranger: { user: 'bob' } },
  api_key: { scope: (at) => ({ api_key: at.keyId }) },
  feature: { scope: () => ({ feature: 'chat' }), stranger: { feature: 'search' } },
  provider: { scope: () => ({ provider: 'openai' }), stranger: { provider: 'anthropic' } },
  model: { scope: () => ({ model: 'gpt-5*' }), stranger: { model: 'o3' } },
  agent: { scope: () => ({ agent: 'triage' }), stranger: { agent: 'writer' } },
  run: { scope: () => ({ run: 'root' }), stranger: { run_id: 'elsewhere', parent_run_id: 'other-root' } },
  work_item: { scope: () => ({ work_item: 'BUG-*' }), stranger: { work_item: 'FEAT-1' } },
  environment: { scope: (at) => ({ environment: at.name }) },
  tag: { scope: () => ({ tags: { region: 'eu-*' } }), stranger: { tags: { region: 'us-east-1' } } },
};

export const SINGLES: readonly HoldMix[] = [
  { name: 'the whole environment', budgets: () => [usd('limit')], fits: 37 },
  ...Object.entries(DIMENSIONS).map(([name, { scope, stranger }]) => ({
    name,
    budgets: (at: At) => [usd('limit', { scope: scope(at) })],
    ...(stranger !== undefined && { stranger }),
    fits: 37,
  })),
];

export const PAIRS: readonly HoldMix[] = Object.entries(DIMENSIONS).flatMap(([name, one], index, all) =>
  all.slice(index + 1).map(([other, { scope, stranger = one.stranger }]) => ({
    name: `${name} and ${other}`,
    budgets: (at: At) => [usd('limit', { scope: { ...one.scope(at), ...scope(at) } })],
    ...(stranger !== undefined && { stranger }),
    fits: 37,
  })),
);

const everything = (at: At): object => Object.assign({}, ...Object.values(DIMENSIONS).map(({ scope }) => scope(at)));

export const CONJUNCTIONS: readonly HoldMix[] = [
  {
    name: 'all dimensions in one scope',
    budgets: (at) => [usd('limit', { scope: everything(at) })],
    stranger: { agent: 'writer' },
    fits: 37,
  },
  {
    name: 'a budget on each dimension, and one of them tighter than the others',
    budgets: (at) =>
      Object.entries(DIMENSIONS).map(([name, { scope }]) =>
        usd(`on-${name.replace('_', '-')}`, { scope: scope(at), limit: name === 'work_item' ? '2.15' : '3.75' }),
      ),
    fits: 21,
  },
];

/** Members of the dimensions that a budget may count apart; a key is the caller's. */
const MEMBERS = ['customer', 'team', 'user', 'feature', 'provider', 'model', 'agent', 'run', 'work_item'];

const member = (name: string, of: number): object => {
  // A run's counter is that of the topmost run above it.
  if (name === 'run') return { run_id: `leaf-${of}`, parent_run_id: `root-${of}` };
  return { [name]: `${name}-${of}` };
};

export const PER: readonly HoldMix[] = [
  ...MEMBERS.map((name) => ({
    name: `a counter for each ${name}`,
    budgets: () => [usd('limit', { per: [name] })],
    asks: (index: number) => member(name, index % 5),
    fits: 185,
    each: { of: (index: number) => String(index % 5), fits: 37 },
  })),
  { name: 'a counter for each API key', budgets: () => [usd('limit', { per: ['api_key'] })], fits: 37 },
  {
    name: 'a counter for each user of each team, of one customer',
    budgets: () => [usd('limit', { scope: { customer: 'acme' }, per: ['team', 'user'] })],
    asks: (index) => ({ ...member('team', index % 2), ...member('user', index % 3) }),
    stranger: { customer: 'other' },
    fits: 222,
    each: { of: (index) => String(index % 6), fits: 37 },
  },
];

const team = (index: number): string => (index % 10 < 5 ? 'red' : 'blue');
const user = (index: number): string => `user-${index % 10}`;

export const HIERARCHIES: readonly HoldMix[] = [
  {
    // Scopes that contain one another: whoever comes first, the number admitted is one, that of the smallest sums of limits.
    name: 'ten users of two teams of one customer: 9 a user, 30 a team, 60 together',
    budgets: () => [
      usd('users', { per: ['user'], limit: '0.95' }),
      usd('red', { scope: { team: 'red' }, limit: '3' }),
      usd('blue', { scope: { team: 'blue' }, limit: '9' }),
      usd('customer', { scope: { customer: 'acme' }, limit: '6.05' }),
      usd('all', { limit: '50' }),
    ],
    asks: (index) => ({ team: team(index), user: user(index) }),
    fits: 60,
    most: [
      { of: user, fits: 9 },
      { of: (index) => `${team(index)}`, fits: 45 },
      { of: (index) => (team(index) === 'red' ? 'red' : user(index)), fits: 30 },
    ],
  },
  {
    name: 'a run of five agents, each with a limit on its own subtree',
    budgets: () => [
      usd('tree', { scope: { run: 'root' }, limit: '2.2' }),
      ...[0, 1, 2, 3, 4].map((of) => usd(`branch-${of}`, { scope: { run: `branch-${of}` }, limit: '0.5' })),
    ],
    before: [
      // The branches are known before their leaves: a run's ancestors are fixed when it is first seen.
      [
        'POST',
        '/v1/events',
        [0, 1, 2, 3, 4].map((of) => ({
          id: `branch-${of}`,
          source: 'test',
          type: 'agent.action',
          subject: 'acme',
          data: { run_id: `branch-${of}`, parent_run_id: 'root', kind: 'decision' },
        })),
      ],
    ],
    asks: (index) => ({ run_id: `leaf-${index}`, parent_run_id: `branch-${index % 5}` }),
    stranger: { run_id: 'elsewhere', parent_run_id: 'other-root' },
    fits: 22,
    most: [{ of: (index) => String(index % 5), fits: 5 }],
  },
  {
    name: 'three windows on one scope, the middle one the tightest',
    clockAt: '2026-11-18T12:30:30Z',
    budgets: () => [
      usd('hour', { window: 'hour', limit: '5' }),
      usd('day', { window: 'day', limit: '3.75' }),
      usd('rolling', { window: 'rolling:7d', limit: '4' }),
    ],
    fits: 37,
  },
];

const WINDOWS = ['minute', 'hour', 'day', 'week', 'month', 'quarter', 'year', 'every:3month@2026-01-31'];

export const WINDOW_MIXES: readonly HoldMix[] = [
  ...WINDOWS.map((window) => ({
    name: `a window of ${window}, in Athens`,
    clockAt: '2026-11-18T12:30:30Z',
    budgets: () => [usd('limit', { window, time_zone: 'Europe/Athens' })],
    fits: 37,
  })),
  ...['rolling:60m', 'rolling:24h', 'rolling:30d'].map((window) => ({
    name: `a window of ${window}`,
    budgets: () => [usd('limit', { window })],
    fits: 37,
  })),
];

const grant = (amount: string, more: object = {}): readonly [string, string, object] => [
  'POST',
  '/v1/customers/acme/wallets/main/grants',
  { amount, currency: 'USD', kind: 'paid', ...more },
];

export const WALLETS: readonly HoldMix[] = [
  {
    name: 'a wallet of two grants',
    before: [grant('1.5', { kind: 'promotional' }), grant('1')],
    budgets: () => [],
    stranger: { customer: 'postpaid' },
    fits: 25,
  },
  {
    name: 'a wallet tighter than the budget',
    before: [grant('1'), grant('1'), grant('0.55')],
    budgets: () => [usd('limit')],
    fits: 25,
  },
  {
    name: 'a budget tighter than the wallet',
    before: [grant('50'), grant('50')],
    budgets: () => [usd('limit', { per: ['customer', 'feature'], window: 'rolling:24h' })],
    fits: 37,
  },
  {
    name: 'a grant that may pay for one feature only, and another that may not',
    before: [
      grant('1.25', { eligibility: { features: ['chat'] } }),
      grant('9', { eligibility: { features: ['search'] } }),
    ],
    budgets: () => [],
    fits: 12,
  },
];

const MEASURES = ['tokens', 'flops', 'accelerator_seconds', 'compute_units', 'meter:images'];

export const UNITS: readonly HoldMix[] = [
  ...MEASURES.map((unit) => ({
    name: `a budget of ${unit}`,
    before: [
      ['PUT', '/v1/meters/images', { event_types: ['image.made'], aggregation: 'sum', value: 'data.count' }],
    ] as const,
    budgets: () => [usd('limit', { unit, limit: '37500' })],
    asks: () => ({ amounts: { [unit]: '1000' }, amount: undefined, currency: undefined }),
    fits: 37,
  })),
  { name: 'a budget of requests', budgets: () => [usd('limit', { unit: 'requests', limit: '37' })], fits: 37 },
  ...['provider_cost', 'physical_cost'].map((measure) => ({
    name: `a budget of ${measure}`,
    budgets: () => [usd('limit', { measure, limit: '0.75' })],
    asks: () => ({ amounts: { charge: '0.1', [measure]: '0.02' }, amount: undefined }),
    fits: 37,
  })),
  {
    name: 'a budget of credits',
    budgets: () => [usd('limit', { unit: 'credit:gold' })],
    asks: () => ({ currency: 'credit:gold' }),
    fits: 37,
  },
  {
    name: 'charge, cost, tokens and requests at once, tokens the tightest',
    budgets: () => [
      usd('charge', { limit: '100' }),
      usd('cost', { measure: 'provider_cost', limit: '100' }),
      usd('tokens', { unit: 'tokens', limit: '18999', window: 'rolling:24h' }),
      usd('requests', { unit: 'requests', limit: '500', window: 'year' }),
    ],
    asks: () => ({ amounts: { charge: '0.1', provider_cost: '0.02', tokens: '1000' }, amount: undefined }),
    fits: 18,
  },
];

/** @param processCount how many of the processes are asked. */
export async function checkHoldMix(processes: ErgonProcesses, mix: HoldMix, processCount: number): Promise<void> {
  const environment = await processes.environment(mix.clockAt);
  const { call } = environment;
  for (const [method, path, body] of mix.before ?? [])
    expect((await call(0, method, path, body)).status).toBeLessThan(300);
  for (const [place, budget] of mix.budgets(environment).entries()) {
    // A publish anywhere is in force everywhere once it is answered.
    const made = await call(place % processCount, 'POST', '/v1/budgets', budget);
    expect(made.status, made.text).toBe(200);
  }
  for (const round of ['first', 'again']) {
    const admitted = await askAll(environment, mix, { round, processCount });
    expect(admitted, round).toHaveLength(mix.fits);
    for (const { of, fits } of mix.most ?? []) expect(Math.max(...countBy(admitted, of))).toBeLessThanOrEqual(fits);
    if (mix.each !== undefined) expect(new Set(countBy(admitted, mix.each.of))).toEqual(new Set([mix.each.fits]));
    const released = await Promise.all(
      // Whoever admitted it, any process releases it.
      admitted.map((index) => call((index + 1) % processCount, 'POST', `/v1/holds/${round}-${index}/release`)),
    );
    expect(released.filter(({ status }) => status !== 200)).toEqual([]);
  }
  const held = await processes.sql.query<{ counted: number; funds: number }>(
    `select (select count(*) from budget_counter where environment_id = $1 and held <> 0)::int as counted,
       (select count(*) from account where environment_id = $1 and kind = 'held' and balance <> 0)::int as funds`,
    [environment.id],
  );
  // What the strangers hold is theirs: they are in nobody's scope, and have no wallet.
  expect(held.rows[0]).toEqual({ counted: 0, funds: 0 });
  expect((await call(0, 'POST', '/v1/audit', {})).body.differences).toEqual([]);
}

type Round = { readonly round: string; readonly processCount: number };

/** Asks for all holds at once; the numbers of those admitted. */
async function askAll(environment: TestEnvironment, mix: HoldMix, { round, processCount }: Round): Promise<number[]> {
  const strangers = mix.stranger === undefined ? 0 : HOLDS / STRANGER_EVERY;
  const answers = await Promise.all(
    Array.from({ length: HOLDS + strangers }, async (_, place) => {
      const isStranger = place >= HOLDS;
      const more = { ...mix.asks?.(place), ...(isStranger && mix.stranger) };
      const body = { ...USUAL, ...more, id: `${round}-${place}` };
      return { place, isStranger, ...(await environment.call(place % processCount, 'POST', '/v1/holds', body)) };
    }),
  );
  const wrong = answers.filter(({ status, isStranger }) => status !== 201 && (isStranger || status !== 402));
  expect(wrong.slice(0, 3)).toEqual([]);
  return answers.filter(({ status, isStranger }) => status === 201 && !isStranger).map(({ place }) => place);
}

function countBy(indexes: readonly number[], of: (index: number) => string): number[] {
  return [...Map.groupBy(indexes, of).values()].map(({ length }) => length);
}
