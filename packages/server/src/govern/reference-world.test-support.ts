import { expect } from 'vitest';
import type { TestApp } from '../http/test-app.test-support.ts';

let worlds = 0;

/** An environment of its own for one case, with short words for what clients do. */
export async function openWorld(app: TestApp, grants: readonly object[] = []) {
  worlds += 1;
  const key = await app.environment(`case-${worlds}`);
  const call = (method: string, path: string, body?: unknown, as = key) =>
    app.call(method, path, { key: as, ...(body !== undefined && { body }) });
  for (const grant of grants) {
    await call('POST', '/v1/customers/acme/wallets/main/grants', { currency: 'USD', kind: 'paid', ...grant });
  }
  return {
    key,
    call,
    hold: (id: string, amount: string, more: object = {}, as = key) =>
      call('POST', '/v1/holds', { id, customer: 'acme', amount, currency: 'USD', ...more }, as),
    budget: async (spec: object) => {
      const made = await call('POST', '/v1/budgets', { key: 'cap', unit: 'USD', window: 'month', ...spec });
      expect(made.status, made.text).toBe(200);
    },
    counter: async (name = 'cap') => (await call('GET', `/v1/budgets/${name}`)).body.counters[0],
    available: async () => (await call('GET', '/v1/customers/acme/wallets/main')).body.available,
    event: (id: string, data: object) =>
      call('POST', '/v1/events', { id, type: 'llm.call', subject: 'acme', data: { model: 'm', ...data } }),
    price: (charge_model: object, meter = 'output_tokens') =>
      call('PUT', '/v1/rate_cards/default', { currency: 'USD', prices: [{ meter, charge_model }] }),
  };
}
