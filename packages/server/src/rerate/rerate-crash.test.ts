import { afterAll, beforeAll, expect, test } from 'vitest';
import { cutConnections } from '../../../../tests/support/cut-connections.ts';
import { startTestErgon, type TestErgon } from '../../../../tests/support/ergon.ts';
import { llmCall, newTenant } from '../report/report.test-support.ts';
import { finished, type RerateAnswer } from './rerate.test-support.ts';

let ergon: TestErgon;
beforeAll(async () => {
  ergon = await startTestErgon(2);
});
afterAll(() => ergon.stop());

test('two replicas whose connections are cut again and again post every adjustment once', async () => {
  const tenant = await newTenant(ergon, ['acme']);
  const card = (unit_amount: string) => ({
    currency: 'USD',
    prices: [{ meter: 'output_tokens', charge_model: { type: 'per_unit', unit_amount } }],
  });
  await tenant.put('/v1/rate_cards/default', card('1'));
  for (let batch = 0; batch < 8; batch++) {
    const calls = Array.from({ length: 500 }, (_, index) =>
      llmCall(`e${batch}-${index}`, `2026-11-20T10:${String(batch).padStart(2, '0')}:00Z`, { tokens: { output: 1 } }),
    );
    await tenant.send(calls);
  }
  const correction = { ...card('3'), effective_from: '2026-11-20T00:00:00Z', rerate: true };
  const { text } = await tenant.tryPut('/v1/rate_cards/default', correction);
  const killer = cutConnections(ergon.sql, {
    where: `state <> 'idle' and backend_type = 'client backend' and xact_start is not null`,
    everyMs: 70,
  });
  const { rerate: id } = JSON.parse(text) as { rerate: string };
  for (let turn = 0; turn < 30; turn++) {
    const { status } = await readOften(() => tenant.read<RerateAnswer>(`/v1/rerates/${id}`));
    if (status !== 'running') break;
    await new Promise((resolve) => {
      setTimeout(resolve, 100);
    });
  }
  expect(await killer.stop()).toBeGreaterThan(0);
  // A backend that was told to end may still meet the first question.
  const done = await readOften(() => finished(tenant, id));
  expect(done).toMatchObject({
    status: 'finished',
    events_adjusted: '4000',
    totals: [{ old: '4000', new: '12000', difference: '8000', customers: '1' }],
  });
  const counted = await ergon.sql.query<{ records: string }>(
    'select count(*) as records from event_adjustment where environment_id = $1',
    [tenant.id],
  );
  expect(counted.rows[0]?.records).toBe('8000');
  expect(await tenant.audit()).toEqual([]);
});

/** A connection that was cut makes an answer fail: it is asked for again. */
async function readOften<T>(read: () => Promise<T>): Promise<T> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const value = await read().catch(() => undefined);
    if (value !== undefined) return value;
  }
  throw new Error('no answer in 50 attempts');
}
