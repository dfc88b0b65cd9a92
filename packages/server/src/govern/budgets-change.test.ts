import { afterAll, beforeAll, expect, test } from 'vitest';
import { openSandbox, type Sandbox } from '../billing/sandbox.test-support.ts';
import { startTestApp, type TestApp } from '../http/test-app.test-support.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.stop());

const NOW = '2026-03-10T12:34:56Z';
let events = 0;
const llm = (time: string, tokens: number, more: object = {}, data: object = {}) => ({
  ...{ id: `e${(events += 1)}`, source: 't', type: 'llm.call', subject: 'acme', time },
  data: { provider: 'openai', model: 'gpt-5-mini', tokens: { input: tokens }, ...data },
  ...more,
});

async function sandbox(): Promise<Sandbox> {
  const box = await openSandbox(app, NOW);
  const prices = [{ meter: 'input_tokens', charge_model: { type: 'per_unit', unit_amount: '0.5' } }];
  await box.call('PUT', '/v1/rate_cards/default', { currency: 'USD', prices });
  return box;
}

const put = (box: Sandbox, key: string, body: object, status = 200) =>
  box.call('PUT', `/v1/budgets/${key}`, { limit: '100', window: 'day', ...body }, status);

test.each([
  // Of 10 tokens today of acme's u1, 20 of u2, 40 yesterday, 7 of another customer today.
  ['tokens of the environment', { unit: 'tokens' }, [['{}', '37']]],
  ['tokens of a customer', { unit: 'tokens', scope: { customer: 'acme' } }, [['{}', '30']]],
  ['tokens of customers that begin so', { unit: 'tokens', scope: { customer: 'ac*' } }, [['{}', '30']]],
  ['requests of a model', { unit: 'requests', scope: { model: 'gpt-5*', customer: 'acme' } }, [['{}', '2']]],
  ['another model', { unit: 'tokens', scope: { model: 'claude*' } }, []],
  [
    'tokens of each user',
    { unit: 'tokens', per: ['user'] },
    [
      ['{"user":"u1"}', '10'],
      ['{"user":"u2"}', '20'],
    ],
  ],
  ['charge', { unit: 'USD', scope: { customer: 'acme' } }, [['{}', '15']]],
  ['charge in another currency', { unit: 'EUR' }, []],
  ['a month', { unit: 'tokens', window: 'month', scope: { customer: 'acme' } }, [['{}', '70']]],
  ['a rolling day', { unit: 'tokens', window: 'rolling:24h', scope: { customer: 'acme' } }, [['{}', '30']]],
  ['two rolling days', { unit: 'tokens', window: 'rolling:2d', scope: { customer: 'acme' } }, [['{}', '70']]],
  ['for ever', { unit: 'meter:input_tokens', window: 'lifetime', scope: { customer: 'acme' } }, [['{}', '70']]],
  ['a meter of its own', { unit: 'meter:calls', scope: { customer: 'acme' } }, [['{}', '2']]],
  ['where no time passed', { unit: 'tokens', window: 'minute' }, []],
] as const)('count_from window_start counts back: %s', async (_, body, expected) => {
  const box = await sandbox();
  await box.call('PUT', '/v1/meters/calls', { event_types: ['llm.call'], aggregation: 'count' });
  const before = llm('2026-03-10T11:00:00Z', 1000);
  await box.send(
    llm('2026-03-10T11:00:00Z', 10, {}, { user: 'u1' }),
    llm('2026-03-10T12:33:00Z', 20, {}, { user: 'u2' }),
    llm('2026-03-09T10:00:00Z', 40),
    llm('2026-03-10T10:00:00Z', 7, { subject: 'other' }),
    before,
  );
  // What was taken back does not count.
  await box.send({ id: `v-${before.id}`, source: 't', type: 'event.void', data: { source: 't', id: before.id } });
  const made = await put(box, 'b', { ...body, count_from: 'window_start' });
  const counters = made.counters.map(({ member, committed }: { member: object; committed: string }) => [
    JSON.stringify(member),
    committed,
  ]);
  expect(counters.toSorted()).toEqual(expected);
  expect(await put(box, 'from-now', body)).toMatchObject({ counters: [], count_from: 'creation' });
  // From here on both count the same.
  await box.send(llm(NOW, 3, {}, { user: 'u1' }));
  const [one, other] = await Promise.all(['b', 'from-now'].map((key) => box.call('GET', `/v1/budgets/${key}`)));
  const total = (budget: { counters: { committed: string }[] }) =>
    budget.counters.reduce((sum, { committed }) => sum + Number(committed), 0);
  const counted = expected.reduce((sum, [, committed]) => sum + Number(committed), 0);
  expect(total(one) - total(other)).toBe(counted);
});

test.each([
  [{ scope: { run: 'r' } }, '/scope/run'],
  [{ scope: { tags: { region: 'eu' } } }, '/scope/tags'],
  [{ per: ['api_key'] }, '/per/0'],
  [{ unit: 'meter:own', scope: { model: 'm' } }, '/scope/model'],
])('count_from window_start with %j is refused at %s', async (body, pointer) => {
  const box = await sandbox();
  await box.call('PUT', '/v1/meters/own', { event_types: ['x'], aggregation: 'count' });
  const refused = await put(box, 'b', { unit: 'tokens', count_from: 'window_start', ...body }, 400);
  expect(refused.errors[0].pointer).toBe(pointer);
});

