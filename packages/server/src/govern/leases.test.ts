import fc from 'fast-check';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestApp, type TestApp } from '../http/test-app.test-support.ts';
import { openDatabase } from '../store/database.ts';
import { HoldDesk } from './hold-desk.ts';
import type { LeasedHold } from './lease.ts';
import { Leases } from './leases.ts';
import { expireHolds } from './expire-holds.ts';
import { holdBody } from './schemas.ts';

/** DESIGN section 9, leases; section 7, invariant 4 with leases on. */
let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.stop());

type World = Awaited<ReturnType<typeof world>>;
let worlds = 0;

/** An environment with one prepaid customer and one budget, and processes that share its database. */
async function world({ limit, grant, processes = 1 }: { limit: string; grant: string; processes?: number }) {
  worlds += 1;
  const name = `leases-${worlds}`;
  const key = await app.environment(name);
  const call = (method: string, path: string, body?: unknown) =>
    app.call(method, path, { key, ...(body !== undefined && { body }) });
  await call('POST', '/v1/customers/acme/wallets/main/grants', { amount: grant, currency: 'USD', kind: 'paid' });
  await call('POST', '/v1/budgets', { key: 'b', scope: { customer: 'acme' }, unit: 'USD', window: 'lifetime', limit });
  const { rows } = await app.database.pool.query<{ id: number }>('select id from environment where key = $1', [name]);
  const id = rows[0]?.id ?? 0;
  const members = Array.from({ length: processes }, () => process());
  // What a process knows of an environment it knows from a hold that went to the database.
  await call('POST', '/v1/holds', { id: 'first', customer: 'acme', model: 'm', amount: '0.01', currency: 'USD' });
  await call('POST', '/v1/holds/first/release');
  return {
    id,
    call,
    leases: members.map((one) => one.leases),
    members,
    counter: async () => (await call('GET', '/v1/budgets/b')).body.counters[0],
    stop: async () => {
      for (const one of members) await one.stop();
      expect((await call('POST', '/v1/audit', {})).body.differences).toEqual([]);
    },
  };
}

/** A process of its own, as far as leases are concerned: pool, desk, listener. */
function process() {
  const { services } = app;
  const connection = app.database.pool.options;
  const database = openDatabase({ connection: { ...connection, max: 4 }, connectionsMax: 4 }, () => undefined);
  const holds = new HoldDesk(database, (environment) => services.clocks.now(environment));
  const { record, policies, clocks, logError } = services;
  const leases = new Leases({ database, holds, record, policies, clocks, logError });
  return {
    leases,
    database,
    stop: async () => {
      await leases.stop();
      await database.close();
    },
  };
}

const body = (amount: string) => holdBody.parse({ id: 'x', customer: 'acme', model: 'm', amount, currency: 'USD' });

/** A leased hold, once a lease was taken for calls like it. */
async function leased(of: World, amount: string, index = 0): Promise<LeasedHold> {
  for (let tries = 0; tries < 4_000; tries++) {
    const held = of.leases[index]?.hold(of.id, 'k', body(amount));
    if (held !== undefined) return held;
    await sleep(5);
  }
  throw new Error('no lease was taken');
}

test('calls of a lease are admitted here, recorded together, and found by their names', async () => {
  const one = await world({ limit: '1000', grant: '1000' });
  const first = await leased(one, '0.1');
  const [leases] = one.leases;
  expect(Number((await one.counter()).held), 'the lease itself is held').toBeGreaterThan(0.1);
  const second = await leased(one, '0.1');
  expect(leases?.settle(first, { charge: '0.04' })).toBe(true);
  expect(leases?.settle(first, { charge: '0.05' }), 'once').toBe(false);
  expect(leases?.release(second)).toBe(true);
  await leases?.flush();
  expect((await one.counter()).committed).toBe('0.04');
  expect((await one.call('GET', `/v1/holds/${first.id}`)).body).toMatchObject({
    ...{ status: 'settled', settled: { charge: '0.04' }, settled_by: 'amount', late: false },
    scopes: [
      { kind: 'wallet', key: 'acme/USD' },
      { kind: 'budget', key: 'b' },
    ],
  });
  await one.stop();
  expect(await one.counter()).toMatchObject({ committed: '0.04', held: '0' });
  expect((await one.call('GET', '/v1/customers/acme/wallets/main')).body).toMatchObject({
    held: '0',
    posted: '999.96',
  });
});

test('its event replaces what a call was settled at: only the difference is charged', async () => {
  const one = await world({ limit: '1000', grant: '1000' });
  await one.call('PUT', '/v1/rate_cards/default', {
    currency: 'USD',
    prices: [{ meter: 'output_tokens', charge_model: { type: 'per_unit', unit_amount: '0.01' } }],
  });
  await one.call('POST', '/v1/holds', { id: 'second', customer: 'acme', model: 'm', amount: '0.01', currency: 'USD' });
  await one.call('POST', '/v1/holds/second/release');
  const held = await leased(one, '0.1');
  one.leases[0]?.settle(held, { charge: '0.04' });
  await one.leases[0]?.flush();
  const data = { model: 'm', tokens: { output: 7 }, hold_id: held.id };
  const sent = await one.call('POST', '/v1/events', { id: 'e', type: 'llm.call', subject: 'acme', data });
  expect(sent.body).toMatchObject({ accepted: 1 });
  await one.stop();
  expect(await one.counter()).toMatchObject({ committed: '0.07', held: '0' });
});

