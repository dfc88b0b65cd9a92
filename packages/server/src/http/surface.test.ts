import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { LIMITS } from '../limits.ts';
import { PROBLEMS } from './problem.ts';
import { startTestApp, type TestApp } from './test-app.test-support.ts';

let server: TestApp;
beforeAll(async () => {
  server = await startTestApp();
});
afterAll(async () => {
  await server.stop();
});

type Document = {
  paths: Record<string, Record<string, { operationId: string; tags: string[]; responses: Record<string, unknown> }>>;
};
async function openApi(): Promise<Document> {
  return (await server.call('GET', '/openapi.json', { key: null })).body;
}

test('the document names every route, each with its problem codes', async () => {
  const document = await openApi();
  const described = new Set(
    Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    ),
  );
  const served = server.app.routes
    .filter((route) => route.path.startsWith('/v1/'))
    .map((route) => `${route.method} ${route.path.replace(/:(\w+)/g, '{$1}')}`);
  expect(served.length).toBeGreaterThan(20);
  for (const route of served) expect(described).toContain(route);
  const ids: string[] = [];
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const operation of Object.values(methods)) {
      ids.push(operation.operationId);
      expect(operation.tags, path).toHaveLength(1);
      if (path.startsWith('/v1/'))
        expect(Object.keys(operation.responses), path).toEqual(expect.arrayContaining(['401', '403']));
    }
  }
  expect(new Set(ids).size).toBe(ids.length);
});

test('every reference in the document leads somewhere', async () => {
  const text = JSON.stringify(await openApi());
  const document: { components: { schemas: Record<string, unknown> } } = JSON.parse(text);
  const names = [...text.matchAll(/"#\/components\/schemas\/([^"]+)"/g)].map((match) => match[1] ?? '');
  expect(names.length).toBeGreaterThan(10);
  for (const name of names) expect(Object.keys(document.components.schemas)).toContain(name);
});

test('what became of events is told as the document says', async () => {
  const text = JSON.stringify(await openApi());
  const document: { components: { schemas: Record<string, { properties: Record<string, unknown> }> } } =
    JSON.parse(text);
  expect(document.components.schemas['IngestAnswer']?.properties['results']).toMatchObject({
    items: {
      properties: { id: { type: ['string', 'null'] }, status: { enum: ['duplicate', 'conflict', 'rejected'] } },
    },
  });
  const event = { id: 'told', type: 'x' };
  const { body } = await server.call('POST', '/v1/events', { body: [event, event, { ...event, type: 'y' }, 5] });
  expect(body.results.map((one: { id: unknown; status: unknown }) => [one.id, one.status])).toEqual([
    ['told', 'duplicate'],
    ['told', 'conflict'],
    [null, 'rejected'],
  ]);
});

