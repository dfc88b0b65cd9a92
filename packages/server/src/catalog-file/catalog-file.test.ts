import { z } from '@hono/zod-openapi';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestApp, type TestApp } from '../http/test-app.test-support.ts';
import { LIMITS } from '../limits.ts';
import { environmentRows } from './environment-rows.test-support.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(async () => {
  await app.stop();
});

let environments = 0;
type Json = ReturnType<typeof JSON.parse>;

/** An environment of its own, and short words for what is done to it. */
async function open() {
  environments += 1;
  const key = await app.environment(`file-${environments}`);
  const call = async (method: string, path: string, body?: unknown, headers = {}): Promise<Json> =>
    (await app.call(method, path, { key, body, headers })).body;
  return {
    key,
    call,
    apply: (file: unknown, query = '') => call('POST', `/v1/catalog/apply${query}`, file),
    dryRun: (file: unknown) => call('POST', '/v1/catalog/apply?dry_run=true', file),
    exported: () => call('GET', '/v1/catalog'),
    tables: () => environmentRows(app, key),
  };
}

const perUnit = (unit_amount: string) => ({ type: 'per_unit', unit_amount });
const card = (amount: string, more = {}) => ({
  currency: 'USD',
  prices: [{ meter: 'output_tokens', charge_model: perUnit(amount) }],
  ...more,
});

const FULL = {
  meters: { gpu_seconds: { event_types: ['gpu.run'], aggregation: 'sum', value: 'data.seconds', unit: 'second' } },
  features: { chat: { name: 'Chat', meter: 'output_tokens' }, gpu: { meter: 'gpu_seconds' } },
  rate_cards: {
    default: {
      currency: 'USD',
      prices: [
        { meter: 'gpu_seconds', charge_model: perUnit('0.002') },
        { meter: 'output_tokens', charge_model: perUnit('0.000002') },
      ],
    },
    pro: [card('0.000001'), card('0.0000005', { effective_from: '2100-01-01T00:00:00Z' })],
  },
  plans: {
    pro: {
      currency: 'USD',
      rate_card: 'pro',
      fees: [{ key: 'base', amount: '20' }],
      allowances: [{ key: 'included', amount: '5' }],
      entitlements: [{ type: 'metered', feature: 'chat', limit: '1000000' }],
    },
  },
  add_ons: { more_gpu: { currency: 'USD', entitlements: [{ type: 'boolean', feature: 'gpu' }] } },
  coupons: { launch: { percent: '20', duration: { type: 'repeating', periods: 3 } } },
  provider_price_overrides: {
    contract: {
      provider: 'openai',
      model: 'gpt-5*',
      per_million_tokens: { input: '1', output: '8' },
      source: 'contract',
    },
  },
  model_aliases: { 'chat-prod-eu': 'gpt-5-mini' },
  customer_overrides: { acme: { vip: { rate_card: 'pro' } } },
};

