import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestApp, type TestApp } from '../http/test-app.test-support.ts';
import { expireHolds } from './expire-holds.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.stop());

let made = 0;
/** An environment of its own with one prepaid customer. */
async function world(amount = '100') {
  made += 1;
  const key = await app.environment(`govern-${made}`);
  const call = (method: string, path: string, body?: unknown) =>
    app.call(method, path, { key, ...(body !== undefined && { body }) });
  await call('POST', '/v1/customers/acme/wallets/main/grants', { amount, currency: 'USD', kind: 'paid' });
  const wallet = async () => (await call('GET', '/v1/customers/acme/wallets/main')).body;
  const budget = async (name: string) => (await call('GET', `/v1/budgets/${name}`)).body;
  return { key, call, wallet, budget };
}

const hold = (id: string, charge: string, more: object = {}) => ({
  id,
  customer: 'acme',
  model: 'gpt-5-mini',
  amount: charge,
  currency: 'USD',
  ...more,
});
const daily = (limit: string, more: object = {}) => ({
  key: 'daily',
  scope: { customer: 'acme' },
  unit: 'USD',
  window: 'day',
  limit,
  ...more,
});

describe('a hold', () => {
  test('sets aside in the wallet and at the budget, and gives the rest back when it is settled below', async () => {
    const { call, wallet, budget } = await world();
    expect((await call('POST', '/v1/budgets', daily('50'))).status).toBe(200);
    const made = await call('POST', '/v1/holds', hold('h1', '20'));
    expect(made.status).toBe(201);
    expect(made.body).toMatchObject({ status: 'pending', amounts: { charge: '20', requests: '1' } });
    expect(made.body.scopes).toEqual([
      { kind: 'wallet', key: 'acme/USD' },
      { kind: 'budget', key: 'daily' },
    ]);
    expect(await wallet()).toMatchObject({ posted: '100', held: '20', available: '80' });
    expect((await budget('daily')).counters[0]).toMatchObject({ committed: '0', held: '20', available: '30' });
    const settled = await call('POST', '/v1/holds/h1/settle', { amount: '7.5' });
    expect(settled.body).toMatchObject({
      status: 'settled',
      settled: { charge: '7.5' },
      settled_by: 'amount',
      late: false,
    });
    expect(await wallet()).toMatchObject({ posted: '92.5', held: '0', available: '92.5' });
    expect((await budget('daily')).counters[0]).toMatchObject({ committed: '7.5', held: '0', available: '42.5' });
  });

  test('is named once: the same again is a no-op, another body a conflict', async () => {
    const { call, wallet } = await world();
    const first = await call('POST', '/v1/holds', hold('h1', '20'));
    const again = await call('POST', '/v1/holds', hold('h1', '20'));
    expect(again.status).toBe(201);
    expect(again.body).toEqual(first.body);
    expect((await call('POST', '/v1/holds', hold('h1', '21'))).body.code).toBe('conflict');
    expect((await wallet()).held).toBe('20');
  });

  test('is settled once', async () => {
    const { call, wallet } = await world();
    await call('POST', '/v1/holds', hold('h1', '20'));
    await call('POST', '/v1/holds/h1/settle', { amount: '5' });
    expect((await call('POST', '/v1/holds/h1/settle', { amount: '5' })).status).toBe(200);
    expect((await call('POST', '/v1/holds/h1/settle', { amount: '6' })).body.code).toBe('conflict');
    expect((await call('POST', '/v1/holds/h1/release')).body.code).toBe('conflict');
    expect((await wallet()).posted).toBe('95');
  });

  test('is released, and everything is free again', async () => {
    const { call, wallet, budget } = await world();
    await call('POST', '/v1/budgets', daily('50'));
    await call('POST', '/v1/holds', hold('h1', '50'));
    expect((await call('POST', '/v1/holds', hold('h2', '0.000001'))).status).toBe(402);
    expect((await call('POST', '/v1/holds/h1/release')).body.status).toBe('released');
    expect(await wallet()).toMatchObject({ posted: '100', held: '0' });
    expect((await budget('daily')).counters[0]).toMatchObject({ committed: '0', held: '0' });
    expect((await call('POST', '/v1/holds', hold('h2', '50'))).status).toBe(201);
  });

  test.each([
    ['overage', 'settled', '70'],
    ['cap', 'settled', '80'],
    ['refuse', 'pending', '100'],
  ])('settled above follows its policy: %s', async (above, status, posted) => {
    const { call, wallet } = await world();
    await call('POST', '/v1/holds', hold('h1', '20', { above }));
    const answer = await call('POST', '/v1/holds/h1/settle', { amount: '30' });
    expect(answer.status).toBe(above === 'refuse' ? 409 : 200);
    expect((await call('GET', '/v1/holds/h1')).body.status).toBe(status);
    expect((await wallet()).posted).toBe(posted);
  });

  test('expires by itself; a late settlement still commits, and says so', async () => {
    const { call, wallet } = await world();
    await call('POST', '/v1/holds', hold('h1', '20', { expires_in_seconds: 60 }));
    app.clock.offsetMs += 61_000;
    await expireHolds(app.database, app.services.holds, app.services.now());
    expect((await call('GET', '/v1/holds/h1')).body.status).toBe('expired');
    expect(await wallet()).toMatchObject({ posted: '100', held: '0' });
    const late = await call('POST', '/v1/holds/h1/settle', { amount: '7' });
    expect(late.body).toMatchObject({ status: 'settled', late: true });
    expect((await wallet()).posted).toBe('93');
  });

  test('extended, it lives longer; dispatched, it settles at its estimate instead of expiring', async () => {
    const { call, wallet } = await world();
    await call('POST', '/v1/holds', hold('h1', '20', { expires_in_seconds: 60 }));
    await call('POST', '/v1/holds', hold('h2', '10', { expires_in_seconds: 60 }));
    await call('POST', '/v1/holds/h1/extend', { expires_in_seconds: 600 });
    await call('POST', '/v1/holds/h2/extend', { expires_in_seconds: 60, dispatched: true });
    app.clock.offsetMs += 120_000;
    await expireHolds(app.database, app.services.holds, app.services.now());
    expect((await call('GET', '/v1/holds/h1')).body.status).toBe('pending');
    expect((await call('GET', '/v1/holds/h2')).body).toMatchObject({ status: 'settled', settled_by: 'estimate' });
    expect(await wallet()).toMatchObject({ posted: '90', held: '20' });
  });

  test('above the wallet is refused, naming it; a customer without a wallet is postpaid', async () => {
    const { call } = await world('10');
    const refused = await call('POST', '/v1/holds', hold('h1', '10.01'));
    expect(refused.status).toBe(402);
    expect(refused.body).toMatchObject({
      code: 'budget_exceeded',
      scope: { kind: 'wallet', key: 'acme' },
      available: '10',
    });
    expect((await call('POST', '/v1/holds', hold('h2', '1000', { customer: 'postpaid' }))).status).toBe(201);
  });
});

