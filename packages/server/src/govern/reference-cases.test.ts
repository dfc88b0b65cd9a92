import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestApp, type TestApp } from '../http/test-app.test-support.ts';
import { expireHolds } from './expire-holds.ts';
import { openWorld } from './reference-world.test-support.ts';

/**
 * The cases of shared/reference: charge-model-cases.md H (holds of peers) and the failures of budget-enforcement.md, by the letter
 * of its table or the thread they were reported in. Where Ergon decides otherwise on purpose, docs/budgets.md lists it and the
 * case here says what happens instead.
 */
let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.stop());

const world = (grants: readonly object[] = []) => openWorld(app, grants);

describe('charge-model-cases.md, H', () => {
  const hourlyAndMonthly = [
    { amount: '5', expires_at: '2126-01-01T00:00:00Z' },
    { amount: '10', expires_at: '2127-01-01T00:00:00Z' },
  ];
  test.each([
    ['confirm 5', { amount: '5' }, '10'],
    ['release', undefined, '15'],
    ['confirm 11', { amount: '11' }, '4'],
  ])('H1 Autumn: hourly 5 and monthly 10, lock 8, %s', async (_, settle, left) => {
    const { call, hold, available } = await world(hourlyAndMonthly);
    await hold('lock', '8');
    expect(await available()).toBe('7');
    await call('POST', `/v1/holds/lock/${settle === undefined ? 'release' : 'settle'}`, settle);
    expect(await available()).toBe(left);
  });

  test('H1 Autumn, confirm below zero: refused; what is given back is a void', async () => {
    const { call, hold } = await world(hourlyAndMonthly);
    await hold('lock', '8');
    expect((await call('POST', '/v1/holds/lock/settle', { amount: '-3' })).status).toBe(400);
  });

  test.each([
    ['20', '180'],
    ['45', '155'],
  ])('H3 Autumn: 200, lock 30, confirm %s', async (amount, left) => {
    const { call, hold, available } = await world([{ amount: '200' }]);
    await hold('lock', '30');
    await call('POST', '/v1/holds/lock/settle', { amount });
    expect(await available()).toBe(left);
  });

  test('H5 Autumn: a second lock of one id is a no-op, another body a conflict; of concurrent settlements exactly one wins', async () => {
    const { call, hold, available } = await world([{ amount: '200' }]);
    expect((await hold('lock', '30')).status).toBe(201);
    expect((await hold('lock', '30')).status).toBe(201);
    expect((await hold('lock', '31')).status).toBe(409);
    const statuses = await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        const answer = await call('POST', '/v1/holds/lock/settle', { amount: String(index + 1) });
        return { amount: index + 1, status: answer.status };
      }),
    );
    const [winner, ...others] = statuses.filter(({ status }) => status === 200);
    expect(others).toEqual([]);
    expect(statuses.filter(({ status }) => status === 409)).toHaveLength(19);
    expect(await available()).toBe(String(200 - (winner?.amount ?? 0)));
  });

  test('H7 TigerBeetle: more than pending is refused where the hold says so, twice is refused, after the timeout it commits', async () => {
    const { call, hold, available } = await world([{ amount: '100' }]);
    await hold('h', '10', { above: 'refuse', expires_in_seconds: 5 });
    expect((await call('POST', '/v1/holds/h/settle', { amount: '11' })).body.code).toBe('conflict');
    app.clock.offsetMs += 6_000;
    await expireHolds(app.database, app.services.holds, app.services.now());
    const late = await call('POST', '/v1/holds/h/settle', { amount: '9' });
    expect(late.body).toMatchObject({ status: 'settled', late: true });
    expect((await call('POST', '/v1/holds/h/settle', { amount: '8' })).body.code).toBe('conflict');
    expect(await available()).toBe('91');
  });
});

