import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestApp, type TestApp } from '../http/test-app.test-support.ts';
import { expireHolds } from './expire-holds.ts';
import { openWorld } from './reference-world.test-support.ts';

/**
 * The threads that shared/reference/budget-enforcement.md lists, each by its reference: what went wrong there, and that it does
 * not here. Its table of behaviours (a to h) and the holds of peers are in reference-cases.test.ts. Threads about a proxy's own
 * streams (shell_gpt#738, litellm#36553, headroom#2026, freellmapi#156) are the gateway's.
 */
let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.stop());

const world = (grants: readonly object[] = []) => openWorld(app, grants);
const perToken = (unit_amount: string) => ({ type: 'per_unit', unit_amount });

async function expire(seconds: number): Promise<void> {
  app.clock.offsetMs += seconds * 1000;
  await expireHolds(app.database, app.services.holds, app.services.now());
}

describe('stale counters', () => {
  test('litellm#28283, #27735: a new window begins at nothing, whatever the old one spent or still holds', async () => {
    const { call, hold, budget, counter } = await world();
    await budget({ limit: '1', window: 'minute' });
    await hold('spent', '0.6');
    await call('POST', '/v1/holds/spent/settle', { amount: '0.6' });
    await hold('open', '0.4', { expires_in_seconds: 600 });
    expect((await hold('more', '0.1')).status).toBe(402);
    app.clock.offsetMs += 60_000;
    expect((await hold('all', '1')).status).toBe(201);
    // What was admitted in the old window is settled there, and takes nothing from this one.
    await call('POST', '/v1/holds/open/settle', { amount: '0.4' });
    expect(await counter()).toMatchObject({ committed: '0', held: '1', available: '0' });
  });

  test('litellm#34238: what is answered as counted is what was recorded, not a copy of it', async () => {
    const { call, budget, counter, event, price } = await world();
    await price(perToken('0.01'));
    await budget({ limit: '10' });
    for (const id of ['e1', 'e2', 'e3']) await event(id, { tokens: { output: 7 } });
    const usage = await call('GET', '/v1/usage?meter=charge&window=month');
    expect(usage.body.rows.map(({ value }: { value: string }) => value)).toEqual(['0.21']);
    expect(await counter()).toMatchObject({ committed: '0.21' });
    expect((await call('POST', '/v1/audit')).body.difference_count).toBe(0);
  });
});