test.each([{ amount: '20' }, { amounts: { charge: 0.5 } }])(
  'a charge in no currency is refused: there is no wallet to look at: %j',
  async (body) => {
    const { call } = await world();
    const refused = await call('POST', '/v1/holds', { id: 'h1', customer: 'acme', ...body });
    expect([refused.status, refused.body.errors[0].pointer]).toEqual([400, '/currency']);
    expect((await call('POST', '/v1/holds', { id: 'h1', customer: 'acme', amounts: { charge: 0 } })).status).toBe(201);
  },
);

describe('a refusal', () => {
  test('names the budget, what is left, and the largest output bound that would fit', async () => {
    const { call } = await world();
    await call('POST', '/v1/budgets', daily('5'));
    await call('POST', '/v1/holds', hold('h1', '4.5'));
    const output = { max_tokens: 1000, per_token: { charge: '0.001' } };
    // 0.2 of prompt and 1,000 tokens at 0.001; 0.5 is left, so 300 tokens fit.
    const refused = await call('POST', '/v1/holds', hold('h2', '1.2', { output }));
    expect(refused.body).toMatchObject({
      status: 402,
      scope: { kind: 'budget', key: 'daily' },
      limit: '5',
      committed: '0',
      held: '4.5',
      available: '0.5',
      fits: { max_output_tokens: 300 },
    });
    expect(
      (await call('POST', '/v1/holds', hold('h2', '0.5', { output: { ...output, max_tokens: 300 } }))).status,
    ).toBe(201);
  });

  test('opt-in: the output bound is clamped to what fits, and the answer says so', async () => {
    const { call, budget } = await world();
    await call('POST', '/v1/budgets', daily('0.5', { on_exceed: 'clamp' }));
    const output = { max_tokens: 1000, per_token: { charge: '0.001' } };
    const clamped = await call('POST', '/v1/holds', hold('h1', '1.2', { output }));
    expect(clamped.body).toMatchObject({ clamped: true, max_output_tokens: 300, amounts: { charge: '0.5' } });
    expect((await call('POST', '/v1/holds', hold('h1', '1.2', { output }))).body).toEqual(clamped.body);
    expect((await budget('daily')).counters[0].held).toBe('0.5');
  });

  test('money of another currency never counts, at the settlement either', async () => {
    const { call, budget } = await world();
    const euros = { unit: 'EUR', unknown_quantity: 'zero' };
    await call('POST', '/v1/budgets', daily('50', { ...euros, key: 'charge' }));
    await call('POST', '/v1/budgets', daily('50', { ...euros, key: 'cost', measure: 'provider_cost' }));
    const fallback = { unknown_quantity: 'fallback', fallback_quantity: '8' };
    await call('POST', '/v1/budgets', daily('15', { ...euros, ...fallback, key: 'fallback' }));
    expect((await call('POST', '/v1/holds', hold('h1', '9', { amounts: { provider_cost: '2' } }))).status).toBe(201);
    const refused = await call('POST', '/v1/holds', hold('h2', '9', { amounts: { provider_cost: '2' } }));
    expect(refused.body).toMatchObject({ scope: { key: 'fallback' }, measure: 'charge', asked: '8', available: '7' });
    await call('POST', '/v1/holds/h1/settle', { amounts: { charge: '7', provider_cost: '1' } });
    const committed = async () =>
      Promise.all(['charge', 'cost', 'fallback'].map(async (key) => (await budget(key)).counters[0].committed));
    expect(await committed()).toEqual(['0', '0', '8']);
    await call('POST', '/v1/holds/h1/settle', {
      event: { id: 'e', source: 'a', type: 'api.call', subject: 'acme', data: {} },
    });
    expect(await committed()).toEqual(['0', '0', '0']);
  });

  test('two windows on one scope, only the second exhausted', async () => {
    const { call } = await world();
    await call('POST', '/v1/budgets', daily('50'));
    await call('POST', '/v1/budgets', daily('6', { key: 'monthly', window: 'month' }));
    await call('POST', '/v1/holds', hold('h1', '5'));
    const refused = await call('POST', '/v1/holds', hold('h2', '2'));
    expect(refused.body.refused_by.map((one: { scope: { key: string } }) => one.scope.key)).toEqual(['monthly']);
  });

  test.each([
    ['deny', 402],
    ['fallback', 201],
    ['allow_and_flag', 201],
  ])('a quantity that the hold lacks: %s', async (unknown_quantity, status) => {
    const { call } = await world();
    await call('POST', '/v1/budgets', daily('1000', { unit: 'tokens', unknown_quantity, fallback_quantity: '100' }));
    const answer = await call('POST', '/v1/holds', hold('h1', '1'));
    expect(answer.status).toBe(status);
    if (status === 402) expect(answer.body.errors[0].pointer).toBe('/amounts/tokens');
  });

  test.each([
    ['cap', '50', 200, '50'],
    ['cap', '70', 200, '60'],
    ['refuse', '50', 200, '50'],
    ['refuse', '70', 409, '0'],
  ])('what a budget set aside for it bounds it: %s at %s', async (above, tokens, status, committed) => {
    const { call, budget } = await world();
    await call(
      'POST',
      '/v1/budgets',
      daily('1000', { unit: 'tokens', unknown_quantity: 'fallback', fallback_quantity: '60' }),
    );
    await call('POST', '/v1/holds', hold('h1', '1', { above }));
    expect((await call('POST', '/v1/holds/h1/settle', { amounts: { charge: '1', tokens } })).status).toBe(status);
    expect((await budget('daily')).counters[0].committed).toBe(committed);
  });

  test('a charge in another currency than its budget counts in is told so', async () => {
    const { call } = await world();
    await call('POST', '/v1/budgets', daily('1000'));
    const answer = await call('POST', '/v1/holds', { id: 'h1', customer: 'acme', amount: '1', currency: 'EUR' });
    expect(answer).toMatchObject({
      status: 402,
      body: { errors: [{ pointer: '/currency', detail: 'is EUR, not USD' }] },
    });
  });

  test('shadow and warn admit what enforce refuses, and count it', async () => {
    const { call, budget } = await world();
    await call('POST', '/v1/budgets', daily('1', { mode: 'shadow' }));
    expect((await call('POST', '/v1/holds', hold('h1', '3'))).status).toBe(201);
    expect((await budget('daily')).counters[0]).toMatchObject({ held: '3', available: '-2' });
  });
});