test.each(['/', '/docs', '/docs/problems'])(
  '%s needs nothing from elsewhere and allows no script inside',
  async (path) => {
    const page = await server.call('GET', path, { key: null });
    expect(page.status).toBe(200);
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(page.headers.get('content-security-policy')).not.toContain('unsafe');
    expect(page.text).not.toMatch(/(src|href)="(https?:)?\/\//);
    expect(page.text).not.toMatch(/<script>|<style|\son\w+=|style="/);
    for (const [, asset] of page.text.matchAll(/(?:src|href)="(\/docs\/[^"#]+)"/g)) {
      expect((await server.call('GET', asset ?? '', { key: null })).status, asset).toBe(200);
    }
  },
);

test('every problem has its paragraph on the page its type points to', async () => {
  const page = await server.call('GET', '/docs/problems', { key: null });
  for (const code of Object.keys(PROBLEMS)) expect(page.text).toContain(`<section id="${code}">`);
  const problem = await server.call('GET', '/v1/nothing');
  expect(problem.body.type).toBe('/docs/problems#not_found');
});

test('the landing page shows a command that works here', async () => {
  const page = await server.call('GET', '/', { key: null, headers: { host: 'ergon.example:8080' } });
  expect(page.text).toContain('curl http://ergon.example:8080/v1/events');
  const hostile = await server.call('GET', '/', { key: null, headers: { host: '"><script>x' } });
  expect(hostile.text).not.toContain('<script>x');
  const body = /-d &#39;([\s\S]*?)&#39;/.exec(page.text)?.[1]?.replaceAll('&#34;', '"');
  const sent = await server.call('POST', '/v1/events', { raw: body ?? '' });
  expect(sent.body, sent.text).toMatchObject({ accepted: 1, rejected: 0 });
});

test('a path that takes other methods answers 405 with them', async () => {
  const answer = await server.call('PATCH', '/v1/customers/a');
  expect(answer.body).toMatchObject({ status: 405, code: 'method_not_allowed' });
  expect(answer.headers.get('allow')).toBe('GET, HEAD, PUT');
  expect((await server.call('GET', '/v1/nothing')).status).toBe(404);
  expect((await server.call('HEAD', '/v1/meters')).status).toBe(200);
});

const put = '/v1/customers/x';
test.each<[name: string, method: string, path: string, options: object, status: number, code: string]>([
  ['no body', 'PUT', put, {}, 400, 'invalid_request'],
  ['no JSON', 'PUT', put, { raw: '{' }, 400, 'malformed_json'],
  ['no UTF-8', 'PUT', put, { raw: new Uint8Array([0x22, 0xff, 0x22]) }, 400, 'undecodable_body'],
  [
    'another media type',
    'PUT',
    put,
    { raw: 'a=b', headers: { 'content-type': 'text/plain' } },
    415,
    'unsupported_media_type',
  ],
  ['a body too large', 'PUT', put, { raw: `"${'x'.repeat(LIMITS.smallBodyBytesMax)}"` }, 413, 'body_too_large'],
  ['a body too deep', 'PUT', put, { raw: '['.repeat(5000) + ']'.repeat(5000) }, 400, 'invalid_request'],
  ['a prototype', 'PUT', put, { raw: '{"metadata":{"__proto__":"x"}}' }, 400, 'invalid_request'],
  ['a number', 'PUT', put, { raw: '1e999' }, 400, 'invalid_request'],
  ['null', 'PUT', put, { raw: 'null' }, 400, 'invalid_request'],
  ['a broken path', 'GET', '/v1/customers/%E0%A4%A', {}, 400, 'invalid_request'],
  ['a NUL in the path', 'GET', '/v1/customers/a%00b', {}, 400, 'invalid_request'],
  ['a long name', 'GET', `/v1/customers/${'x'.repeat(300)}`, {}, 400, 'invalid_request'],
  ['a long key', 'GET', `/v1/meters/${'x'.repeat(300)}`, {}, 400, 'invalid_request'],
  ['a limit of 0', 'GET', '/v1/customers?limit=0', {}, 400, 'invalid_request'],
  ['a limit too high', 'GET', '/v1/customers?limit=1001', {}, 400, 'invalid_request'],
  ['a limit that is none', 'GET', '/v1/customers?limit=ten', {}, 400, 'invalid_request'],
  ['two limits', 'GET', '/v1/customers?limit=1&limit=2', {}, 400, 'invalid_request'],
  ['an unknown parameter', 'GET', '/v1/customers?limits=1', {}, 400, 'invalid_request'],
  ['a cursor that is none', 'GET', '/v1/customers?cursor=zzz', {}, 400, 'invalid_request'],
  ['a cursor of another list', 'GET', `/v1/customers?cursor=${btoa('entries:1')}`, {}, 400, 'invalid_request'],
  [
    'a cursor out of range',
    'GET',
    `/v1/customers?cursor=${btoa(`customers:${'9'.repeat(40)}`)}`,
    {},
    400,
    'invalid_request',
  ],
  ['a cursor with a NUL', 'GET', `/v1/rate_cards?cursor=${btoa('rate_cards:a\u0000')}`, {}, 400, 'invalid_request'],
  ['a key that is no key', 'PUT', put, { body: {}, headers: { 'idempotency-key': ' ' } }, 400, 'invalid_request'],
  ['a key too long', 'PUT', put, { body: {}, headers: { 'idempotency-key': 'k'.repeat(256) } }, 400, 'invalid_request'],
  ['an odd grant id', 'DELETE', '/v1/customers/x/wallets/w/grants/-1', {}, 400, 'invalid_request'],
])('%s is refused with a problem', async (_, method, path, options, status, code) => {
  const answer = await server.call(method, path, options);
  expect(answer.body, answer.text).toMatchObject({ status, code });
  expect(answer.headers.get('content-type')).toBe('application/problem+json');
  expect(answer.body.request_id).toBe(answer.headers.get('x-request-id'));
});

test('whatever is sent, the answer is never a failure of the server', async () => {
  const targets = [
    ['PUT', '/v1/meters/fuzz'],
    ['PUT', '/v1/rate_cards/fuzz'],
    ['PUT', '/v1/customers/fuzz'],
    ['PUT', '/v1/customers/fuzz/wallets/w'],
    ['POST', '/v1/customers/fuzz/wallets/w/grants'],
    ['POST', '/v1/rate'],
    ['POST', '/v1/keys'],
    ['POST', '/v1/environments'],
  ] as const;
  const names = [
    ...['name', 'key', 'role', 'scopes', 'currency', 'amount', 'prices', 'meter', 'charge_model', 'type', 'quantity'],
    ...['event_types', 'aggregation', 'value', 'filter', 'unit', 'time_zone', 'rate_card', 'metadata', 'eligibility'],
    ...['expires_at', 'effective_from', 'priority', 'match', 'cells', 'default', 'dimensions', 'unit_amount'],
  ];
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom(
      '\u0000',
      '\ud800',
      '1e400',
      '-0',
      'USD',
      'sum',
      'per_unit',
      'matrix',
      'UTC',
      'data.x',
      'admin',
      '__proto__',
    ),
  );
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { depthSize: 'small' },
      text,
      fc.double(),
      fc.constantFrom(null, true, 1e308, 9007199254740993),
      fc.array(tie('tree'), { maxLength: 3 }),
      fc.dictionary(fc.oneof(fc.constantFrom(...names), text), tie('tree'), { maxKeys: 5 }),
    ),
  }));
  const body = fc.dictionary(fc.constantFrom(...names), tree, { maxKeys: 6 });
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...targets), fc.oneof(body, tree), async ([method, path], value) => {
      const answer = await server.call(method, path, { raw: JSON.stringify(value) ?? '' });
      expect(answer.status, answer.text).toBeLessThan(500);
    }),
    { numRuns: 1500 },
  );
});