describe('ways around a limit', () => {
  test.each(['api_key', 'user'])(
    'litellm#26672, #23714: spent by events beyond the budget of one %s: refused',
    async (of) => {
      const { key, call, hold, budget, event, price } = await world();
      const made = (await call('POST', '/v1/keys', { role: 'ingest', name: 'one' })).body;
      const value = of === 'user' ? 'ann' : made.id;
      await price(perToken('0.01'));
      await budget({ limit: '0.05', scope: { [of]: value } });
      const sent = {
        id: 'e',
        type: 'llm.call',
        subject: 'acme',
        data: { model: 'm', user: 'ann', tokens: { output: 6 } },
      };
      expect((await call('POST', '/v1/events', sent, made.key)).body.accepted).toBe(1);
      expect((await hold('h', '0.01', { user: 'ann' }, made.key)).body.scope).toEqual({ kind: 'budget', key: 'cap' });
      expect((await hold('other', '0.01', { user: 'bob' }, key)).status).toBe(201);
      expect((await event('e2', { user: 'bob', tokens: { output: 1 } })).body.accepted).toBe(1);
    },
  );

  test("litellm#11083: an end user's own limit holds below a key that has room", async () => {
    const { hold, budget } = await world();
    await budget({ key: 'everyone', limit: '1000' });
    await budget({ key: 'each', limit: '1', per: ['user'] });
    expect((await hold('h1', '1', { user: 'ann' })).status).toBe(201);
    expect((await hold('h2', '0.01', { user: 'ann' })).body.scope).toEqual({ kind: 'budget', key: 'each' });
    expect((await hold('h3', '1', { user: 'bob' })).status).toBe(201);
  });

  test("litellm#12794: a batch is held whole at its team's limit, and a batch of events counts at once", async () => {
    const { call, hold, budget, price } = await world();
    await price(perToken('0.01'));
    await budget({ limit: '1', scope: { team: 'red' } });
    const batch = { team: 'red', amounts: { requests: 100 } };
    expect((await hold('batch', '2', batch)).status).toBe(402);
    const events = Array.from({ length: 60 }, (_, index) => ({
      ...{ id: `e${index}`, type: 'llm.call', subject: 'acme' },
      data: { model: 'm', team: 'red', tokens: { output: 2 } },
    }));
    expect((await call('POST', '/v1/events', events)).body.accepted).toBe(60);
    expect((await hold('next', '0.01', { team: 'red' })).body).toMatchObject({ status: 402, committed: '1.2' });
  });

  test("litellm#20615: at a price of one's own a budget counts that price, and without a budget nothing is refused", async () => {
    const { call, hold, budget, counter, event, price } = await world();
    // Meant for a million tokens, published for one.
    await price(perToken('0.25'));
    await event('dear', { user: 'ann', tokens: { output: 304 } });
    expect((await hold('h', '1', { user: 'ann' })).status).toBe(201);
    await budget({ limit: '10', scope: { user: 'ann' }, count_from: 'window_start' });
    expect((await hold('h2', '1', { user: 'ann' })).body).toMatchObject({ status: 402, committed: '76' });
    const taken = { id: 'v', type: 'event.void', data: { source: 'api', id: 'dear' } };
    expect((await call('POST', '/v1/events', taken)).body.accepted).toBe(1);
    expect(await counter()).toMatchObject({ committed: '0' });
    expect((await hold('h3', '1', { user: 'ann' })).status).toBe(201);
  });

  test('litellm#33923: the counters cannot be reached: nothing is admitted, and nothing stays held', async () => {
    const { call, hold, budget } = await world();
    await budget({ limit: '1' });
    const blocker = await app.database.pool.connect();
    try {
      await blocker.query('begin');
      await blocker.query('lock table budget_counter in access exclusive mode');
      const asked = hold('h', '0.1');
      let ended: unknown[] = [];
      while (ended.length === 0) {
        const result = await app.database.pool.query(
          "select pg_cancel_backend(pid) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
        );
        ended = result.rows;
      }
      expect((await asked).body).toMatchObject({ status: 503, retryable: true });
    } finally {
      await blocker.query('rollback');
      blocker.release();
    }
    expect((await call('GET', '/v1/holds/h')).status).toBe(404);
    expect((await hold('all', '1')).status).toBe(201);
  });

  test('litellm#38176: a session has its limit over all its calls, as a run with every run below it', async () => {
    const { hold, budget } = await world();
    await budget({ limit: '1', scope: { run: 'session-1' } });
    expect((await hold('h1', '0.6', { run_id: 'session-1' })).status).toBe(201);
    expect((await hold('h2', '0.6', { run_id: 'step-1', parent_run_id: 'session-1' })).status).toBe(402);
    expect((await hold('h3', '0.6', { run_id: 'session-2' })).status).toBe(201);
  });

  test('litellm PR 27509: a request without an output bound is held at what its budget says, not at the whole of it', async () => {
    const { call, hold, budget, counter } = await world();
    await budget({ limit: '2000', unknown_quantity: 'fallback', fallback_quantity: '5' });
    await hold('spent', '0.144');
    await call('POST', '/v1/holds/spent/settle', { amount: '0.144' });
    const unbounded = await call('POST', '/v1/holds', { id: 'h', customer: 'acme' });
    expect(unbounded.body).toMatchObject({ status: 'pending', flags: ['fallback_quantity:cap'] });
    expect(await counter()).toMatchObject({ committed: '0.144', held: '5' });
  });

  test('two windows, of 24 hours and of 30 days, with only the second exhausted: refused by the second', async () => {
    const { call, hold, budget } = await world();
    await budget({ key: 'day', limit: '10', window: 'rolling:24h' });
    await budget({ key: 'month', limit: '25', window: 'rolling:30d' });
    for (const day of [1, 2]) {
      await hold(`h${day}`, '10');
      await call('POST', `/v1/holds/h${day}/settle`, { amount: '10' });
      expect((await hold(`more${day}`, '1')).body.scope.key).toBe('day');
      app.clock.offsetMs += 25 * 3_600_000;
    }
    expect((await hold('h3', '6')).body).toMatchObject({ scope: { key: 'month' }, committed: '20', available: '5' });
    expect((await hold('h4', '5')).status).toBe(201);
  });
});

