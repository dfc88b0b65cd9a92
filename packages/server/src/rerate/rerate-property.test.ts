import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { seedKey } from '../../bench/support/seed.ts';
import { sendEvents, startTestErgon, type TestErgon } from '../../../../tests/support/ergon.ts';
import { newTenant, type Tenant } from '../report/report.test-support.ts';
import { asEvent, naiveCharges, type Sent, type Version } from './naive-charges.test-support.ts';
import { rerate, until } from './rerate.test-support.ts';

/**
 * After any interleaving of events, voids, publishes into the past and re-ratings, on two replicas: what is charged is what
 * the events cost under the final catalog, the books balance, and re-rating once more changes nothing.
 */
let ergon: TestErgon;
beforeAll(async () => {
  ergon = await startTestErgon(2);
});
afterAll(() => ergon.stop());

const customers = fc.constantFrom('ann', 'bob');
const hours = fc.integer({ min: 8, max: 16 });
const sent = fc.record({
  customer: customers,
  hour: hours,
  model: fc.constantFrom('alpha', 'beta'),
  input: fc.integer({ min: 1, max: 60 }),
  output: fc.integer({ min: 1, max: 60 }),
  size: fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.integer({ min: 1, max: 9 }) }),
});

const unit = fc.constantFrom('0.01', '0.5', '0.333333333333333', '2');
const chargeModel = fc.oneof(
  unit.map((unit_amount) => ({ type: 'per_unit', unit_amount })),
  fc.record({ type: fc.constantFrom('graduated', 'volume'), first: unit, rest: unit }).map(({ type, first, rest }) => ({
    type,
    tiers: [
      { up_to: '40', unit_amount: first, flat_amount: '1' },
      { up_to: null, unit_amount: rest },
    ],
  })),
);
const price = fc.record({
  meter: fc.constantFrom('input_tokens', 'output_tokens', 'm_sum', 'm_max', 'm_unique', 'm_latest'),
  charge_model: chargeModel,
});
const card = fc.uniqueArray(price, { minLength: 1, maxLength: 5, selector: ({ meter }) => meter }).map((prices) => ({
  currency: 'USD',
  prices: prices.map((one) =>
    one.meter === 'input_tokens' ? { ...one, key: 'in', match: { model: 'alpha' } } : { ...one, key: one.meter },
  ),
}));

const command = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('send' as const),
      events: fc.array(sent, { minLength: 1, maxLength: 4 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('void' as const), pick: fc.nat(30) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('publish' as const), card, hour: fc.option(hours) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('rerate' as const),
      only: fc.constantFrom('all', 'unrated'),
      from: hours,
      customer: fc.option(customers),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('grant' as const),
      customer: customers,
      amount: fc.integer({ min: 1, max: 40 }),
    }),
  },
);
type Command = typeof command extends fc.Arbitrary<infer T> ? T : never;

const METERS: Readonly<Record<string, string>> = { m_sum: 'sum', m_max: 'max', m_unique: 'unique', m_latest: 'latest' };
const at = (hour: number) => `2026-11-20T${String(hour).padStart(2, '0')}:00:00Z`;

/** One environment on which commands are run; remembers what was sent and what was voided. */
class World {
  readonly tenant: Tenant;
  readonly #key: string;
  readonly events: Sent[] = [];
  readonly #voided = new Set<string>();
  #voids = 0;

  constructor(tenant: Tenant, key: string) {
    this.tenant = tenant;
    this.#key = key;
  }