describe('usage', () => {
  const card = {
    currency: 'USD',
    prices: [{ meter: 'output_tokens', charge_model: { type: 'per_unit', unit_amount: '0.01' } }],
  };
  const event = (id: string, output: number, more: object = {}) => ({
    id,
    type: 'llm.call',
    subject: 'acme',
    data: { provider: 'openai', model: 'gpt-5-mini', tokens: { input: 10, output }, ...more },
  });

  test('of an event counts at once, and what passes the limit is overage with its cause', async () => {
    const { call, budget } = await world();
    await call('PUT', '/v1/rate_cards/default', card);
    await call('POST', '/v1/budgets', daily('1'));
    await call('POST', '/v1/events', event('e1', 80));
    expect((await budget('daily')).counters[0]).toMatchObject({ committed: '0.8', available: '0.2' });
    await call('POST', '/v1/events', event('e2', 50));
    expect((await budget('daily')).counters[0]).toMatchObject({ committed: '1.3', available: '-0.3' });
    const overage = await app.database.pool.query('select amount, cause from budget_overage order by id desc limit 1');
    expect(Number(overage.rows[0].amount)).toBe(0.3);
    expect(overage.rows[0].cause).toBe('unheld');
    expect((await call('POST', '/v1/holds', hold('h1', '0.01'))).status).toBe(402);
  });

  test('settles its hold in its own transaction: one charge, however it is told', async () => {
    const { call, wallet, budget } = await world();
    await call('PUT', '/v1/rate_cards/default', card);
    await call('POST', '/v1/budgets', daily('50'));
    await call('POST', '/v1/holds', hold('h1', '5'));
    await call('POST', '/v1/events', event('e1', 200, { hold_id: 'h1' }));
    expect((await call('GET', '/v1/holds/h1')).body).toMatchObject({
      status: 'settled',
      settled_by: 'event',
      settled: { charge: '2' },
    });
    expect(await wallet()).toMatchObject({ posted: '98', held: '0' });
    expect((await budget('daily')).counters[0]).toMatchObject({ committed: '2', held: '0' });
    await call('POST', '/v1/events', event('e1', 200, { hold_id: 'h1' }));
    expect((await wallet()).posted).toBe('98');
  });

  test('after a settlement by amount only the difference is charged', async () => {
    const { call, wallet, budget } = await world();
    await call('PUT', '/v1/rate_cards/default', card);
    await call('POST', '/v1/budgets', daily('50'));
    await call('POST', '/v1/holds', hold('h1', '5'));
    await call('POST', '/v1/holds/h1/settle', { amount: '3' });
    expect((await wallet()).posted).toBe('97');
    await call('POST', '/v1/holds/h1/settle', { event: event('e1', 200) });
    expect(await wallet()).toMatchObject({ posted: '98', held: '0' });
    expect((await budget('daily')).counters[0]).toMatchObject({ committed: '2', held: '0' });
  });

  test('is not recorded by the settlement of a hold that is not there', async () => {
    const { call, wallet } = await world();
    await call('PUT', '/v1/rate_cards/default', card);
    expect((await call('POST', '/v1/holds/nobody/settle', { event: event('e1', 200) })).status).toBe(404);
    expect((await wallet()).posted).toBe('100');
  });

  test('a settlement sent again is answered like the first, also when the event of its hold came in between; another is a conflict', async () => {
    const { call, wallet } = await world();
    await call('PUT', '/v1/rate_cards/default', card);
    await call('POST', '/v1/holds', hold('h1', '5'));
    expect((await call('POST', '/v1/holds/h1/settle', { amount: '3' })).status).toBe(200);
    await call('POST', '/v1/events', event('e1', 200, { hold_id: 'h1' }));
    const again = await call('POST', '/v1/holds/h1/settle', { amount: '3' });
    expect(again.status).toBe(200);
    expect(again.body).toMatchObject({ settled_by: 'event', settled: { charge: '2' } });
    expect((await call('POST', '/v1/holds/h1/settle', { amount: '2' })).status).toBe(409);
    expect(await wallet()).toMatchObject({ posted: '98', held: '0' });
  });

  test('the books are right after all of it', async () => {
    const { key, call } = await world();
    await call('PUT', '/v1/rate_cards/default', card);
    await call('POST', '/v1/budgets', daily('50'));
    for (const [index, amount] of ['1', '2', '3', '4'].entries())
      await call('POST', '/v1/holds', hold(`h${index}`, amount));
    await call('POST', '/v1/holds/h0/settle', { amount: '9' });
    await call('POST', '/v1/events', event('e1', 120, { hold_id: 'h1' }));
    await call('POST', '/v1/holds/h2/release');
    await call('POST', '/v1/events', { id: 'v1', type: 'event.void', data: { source: 'api', id: 'e1' } });
    const report = (await app.call('POST', '/v1/audit', { key, body: {} })).body;
    expect(report.differences).toEqual([]);
  });
});

test('nothing of it was an error of the service', () => expect(app.errors).toEqual([]));
