import { afterAll, beforeAll, expect, test } from 'vitest';
import { ROLES } from '../keys.ts';
import { startTestApp, type TestApp } from '../test-app.test-support.ts';
import { bootstrapAdminKey } from './bootstrap-admin-key.ts';

let server: TestApp;
beforeAll(async () => {
  server = await startTestApp();
});
afterAll(async () => {
  await server.stop();
});

const card = { currency: 'USD', prices: [] };
const meter = { event_types: ['x'], aggregation: 'count' };
const grant = { amount: '1', currency: 'USD' };

/** Every route of this surface, with a request that is right, and the roles that may make it. */
const ROUTES: readonly [method: string, path: string, body: unknown, roles: readonly string[]][] = [
  ['GET', '/v1/meters', undefined, ['admin', 'billing', 'read']],
  ['GET', '/v1/meters/m', undefined, ['admin', 'billing', 'read']],
  ['PUT', '/v1/meters/m', meter, ['admin', 'billing']],
  ['GET', '/v1/rate_cards', undefined, ['admin', 'billing', 'read']],
  ['GET', '/v1/rate_cards/c', undefined, ['admin', 'billing', 'read']],
  ['GET', '/v1/rate_cards/c/versions', undefined, ['admin', 'billing', 'read']],
  ['PUT', '/v1/rate_cards/c', card, ['admin', 'billing']],
  ['GET', '/v1/customers', undefined, ['admin', 'billing', 'read']],
  ['GET', '/v1/customers/a', undefined, ['admin', 'billing', 'read']],
  ['PUT', '/v1/customers/a', {}, ['admin', 'billing']],
  [
    'POST',
    '/v1/rate',
    { charge_model: { type: 'free' }, quantity: '1', currency: 'USD' },
    ['admin', 'billing', 'read'],
  ],
  ['GET', '/v1/customers/a/wallets', undefined, ['admin', 'billing', 'read']],
  ['GET', '/v1/customers/a/wallets/w', undefined, ['admin', 'billing', 'read']],
  ['PUT', '/v1/customers/a/wallets/w', { currency: 'USD' }, ['admin', 'billing']],
  ['GET', '/v1/customers/a/wallets/w/grants', undefined, ['admin', 'billing', 'read']],
  ['POST', '/v1/customers/a/wallets/w/grants', grant, ['admin', 'billing']],
  ['GET', '/v1/customers/a/wallets/w/grants/1', undefined, ['admin', 'billing', 'read']],
  ['DELETE', '/v1/customers/a/wallets/w/grants/1', undefined, ['admin', 'billing']],
  ['GET', '/v1/customers/a/wallets/w/entries', undefined, ['admin', 'billing', 'read']],
  ['DELETE', '/v1/meters/m', undefined, ['admin', 'billing']],
  ['GET', '/v1/keys', undefined, ['admin']],
  ['POST', '/v1/keys', { name: 'n', role: 'read' }, ['admin']],
  ['POST', '/v1/keys/nope/rotate', {}, ['admin']],
  ['DELETE', '/v1/keys/nope', undefined, ['admin']],
  ['GET', '/v1/environments', undefined, ['admin']],
  ['POST', '/v1/environments', { key: 'other', name: 'Other' }, ['admin']],
  ['GET', '/v1/audit_log', undefined, ['admin', 'billing']],
];

test('each role may do what it may, and no key nothing', async () => {
  for (const role of ROLES) {
    const key = await server.key({ name: role, role });
    for (const [method, path, body, roles] of ROUTES) {
      const answer = await server.call(method, path, { key, body });
      const name = `${role} ${method} ${path} ${answer.text}`;
      expect(answer.status === 403, name).toBe(!roles.includes(role));
      expect([200, 201, 204, 403, 404, 409], name).toContain(answer.status);
    }
  }
  for (const [method, path, body] of ROUTES) {
    for (const key of [null, 'ergon_0000000000000000_'.padEnd(66, 'x'), 'short', 'x'.repeat(5000)]) {
      const answer = await server.call(method, path, { key, body });
      expect(answer.body, `${method} ${path}`).toMatchObject({ status: 401, code: 'unauthenticated' });
      expect(answer.headers.get('www-authenticate')).toContain('Bearer');
    }
  }
});