  get standing(): Sent[] {
    return this.events.filter(({ id }) => !this.#voided.has(id));
  }

  async run(step: Command, index: number): Promise<void> {
    const service = ergon.replicas[index % 2];
    if (service === undefined) throw new Error('no service');
    switch (step.kind) {
      case 'send': {
        const fresh = step.events.map((one, position) => ({ ...one, id: `e${this.events.length + position}` }));
        this.events.push(...fresh);
        await sendEvents(service, this.#key, fresh.map(asEvent));
        return;
      }
      case 'void': {
        // Also of events that have not come: such a void waits.
        const id = `e${step.pick}`;
        this.#voided.add(id);
        this.#voids += 1;
        const data = { source: 'test', id };
        await sendEvents(service, this.#key, [{ id: `v${this.#voids}`, source: 'test', type: 'event.void', data }]);
        return;
      }
      case 'publish':
        await this.tenant.put('/v1/rate_cards/default', {
          ...step.card,
          ...(step.hour !== null && { effective_from: at(step.hour), rerate: true }),
        });
        return;
      case 'rerate': {
        const { only, from, customer } = step;
        const body = { only, from: at(from), to: at(17), ...(customer !== null && { customer }) };
        // Not waited for: what comes next happens beside it.
        const { status, text } = await this.tenant.post('/v1/rerate', body);
        if (status !== 201) throw new Error(text);
        return;
      }
      case 'grant':
        await this.tenant.post(`/v1/customers/${step.customer}/wallets/default/grants`, {
          amount: String(step.amount),
          currency: 'USD',
          kind: 'paid',
        });
    }
  }

  async versions(): Promise<Version[]> {
    const result = await ergon.sql.query<{ id: string; effective_from: Date; spec: unknown }>(
      'select id::text as id, effective_from, spec from rate_card_version where environment_id = $1 order by effective_from desc, rate_card_version.id desc',
      [this.tenant.id],
    );
    return result.rows.map((row) => ({ id: row.id, effectiveAt: row.effective_from.getTime(), spec: row.spec }));
  }

  /** What the running totals charged, and what was posted for them: customer|version|bucket. */
  async charged(): Promise<{ totals: Map<string, string>; postings: Map<string, string> }> {
    const totals = await ergon.sql.query<{ key: string; amount: string }>(
      `select c.external_id || '|' || a.card_version_id || '|' || t.key as key, trim_scale((t.value ->> 'a')::numeric)::text as amount
       from accumulator a join customer c on c.environment_id = a.environment_id and c.id = a.customer_id, json_each(a.totals) t
       where a.environment_id = $1 and (t.value ->> 'a')::numeric <> 0`,
      [this.tenant.id],
    );
    const postings = await ergon.sql.query<{ key: string; amount: string }>(
      `select c.external_id || '|' || p.card_version_id || '|' || p.bucket as key,
         trim_scale(sum(case kind when 'usage' then amount else -amount end))::text as amount
       from posting p join customer c on c.environment_id = p.environment_id and c.id = p.customer_id
       where p.environment_id = $1 and kind in ('usage', 'reversal') group by 1 having sum(case kind when 'usage' then amount else -amount end) <> 0`,
      [this.tenant.id],
    );
    const asMap = (rows: readonly { key: string; amount: string }[]) =>
      new Map(rows.map((row) => [row.key, row.amount]));
    return { totals: asMap(totals.rows), postings: asMap(postings.rows) };
  }

  async settle(): Promise<void> {
    await until(
      () => this.tenant.read<{ data: { status: string }[] }>('/v1/rerates?limit=1000'),
      ({ data }) => data.every(({ status }) => status !== 'running'),
    );
  }
}

async function newWorld(): Promise<World> {
  const tenant = await newTenant(ergon, ['ann', 'bob']);
  for (const [meter, aggregation] of Object.entries(METERS)) {
    const value = aggregation === 'unique' ? 'data.who' : 'data.size';
    await tenant.put(`/v1/meters/${meter}`, { event_types: ['job'], aggregation, value });
  }
  return new World(tenant, await seedKey(ergon.sql, tenant.id));
}

function sorted(map: ReadonlyMap<string, string>): string[] {
  return [...map].map(([key, amount]) => `${key} ${amount}`).toSorted();
}

test('the charge is that of the events under the final catalog, whatever happened on the way', async () => {
  let [adjusted, charged] = [0, 0];
  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 6, maxLength: 22 }), async (commands) => {
      const world = await newWorld();
      for (const [index, step] of commands.entries()) await world.run(step, index);
      await world.settle();
      expect(await world.tenant.audit()).toEqual([]);
      await rerate(world.tenant, { only: 'all' });
      const { totals, postings } = await world.charged();
      const expected = naiveCharges(world.standing, await world.versions());
      expect(sorted(totals)).toEqual(sorted(expected));
      expect(sorted(postings)).toEqual(sorted(expected));
      expect(await rerate(world.tenant, { only: 'all' })).toMatchObject({ status: 'finished', events_adjusted: '0' });
      expect(await rerate(world.tenant, {})).toMatchObject({ status: 'finished', events_adjusted: '0' });
      expect(await world.tenant.audit()).toEqual([]);
      const { data } = await world.tenant.read<{ data: { status: string; events_adjusted: string }[] }>(
        '/v1/rerates?limit=1000',
      );
      expect(data.filter(({ status }) => status === 'failed')).toEqual([]);
      adjusted += data.filter(({ events_adjusted }) => events_adjusted !== '0').length;
      charged += expected.size;
    }),
    { numRuns: 10 },
  );
  // The worlds were no empty ones, all of them together: how full they are is left to chance.
  expect(adjusted).toBeGreaterThan(0);
  expect(charged).toBeGreaterThan(0);
});