describe('apply', () => {
  test('an empty environment takes a whole catalog in one step, and the same file again changes nothing', async () => {
    const env = await open();
    const applied = await env.apply(FULL);
    expect(applied).toMatchObject({ dry_run: false, created: 12, changed: 0, unchanged: 0, not_in_file: { count: 0 } });
    expect((await env.call('GET', '/v1/plans/pro')).version).toBe(1);
    const before = await env.tables();
    const again = await env.apply(FULL);
    expect(again).toMatchObject({ created: 0, changed: 0, unchanged: 12, differences: [], revision: applied.revision });
    expect(await env.tables()).toEqual(before);
  });

  test('says what differs, member by member, and writes only that', async () => {
    const env = await open();
    await env.apply(FULL);
    const file = structuredClone(FULL);
    file.rate_cards.default.prices.unshift({ meter: 'input_tokens', charge_model: perUnit('0.0000002') });
    file.plans.pro.fees[0] = { key: 'base', amount: '25' };
    const answer = await env.apply(file);
    expect(answer).toMatchObject({ created: 0, changed: 2, unchanged: 10 });
    expect(answer.differences).toEqual([
      {
        kind: 'rate_cards',
        key: 'default',
        action: 'change',
        pointer: '/rate_cards/default',
        changes: [{ pointer: '/prices/0', new: { meter: 'input_tokens', charge_model: perUnit('0.0000002') } }],
      },
      {
        kind: 'plans',
        key: 'pro',
        action: 'change',
        pointer: '/plans/pro',
        changes: [{ pointer: '/fees/0/amount', old: '20', new: '25' }],
      },
    ]);
    expect((await env.call('GET', '/v1/rate_cards/default')).version).toBe(2);
    expect((await env.call('GET', '/v1/rate_cards/pro')).version).toBe(2);
    expect((await env.call('GET', '/v1/plans/pro')).version).toBe(2);
    expect((await env.call('GET', '/v1/coupons/launch')).version).toBe(1);
  });

  test('collects everything that is wrong, each thing once, and applies nothing', async () => {
    const env = await open();
    await env.apply({ meters: { jobs: { event_types: ['job'], aggregation: 'count' } } });
    const before = await env.tables();
    const answer = await env.apply({
      meters: {
        jobs: { event_types: ['other'], aggregation: 'count' },
        requests: { event_types: ['x'], aggregation: 'count' },
        fine: { event_types: ['x'], aggregation: 'count' },
      },
      rate_cards: {
        broken: { currency: 'USD', prices: [{ meter: 'no_such', charge_model: perUnit('1') }] },
        twice: [card('1'), card('2')],
        fine: card('1'),
      },
      plans: {
        euro: { currency: 'EUR', rate_card: 'fine' },
        follows: { currency: 'USD', rate_card: 'broken' },
        lost: { currency: 'USD', rate_card: 'nowhere', entitlements: [{ type: 'boolean', feature: 'nothing' }] },
      },
    });
    expect(answer).toMatchObject({ code: 'invalid_catalog', status: 400 });
    expect(answer.errors.map((one: Json) => one.pointer).toSorted()).toEqual([
      '/meters/jobs',
      '/meters/requests',
      '/plans/euro/rate_card',
      '/plans/lost/entitlements/0/feature',
      '/plans/lost/rate_card',
      '/rate_cards/broken/prices/0/meter',
      '/rate_cards/twice/1/effective_from',
    ]);
    expect(await env.tables()).toEqual(before);
  });

  test.each<[what: string, file: unknown, pointer: string]>([
    ['an unknown kind', { cards: {} }, '/cards'],
    ['an unknown member', { coupons: { a: { percent: '5', price: 1 } } }, '/coupons/a/price'],
    ['a misspelt key', { meters: { '1st': {} } }, '/meters/1st'],
    [
      'a member of one version',
      { rate_cards: { a: { currency: 'USD', prices: [{ meter: 'x' }] } } },
      '/rate_cards/a/prices/0/charge_model',
    ],
    ['a member of a list', { rate_cards: { a: [{ currency: 'usd', prices: [] }] } }, '/rate_cards/a/0/currency'],
    ['no version at all', { rate_cards: { a: [] } }, '/rate_cards/a'],
    ['neither', { rate_cards: { a: 'USD' } }, '/rate_cards/a'],
  ])('names the place of %s', async (_what, file, pointer) => {
    const env = await open();
    const answer = await env.apply(file);
    expect(answer).toMatchObject({ status: 400, code: 'invalid_request' });
    expect(answer.errors.map((one: Json) => one.pointer)).toContain(pointer);
  });

  test('what the file lacks stays, and is named for the kinds of the file', async () => {
    const env = await open();
    await env.apply(FULL);
    const answer = await env.apply({ rate_cards: { pro: FULL.rate_cards.pro[0] }, plans: {} });
    expect(answer).toMatchObject({ created: 0, changed: 0, unchanged: 1 });
    expect(answer.not_in_file).toEqual({
      count: 3,
      entries: [
        { kind: 'rate_cards', key: 'default' },
        { kind: 'rate_cards', key: 'pro', effective_from: '2100-01-01T00:00:00Z' },
        { kind: 'plans', key: 'pro' },
      ],
    });
    expect(await env.exported()).toMatchObject({ plans: { pro: {} }, rate_cards: { default: {} } });
  });
});

