import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { seedKey } from '../packages/server/bench/support/seed.ts';
import { startTestErgon } from './support/ergon.ts';

/**
 * DESIGN section 7, invariant 4, with leases: processes that admit calls by themselves are killed while calls are in flight. No limit is
 * passed, what they had recorded is there, and what they may have spent beside it counts as spent.
 */
const CRASHES = 4;
const LIMIT = 20;

test(`${CRASHES} processes killed with leases in their hands`, { timeout: 60_000 }, async () => {
  const ergon = await startTestErgon();
  try {
    const key = await seedKey(ergon.sql, 1);
    const [service] = ergon.replicas;
    const call = async (path: string, body: unknown) => {
      const response = await service?.fetch(
        new Request(`http://test${path}`, {
          method: 'POST',
          headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
          body: JSON.stringify(body),
        }),
      );
      return { status: response?.status, body: JSON.parse((await response?.text()) ?? '{}') };
    };
    await call('/v1/customers/acme/wallets/main/grants', { amount: '1000', currency: 'USD', kind: 'paid' });
    await call('/v1/budgets', { key: 'b', unit: 'USD', window: 'lifetime', limit: String(LIMIT) });
    const counted = async () => {
      const { rows } = await ergon.sql.query<{ committed: number; held: number; lost: number }>(
        `select sum(committed)::float8 as committed, sum(held)::float8 as held,
           (select count(*)::int from hold where settled_by = 'estimate') as lost from budget_counter`,
      );
      return rows[0] ?? { committed: 0, held: 0, lost: 0 };
    };
    let recorded = 0;
    for (let crash = 0; crash < CRASHES; crash++) {
      const child = fork(fileURLToPath(new URL('./support/lease-holder.ts', import.meta.url)), [ergon.databaseUrl]);
      onTestFinished(() => void child.kill('SIGKILL'));
      const busy = Promise.withResolvers<void>();
      child.on('message', (settled) => {
        recorded += Number(settled);
        if (Number(settled) > 0) busy.resolve();
      });
      await busy.promise;
      await sleep(30 + crash * 40);
      child.kill('SIGKILL');
      await once(child, 'exit');
      const { committed, held } = await counted();
      expect(committed + held).toBeLessThanOrEqual(LIMIT);
      expect(held, 'the dead had a lease').toBeGreaterThan(0);
      expect(committed + 1e-9).toBeGreaterThanOrEqual(recorded * 0.004);
      // Its time passes, and the service's own job finds it.
      await ergon.sql.query(`update hold set expires_at = now() where status = 'dispatched'`);
      for (let tries = 0; (await counted()).held > 0 && tries < 600; tries++) await sleep(50);
    }
    const end = await counted();
    expect(end.held).toBe(0);
    expect(end.lost, 'leases whose holder was gone').toBeGreaterThanOrEqual(CRASHES);
    expect(end.committed).toBeLessThanOrEqual(LIMIT);
    const rest = LIMIT - end.committed;
    const ask = async (id: string, amount: number) =>
      (await call('/v1/holds', { id, customer: 'acme', amount: amount.toFixed(6), currency: 'USD' })).status;
    expect(await ask('rest', rest)).toBe(201);
    expect(await ask('more', 0.001)).toBe(402);
    expect((await call('/v1/audit', {})).body.differences).toEqual([]);
  } finally {
    await ergon.stop();
  }
});
