import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestErgon, type TestErgon } from '../../../../tests/support/ergon.ts';

/** Model names and provider prices through the whole service, two replicas of it. */

let ergon: TestErgon;
let key: string;
beforeAll(async () => {
  ergon = await startTestErgon(2);
  key = ergon.replicas.map((one) => one.newAdminKey).find((one) => one !== undefined) ?? '';
});
afterAll(async () => {
  await ergon.stop();
});

type Call = { readonly body?: unknown; readonly replica?: number; readonly as?: string };

async function call(method: string, path: string, { body, replica = 0, as = key }: Call = {}) {
  const response = await ergon.replicas[replica]?.fetch(
    new Request(`http://test${path}`, {
      method,
      headers: { authorization: `Bearer ${as}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    }),
  );
  const text = (await response?.text()) ?? '';
  return { status: response?.status, body: text === '' ? null : JSON.parse(text) };
}

let serial = 0;

/** Sends one call and gives back what was recorded of it. */
async function recorded(
  data: Readonly<Record<string, unknown>>,
  more: Call & { subject?: string; time?: string } = {},
) {
  serial += 1;
  const { subject = 'models', time, ...rest } = more;
  const event = { id: `m${serial}`, type: 'llm.call', subject, data, ...(time !== undefined && { time }) };
  expect((await call('POST', '/v1/events', { ...rest, body: event })).body).toMatchObject({ accepted: 1 });
  const { body } = await call('GET', `/v1/events/lookup?source=api&id=m${serial}`, rest);
  return { ...body, id: event.id };
}

const million = { input: 1_000_000, output: 0 };
const opus = 'us.anthropic.claude-opus-4-5-20251101-v1:0';

async function isAudited() {
  const { body } = await call('POST', '/v1/audit', { body: {} });
  expect(body.differences).toEqual([]);
}

test('usage keeps the reported name, the model it stands for and its family; unknown stays unknown and visible', async () => {
  for (const model of [opus, 'claude-opus-4-5@20251101', 'claude-opus-4-5', 'our-own-model']) {
    await recorded({ model, tokens: million }, { subject: 'names' });
  }
  const by = async (dimension: string) => {
    const { body } = await call('GET', `/v1/usage?meter=requests&customer=names&group_by=${dimension}`);
    return Object.fromEntries(
      body.rows.map((row: { group: Record<string, string | null>; value: string }) => [
        row.group[dimension],
        row.value,
      ]),
    );
  };
  expect(await by('canonical_model')).toEqual({ 'claude-opus-4-5': '3', null: '1' });
  expect(await by('model_family')).toEqual({ 'claude-opus': '3', null: '1' });
  expect(Object.keys(await by('model'))).toHaveLength(4);
  await recorded({ model: 'gpt-5', status: 'error' }, { subject: 'names' });
  const { body } = await call('GET', '/v1/reported_models?customer=names');
  expect(
    body.data.map((one: Readonly<Record<string, unknown>>) => [
      one['model'],
      one['canonical_model'],
      one['requests_without_cost'],
      one['provider_cost'],
      one['reason'],
    ]),
  ).toEqual([
    ['gpt-5', 'gpt-5', '1', '0', null],
    ['our-own-model', null, '1', '0', 'unknown_model'],
    ['claude-opus-4-5', 'claude-opus-4-5', '0', '5', null],
    ['claude-opus-4-5@20251101', 'claude-opus-4-5', '0', '5', null],
    [opus, 'claude-opus-4-5', '0', '5', null],
  ]);
  expect((await call('GET', '/v1/reported_models?customer=names&to=2020-01-01T00:00:00Z')).status).toBe(400);
});

test('a price matches the reported name, else the model it stands for; a void gives the same back', async () => {
  const price = (match: Readonly<Record<string, string>>, unit_amount: string) => ({
    meter: 'input_tokens',
    match,
    charge_model: { type: 'per_unit', unit_amount },
  });
  const matrix = {
    type: 'matrix',
    dimensions: ['model'],
    cells: [{ match: { model: 'claude-opus-4-5' }, unit_amount: '0.000009' }],
  };
  const card = {
    currency: 'USD',
    prices: [
      price({ model: 'claude-opus*' }, '0.000005'),
      price({ model: 'eu.anthropic.claude-opus*' }, '0.000007'),
      price({ model_family: 'gpt-5' }, '0.000001'),
      { meter: 'output_tokens', charge_model: matrix },
    ],
  };
  expect((await call('PUT', '/v1/rate_cards/by-model', { body: card })).status).toBe(200);
  await call('PUT', '/v1/customers/rated', { body: { rate_card: 'by-model' } });
  const amountOf = async (model: string, tokens: Readonly<Record<string, number>> = million) => {
    const { lines, id } = await recorded({ model, tokens }, { subject: 'rated' });
    const ofLine = (line: { amount: string; unit_amount?: string }) => [line.amount, line.unit_amount];
    return { amounts: lines.map(ofLine), id };
  };
  const first = await amountOf(opus);
  expect(first.amounts).toEqual([['5', '0.000005']]);
  expect((await amountOf(opus.replace('us.', 'eu.'))).amounts).toEqual([['7', '0.000007']]);
  expect((await amountOf('gpt-5-mini-2025-08-07')).amounts).toEqual([['1', '0.000001']]);
  expect((await amountOf('our-own-model')).amounts).toEqual([]);
  expect((await amountOf(opus, { input: 0, output: 1_000_000 })).amounts).toEqual([['9', '0.000009']]);
  const voided = { id: 'void-1', type: 'event.void', data: { source: 'api', id: first.id } };
  expect((await call('POST', '/v1/events', { body: voided })).body).toMatchObject({ accepted: 1, warnings: [] });
  const charge = await call('GET', '/v1/usage?meter=charge&customer=rated');
  expect(charge.body.rows.map((row: { value: string }) => row.value)).toEqual(['17']);
  await isAudited();
});

test('an alias gives a name of your own its model, at once and everywhere; what was recorded stays', async () => {
  const usage = { provider: 'azure', model: 'chat-prod/eu', tokens: million };
  const before = await recorded(usage);
  expect(before.provider_cost).toBeNull();
  const path = `/v1/model_aliases/${encodeURIComponent('chat-prod/eu')}`;
  const alias = { reported: 'chat-prod/eu', model: 'gpt-4o', canonical_model: 'gpt-4o', model_family: 'gpt-4o' };
  expect(await call('PUT', path, { body: { model: 'gpt-4o' } })).toMatchObject({ status: 200, body: alias });
  const after = await recorded(usage, { replica: 1 });
  expect(after.provider_cost).toMatchObject({ amount: '2.5' });
  expect((await call('GET', '/v1/model_aliases')).body.data).toMatchObject([alias]);
  const looked = await call('GET', `/v1/provider_prices?provider=azure&model=${encodeURIComponent('chat-prod/eu')}`);
  expect(looked.body).toMatchObject({ canonical_model: 'gpt-4o', price: { provider: 'azure' }, reason: null });
  expect((await call('DELETE', path)).status).toBe(204);
  expect((await call('DELETE', path)).status).toBe(404);
  expect((await recorded(usage, { replica: 1 })).provider_cost).toBeNull();
  // The catalog no longer knows the name; the record does.
  const voided = { id: 'void-2', type: 'event.void', data: { source: 'api', id: after.id } };
  expect((await call('POST', '/v1/events', { body: voided })).body).toMatchObject({ accepted: 1, warnings: [] });
  await isAudited();
});

const contract = {
  provider: 'openai',
  model: 'gpt-5*',
  per_million_tokens: { input: '1', output: '4' },
  context_tiers: [{ prompt_tokens_above: 2_000_000, per_million_tokens: { input: '0.5', output: '4' } }],
  per_unit: { web_searches: '0.01' },
  source: 'contract of 2026-10-01',
};
const override = '/v1/provider_price_overrides/openai-gpt-5';
const gpt = { provider: 'openai', model: 'gpt-5-mini', tokens: million };

test('a provider price of your own holds from its date, on every replica, and can be taken back', async () => {
  const list = await recorded(gpt, { subject: 'contract' });
  expect(list.provider_cost).toMatchObject({ amount: '0.25', source: expect.stringContaining('genai-prices') });
  const hour = 3_600_000;
  const since = new Date(Date.now() - 24 * hour).toISOString();
  const put = await call('PUT', override, { body: { ...contract, effective_from: since } });
  expect(put).toMatchObject({ status: 200, body: { version: 1, price: contract } });
  expect((await call('PUT', override, { body: contract })).body.version).toBe(1);
  const now = await recorded(gpt, { subject: 'contract', replica: 1 });
  expect(now.provider_cost).toMatchObject({ amount: '1', source: 'contract of 2026-10-01' });
  const earlier = await recorded(gpt, { subject: 'contract', time: new Date(Date.now() - 48 * hour).toISOString() });
  expect(earlier.provider_cost).toMatchObject({ amount: '0.25' });
  const long = await recorded({ ...gpt, tokens: { input: 4_000_000, output: 0 } }, { subject: 'contract' });
  expect(long.provider_cost).toMatchObject({ amount: '2' });
  const dearer = { ...contract, per_million_tokens: { input: '3', output: '4' }, source: 'contract of today' };
  expect((await call('PUT', override, { body: dearer })).body.version).toBe(2);
  expect((await recorded(gpt, { subject: 'contract' })).provider_cost).toMatchObject({ amount: '3' });
  expect((await call('GET', '/v1/provider_price_overrides')).body.data).toMatchObject([{ version: 2 }]);
  expect((await call('DELETE', override)).status).toBe(204);
  expect((await recorded(gpt, { subject: 'contract', replica: 1 })).provider_cost).toMatchObject({ amount: '0.25' });
  const versions = await call('GET', `${override}/versions?limit=2`);
  expect(
    versions.body.data.map((one: { version: number; price: unknown }) => [one.version, one.price === null]),
  ).toEqual([
    [3, true],
    [2, false],
  ]);
  const rest = await call('GET', `${override}/versions?limit=2&cursor=${versions.body.next_cursor}`);
  expect(rest.body).toMatchObject({ data: [{ version: 1 }], next_cursor: null });
  expect((await call('GET', '/v1/provider_price_overrides')).body.data).toEqual([]);
  await expect(ergon.sql.query('update provider_price_version set spec = null')).rejects.toThrow('append-only');
  await isAudited();
});

test('a provider price taken back does not return with a version that was to come', async () => {
  const coming = '/v1/provider_price_overrides/coming';
  const later = new Date(Date.now() + 86_400_000).toISOString();
  const own = { ...contract, model: 'of-our-own' };
  await call('PUT', coming, { body: own });
  await call('PUT', coming, { body: { ...own, source: 'next year', effective_from: later } });
  expect((await call('DELETE', coming)).status).toBe(204);
  expect((await call('GET', '/v1/provider_price_overrides')).body.data).toEqual([]);
  const then = await call('GET', `/v1/provider_prices?model=of-our-own&provider=openai&at=${later}`);
  expect(then.body).toMatchObject({ price: null, reason: 'unknown_model' });
  expect((await call('DELETE', coming)).status).toBe(404);
});

test('another environment has its own prices and names', async () => {
  const made = await call('POST', '/v1/environments', { body: { key: 'elsewhere', name: 'elsewhere' } });
  const as = made.body.admin_key.key;
  await call('PUT', '/v1/provider_price_overrides/mine', { body: contract });
  await call('PUT', '/v1/model_aliases/mine', { body: { model: 'gpt-5' } });
  expect((await call('GET', '/v1/provider_price_overrides', { as })).body.data).toEqual([]);
  expect((await call('GET', '/v1/model_aliases', { as })).body.data).toEqual([]);
  expect((await recorded(gpt, { as })).provider_cost).toMatchObject({ amount: '0.25' });
  await call('DELETE', '/v1/provider_price_overrides/mine');
  await call('DELETE', '/v1/model_aliases/mine');
});

test.each([
  { body: { ...contract, per_million_tokens: {} }, pointer: '/per_million_tokens' },
  { body: { ...contract, per_million_tokens: { input: '-1' } }, pointer: '/per_million_tokens/input' },
  { body: { ...contract, per_million_tokens: { input: 1 } }, pointer: '/per_million_tokens/input' },
  { body: { ...contract, model: '*' }, pointer: '/model' },
  { body: { ...contract, source: '' }, pointer: '/source' },
  {
    body: {
      ...contract,
      context_tiers: [{ prompt_tokens_above: 5, per_million_tokens: { cache_read: '1' } }],
    },
    pointer: '/context_tiers',
  },
])('$pointer of a price that cannot be is named', async ({ body, pointer }) => {
  const answer = await call('PUT', override, { body });
  expect(answer.status).toBe(400);
  expect(answer.body.errors[0].pointer).toBe(pointer);
});

test('a look-up says price, tiers, the age of the table, or why there is none', async () => {
  const known = await call('GET', `/v1/provider_prices?model=claude-sonnet-4-5&provider=anthropic`);
  expect(known.body).toMatchObject({
    table: { library: '@pydantic/genai-prices', published_on: '2026-09-23', age_days: expect.any(Number) },
    canonical_model: 'claude-sonnet-4-5',
    price: {
      provider: 'anthropic',
      tiers: [
        { prompt_tokens_above: 0, per_million_tokens: { input: '3', output: '15', cache_read: '0.3' } },
        { prompt_tokens_above: 200_000, per_million_tokens: { input: '6', output: '22.5' } },
      ],
    },
    reason: null,
  });
  const batch = await call('GET', '/v1/provider_prices?model=gpt-5-mini&provider=openai&service_tier=batch');
  expect(batch.body.price).toMatchObject({
    tiers: [{ per_million_tokens: { input: '0.125' } }],
    flags: [{ code: 'service_tier_applied' }],
  });
  expect((await call('GET', '/v1/provider_prices?model=our-own&provider=openai')).body).toMatchObject({
    canonical_model: null,
    price: null,
    reason: 'unknown_model',
  });
  expect((await call('GET', '/v1/provider_prices')).status).toBe(400);
});

test('the table tells its age, what it lacks, and where its sources disagree, page by page', async () => {
  const { body } = await call('GET', '/v1/provider_price_table');
  expect(body).toMatchObject({ models: expect.any(Number), changes_ahead: expect.any(Array) });
  const seen: unknown[] = [];
  for (let cursor = ''; ; ) {
    const page = await call('GET', `/v1/provider_price_table/disagreements?limit=50${cursor}`);
    seen.push(...page.body.data);
    if (page.body.next_cursor === null) break;
    cursor = `&cursor=${page.body.next_cursor}`;
  }
  expect(seen).toHaveLength(body.disagreements);
  expect(seen.length).toBeGreaterThan(100);
});

test('what the response says beside its usage object decides the price: tier, lifetime of cache writes', async () => {
  const openai = { provider: 'openai', api: 'chat.completions', model: 'gpt-5-mini' };
  const usage = { prompt_tokens: 1_000_000, completion_tokens: 0, total_tokens: 1_000_000 };
  const batch = await recorded({ ...openai, usage, service_tier: 'batch' });
  expect(batch.provider_cost).toMatchObject({ amount: '0.125' });
  const written = { input_tokens: 0, output_tokens: 0, cache_creation_input_tokens: 1_000_000 };
  const claude = { provider: 'anthropic', api: 'messages', model: 'claude-sonnet-4-5', usage: written };
  // The tier above 200,000 tokens: 7.5 for five minutes, 12 for an hour.
  expect((await recorded(claude)).provider_cost).toMatchObject({ amount: '7.5' });
  expect((await recorded({ ...claude, cache_ttl: '1h' })).provider_cost).toMatchObject({ amount: '12' });
  const loop = { ...claude, usage: { ...written, input_tokens: 1 }, prompt_summed: true };
  expect((await recorded(loop)).provider_cost).toMatchObject({ amount: '3.750003' });
});