describe('dry run', () => {
  test('goes to the end and keeps nothing', async () => {
    const env = await open();
    await env.apply({ rate_cards: FULL.rate_cards, meters: FULL.meters });
    const before = await env.tables();
    const answer = await env.dryRun(FULL);
    expect(answer).toMatchObject({ dry_run: true, created: 8, unchanged: 4 });
    expect(await env.tables()).toEqual(before);
    expect(await env.apply(FULL)).toMatchObject({ created: 8, difference_id: answer.difference_id });
  });

  test('refuses what applying would refuse', async () => {
    const env = await open();
    const file = { plans: { a: { currency: 'USD', rate_card: 'none' } } };
    const [dry, real] = [await env.dryRun(file), await env.apply(file)];
    expect(dry).toMatchObject({ code: 'invalid_catalog' });
    expect(dry.errors).toEqual(real.errors);
  });

  test('the difference that was shown is applied, or none', async () => {
    const env = await open();
    const file = { rate_cards: { default: card('1') }, plans: { pro: { currency: 'USD', rate_card: 'default' } } };
    const shown = await env.dryRun(file);
    await env.call('PUT', '/v1/plans/pro', { currency: 'EUR' });
    const late = await env.apply(file, `?difference_id=${shown.difference_id}`);
    expect(late).toMatchObject({ status: 409, errors: [{ parameter: 'difference_id' }] });
    expect(await env.call('GET', '/v1/rate_cards/default')).toMatchObject({ status: 404 });
    const seen = await env.dryRun(file);
    // A change elsewhere is none of this file's.
    await env.call('PUT', '/v1/coupons/other', { percent: '5' });
    expect(await env.apply(file, `?difference_id=${seen.difference_id}`)).toMatchObject({ created: 1, changed: 1 });
  });

  test('is another request than applying under one Idempotency-Key', async () => {
    const env = await open();
    const headers = { 'idempotency-key': 'one' };
    const file = { coupons: { a: { percent: '5' } } };
    expect(await env.call('POST', '/v1/catalog/apply?dry_run=true', file, headers)).toMatchObject({ dry_run: true });
    expect(await env.call('POST', '/v1/catalog/apply', file, headers)).toMatchObject({ status: 409 });
    const first = await env.call('POST', '/v1/catalog/apply', file, { 'idempotency-key': 'two' });
    expect(first).toMatchObject({ created: 1 });
    expect(await env.call('POST', '/v1/catalog/apply', file, { 'idempotency-key': 'two' })).toEqual(first);
  });
});

