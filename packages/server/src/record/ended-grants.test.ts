import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestApp, type TestApp } from '../http/test-app.test-support.ts';
import { expireGrants } from '../ledger/index.ts';

/** Charges that fall give back to the grants that paid, or to the customer's credit when those have ended: never to both. */
let server: TestApp;
beforeAll(async () => {
  server = await startTestApp();
});
afterAll(() => server.stop());

let worlds = 0;
/** Output tokens at 0.01, and at 0.001 from the 1,001st on: then all that went before is cheaper too. */
async function world(grant: object) {
  const key = await server.environment(`ended-${worlds++}`);
  const call = async (method: string, path: string, body?: unknown) => {
    const answer = await server.call(method, path, { key, ...(body !== undefined && { body }) });
    expect(answer.status, answer.text).toBeLessThan(300);
    return answer.body;
  };
  const tiers = [
    { up_to: '1000', unit_amount: '0.01' },
    { up_to: null, unit_amount: '0.001' },
  ];
  const prices = [{ meter: 'output_tokens', charge_model: { type: 'volume', tiers } }];
  await call('PUT', '/v1/rate_cards/default', { currency: 'USD', prices });
  const made = await call('POST', '/v1/customers/acme/wallets/main/grants', {
    amount: '10',
    currency: 'USD',
    ...grant,
  });
  const usage = (...outputs: (readonly [id: string, output: number, more?: object])[]) =>
    call(
      'POST',
      '/v1/events',
      outputs.map(([id, output, more]) => ({
        id,
        source: 'test',
        type: 'llm.call',
        subject: 'acme',
        data: { model: 'm', tokens: { output }, ...more },
      })),
    );
  const standing = async () => {
    const { rows } = await server.database.pool.query<{ kind: string; balance: string }>(
      `select a.kind, trim_scale(sum(a.balance))::text as balance from account a join environment e on e.id = a.environment_id
       where e.key = $1 and a.kind in ('grant', 'held', 'receivable', 'customer_credit') group by 1 order by 1`,
      [`ended-${worlds - 1}`],
    );
    return Object.fromEntries(rows.map(({ kind, balance }) => [kind, balance]));
  };
  const audited = async () => (await call('POST', '/v1/audit', {})).differences;
  return { call, usage, standing, audited, grantId: String(made.id) };
}

test('of a voided grant: what comes back is credit, and pays for nothing at the grant', async () => {
  const { call, usage, standing, audited, grantId } = await world({});
  await usage(['a', 800]);
  expect(await standing()).toMatchObject({ grant: '2' });
  await call('DELETE', `/v1/customers/acme/wallets/main/grants/${grantId}`);
  // 1,100 cost 1.1, which is 6.9 less than 800 did; 6,100 cost 6.1.
  await usage(['b', 300], ['c', 5_000]);
  expect(await standing()).toMatchObject({ grant: '0', customer_credit: '6.9', receivable: '-5' });
  expect(await audited()).toEqual([]);
});

test('of an expired grant: the funds of a hold pay once, and what comes back of them is credit', async () => {
  const expires_at = new Date(server.services.now() / 1_000 + 60_000).toISOString();
  const { call, usage, standing, audited } = await world({ expires_at });
  const hold = { id: 'h', customer: 'acme', amount: '9', currency: 'USD', expires_in_seconds: 3_600 };
  await call('POST', '/v1/holds', hold);
  server.clock.offsetMs += 120_000;
  await expireGrants(server.database, server.services.now());
  await usage(['a', 800, { hold_id: 'h' }], ['b', 300], ['c', 5_000]);
  expect(await standing()).toMatchObject({ grant: '0', held: '0', customer_credit: '6.9', receivable: '-4' });
  expect(await audited()).toEqual([]);
});

test('of an expired grant: what a hold was settled at pays for the event that comes afterwards', async () => {
  const expires_at = new Date(server.services.now() / 1_000 + 60_000).toISOString();
  const { call, usage, standing, audited } = await world({ expires_at });
  await call('POST', '/v1/holds', { id: 'h', customer: 'acme', amount: '9', currency: 'USD' });
  await call('POST', '/v1/holds/h/settle', { amount: '8' });
  server.clock.offsetMs += 120_000;
  await expireGrants(server.database, server.services.now());
  await usage(['a', 900, { hold_id: 'h' }]);
  expect(await standing()).toMatchObject({ grant: '0', held: '0', receivable: '-1' });
  expect(await audited()).toEqual([]);
});

test('of a grant that is used up: it gets back what it paid, and pays again', async () => {
  const { usage, standing, audited } = await world({ amount: '8' });
  await usage(['a', 800]);
  expect(await standing()).toMatchObject({ grant: '0' });
  await usage(['b', 300], ['c', 5_000]);
  expect(await standing()).toMatchObject({ grant: '1.9', receivable: '0' });
  expect(await audited()).toEqual([]);
});

test('nothing of it was an error of the service', () => expect(server.errors).toEqual([]));
