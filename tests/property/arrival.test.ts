import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { audit } from '../../packages/server/bench/support/audit.ts';
import {
  seedCard,
  seedCustomers,
  seedEnvironment,
  seedGrant,
  seedKey,
} from '../../packages/server/bench/support/seed.ts';
import type { RunningErgon } from '../../packages/server/src/start-ergon.ts';
import { sendEvents, startTestErgon, type TestErgon } from '../support/ergon.ts';
import { type CardModels, calls, cardModels, cardSpec, event, voidOf } from './arbitraries.ts';
import { expectedState } from './expected-state.ts';
import { recordedState } from './recorded-state.ts';

/**
 * DESIGN section 7, invariants 1 and 2: how events arrive (order, batches, clients, replicas, repeats) changes no quantity, no
 * accumulator and no customer's total; and what is charged is R(total) of every accumulator.
 */
const CUSTOMERS = ['acme', 'zenith', 'Ünïcode & co'];

let ergon: TestErgon;
let environments = 0;
beforeAll(async () => {
  ergon = await startTestErgon(2);
});
afterAll(() => ergon.stop());

async function newEnvironment(models: CardModels): Promise<{ id: number; key: string }> {
  environments += 1;
  const id = await seedEnvironment(ergon.sql, `arrival-${environments}`);
  await seedCustomers(ergon.sql, id, CUSTOMERS);
  await seedCard(ergon.sql, id, cardSpec(models));
  await seedGrant(ergon.sql, id, { customer: 'acme', amount: '50', priority: 1 });
  await seedGrant(ergon.sql, id, { customer: 'acme', amount: '100000000' });
  await seedGrant(ergon.sql, id, { customer: 'zenith', amount: '3', eligibility: { features: ['chat'] } });
  return { id, key: await seedKey(ergon.sql, id) };
}

type Arrival = { readonly order: readonly number[]; readonly cuts: readonly number[]; readonly clients: number };

/** Any order, some events several times, cut anywhere, sent by several clients at once to any replica. */
function arrival(count: number): fc.Arbitrary<Arrival> {
  return fc
    .record({
      order: fc.shuffledSubarray(
        Array.from({ length: count }, (_, index) => index),
        { minLength: count, maxLength: count },
      ),
      repeats: fc.array(fc.nat({ max: count - 1 }), { maxLength: 10 }),
      cuts: fc.array(fc.integer({ min: 1, max: 25 }), { minLength: 1, maxLength: 6 }),
      clients: fc.integer({ min: 1, max: 6 }),
    })
    .map(({ order, repeats, cuts, clients }) => ({ order: [...order, ...repeats], cuts, clients }));
}

async function send(replicas: readonly RunningErgon[], key: string, events: readonly unknown[], how: Arrival) {
  const batches: unknown[][] = [];
  for (let from = 0; from < how.order.length; ) {
    const size = how.cuts[batches.length % how.cuts.length] ?? 1;
    batches.push(how.order.slice(from, from + size).map((index) => events[index]));
    from += size;
  }
  let next = 0;
  const sums = { accepted: 0, duplicates: 0, conflicts: 0, rejected: 0 };
  await Promise.all(
    Array.from({ length: how.clients }, async (_, client) => {
      const replica = replicas[client % replicas.length];
      for (let batch = batches[next++]; replica !== undefined && batch !== undefined; batch = batches[next++]) {
        const answer = await sendEvents(replica, key, batch);
        for (const fate of ['accepted', 'duplicates', 'conflicts', 'rejected'] as const) sums[fate] += answer[fate];
      }
    }),
  );
  return sums;
}

test('arrival changes nothing, and every accumulator is charged R(total)', { timeout: 60_000 }, async () => {
  const scenario = fc
    .record({ models: cardModels, list: calls(CUSTOMERS, { minLength: 1, maxLength: 60 }) })
    .chain(({ models, list }) =>
      fc.record({ models: fc.constant(models), list: fc.constant(list), how: arrival(list.length) }),
    );
  await fc.assert(
    fc.asyncProperty(scenario, async ({ models, list, how }) => {
      const expected = expectedState(list, models);
      const plain = await newEnvironment(models);
      const inOrder = { order: list.map((_, index) => index), cuts: [list.length], clients: 1 };
      expect(await send(ergon.replicas, plain.key, list.map(event), inOrder)).toMatchObject({ accepted: list.length });
      expect(await recordedState(ergon.sql, plain.id)).toEqual(expected);

      const mixed = await newEnvironment(models);
      const sums = await send(ergon.replicas, mixed.key, list.map(event), how);
      const repeats = how.order.length - list.length;
      expect(sums).toEqual({ accepted: list.length, duplicates: repeats, conflicts: 0, rejected: 0 });
      expect(await recordedState(ergon.sql, mixed.id)).toEqual(expected);

      for (const { id } of [plain, mixed]) expect((await audit(ergon.sql, id)).differences).toEqual([]);
    }),
    { numRuns: 150, interruptAfterTimeLimit: 25_000, markInterruptAsFailure: false },
  );
});

test('voids, before or after their events, once or twice, leave what the other events alone leave', {
  timeout: 60_000,
}, async () => {
  const scenario = fc
    .record({ models: cardModels, list: calls(CUSTOMERS, { minLength: 1, maxLength: 30 }) })
    .chain(({ models, list }) =>
      fc.record({ models: fc.constant(models), list: fc.constant(list), voided: fc.subarray(list, { minLength: 1 }) }),
    )
    .chain(({ models, list, voided }) =>
      fc.record({
        models: fc.constant(models),
        list: fc.constant(list),
        voided: fc.constant(voided),
        how: arrival(list.length + voided.length),
      }),
    );
  await fc.assert(
    fc.asyncProperty(scenario, async ({ models, list, voided, how }) => {
      const { id, key } = await newEnvironment(models);
      await send(ergon.replicas, key, [...list.map(event), ...voided.map(voidOf)], how);
      const rest = list.filter((call) => !voided.includes(call));
      expect(await recordedState(ergon.sql, id)).toEqual(expectedState(rest, models));
      expect((await audit(ergon.sql, id)).differences).toEqual([]);
    }),
    { numRuns: 100, interruptAfterTimeLimit: 25_000, markInterruptAsFailure: false },
  );
});