test('no route shows or changes what another environment has', async () => {
  const own = await server.environment('isolated');
  const mine = (method: string, path: string, body?: unknown) => server.call(method, path, { key: own, body });
  const secret = 'only-in-isolated';
  await mine('PUT', '/v1/meters/only_isolated', { ...meter, name: secret });
  await mine('PUT', '/v1/rate_cards/only_isolated', { ...card, effective_from: '2026-01-01T00:00:00Z' });
  await mine('PUT', '/v1/customers/only_isolated', { name: secret });
  const made = await mine('POST', '/v1/customers/only_isolated/wallets/w/grants', grant);
  const key = await mine('POST', '/v1/keys', { name: secret, role: 'read' });
  expect(key.status).toBe(201);

  const paths = [
    '/v1/meters',
    '/v1/rate_cards',
    '/v1/customers',
    '/v1/keys',
    '/v1/environments',
    '/v1/audit_log?limit=1000',
  ];
  const stranger = await server.environment('stranger');
  for (const path of paths) {
    const answer = await server.call('GET', path, { key: stranger });
    expect(answer.status).toBe(200);
    expect(answer.text, path).not.toMatch(/only.isolated|isolated/);
    expect((await mine('GET', path)).text, path).toMatch(/isolated/);
  }
  for (const [method, path] of [
    ['GET', '/v1/meters/only_isolated'],
    ['DELETE', '/v1/meters/only_isolated'],
    ['GET', '/v1/rate_cards/only_isolated'],
    ['GET', '/v1/rate_cards/only_isolated/versions'],
    ['GET', '/v1/customers/only_isolated'],
    ['GET', '/v1/customers/only_isolated/wallets'],
    ['GET', '/v1/customers/only_isolated/wallets/w'],
    ['GET', '/v1/customers/only_isolated/wallets/w/grants'],
    ['GET', `/v1/customers/only_isolated/wallets/w/grants/${made.body.id}`],
    ['DELETE', `/v1/customers/only_isolated/wallets/w/grants/${made.body.id}`],
    ['GET', '/v1/customers/only_isolated/wallets/w/entries'],
    ['POST', `/v1/keys/${key.body.id}/rotate`],
    ['DELETE', `/v1/keys/${key.body.id}`],
  ] as const) {
    const answer = await server.call(method, path, { key: stranger });
    expect(answer.status, `${method} ${path} ${answer.text}`).toBe(404);
  }
  // A customer of the same name is another customer; a grant id of the other environment is not theirs.
  await server.call('PUT', '/v1/customers/only_isolated/wallets/w', { key: stranger, body: { currency: 'USD' } });
  const path = `/v1/customers/only_isolated/wallets/w/grants/${made.body.id}`;
  expect((await server.call('DELETE', path, { key: stranger })).status).toBe(404);
  expect((await mine('GET', '/v1/customers/only_isolated/wallets/w')).body.posted).toBe('1');
  const idempotent = { headers: { 'idempotency-key': 'shared' }, body: grant };
  const grants = '/v1/customers/shared/wallets/w/grants';
  const first = await server.call('POST', grants, { ...idempotent, key: own });
  const second = await server.call('POST', grants, { ...idempotent, key: stranger });
  expect(second.body.id).not.toBe(first.body.id);
});

test('only admin keys of default create environments, each once', async () => {
  const own = await server.environment('parent');
  const body = { key: 'child', name: 'Child' };
  expect((await server.call('POST', '/v1/environments', { key: own, body })).status).toBe(403);
  const limited = await server.key({ name: 'limited', role: 'read', scopes: ['keys:write'] });
  expect((await server.call('POST', '/v1/environments', { key: limited, body })).status).toBe(403);
  expect((await server.call('POST', '/v1/environments', { body: { key: 'parent', name: 'Again' } })).status).toBe(409);
  const list = await server.call('GET', '/v1/environments', { key: limited });
  expect(list.body.data.map((environment: { key: string }) => environment.key)).toEqual(['default']);
});