test('a lease is at most a sixteenth of what is available, and none is taken near the limit', async () => {
  const one = await world({ limit: '100', grant: '1000' });
  await leased(one, '0.05');
  expect(Number((await one.counter()).held)).toBeLessThanOrEqual(100 / 16);
  await one.stop();
  const near = await world({ limit: '10', grant: '1000' });
  for (let tries = 0; tries < 20; tries++) {
    expect(near.leases[0]?.hold(near.id, 'k', body('0.1')), '8 calls of 0.1 times 16 are more than 10').toBeUndefined();
    await sleep(5);
  }
  await near.stop();
});

test('nobody is refused before leases of any process were asked back', async () => {
  const one = await world({ limit: '100', grant: '1000', processes: 2 });
  const mine = await leased(one, '0.05');
  const theirs = await leased(one, '0.05', 1);
  const held = Number((await one.counter()).held);
  expect(held).toBeGreaterThan(0.2);
  const ask = (id: string, amount: string) =>
    one.call('POST', '/v1/holds', { id, customer: 'acme', model: 'm', amount, currency: 'USD' });
  expect((await ask('all', '99.9')).status, 'all but the two calls in flight').toBe(201);
  expect((await ask('more', '0.01')).status).toBe(402);
  one.leases[0]?.settle(mine, { charge: '0.05' });
  one.leases[1]?.settle(theirs, { charge: '0.05' });
  await Promise.all(one.leases.map((leases) => leases.flush()));
  expect(await one.counter()).toMatchObject({ committed: '0.1', held: '99.9' });
  await one.stop();
});

test('after a budget was changed no call is admitted by the one before', async () => {
  const one = await world({ limit: '1000', grant: '1000' });
  await leased(one, '0.1');
  const changed = { key: 'b', scope: { customer: 'acme' }, unit: 'USD', window: 'lifetime', limit: '0' };
  expect((await one.call('POST', '/v1/budgets', changed)).status).toBe(200);
  for (let tries = 0; tries < 10; tries++) {
    expect(one.leases[0]?.hold(one.id, 'k', body('0.1'))).toBeUndefined();
    await sleep(2);
  }
  await one.stop();
});

test('a lease whose holder is gone ends as spent, because its calls may have run; what comes later is late', async () => {
  const one = await world({ limit: '1000', grant: '1000' });
  const held = await leased(one, '0.1');
  const size = (await one.counter()).held;
  app.clock.offsetMs += 11_000;
  await expireHolds(app.database, app.services.holds, app.services.now());
  expect(await one.counter()).toMatchObject({ committed: size, held: '0' });
  one.leases[0]?.settle(held, { charge: '0.1' });
  await one.leases[0]?.flush();
  expect(Number((await one.counter()).committed)).toBeCloseTo(Number(size) + 0.1, 9);
  expect((await one.call('GET', `/v1/holds/${held.id}`)).body).toMatchObject({ status: 'settled', late: true });
  await one.stop();
  app.clock.offsetMs = 0;
});

type Step = { readonly by: number; readonly amount: number; readonly spent: number; readonly leased: boolean };

test('three processes, leases on and off, any mix: exactly what fits, and the books are right', {
  timeout: 60_000,
}, async () => {
  const step: fc.Arbitrary<Step> = fc.record({
    by: fc.integer({ min: 0, max: 2 }),
    amount: fc.integer({ min: 1, max: 4 }),
    spent: fc.integer({ min: 0, max: 4 }),
    leased: fc.boolean(),
  });
  let fromLeases = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 30, maxLength: 120 }), async (steps) => {
      const limit = 5_000;
      const one = await world({ limit: String(limit), grant: '9000', processes: 3 });
      for (const index of one.leases.keys()) one.leases[index]?.release(await leased(one, '4', index));
      let committed = 0;
      let admitted = 0;
      await Promise.all(
        steps.map(async ({ by, amount, spent, leased: isLeased }, index) => {
          await sleep(index);
          const leases = one.leases[by];
          const actual = Math.min(spent, amount);
          const held = isLeased ? leases?.hold(one.id, 'k', body(String(amount))) : undefined;
          if (held !== undefined) {
            fromLeases += 1;
            await sleep(index % 5);
            leases?.settle(held, { charge: String(actual) });
          } else {
            const id = `h${index}`;
            const asked = { id, customer: 'acme', model: 'm', amount: String(amount), currency: 'USD' };
            const answer = await one.call('POST', '/v1/holds', asked);
            expect(answer.status, answer.text).toBe(201);
            await one.call('POST', `/v1/holds/${id}/settle`, { amount: String(actual) });
          }
          committed += actual;
          admitted += 1;
          const { rows } = await app.database.pool.query<{ used: string }>(
            'select (committed + held)::text as used from budget_counter where environment_id = $1',
            [one.id],
          );
          expect(Number(rows[0]?.used)).toBeLessThanOrEqual(limit);
        }),
      );
      // Whatever leases still hold is asked back: the rest fits to the last unit, and not one more.
      await Promise.all(one.leases.map((leases) => leases.flush()));
      const rest = (id: string, amount: number) =>
        one.call('POST', '/v1/holds', { id, customer: 'acme', model: 'm', amount: String(amount), currency: 'USD' });
      expect((await rest('rest', limit - committed)).status).toBe(201);
      expect((await rest('one-more', 1)).status).toBe(402);
      expect(admitted).toBe(steps.length);
      await one.stop();
      expect(Number((await one.counter()).committed)).toBe(committed);
      const overages = await app.database.pool.query('select from budget_overage where environment_id = $1', [one.id]);
      expect(overages.rowCount, 'nothing was spent that was not admitted').toBe(0);
    }),
    { numRuns: 8 },
  );
  expect(fromLeases).toBeGreaterThan(100);
  expect(app.errors).toEqual([]);
});