test('what is above a limit from the beginning, or above one that was lowered, is overage with its cause, once', async () => {
  const box = await sandbox();
  await box.send(llm('2026-03-10T11:00:00Z', 130));
  const unit = 'tokens';
  await put(box, 'b', { unit, count_from: 'window_start' });
  await box.call('POST', '/v1/holds', { id: 'h', customer: 'acme', amounts: { tokens: 1 } }, 402);
  await put(box, 'b', { unit, count_from: 'window_start', limit: '200' });
  await box.call('POST', '/v1/holds', { id: 'h', customer: 'acme', amounts: { tokens: 50 } }, 201);
  for (let times = 0; times < 2; times++) await put(box, 'b', { unit, count_from: 'window_start', limit: '90' });
  await put(box, 'b', { unit, count_from: 'window_start', limit: '80' });
  const { data } = await box.call('GET', '/v1/budgets/b/overages');
  expect(data.map(({ amount, cause }: { amount: string; cause: string }) => [cause, amount])).toEqual([
    ['lowered_limit', '10'],
    ['lowered_limit', '60'],
    ['counted_back', '30'],
  ]);
  expect(await box.call('GET', '/v1/budgets/b')).toMatchObject({
    counters: [{ committed: '130', held: '50', overage: '100', available: '-100' }],
  });
  expect((await box.call('GET', '/v1/budgets/b/overages?limit=2')).next_cursor).not.toBeNull();
});

test('a settlement is measured by what its budgets say when it comes', async () => {
  const box = await sandbox();
  const unit = 'tokens';
  const kinds = ['lowered', 'raised', 'softened', 'hardened', 'ended'];
  for (const key of kinds) await put(box, key, { unit, mode: key === 'hardened' ? 'warn' : 'enforce' });
  for (const id of ['open', 'late'])
    await box.call('POST', '/v1/holds', { id, customer: 'acme', amounts: { tokens: 40 } }, 201);
  await put(box, 'lowered', { unit, limit: '90', thresholds: ['0.9'] });
  await put(box, 'raised', { unit, limit: '500' });
  await put(box, 'softened', { unit, mode: 'warn' });
  await put(box, 'hardened', { unit });
  await box.call('DELETE', '/v1/budgets/ended', undefined, 204);
  await box.call('POST', '/v1/holds/open/settle', { amounts: { tokens: 85 } });
  await box.call('POST', '/v1/holds/late/release');
  await box.call('POST', '/v1/holds/late/settle', { amounts: { tokens: 50 } });
  const overages = async (key: string) => {
    const { data } = await box.call('GET', `/v1/budgets/${key}/overages`);
    return data.map(({ amount, cause }: { amount: string; cause: string }) => `${cause} ${amount}`).toReversed();
  };
  expect(await overages('lowered')).toEqual(['above_hold 35', 'late 45']);
  expect(await overages('raised')).toEqual([]);
  expect(await overages('softened')).toEqual([]);
  expect(await overages('hardened')).toEqual(['above_hold 25', 'late 35']);
  const { rows } = await app.database.pool.query<{ key: string; threshold: string }>(
    `select b.key, trim_scale(c.threshold)::text as threshold from budget_crossing c join budget b on b.environment_id = c.environment_id
       and b.id = c.budget_id join environment e on e.id = b.environment_id and e.key = $1
     where b.key in ('lowered', 'raised') order by 1, c.threshold`,
    [(await box.call('GET', '/v1/environments')).data[0].key],
  );
  expect(rows).toEqual([{ key: 'lowered', threshold: '81' }]);
  expect(await box.audit()).toBe(0);
});

test('one that is only watched records no overage; enforced later, it does', async () => {
  const box = await sandbox();
  await put(box, 'b', { unit: 'tokens', mode: 'warn' });
  await box.send(llm(NOW, 150));
  await put(box, 'b', { unit: 'tokens', mode: 'warn', limit: '50' });
  expect((await box.call('GET', '/v1/budgets/b/overages')).data).toEqual([]);
  await put(box, 'b', { unit: 'tokens', limit: '50' });
  expect((await box.call('GET', '/v1/budgets/b/overages')).data).toMatchObject([
    { cause: 'lowered_limit', amount: '100' },
  ]);
});

test('PUT is POST under the key of the path; what it counts never changes', async () => {
  const box = await sandbox();
  expect(await put(box, 'b', { unit: 'tokens', name: 'first' })).toMatchObject({ key: 'b', name: 'first' });
  expect(await put(box, 'b', { unit: 'tokens', limit: '5' })).toMatchObject({ limit: '5' });
  expect((await put(box, 'b', { unit: 'requests' }, 409)).errors[0].pointer).toBe('/unit');
  // Else a void of what came before would lower a counter that has never counted it.
  const since = { unit: 'tokens', count_from: 'window_start' };
  expect((await put(box, 'b', since, 409)).errors[0].pointer).toBe('/count_from');
  expect((await put(box, 'b', { unit: 'tokens', key: 'c' }, 400)).errors).toHaveLength(1);
});