test('a key cannot make a stronger one', async () => {
  const limited = await server.key({ name: 'limited', role: 'read', scopes: ['keys:write'] });
  for (const body of [
    { name: 'n', role: 'admin' },
    { name: 'n', role: 'billing' },
    { name: 'n', role: 'read', scopes: ['events:void'] },
  ]) {
    const answer = await server.call('POST', '/v1/keys', { key: limited, body });
    expect(answer.body, JSON.stringify(body)).toMatchObject({ code: 'forbidden' });
  }
  const admin = await server.call('POST', '/v1/keys', { body: { name: 'strong', role: 'admin' } });
  const path = `/v1/keys/${admin.body.id}/rotate`;
  expect((await server.call('POST', path, { key: limited })).status).toBe(403);
  expect((await server.call('POST', '/v1/keys', { key: limited, body: { name: 'n', role: 'read' } })).status).toBe(201);
});

test('a rotated key works on for its overlap, a revoked one not at all', async () => {
  const made = await server.call('POST', '/v1/keys', { body: { name: 'turn', role: 'read', scopes: ['audit:read'] } });
  const old = { key: made.body.key };
  expect((await server.call('GET', '/v1/meters', old)).status).toBe(200);
  const rotated = await server.call('POST', `/v1/keys/${made.body.id}/rotate`, { body: { overlap_seconds: 3600 } });
  expect(rotated.status, rotated.text).toBe(201);
  expect(rotated.body).toMatchObject({ name: 'turn', role: 'read', rotated_from: made.body.id });
  expect(rotated.body.scopes).toContain('audit:read');
  expect((await server.call('GET', '/v1/meters', old)).status).toBe(200);
  expect((await server.call('GET', '/v1/meters', { key: rotated.body.key })).status).toBe(200);
  expect((await server.call('POST', `/v1/keys/${made.body.id}/rotate`)).status).toBe(409);
  expect((await server.call('DELETE', `/v1/keys/${made.body.id}`)).status).toBe(204);
  expect((await server.call('GET', '/v1/meters', old)).status).toBe(401);

  const now = await server.call('POST', `/v1/keys/${rotated.body.id}/rotate`);
  expect(now.status).toBe(201);
  expect((await server.call('GET', '/v1/meters', { key: rotated.body.key })).status).toBe(401);
  expect((await server.call('GET', '/v1/audit_log', { key: now.body.key })).status).toBe(200);
});

test('a repeated answer does not hold the secret', async () => {
  const request = { body: { name: 'once', role: 'read' }, headers: { 'idempotency-key': 'make-a-key' } };
  const first = await server.call('POST', '/v1/keys', request);
  const again = await server.call('POST', '/v1/keys', request);
  const { key, ...rest } = first.body;
  expect(key).toMatch(/^ergon_/);
  expect(again.body).toEqual(rest);
  const environment = { body: { key: 'repeated', name: 'R' }, headers: { 'idempotency-key': 'make-one' } };
  expect((await server.call('POST', '/v1/environments', environment)).body.admin_key.key).toMatch(/^ergon_/);
  expect((await server.call('POST', '/v1/environments', environment)).body.admin_key.key).toBeUndefined();
  const stored = await server.database.pool.query<{ answer: string }>('select answer from idempotency_key');
  expect(stored.rows.some((row) => /ergon_[0-9a-f]{16}_/.test(row.answer))).toBe(false);
});

test('the last admin key of an environment stays', async () => {
  const own = await server.environment('lonely');
  const list = await server.call('GET', '/v1/keys', { key: own });
  const [first] = list.body.data;
  expect((await server.call('DELETE', `/v1/keys/${first.id}`, { key: own })).status).toBe(409);
  const second = await server.key({ name: 'second', role: 'admin' }, { key: own });
  const both = [own, second];
  const ids = (await server.call('GET', '/v1/keys', { key: own })).body.data.map((one: { id: string }) => one.id);
  // Two admins that revoke each other at once: one of them stays.
  await Promise.all(
    ids.map((id: string, index: number) => server.call('DELETE', `/v1/keys/${id}`, { key: both[index] ?? '' })),
  );
  const statuses = await Promise.all(both.map(async (key) => (await server.call('GET', '/v1/keys', { key })).status));
  expect(statuses.toSorted((a, b) => a - b)).toEqual([200, 401]);
});

