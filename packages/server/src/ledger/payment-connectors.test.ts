import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Webhook } from 'standardwebhooks';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { checkLedger } from '../audit/check-ledger.ts';
import { Differences } from '../audit/differences.ts';
import { deliverWebhooks } from '../handoff/index.ts';
import { startTestApp, type TestApp } from '../http/test-app.test-support.ts';
import { watchWallets } from './index.ts';
import { CONNECTOR_KEYS, type ConnectorKey } from './payment-connectors.ts';

/**
 * What every payment connector must keep, whoever takes the payment and however badly: asked once, spendable only when paid, paid
 * once. The payment provider is a real receiver of signed webhooks, or an operator who reads the list.
 */

let app: TestApp;
let provider: Server;
let secret = '';
/** What the provider was asked to collect, by its idempotency key: how often it was asked, and for which top-up. */
const asked = new Map<string, { times: number; topUp: string; customer: string }>();
/** How the provider answers the webhook of a request, the first time and later. */
let manners: 'well' | 'fails_after_charging' | 'never_answers_first' = 'well';

beforeAll(async () => {
  app = await startTestApp();
  const prices = [{ meter: 'output_tokens', charge_model: { type: 'per_unit', unit_amount: '1' } }];
  await call('PUT', '/v1/rate_cards/default', { currency: 'USD', prices });
  provider = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on('end', () => {
      const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]));
      const { data } = new Webhook(secret).verify(body, headers) as { data: Record<string, string> };
      const { idempotency_key: key = '', top_up: topUp = '', customer = '' } = data;
      const times = (asked.get(key)?.times ?? 0) + 1;
      asked.set(key, { times, topUp, customer });
      if (manners === 'never_answers_first' && times === 1) request.socket.destroy();
      else response.writeHead(manners === 'fails_after_charging' && times === 1 ? 500 : 204).end();
    });
  });
  await new Promise<void>((resolve) => {
    provider.listen(0, '127.0.0.1', resolve);
  });
  const url = `http://127.0.0.1:${(provider.address() as AddressInfo).port}/pay`;
  const event_types = ['wallet.top_up_requested'];
  secret = (await call('POST', '/v1/webhook_endpoints', { url, event_types }, 201)).secret;
});
afterAll(async () => {
  provider.closeAllConnections();
  await new Promise((resolve) => {
    provider.close(resolve);
  });
  await app.stop();
});
beforeEach(() => {
  asked.clear();
  manners = 'well';
  app.clock.offsetMs = 0;
});
afterEach(async () => {
  await expectTrueBooks();
});

async function expectTrueBooks(): Promise<void> {
  const differences = new Differences();
  await app.database.transaction((client) => checkLedger(client, 1, differences));
  expect(differences.listed).toEqual([]);
}

async function call(method: string, path: string, body?: unknown, status = 200) {
  const answer = await app.call(method, path, body === undefined ? {} : { body });
  expect(answer.status, answer.text).toBe(status);
  return answer.body;
}

type Wallet = { readonly customer: string; readonly path: string };

let wallets = 0;
/** A wallet with 5 left of a threshold of 10, whose rule asks this connector for 50. */
async function lowWallet(connector: ConnectorKey): Promise<Wallet> {
  wallets += 1;
  const customer = `${connector}-${wallets}`;
  const path = `/v1/customers/${customer}/wallets/default`;
  await call('POST', `${path}/grants`, { amount: '5', currency: 'USD' }, 201);
  await call('PUT', `${path}/auto_top_up`, { amount: '50', threshold: '10', cooldown_seconds: 60, connector });
  return { customer, path };
}

const watch = () => watchWallets(app.database, app.services.now());
const pendingOf = async (path: string): Promise<{ id: string; status: string }[]> =>
  (await call('GET', `${path}/top_ups`)).data.filter(({ status }: { status: string }) => status === 'pending');

const requestsTo = (customer: string) => [...asked].filter(([, request]) => request.customer === customer);

/** How whoever takes the payments hears of them. */
const LEARN: Readonly<Record<ConnectorKey, (wallet: Wallet) => Promise<string[]>>> = {
  manual: async ({ path }) => (await pendingOf(path)).map(({ id }) => id),
  async webhook({ customer }) {
    await deliverWebhooks(app.services);
    return requestsTo(customer).map(([, { topUp }]) => topUp);
  },
};