describe('budget-enforcement.md', () => {
  test('a: an estimate above what is left is refused, never shortened to the rest', async () => {
    const { hold, budget, counter } = await world();
    await budget({ limit: '1' });
    await hold('h1', '0.9');
    expect((await hold('h2', '0.2')).status).toBe(402);
    expect(await counter()).toMatchObject({ held: '0.9', available: '0.1' });
  });

  test("b, litellm#35524: no price is the budget's policy, not a way around it", async () => {
    const { call, budget } = await world();
    await budget({ limit: '1' });
    const unpriced = await call('POST', '/v1/holds', { id: 'h', customer: 'acme', amounts: { tokens: '500' } });
    expect(unpriced.body).toMatchObject({ status: 402, reason: 'unknown_quantity', scope: { key: 'cap' } });
  });

  test.each(['/v1/responses', '/v1/messages'])(
    "d, litellm#33325, #34732: a model's budget holds whatever the route: %s",
    async (route) => {
      const { hold, budget } = await world();
      await budget({ limit: '1', scope: { provider: 'openai', model: 'gpt-5*' } });
      const at = { provider: 'openai', model: 'gpt-5-mini', tags: { route } };
      expect((await hold('h1', '0.6', at)).status).toBe(201);
      expect((await hold('h2', '0.6', at)).status).toBe(402);
      expect((await hold('h3', '0.6', { ...at, model: 'o3' })).status).toBe(201);
    },
  );

  test('e: a call that was sent and never heard of again settles at its estimate, not at its input', async () => {
    const { hold, budget, counter } = await world();
    await budget({ limit: '1' });
    await hold('h', '0.5', { dispatched: true, expires_in_seconds: 5 });
    app.clock.offsetMs += 6_000;
    await expireHolds(app.database, app.services.holds, app.services.now());
    expect(await counter()).toMatchObject({ committed: '0.5', held: '0' });
  });

  test('f, litellm PR 40002: five prompts past a price tier on a cap of 0.45 at 0.15 each: three, not four', async () => {
    const { call, hold, budget, counter, event, price } = await world();
    // Past the tier a prompt of 100 tokens costs 0.15; before it, 0.1: by that price four would seem to fit.
    await price({ type: 'per_unit', unit_amount: '0.0015' });
    await budget({ limit: '0.45' });
    const answers = await Promise.all(Array.from({ length: 5 }, (_, index) => hold(`h${index}`, '0.15')));
    const admitted = answers.filter(({ status }) => status === 201);
    expect(admitted).toHaveLength(3);
    for (const { body } of admitted) await event(`e-${body.id}`, { tokens: { output: 100 }, hold_id: body.id });
    expect(await counter()).toMatchObject({ committed: '0.45', held: '0', available: '0' });
    expect((await call('GET', `/v1/holds/${admitted[0]?.body.id}`)).body.settled.charge).toBe('0.15');
  });

  test('f, estimated by the cheaper tier: the limit is passed, and the overage says by how much and why', async () => {
    const { call, hold, budget, counter, event, price } = await world();
    await price({ type: 'per_unit', unit_amount: '0.0015' });
    await budget({ limit: '0.45' });
    for (const id of ['h1', 'h2', 'h3', 'h4']) expect((await hold(id, '0.1')).status).toBe(201);
    for (const id of ['h1', 'h2', 'h3', 'h4']) await event(`e-${id}`, { tokens: { output: 100 }, hold_id: id });
    expect(await counter()).toMatchObject({ committed: '0.6', available: '-0.15' });
    const { data } = (await call('GET', '/v1/budgets/cap/overages')).body;
    expect(data.map(({ amount, cause }: { amount: string; cause: string }) => [amount, cause])).toEqual([
      ['0.05', 'above_hold'],
      ['0.05', 'above_hold'],
      ['0.05', 'above_hold'],
    ]);
  });

  test('g, litellm PR 38647: a bound that pins the whole budget is refused with the bound that fits, and zero committed', async () => {
    const { hold, budget } = await world();
    await budget({ limit: '25' });
    const output = { max_tokens: 1_000_000, per_token: { charge: '0.00006' } };
    const refused = await hold('h', '60', { output });
    expect(refused.body).toMatchObject({
      limit: '25',
      committed: '0',
      held: '0',
      fits: { max_output_tokens: 416_666 },
    });
  });

  test('h: over several scopes nothing of a refused request stays at the ones that had room', async () => {
    const { hold, budget, counter, available } = await world([{ amount: '100' }]);
    await budget({ limit: '50' });
    await budget({ key: 'tight', limit: '1', window: 'day' });
    expect((await hold('h', '2')).status).toBe(402);
    expect(await counter()).toMatchObject({ committed: '0', held: '0' });
    expect(await available()).toBe('100');
  });

  test('litellm#27639, #30460, #36926: after releases, expiries and settlements nothing stays held', async () => {
    const { call, hold, budget, counter } = await world();
    await budget({ limit: '1' });
    for (let round = 0; round < 3; round++) {
      await hold(`a${round}`, '0.2', { expires_in_seconds: 5 });
      await hold(`b${round}`, '0.2');
      await hold(`c${round}`, '0.2');
      await call('POST', `/v1/holds/b${round}/release`);
      await call('POST', `/v1/holds/c${round}/settle`, { amount: '0.01' });
      app.clock.offsetMs += 6_000;
      await expireHolds(app.database, app.services.holds, app.services.now());
    }
    expect(await counter()).toMatchObject({ committed: '0.03', held: '0' });
  });

  test('litellm#40095: concurrent first requests of an end user nobody has seen: as many as fit', async () => {
    const { hold, budget } = await world();
    await budget({ limit: '0.3', per: ['user'] });
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, index) => hold(`h${index}`, '0.1', { user: 'new', customer: 'also-new' })),
    );
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(3);
  });

  test("litellm#11962, #27394: a user's own budget holds when the key belongs to a team", async () => {
    const { hold, budget } = await world();
    await budget({ key: 'team', limit: '100', scope: { team: 'red' } });
    await budget({ key: 'ann', limit: '1', scope: { user: 'ann' } });
    const refused = await hold('h', '2', { team: 'red', user: 'ann' });
    expect(refused.body.scope).toEqual({ kind: 'budget', key: 'ann' });
  });

  test("buttercup#550: an administrator's key is limited as any other", async () => {
    const { hold, budget } = await world();
    await budget({ limit: '1' });
    expect((await hold('h', '4.77')).status).toBe(402);
  });

  test('litellm#27923: a spent budget stops spending, not reading', async () => {
    const { call, hold, budget } = await world();
    await budget({ limit: '0' });
    expect((await hold('h', '0.01')).status).toBe(402);
    for (const path of ['/v1/budgets', '/v1/customers', '/v1/meters'])
      expect((await call('GET', path)).status).toBe(200);
  });

  test('every attempt counts once: a retry after an answer of 500 with usage', async () => {
    const { hold, budget, counter, event, price } = await world();
    await price({ type: 'per_unit', unit_amount: '0.01' });
    await budget({ limit: '10', measure: 'charge' });
    await hold('h', '2');
    const failed = { call_id: 'c', attempt: 1, final: true, status: 'error', tokens: { output: 10 }, hold_id: 'h' };
    await event('e1', failed);
    await event('e1', failed);
    await event('e2', { call_id: 'c', attempt: 2, tokens: { output: 20 }, hold_id: 'h' });
    expect(await counter()).toMatchObject({ committed: '0.3', held: '0' });
  });
});

test('no case was an error of the service', () => expect(app.errors).toEqual([]));