test('an expired key and a key past its rate answer 401 and 429', async () => {
  const soon = new Date(Date.now() + 60_000).toISOString();
  const key = await server.key({ name: 'brief', role: 'read', expires_at: soon });
  expect((await server.call('GET', '/v1/meters', { key })).status).toBe(200);
  server.clock.offsetMs = 120_000;
  try {
    expect((await server.call('GET', '/v1/meters', { key })).status).toBe(401);
  } finally {
    server.clock.offsetMs = 0;
  }
  const slow = await server.key({ name: 'slow', role: 'read', requests_per_minute: 1 });
  const statuses: number[] = [];
  for (let index = 0; index < 12; index++)
    statuses.push((await server.call('GET', '/v1/meters', { key: slow })).status);
  expect(statuses.slice(0, 10)).toEqual(Array(10).fill(200));
  expect(statuses[11]).toBe(429);
  expect((await server.call('GET', '/v1/meters', { key: slow })).headers.get('retry-after')).toMatch(/^\d+$/);
});

test('a clock that is set back shuts no key out, and a revoked one is not believed longer', async () => {
  const key = await server.key({ name: 'hour', role: 'read', requests_per_minute: 60 });
  server.clock.offsetMs = 3_600_000;
  expect((await server.call('GET', '/v1/meters', { key })).status).toBe(200);
  server.clock.offsetMs = 0;
  expect((await server.call('GET', '/v1/meters', { key })).status).toBe(200);
  // As another process revokes it: this one has it in memory.
  server.clock.offsetMs = 3_600_000;
  expect((await server.call('GET', '/v1/meters', { key })).status).toBe(200);
  server.clock.offsetMs = 0;
  await server.database.pool.query('update api_key set revoked_at = now() where id = $1', [key.split('_')[1]]);
  expect((await server.call('GET', '/v1/meters', { key })).status).toBe(401);
});

test('keys are listed by page, without a secret', async () => {
  const first = await server.call('GET', '/v1/keys?limit=2');
  expect(first.body.data).toHaveLength(2);
  const second = await server.call('GET', `/v1/keys?limit=2&cursor=${first.body.next_cursor}`);
  expect(second.body.data[0].id).not.toBe(first.body.data[1].id);
  expect(first.text).not.toMatch(/secret|ergon_/);
});

test('the operator’s own key text works, and comes back after a revocation', async () => {
  const text = 'hunter2-is-not-a-good-key!';
  expect(await bootstrapAdminKey(server.database, text)).toBeUndefined();
  expect(await bootstrapAdminKey(server.database, text)).toBeUndefined();
  expect((await server.call('GET', '/v1/keys', { key: text })).status).toBe(200);
  expect((await server.call('GET', '/v1/keys', { key: `${text}x` })).status).toBe(401);
  expect((await server.call('GET', '/v1/keys', { key: null, headers: { 'x-api-key': text } })).status).toBe(200);
  const list = await server.call('GET', '/v1/keys');
  const { id } = list.body.data.find((key: { name: string; id: string }) => key.id.startsWith('op_'));
  expect((await server.call('DELETE', `/v1/keys/${id}`)).status).toBe(204);
  expect((await server.call('GET', '/v1/keys', { key: text })).status).toBe(401);
  await bootstrapAdminKey(server.database, text);
  expect((await server.call('GET', '/v1/keys', { key: text })).status).toBe(200);
  await bootstrapAdminKey(server.database, server.adminKey);
  expect((await server.call('GET', '/v1/keys')).status).toBe(200);
  for (const bad of ['', 'short', 'fifteen letters', 'with space and more than 16', 'ünïcödé-is-not-in-headers']) {
    await expect(bootstrapAdminKey(server.database, bad)).rejects.toThrow(RangeError);
  }
  expect(await bootstrapAdminKey(server.database)).toBeUndefined();
});

test('nothing went wrong unseen', () => {
  expect(server.errors).toEqual([]);
});