describe('a cap between two prices of a card', () => {
  /** 250,000 tokens cost 0.15 past the band and would cost 0.1 before it: at that price four would seem to fit below 0.45. */
  const longContext = {
    type: 'by_prompt_size',
    bands: [
      { up_to: '200000', charge_model: perToken('0.0000004') },
      { up_to: null, charge_model: perToken('0.0000006') },
    ],
  };

  test('f, litellm PR 40002: five long prompts at once on a card by prompt size, held at their estimate: three, and 0.45 spent', async () => {
    const { call, hold, budget, counter, event, price } = await world();
    expect((await price(longContext, 'input_tokens')).status).toBe(200);
    await budget({ limit: '0.45' });
    const asked = { customer: 'acme', model: 'm', tokens: { input: 250_000, output: 0 } };
    const estimate = (await call('POST', '/v1/estimate', asked)).body;
    expect(estimate.cost.charge).toMatchObject({ high: '0.15' });
    const answers = await Promise.all(['1', '2', '3', '4', '5'].map((id) => hold(id, estimate.cost.charge.high)));
    const admitted = answers.filter(({ status }) => status === 201).map(({ body }) => body.id);
    expect(admitted).toHaveLength(3);
    for (const id of admitted) await event(`e${id}`, { tokens: { input: 250_000 }, hold_id: id });
    expect(await counter()).toMatchObject({ committed: '0.45', held: '0', available: '0' });
    expect((await call('GET', '/v1/budgets/cap/overages')).body.data).toEqual([]);
  });

  test('f, on a graduated card: the estimate sees that the month has reached the dearer tier', async () => {
    const { call, hold, budget, counter, event, price } = await world();
    const tiers = [
      { up_to: '1000', unit_amount: '0.001' },
      { up_to: null, unit_amount: '0.0015' },
    ];
    await price({ type: 'graduated', tiers });
    await event('before', { tokens: { output: 900 } });
    await budget({ limit: '0.25' });
    const asked = { customer: 'acme', model: 'm', tokens: { input: 0 }, max_output_tokens: 200 };
    // 100 tokens at 0.001 and 100 at 0.0015; at the cheaper price alone it had been 0.2.
    const { cost } = (await call('POST', '/v1/estimate', asked)).body;
    expect(cost.charge.high).toBe('0.25');
    expect((await hold('h', cost.charge.high)).status).toBe(201);
    expect((await hold('h2', '0.01')).status).toBe(402);
    await event('e', { tokens: { output: 200 }, hold_id: 'h' });
    expect(await counter()).toMatchObject({ committed: '0.25', held: '0', available: '0' });
  });
});

