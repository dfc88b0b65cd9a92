import { afterAll, beforeAll, expect, test } from 'vitest';
import { llmCall, newTenant, type Tenant } from '../packages/server/src/report/report.test-support.ts';
import { startTestErgon, type TestErgon } from './support/ergon.ts';

/** Cost-plus: the card charges what the provider charges, with a markup. */

let ergon: TestErgon;
beforeAll(async () => {
  ergon = await startTestErgon();
});
afterAll(() => ergon.stop());

const NOW = new Date().toISOString();
const COST_PLUS = { meter: 'provider_cost', charge_model: { type: 'cost_plus', markup: '0.2' } };
const card = (...prices: object[]) => ({ currency: 'USD', prices });

async function json(answer: Promise<{ status: number; text: string }>) {
  const { status, text } = await answer;
  expect(status, text).toBeLessThan(300);
  return JSON.parse(text);
}
const chargeOf = async (tenant: Tenant) => {
  const { rows } = await tenant.read<{ rows: { value: string }[] }>('/v1/usage?meter=charge&window=month');
  return rows[0]?.value ?? '0';
};
// A million tokens in and a hundred thousand out of gpt-4o-mini: 0.15 and 0.06 USD.
const CALL = { provider: 'openai', model: 'gpt-4o-mini', tokens: { input: 1_000_000, output: 100_000 } };

test('the provider price times the markup, of each call whose price is known; the rest is listed', async () => {
  const tenant = await newTenant(ergon, ['acme']);
  await tenant.put('/v1/rate_cards/default', card(COST_PLUS));
  await json(
    tenant.post('/v1/events', [llmCall('a', NOW, CALL), llmCall('b', NOW, { ...CALL, model: 'never-heard-of' })]),
  );
  expect(await chargeOf(tenant)).toBe('0.252');
  const explained = await tenant.read<{ charge: { lines: object[] } }>('/v1/events/lookup?source=test&id=a');
  expect(JSON.stringify(explained)).toContain('"provider_cost"');
  const unrated = await tenant.read<{ data: object[] }>('/v1/unrated?meter=provider_cost');
  expect(unrated.data).toMatchObject([{ meter: 'provider_cost', reason: 'no_provider_price', events: '1' }]);
  // Usage itself is counted once: the provider's cost is no second quantity of it.
  const cost = await tenant.read<{ rows: { value: string }[] }>('/v1/usage?meter=provider_cost&window=month');
  expect(cost.rows.map(({ value }) => value)).toEqual(['0.21']);
  expect(await tenant.audit()).toEqual([]);
  await json(
    tenant.post('/v1/events', { id: 'v', source: 'test', type: 'event.void', data: { source: 'test', id: 'a' } }),
  );
  expect(await chargeOf(tenant)).toBe('0');
  expect(await tenant.audit()).toEqual([]);
});

test('dollars are not marked up as if they were euros; a price of what a dollar is worth converts them', async () => {
  const tenant = await newTenant(ergon, ['acme']);
  const refused = await tenant.tryPut('/v1/rate_cards/default', { ...card(COST_PLUS), currency: 'EUR' });
  expect([refused.status, JSON.parse(refused.text).errors[0].pointer]).toEqual([400, '/prices/0/charge_model/type']);
  const inEuro = { ...COST_PLUS, charge_model: { type: 'per_unit', unit_amount: '1.1' } };
  await tenant.put('/v1/rate_cards/default', { ...card(inEuro), currency: 'EUR' });
  await json(tenant.post('/v1/events', llmCall('a', NOW, CALL)));
  expect(await chargeOf(tenant)).toBe('0.231');
});

test('an estimate, a simulation and a re-rating know it too', async () => {
  const tenant = await newTenant(ergon, ['acme']);
  await tenant.put(
    '/v1/rate_cards/default',
    card({ meter: 'requests', charge_model: { type: 'per_unit', unit_amount: '1' } }),
  );
  await json(tenant.post('/v1/events', llmCall('a', NOW, CALL)));
  expect(await chargeOf(tenant)).toBe('1');
  const month = new Date().toISOString().slice(0, 7);
  const simulated = await json(tenant.post('/v1/rate_cards/default/simulate', { month, card: card(COST_PLUS) }));
  expect(JSON.stringify(simulated)).toContain('"0.252"');
  const corrected = { ...card(COST_PLUS), effective_from: '2020-01-01T00:00:00Z', rerate: true };
  await tenant.put('/v1/rate_cards/default', corrected);
  await expect.poll(() => chargeOf(tenant), { timeout: 15_000 }).toBe('0.252');
  const estimate = await json(
    tenant.post('/v1/estimate', {
      customer: 'acme',
      provider: 'openai',
      model: 'gpt-4o-mini',
      tokens: { input: 1_000_000 },
      max_output_tokens: 100_000,
    }),
  );
  expect(estimate.cost.charge.high).toBe('0.252');
  expect(await tenant.audit()).toEqual([]);
});