test('the same budget again is no other one, in whatever order its tags stand', async () => {
  const box = await sandbox();
  const body = { unit: 'tokens', scope: { tags: { region: 'eu', env: 'prod', z: '1' } } };
  await put(box, 'b', body);
  expect(await put(box, 'b', body)).toMatchObject(body);
  await put(box, 'b', { unit: 'tokens', scope: { tags: { region: 'eu', env: 'prod' } } }, 409);
});

test('a tag may have the name of what every object has', async () => {
  const box = await sandbox();
  await put(box, 'b', { unit: 'tokens', scope: { tags: { constructor: '*' } } });
  await box.call('POST', '/v1/holds', { id: 'without', amounts: { tokens: 1 } }, 201);
  await box.call('POST', '/v1/holds', { id: 'with', amounts: { tokens: 2 }, tags: { constructor: 'x' } }, 201);
  await box.send(llm(NOW, 3));
  expect((await box.call('GET', '/v1/budgets/b')).counters).toMatchObject([{ committed: '0', held: '2' }]);
});

test('a scope may name its own environment, and no other', async () => {
  const box = await sandbox();
  const { key } = await box.call('GET', '/v1/environments').then(({ data }) => data[0]);
  const scope = { environment: key };
  await put(box, 'b', { unit: 'tokens', scope });
  await box.send(llm(NOW, 60));
  expect((await box.call('GET', '/v1/budgets/b')).counters).toMatchObject([{ committed: '60' }]);
  await box.call('POST', '/v1/holds', { id: 'h', amounts: { tokens: 41 } }, 402);
  const refused = await put(box, 'c', { unit: 'tokens', scope: { environment: 'elsewhere' } }, 400);
  expect(refused.errors[0].pointer).toBe('/scope/environment');
});

test('credits are what is charged in any credit unit', async () => {
  const box = await openSandbox(app, NOW);
  const prices = [{ meter: 'input_tokens', charge_model: { type: 'per_unit', unit_amount: '2' } }];
  await box.call('PUT', '/v1/rate_cards/default', { currency: 'credit:coins', prices });
  await box.send(llm('2026-03-10T11:00:00Z', 5));
  await put(box, 'b', { unit: 'credits', count_from: 'window_start' });
  await box.send(llm(NOW, 10));
  expect((await box.call('GET', '/v1/budgets/b')).counters).toMatchObject([{ committed: '30' }]);
  const hold = (id: string, body: object, status: number) =>
    box.call('POST', '/v1/holds', { id, customer: 'acme', ...body }, status);
  await hold('a', { amount: '71', currency: 'credit:coins' }, 402);
  await hold('b', { amount: '60', currency: 'credit:coins' }, 201);
  await hold('c', { amounts: { credits: '11' } }, 402);
  await hold('d', { amounts: { credits: '10' } }, 201);
  await box.call('POST', '/v1/holds/b/settle', { amounts: { credits: '55', charge: '55' } });
  expect((await box.call('GET', '/v1/budgets/b')).counters).toMatchObject([{ committed: '85', held: '10' }]);
});

test('credits follow the charge: what is settled by it, and what an output bound is lowered to', async () => {
  const box = await openSandbox(app, NOW);
  const prices = [
    { meter: 'output_tokens', charge_model: { type: 'per_unit', unit_amount: '2' } },
    { meter: 'input_tokens', charge_model: { type: 'free' } },
  ];
  await box.call('PUT', '/v1/rate_cards/default', { currency: 'credit:coins', prices });
  await put(box, 'b', { unit: 'credits', on_exceed: 'clamp' });
  const hold = (id: string, body: object) => box.call('POST', '/v1/holds', { id, ...body }, 201);
  const output = { max_tokens: 50, per_token: { charge: '2' } };
  const clamped = await hold('a', { customer: 'acme', amount: '110', currency: 'credit:coins', output });
  expect(clamped).toMatchObject({ max_output_tokens: 45, amounts: { charge: '100', credits: '100' } });
  expect(await box.call('POST', '/v1/holds/a/settle', { amount: '60' })).toMatchObject({
    settled: { charge: '60', credits: '60' },
  });
  const estimate = { customer: 'acme', model: 'own-model', tokens: { input: 1 }, max_output_tokens: 30 };
  const budget = { kind: 'budget', key: 'b', measure: 'credits', available: '40' };
  expect((await box.call('POST', '/v1/estimate', estimate)).admission).toEqual({
    would_admit: false,
    tightest: budget,
  });
  const bound = await hold('b', { estimate });
  expect(bound).toMatchObject({
    clamped: true,
    max_output_tokens: 20,
    amounts: { charge: '40', credits: '40' },
  });
  expect((await box.call('GET', '/v1/budgets/b')).counters).toMatchObject([{ committed: '60', held: '40' }]);
});
