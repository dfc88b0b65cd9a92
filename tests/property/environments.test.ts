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
import { sendEvents, startTestErgon, type TestErgon } from '../support/ergon.ts';
import { type Call, type CardModels, calls, cardModels, cardSpec, event } from './arbitraries.ts';
import { recordedState } from './recorded-state.ts';

/**
 * DESIGN section 7, invariant 8: two environments with the same customers, the same sources and ids, at the same time in the
 * same processes, leave each exactly what it would have left alone.
 */
const CUSTOMERS = ['acme', 'zenith'];

let ergon: TestErgon;
let environments = 0;
beforeAll(async () => {
  ergon = await startTestErgon(2);
});
afterAll(() => ergon.stop());

async function newEnvironment(models: CardModels): Promise<{ id: number; key: string }> {
  environments += 1;
  const id = await seedEnvironment(ergon.sql, `apart-${environments}`);
  await seedCustomers(ergon.sql, id, CUSTOMERS);
  await seedCard(ergon.sql, id, cardSpec(models));
  await seedGrant(ergon.sql, id, { customer: 'acme', amount: '25' });
  return { id, key: await seedKey(ergon.sql, id) };
}

async function sendAll(key: string, list: readonly Call[], clients: number): Promise<void> {
  let next = 0;
  let accepted = 0;
  await Promise.all(
    Array.from({ length: clients }, async (_, client) => {
      const replica = ergon.replicas[client % ergon.replicas.length];
      if (replica === undefined) return;
      for (let from = next; from < list.length; from = next) {
        next += 7;
        const answer = await sendEvents(replica, key, list.slice(from, from + 7).map(event));
        accepted += answer.accepted;
      }
    }),
  );
  expect(accepted).toBe(list.length);
}

test('what one environment records, no other sees', { timeout: 60_000 }, async () => {
  const side = fc.record({ models: cardModels, list: calls(CUSTOMERS, { minLength: 1, maxLength: 40 }) });
  await fc.assert(
    fc.asyncProperty(side, side, async (left, right) => {
      const alone = [await newEnvironment(left.models), await newEnvironment(right.models)] as const;
      await sendAll(alone[0].key, left.list, 1);
      await sendAll(alone[1].key, right.list, 1);
      // Both lists number their calls from zero: the same identities, with other bodies, in two environments.
      const together = [await newEnvironment(left.models), await newEnvironment(right.models)] as const;
      await Promise.all([sendAll(together[0].key, left.list, 3), sendAll(together[1].key, right.list, 3)]);
      for (const index of [0, 1] as const) {
        const [before, after] = [alone[index].id, together[index].id];
        expect(await recordedState(ergon.sql, after)).toEqual(await recordedState(ergon.sql, before));
        expect((await audit(ergon.sql, after)).differences).toEqual([]);
      }
    }),
    { numRuns: 60, interruptAfterTimeLimit: 20_000, markInterruptAsFailure: false },
  );
});