describe('limits', () => {
  const aliases = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`alias ${index}`, 'gpt-5']));

  test.each<[what: string, file: unknown, status: number, errors: number]>([
    ['no object', [], 400, 1],
    ['nothing', null, 400, 1],
    ['too many entries', { model_aliases: aliases(LIMITS.catalogEntriesMax + 1) }, 400, 1],
    ['too many bytes', { model_aliases: { a: 'x'.repeat(LIMITS.catalogBytesMax) } }, 413, 0],
    // Each alias beyond the environment's thousand is a problem; a hundred are named.
    [
      'more problems than are named',
      { model_aliases: aliases(LIMITS.modelAliasesMax + 150) },
      400,
      LIMITS.catalogProblemsMax,
    ],
  ])('%s is refused, and nothing is kept', async (_what, file, status, errors) => {
    const env = await open();
    const before = await env.tables();
    const answer = await env.apply(file);
    expect(answer).toMatchObject({ status });
    expect(answer.errors ?? []).toHaveLength(errors);
    expect(await env.tables()).toEqual(before);
  });

  test('an export that would not be a file is refused, and can be asked for in parts', async () => {
    const env = await open();
    await env.apply({ model_aliases: aliases(3), coupons: { a: { percent: 5 } } });
    const { environmentId } = (await app.services.keys.verify(env.key)) ?? { environmentId: 0 };
    await app.database.pool.query(
      `insert into billing_definition (environment_id, kind, key, version, spec)
       select $1, 'feature', 'f' || n, 1, '{"only_tagged": false}' from generate_series(1, $2) n`,
      [environmentId, LIMITS.catalogEntriesMax],
    );
    expect(await env.exported()).toMatchObject({
      status: 409,
      errors: [{ remedy: expect.stringContaining('kinds=') }],
    });
    expect(await env.call('GET', '/v1/catalog?kinds=coupons,model_aliases')).toMatchObject({ coupons: { a: {} } });
    expect(await env.call('GET', '/v1/catalog?kinds=cards')).toMatchObject({ status: 400 });
    // Beside so many, a file is still compared and says what it lacks.
    const answer = await env.apply({ features: { f1: {}, new: {} } });
    expect(answer).toMatchObject({ created: 1, unchanged: 1, not_in_file: { count: LIMITS.catalogEntriesMax - 1 } });
    expect(answer.not_in_file.entries).toHaveLength(LIMITS.pageSizeMax);
  });

  test('keys that read or write the catalog are needed', async () => {
    const env = await open();
    const reader = await app.key({ name: 'reader', role: 'read' }, { key: env.key });
    expect((await app.call('GET', '/v1/catalog', { key: reader })).status).toBe(200);
    const path = '/v1/catalog/apply?dry_run=true';
    expect((await app.call('POST', path, { key: reader, body: {} })).status).toBe(403);
    expect((await app.call('GET', '/v1/catalog', { key: null })).status).toBe(401);
  });
});

describe('the JSON Schema', () => {
  test('is served without a key, and takes what the server takes', async () => {
    const answer = await app.call('GET', '/catalog.schema.json', { key: null });
    expect(answer.headers.get('content-type')).toBe('application/schema+json');
    const schema = z.fromJSONSchema(JSON.parse(answer.text));
    expect(schema.safeParse(FULL).error).toBeUndefined();
    const env = await open();
    await env.apply(FULL);
    expect(schema.safeParse(await env.exported()).error).toBeUndefined();
  });

  test('says Unicode patterns as JSON Schema does, without flags', async () => {
    const { text } = await app.call('GET', '/catalog.schema.json', { key: null });
    const patterns = [...text.matchAll(/"pattern":("(?:[^"\\]|\\.)*")/g)].map((found): string =>
      JSON.parse(found[1] ?? ''),
    );
    const classes = patterns.filter((pattern) => pattern.includes('\\p{'));
    expect(classes.length).toBeGreaterThan(0);
    for (const pattern of classes) {
      expect(new RegExp(pattern, 'u').test('gpt-5*'), pattern).toBe(true);
      expect(new RegExp(pattern, 'u').test('gpt\u0000'), pattern).toBe(false);
    }
  });

  test.each<[what: string, file: unknown]>([
    ['an unknown kind', { cards: {} }],
    ['an unknown aggregation', { meters: { a: { event_types: ['a'], aggregation: 'mean' } } }],
    [
      'an unknown charge model',
      { rate_cards: { a: { currency: 'USD', prices: [{ meter: 'a', charge_model: { type: 'b' } }] } } },
    ],
    ['a price without a meter', { rate_cards: { a: { currency: 'USD', prices: [{ charge_model: perUnit('1') }] } } }],
    [
      'an unknown member of a provider price',
      { provider_price_overrides: { a: { ...FULL.provider_price_overrides.contract, b: 1 } } },
    ],
  ])('refuses %s', async (_what, file) => {
    const { text } = await app.call('GET', '/catalog.schema.json', { key: null });
    expect(z.fromJSONSchema(JSON.parse(text)).safeParse(file).success).toBe(false);
  });
});
