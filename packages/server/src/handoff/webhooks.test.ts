import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { startTestApp, type TestApp } from '../http/test-app.test-support.ts';
import { LIMITS } from '../limits.ts';
import type { Outbound } from '../outbound/index.ts';
import { enqueue } from '../outbox/index.ts';
import { deliverWebhooks } from './index.ts';
import { retryDelaySeconds } from './retry-delay.ts';

type Received = { readonly headers: IncomingHttpHeaders; readonly body: string };

let server: TestApp;
let receiver: Server;
let url: string;
const received: Received[] = [];
/** What the receiver answers next. */
let answer: { status: number; headers?: Record<string, string>; body?: string } = { status: 204 };

beforeAll(async () => {
  server = await startTestApp();
  receiver = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on('end', () => {
      received.push({ headers: request.headers, body });
      response.writeHead(answer.status, answer.headers).end(answer.body);
    });
  });
  await new Promise<void>((resolve) => {
    receiver.listen(0, '127.0.0.1', resolve);
  });
  url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`;
});
afterAll(async () => {
  receiver.closeAllConnections();
  await new Promise((resolve) => {
    receiver.close(resolve);
  });
  await server.stop();
});
beforeEach(async () => {
  received.length = 0;
  answer = { status: 204 };
  server.clock.offsetMs = 0;
  await server.database.pool.query('delete from webhook_endpoint');
});

const ENVIRONMENT = 1;
const tell = (crossingKey: string, type: 'wallet.balance_low' | 'budget.exceeded' = 'wallet.balance_low') =>
  enqueue(
    server.database.pool,
    ENVIRONMENT,
    [{ type, crossingKey, customer: 'acme', data: { amount: '10.000000000001' } }],
    server.services.now(),
  );
const deliver = () => deliverWebhooks(server.services);

async function endpoint(body: Readonly<Record<string, unknown>> = {}): Promise<{ id: string; secret: string }> {
  const made = await server.call('POST', '/v1/webhook_endpoints', { body: { url, ...body } });
  expect(made.status, made.text).toBe(201);
  return made.body;
}

async function deliveries(): Promise<{ id: string; status: string; attempts: number; last_error: string | null }[]> {
  return (await server.call('GET', '/v1/deliveries')).body.data;
}

const verified = (secret: string, { headers, body }: Received): unknown =>
  new Webhook(secret).verify(body, {
    'webhook-id': String(headers['webhook-id']),
    'webhook-timestamp': String(headers['webhook-timestamp']),
    'webhook-signature': String(headers['webhook-signature']),
  });

test('what arrives is verified by the standardwebhooks library; a changed body is not', async () => {
  const { secret } = await endpoint();
  await tell('signed');
  expect(await deliver()).toBe(1);
  const [one] = received;
  if (one === undefined) throw new Error('nothing arrived');
  expect(verified(secret, one)).toMatchObject({ type: 'wallet.balance_low', data: { amount: '10.000000000001' } });
  expect(() => verified(secret, { ...one, body: one.body.replace('10.0', '11.0') })).toThrow(/signature/i);
  expect(await deliveries()).toMatchObject([{ status: 'delivered', attempts: 1, last_error: null }]);
});

test('while a secret is replaced both sign; afterwards the new one alone', async () => {
  const { id, secret } = await endpoint();
  const path = `/v1/webhook_endpoints/${id}/rotate`;
  const rotated = await server.call('POST', path, { body: { overlap_seconds: 60 } });
  await tell('rotated');
  await deliver();
  const [one] = received;
  if (one === undefined) throw new Error('nothing arrived');
  for (const each of [secret, rotated.body.secret]) expect(verified(each, one)).toBeDefined();
  // 61 s later, within the five minutes that a receiver's clock may differ.
  server.clock.offsetMs = 61_000;
  await tell('rotated-later');
  await deliver();
  const later = received[1];
  if (later === undefined) throw new Error('nothing arrived later');
  expect(verified(rotated.body.secret, later)).toBeDefined();
  expect(() => verified(secret, later)).toThrow(/signature/i);
});

test('a crossing is told once, however many processes see it and deliver it', async () => {
  await endpoint();
  const told = await Promise.all(Array.from({ length: 20 }, () => tell('once')));
  expect(told.reduce((sum, count) => sum + count, 0)).toBe(1);
  await Promise.all(Array.from({ length: 6 }, deliver));
  expect(received).toHaveLength(1);
});

test('endpoints with a backlog that never answer leave room for the others', async () => {
  for (const path of ['a', 'b', 'c', 'd']) await endpoint({ url: `${url}/silent-${path}` });
  await endpoint({ url: `${url}/well` });
  // Attempts that the four ask for: more than one turn of the job makes.
  for (let serial = 0; serial < 200; serial++) await tell(`backlog-${serial}`);
  const called: string[] = [];
  const outbound: Outbound = {
    refusal: () => undefined,
    post: async (address) => {
      called.push(address);
      return address.endsWith('/well')
        ? { ok: true, status: 204, retryAfterSeconds: undefined }
        : { ok: false, error: 'no answer within 10 s' };
    },
  };
  await deliverWebhooks({ ...server.services, outbound });
  expect(called.filter((address) => address.endsWith('/well')).length).toBeGreaterThan(0);
});

test('what a transaction rolled back is never told', async () => {
  await endpoint();
  const failed = server.database.transaction(async (client) => {
    await enqueue(
      client,
      ENVIRONMENT,
      [{ type: 'budget.exceeded', crossingKey: 'undone', data: {} }],
      server.services.now(),
    );
    throw new Error('undone');
  });
  await expect(failed).rejects.toThrow('undone');
  await deliver();
  expect(received).toEqual([]);
});

test('an endpoint hears its types and families, and what happened since it was made', async () => {
  await tell('before');
  await endpoint({ event_types: ['budget.*'] });
  await tell('wallet');
  await tell('budget', 'budget.exceeded');
  await deliver();
  expect(received.map(({ body }) => JSON.parse(body).type)).toEqual(['budget.exceeded']);
});

test('a test reaches the endpoint that it was asked of, whatever it listens to', async () => {
  const tried = await endpoint({ event_types: ['wallet.*'] });
  await endpoint({ event_types: ['budget.*'] });
  expect((await server.call('POST', `/v1/webhook_endpoints/${tried.id}/test`)).status).toBe(200);
  await deliver();
  expect(received.map(({ body }) => JSON.parse(body))).toMatchObject([
    { type: 'webhook.test', data: { endpoint: tried.id } },
  ]);
});

test('failures are tried again with growing pauses, then the delivery is dead, then it can be replayed', async () => {
  await endpoint();
  await tell('retried');
  answer = { status: 500, body: 'x'.repeat(100_000) };
  await deliver();
  expect(await deliver(), 'not due yet').toBe(0);
  for (let attempt = 2; attempt <= LIMITS.webhookAttemptsMax; attempt++) {
    server.clock.offsetMs += 12 * 3_600_000;
    expect(await deliver(), `attempt ${attempt}`).toBe(1);
  }
  server.clock.offsetMs += 30 * 86_400_000;
  expect(await deliver()).toBe(0);
  const [dead] = await deliveries();
  expect(dead).toMatchObject({ status: 'dead', attempts: LIMITS.webhookAttemptsMax });
  expect(dead?.last_error).toBe('the receiver answered 500');
  expect(new Set(received.map(({ headers }) => headers['webhook-id'])).size, 'one id at every attempt').toBe(1);
  answer = { status: 200 };
  expect((await server.call('POST', `/v1/deliveries/${dead?.id}/replay`)).body).toMatchObject({ status: 'pending' });
  await deliver();
  expect(await deliveries()).toMatchObject([{ status: 'delivered', attempts: LIMITS.webhookAttemptsMax + 1 }]);
});

test('redirects are not followed, Gone disables the endpoint', async () => {
  const { id } = await endpoint();
  await tell('redirected');
  answer = { status: 302, headers: { location: 'http://169.254.169.254/' } };
  await deliver();
  expect(await deliveries()).toMatchObject([{ status: 'pending', last_error: 'the receiver answered 302' }]);
  answer = { status: 410 };
  server.clock.offsetMs = 60_000;
  await deliver();
  expect((await server.call('GET', `/v1/webhook_endpoints/${id}`)).body).toMatchObject({ enabled: false });
  expect(await deliveries()).toMatchObject([{ status: 'dead' }]);
});

test('a worker that died leaves its attempt to the next one', async () => {
  await endpoint();
  await tell('leased');
  const dying = { ...server.services.outbound, post: () => Promise.reject(new Error('the process ended')) };
  await expect(deliverWebhooks({ ...server.services, outbound: dying })).rejects.toThrow('the process ended');
  expect(await deliver(), 'leased by the dead one').toBe(0);
  server.clock.offsetMs = 61_000;
  expect(await deliver()).toBe(1);
  expect(received).toHaveLength(1);
});

test.each([
  ['http://example.com/x', '/url', /https/],
  ['https://10.0.0.1/', '/url', /private/],
  ['https://localhost.evil:99999/', '/url', /URL/],
])('%s is refused when the endpoint is made', async (address, pointer, detail) => {
  const made = await server.call('POST', '/v1/webhook_endpoints', { body: { url: address } });
  expect(made.status).toBe(400);
  expect(made.body.errors).toMatchObject([{ pointer, detail: expect.stringMatching(detail) }]);
});

test('an unknown type is refused, a secret is kept by no Idempotency-Key, and environments are apart', async () => {
  const bad = await server.call('POST', '/v1/webhook_endpoints', { body: { url, event_types: ['wallet.gone'] } });
  expect(bad.status).toBe(400);
  const headers = { 'idempotency-key': 'endpoint-1' };
  const first = await server.call('POST', '/v1/webhook_endpoints', { body: { url }, headers });
  const again = await server.call('POST', '/v1/webhook_endpoints', { body: { url }, headers });
  expect(first.body.secret).toMatch(/^whsec_/);
  expect(again.body).toEqual({ ...first.body, secret: undefined });
  const key = await server.environment('apart');
  expect((await server.call('GET', '/v1/webhook_endpoints', { key })).body.data).toEqual([]);
  expect((await server.call('GET', `/v1/webhook_endpoints/${first.body.id}`, { key })).status).toBe(404);
  expect((await server.call('DELETE', `/v1/webhook_endpoints/${first.body.id}`, { key })).status).toBe(404);
  await tell('elsewhere');
  expect((await server.call('GET', '/v1/deliveries', { key })).body.data).toEqual([]);
});

test('an event of the outbox never changes', async () => {
  await tell('immutable');
  await expect(
    server.database.pool.query(`update outbox_event set data = '{}' where crossing_key = 'immutable'`),
  ).rejects.toThrow(/never changes/);
});

test('the pause grows to half a day, is never negative, and honours what the receiver asks', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 50 }), fc.double({ min: 0, max: 0.999, noNaN: true }), (attempt, random) => {
      const delay = retryDelaySeconds(attempt, random, undefined);
      expect(delay).toBeGreaterThanOrEqual(2.5);
      expect(delay).toBeLessThanOrEqual(12 * 3600);
      expect(retryDelaySeconds(attempt + 1, random, undefined)).toBeGreaterThanOrEqual(delay);
      expect(retryDelaySeconds(attempt, random, 7 * 3600)).toBeGreaterThanOrEqual(7 * 3600);
    }),
  );
});