describe.each(CONNECTOR_KEYS)('the connector %s', (connector) => {
  test('is asked once, however often and by however many a wallet is seen to be low', async () => {
    const wallet = await lowWallet(connector);
    await Promise.all(Array.from({ length: 6 }, watch));
    await watch();
    expect(await LEARN[connector](wallet)).toHaveLength(1);
    expect(await LEARN[connector](wallet)).toHaveLength(1);
  });

  test('gives nothing to spend until it is paid, and gives it once, however often it is told', async () => {
    const wallet = await lowWallet(connector);
    const { customer, path } = wallet;
    await watch();
    const [id = ''] = await LEARN[connector](wallet);
    expect(await call('GET', path)).toMatchObject({ available: '5', incoming: '50' });
    const hold = (name: string, status: number) =>
      call('POST', '/v1/holds', { id: `${customer}-${name}`, customer, amount: '20', currency: 'USD' }, status);
    await hold('early', 402);
    const tell = () => app.call('POST', `${path}/top_ups/${id}/paid`, { body: { reference: 'ch_1' } });
    const answers = await Promise.all(Array.from({ length: 8 }, tell));
    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
    expect(await call('GET', path)).toMatchObject({ available: '55', incoming: '0' });
    await hold('later', 201);
  });

  test('that says failed after it said paid is refused; paid after failed is money, once', async () => {
    const paidFirst = await lowWallet(connector);
    await watch();
    const [one = ''] = await LEARN[connector](paidFirst);
    await call('POST', `${paidFirst.path}/top_ups/${one}/paid`, {});
    await call('POST', `${paidFirst.path}/top_ups/${one}/failed`, { reason: 'charge back' }, 409);
    expect(await call('GET', paidFirst.path)).toMatchObject({ available: '55' });

    const failedFirst = await lowWallet(connector);
    await watch();
    const [two = ''] = await LEARN[connector](failedFirst);
    await call('POST', `${failedFirst.path}/top_ups/${two}/failed`, { reason: 'timed out at the bank' });
    for (let times = 0; times < 2; times++) await call('POST', `${failedFirst.path}/top_ups/${two}/paid`, {});
    expect(await call('GET', failedFirst.path)).toMatchObject({ available: '55', incoming: '0' });
  });

  test('that never says anything leaves nothing in flight for ever, and may still be paid late', async () => {
    const wallet = await lowWallet(connector);
    const { path } = wallet;
    await watch();
    const [id = ''] = await LEARN[connector](wallet);
    app.clock.offsetMs = 90 * 24 * 3600 * 1000;
    await watch();
    expect(await pendingOf(path)).not.toContainEqual(expect.objectContaining({ id }));
    await call('POST', `${path}/top_ups/${id}/paid`, {});
    expect(await call('GET', path)).toMatchObject({ available: '55' });
  });

  test('is not asked for what is rolled back', async () => {
    const { customer, path } = await lowWallet(connector);
    const asking = app.call('POST', `${path}/top_ups`, { body: { amount: '7', connector, expires_after_days: -1 } });
    expect((await asking).status).toBe(400);
    expect(await pendingOf(path)).toEqual([]);
    const told = await app.database.pool.query('select from outbox_event where customer = $1', [customer]);
    expect(told.rowCount).toBe(0);
  });
});

describe('a provider reached by webhook', () => {
  test.each(['fails_after_charging', 'never_answers_first'] as const)(
    'that %s is asked again under the same idempotency key, and its two charges are one grant',
    async (how) => {
      manners = how;
      const { customer, path } = await lowWallet('webhook');
      await watch();
      await deliverWebhooks(app.services);
      const [first] = requestsTo(customer);
      if (first === undefined) throw new Error('the provider was not asked');
      const [key, { topUp }] = first;
      // It has charged, and says so, before its answer to the webhook got lost.
      await call('POST', `${path}/top_ups/${topUp}/paid`, { reference: 'ch_1' });
      app.clock.offsetMs = 60_000;
      await deliverWebhooks(app.services);
      expect(requestsTo(customer)).toEqual([[key, { times: 2, topUp, customer }]]);
      await call('POST', `${path}/top_ups/${topUp}/paid`, { reference: 'ch_1' });
      const { available, grants } = await call('GET', path);
      expect([available, grants.length]).toEqual(['55', 2]);
    },
  );
});
