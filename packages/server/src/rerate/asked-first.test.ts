import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestApp, type TestApp } from '../http/test-app.test-support.ts';
import { findPriceable } from './find-priceable.ts';
import { runRerates } from './run-rerate.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.stop());

const price = (meter: string, unit_amount: string) => ({ meter, charge_model: { type: 'per_unit', unit_amount } });
const card = (...prices: object[]) => ({ currency: 'USD', prices });
const time = '2026-11-20T10:00:00Z';

test('a re-rating that was asked for goes before an automatic one, and tells the whole difference', async () => {
  const key = await app.environment('asked');
  const call = async (method: string, path: string, body?: unknown) =>
    (await app.call(method, path, { key, body })).body;
  const { database, record, clocks } = app.services;
  const now = (environmentId: number) => clocks.now(environmentId);
  const run = () => runRerates({ database, record, now, onFailure: (error) => app.errors.push(error) });
  await call('PUT', '/v1/rate_cards/default', {
    ...card(price('output_tokens', '1')),
    effective_from: '2026-11-01T00:00:00Z',
  });
  const data = { model: 'm', tokens: { input: 10, output: 5 } };
  await call('POST', '/v1/events', { id: 'e', source: 's', type: 'llm.call', subject: 'acme', time, data });
  await call('PUT', '/v1/rate_cards/default', card(price('output_tokens', '1'), price('input_tokens', '0.5')));
  await findPriceable(database, now);
  const [automatic] = (await call('GET', '/v1/rerates')).data;
  expect(automatic).toMatchObject({ automatic: true, status: 'running' });

  // The automatic one cannot run while the other is open, whoever takes it first.
  const past = card(price('output_tokens', '1'), price('input_tokens', '0.25'));
  const { rerate } = await call('PUT', '/v1/rate_cards/default', { ...past, effective_from: time, rerate: true });
  await run();
  const done = await call('GET', `/v1/rerates/${rerate}`);
  expect(done).toMatchObject({
    status: 'finished',
    events_adjusted: '1',
    totals: [{ old: '5', new: '7.5', difference: '2.5' }],
  });
  await run();
  expect(await call('GET', `/v1/rerates/${automatic.id}`)).toMatchObject({ status: 'finished', events_adjusted: '0' });
  expect((await call('POST', '/v1/audit')).differences).toEqual([]);
  expect(app.errors).toEqual([]);
});