test('a path of any characters is answered, not failed', async () => {
  const part = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom('%00', '%', '%2F', '..', '%ED%A0%80', ':id', '*'),
  );
  await fc.assert(
    fc.asyncProperty(part, part, fc.boolean(), async (first, second, isEncoded) => {
      const encode = (raw: string): string => (isEncoded && raw.isWellFormed() ? encodeURIComponent(raw) : raw);
      const path = `/v1/customers/${encode(first)}/wallets/${encode(second)}`;
      const url = URL.parse(path, 'http://localhost');
      if (url === null || url.host !== 'localhost') return;
      const answer = await server.call('GET', `${url.pathname}${url.search}`);
      expect(answer.status, path).toBeLessThan(500);
    }),
    { numRuns: 500 },
  );
});

test('nothing went wrong unseen', () => {
  expect(server.errors).toEqual([]);
});

test('a question that the database ends is 503, with what to do, and no bug in the log', async () => {
  const blocker = await server.database.pool.connect();
  try {
    await blocker.query('begin');
    await blocker.query('lock table customer in access exclusive mode');
    const answering = server.call('GET', '/v1/customers');
    let ended: unknown[] = [];
    while (ended.length === 0) {
      const result = await server.database.pool.query(
        "select pg_cancel_backend(pid) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
      );
      ended = result.rows;
    }
    const answer = await answering;
    expect(answer.status).toBe(503);
    expect(answer.body).toMatchObject({ code: 'too_slow', retryable: true });
    expect(answer.headers.get('retry-after')).toBe('1');
    expect(server.errors).toEqual([]);
  } finally {
    await blocker.query('rollback');
    blocker.release();
  }
});
