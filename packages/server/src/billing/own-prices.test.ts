import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestApp, type TestApp } from '../http/test-app.test-support.ts';
import { openSandbox, type Sandbox } from './sandbox.test-support.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.stop());

const per = (unit: string) => ({ type: 'per_unit', unit_amount: unit });
const TIERS = {
  type: 'graduated',
  tiers: [
    { up_to: '10', unit_amount: '1' },
    { up_to: null, unit_amount: '0.5' },
  ],
};

let ids = 0;
const call = (time: string, tokens: object, model = 'm-1') => ({
  id: `own-${(ids += 1)}`,
  source: 'test',
  type: 'llm.call',
  subject: 'acme',
  time,
  data: { model, tokens },
});

async function chargeOf(box: Sandbox): Promise<string> {
  const { rows } = await box.call(
    'GET',
    '/v1/usage?meter=charge&customer=acme&from=2026-01-01T00:00:00Z&to=2026-04-01T00:00:00Z',
  );
  return rows[0]?.value ?? '0';
}

async function publish(box: Sandbox, output: object, status = 200) {
  const prices = [
    { meter: 'input_tokens', charge_model: per('1') },
    { meter: 'cache_read_tokens', charge_model: per('0.1') },
    { key: 'out', meter: 'output_tokens', match: { model: 'm-1' }, charge_model: output },
    { meter: 'output_tokens', charge_model: per('7') },
  ];
  return box.call('PUT', '/v1/rate_cards/default', { currency: 'USD', prices }, status);
}

test('single prices of a customer lie over the card and follow its coming versions', async () => {
  const box = await openSandbox(app, '2026-01-10T00:00:00Z');
  await publish(box, TIERS);
  const own = { rate_card: 'default', prices: [{ meter: 'input_tokens', charge_model: per('0.2') }] };
  const made = await box.call('PUT', '/v1/customers/acme/overrides/deal', {
    ...own,
    effective_from: '2026-01-20T00:00:00Z',
    effective_to: '2026-02-20T00:00:00Z',
  });
  expect(made).toMatchObject({ key: 'deal', prices: own.prices });

  await box.send(call('2026-01-10T00:00:00Z', { input: 10, cache_read: 10, output: 4 }));
  expect(await chargeOf(box)).toBe('15');
  await box.moveTo('2026-01-20T00:00:00Z');
  // Input at the customer's price; the cached tokens and the tiers are still the card's, counted from the override's beginning.
  await box.send(call('2026-01-20T00:00:00Z', { input: 10, cache_read: 10, output: 12 }));
  expect(await chargeOf(box)).toBe('29');
  await box.send(call('2026-01-20T00:00:00Z', { output: 1 }, 'm-2'));
  expect(await chargeOf(box)).toBe('36');
  // A new version of the card rates the customer too, under the price that is its own.
  await publish(box, per('2'));
  await box.send(call('2026-01-20T00:00:00Z', { input: 10, output: 1 }));
  expect(await chargeOf(box)).toBe('40');
  const explained = await box.call('GET', `/v1/events/lookup?source=test&id=own-${ids}`);
  expect(JSON.stringify(explained)).toMatch(/default\+deal\.\d+/);
  await box.moveTo('2026-02-20T00:00:00Z');
  await box.send(call('2026-02-20T00:00:00Z', { input: 10 }));
  expect(await chargeOf(box)).toBe('50');

  const { data: cards } = await box.call('GET', '/v1/rate_cards');
  expect(cards.map((card: { key: string }) => card.key)).toEqual(['default']);
  expect(await box.audit()).toBe(0);
});

test('an own price without a match wins over more exact prices of the card; of the same key it replaces', async () => {
  const box = await openSandbox(app, '2026-01-10T00:00:00Z');
  await publish(box, TIERS);
  const prices = [{ meter: 'output_tokens', charge_model: per('3') }];
  await box.call('PUT', '/v1/customers/acme/overrides/a', { rate_card: 'default', prices });
  await box.send(call('2026-01-10T00:00:00Z', { output: 1 }), call('2026-01-10T00:00:00Z', { output: 1 }, 'm-2'));
  expect(await chargeOf(box)).toBe('6');
  await box.call('POST', '/v1/customers/acme/overrides/a/end');
  await box.moveTo('2026-01-11T00:00:00Z');
  const keyed = [{ key: 'out', meter: 'output_tokens', match: { model: 'm-3' }, charge_model: per('5') }];
  await box.call('PUT', '/v1/customers/acme/overrides/b', { rate_card: 'default', prices: keyed });
  await box.send(...['m-1', 'm-2', 'm-3'].map((model) => call('2026-01-11T00:00:00Z', { output: 1 }, model)));
  expect(await chargeOf(box)).toBe('25');
  expect(await box.audit()).toBe(0);
});

test('own prices that do not hold together are refused with their place, now and when the card changes', async () => {
  const box = await openSandbox(app, '2026-01-10T00:00:00Z');
  await publish(box, TIERS);
  const put = (key: string, prices: object[], status = 200) =>
    box.call('PUT', `/v1/customers/acme/overrides/${key}`, { rate_card: 'default', prices }, status);
  const total = { meter: 'total_tokens', charge_model: per('1') };
  expect(await put('a', [total], 400)).toMatchObject({
    errors: expect.arrayContaining([expect.objectContaining({ pointer: '/prices' })]),
  });
  expect(await put('a', [{ meter: 'nope', charge_model: per('1') }], 400)).toMatchObject({
    errors: [{ pointer: '/prices/0/meter' }],
  });
  await put('a', [{ key: 'own', meter: 'requests', charge_model: per('1') }]);
  const other = await put('a', [{ key: 'own', meter: 'requests', charge_model: per('2') }], 409);
  expect(other.detail).toContain('has rated events');
  await put('a', [{ key: 'own', meter: 'requests', charge_model: per('1') }]);
  const clash = { currency: 'USD', prices: [{ key: 'own', meter: 'output_tokens', charge_model: per('1') }] };
  await box.call('PUT', '/v1/rate_cards/default', clash);
  await box.send(call('2026-01-10T00:00:00Z', { output: 5 }));
  // The card's price of that key is replaced by the customer's.
  expect(await chargeOf(box)).toBe('1');
  const totals = { currency: 'USD', prices: [total] };
  await put('b', [{ meter: 'input_tokens', charge_model: per('1') }], 409);
  await box.call('POST', '/v1/customers/acme/overrides/a/end');
  await box.moveTo('2026-01-12T00:00:00Z');
  await put('c', [{ meter: 'input_tokens', charge_model: per('1') }]);
  expect(await box.call('PUT', '/v1/rate_cards/default', totals, 400)).toMatchObject({
    detail: expect.stringContaining("acme's override c"),
  });
});