describe('disconnects, errors, missing usage', () => {
  test.each([
    [
      'litellm PR 33736, #37558, PR 36008: a stream the client left is paid for as far as it was read',
      'cancelled',
      40,
      '0.4',
    ],
    [
      'litellm#30527: closed right after the last chunk: the whole of it, whatever the status is called',
      'cancelled',
      80,
      '0.8',
    ],
    ['litellm PR 37365: an error in the middle of a stream keeps the tokens seen so far', 'error', 30, '0.3'],
  ])('%s', async (_, status, output, charged) => {
    const { call, hold, budget, counter, event, price } = await world();
    await price(perToken('0.01'));
    await budget({ limit: '1' });
    await hold('h', '1', { dispatched: true });
    await event('e', { status, final: true, tokens: { output }, quality: 'partial', hold_id: 'h' });
    expect(await counter()).toMatchObject({ committed: charged, held: '0' });
    expect((await call('GET', '/v1/holds/h')).body).toMatchObject({ status: 'settled', settled: { charge: charged } });
  });

  test('litellm#13245: cancelled, and nothing heard of its output: the estimate, not the input alone', async () => {
    const { call, hold, budget, counter, event, price } = await world();
    await price(perToken('0.01'));
    await budget({ limit: '1' });
    await hold('h', '0.9', { dispatched: true, expires_in_seconds: 5 });
    await expire(6);
    expect(await counter()).toMatchObject({ committed: '0.9', held: '0' });
    expect((await call('GET', '/v1/holds/h')).body).toMatchObject({ status: 'settled', settled_by: 'estimate' });
    // Its usage comes after all: adjusted to it.
    await event('e', { tokens: { output: 12 }, hold_id: 'h' });
    expect(await counter()).toMatchObject({ committed: '0.12', held: '0' });
  });

  test('openai-node: the usage chunk never came: recorded as unknown, and the tokens held stay counted', async () => {
    const { call, hold, budget, counter, event } = await world();
    await budget({ limit: '1000', unit: 'tokens' });
    await call('POST', '/v1/holds', { id: 'h', customer: 'acme', amounts: { tokens: 300 }, dispatched: true });
    await event('e', { status: 'cancelled', final: true, hold_id: 'h' });
    expect(await counter()).toMatchObject({ committed: '300', held: '0' });
    expect((await hold('next', '1', { amounts: { tokens: 701 } })).status).toBe(402);
  });

  test('litellm PR 39294: of a fallback each attempt is priced at its own model; the blocked one without output is not billed', async () => {
    const { call, hold, budget, counter, event, price } = await world();
    const cell = (model: string, unit_amount: string) => ({ match: { model }, unit_amount });
    await price({ type: 'matrix', dimensions: ['model'], cells: [cell('dear', '0.02'), cell('cheap', '0.001')] });
    await budget({ limit: '10' });
    await hold('h', '2');
    const attempt = (number: number, model: string, output: number, final: boolean) =>
      event(`e${number}`, {
        ...{ call_id: 'c', attempt: number, model, final, hold_id: 'h', tokens: { output } },
        status: final ? 'ok' : 'error',
      });
    await attempt(1, 'dear', 0, false);
    await attempt(2, 'dear', 10, true);
    await attempt(3, 'cheap', 100, true);
    expect(await counter()).toMatchObject({ committed: '0.3', held: '0' });
    expect((await call('GET', '/v1/usage?meter=charge&window=month&group_by=model')).body.rows).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ group: { model: 'dear', currency: 'USD' }, value: '0.2' }),
        expect.objectContaining({ group: { model: 'cheap', currency: 'USD' }, value: '0.1' }),
      ]),
    );
  });

  test('litellm#6633: an empty id is refused by name, so that no call hides behind another', async () => {
    const { call } = await world();
    const sent = { type: 'llm.call', subject: 'acme', data: { model: 'm', tokens: { output: 1 } } };
    const { body } = await call('POST', '/v1/events', [
      { ...sent, id: '' },
      { ...sent, id: 'a' },
      { ...sent, id: '' },
    ]);
    expect(body).toMatchObject({ accepted: 1, rejected: 2, duplicates: 0, conflicts: 0 });
    expect(body.results[0].error.errors?.[0]?.pointer ?? JSON.stringify(body.results[0].error)).toContain('/id');
  });

  test('litellm PR 34887: many at once over scopes in every order: no increment is lost', async () => {
    const { call, budget, counter, price } = await world();
    await price(perToken('0.1'));
    for (const key of ['a', 'b', 'c'])
      await budget({ key, limit: '1000', scope: { [key === 'a' ? 'team' : key === 'b' ? 'user' : 'feature']: 'x' } });
    const one = (index: number) => ({
      ...{ id: `e${index}`, type: 'llm.call', subject: `customer-${index % 3}` },
      data: { model: 'm', tokens: { output: 1 }, ...(index % 2 === 0 && { team: 'x' }), user: 'x', feature: 'x' },
    });
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, index) => call('POST', '/v1/events', index % 5 === 0 ? [one(index)] : one(index))),
    );
    expect(answers.map(({ body }) => body.accepted)).toEqual(Array.from({ length: 40 }, () => 1));
    // Forty tenths are four: no float has counted here.
    expect([await counter('a'), await counter('b'), await counter('c')]).toMatchObject([
      { committed: '2' },
      { committed: '4' },
      { committed: '4' },
    ]);
  });
});

test('no thread was an error of the service', () => expect(app.errors).toEqual([]));
