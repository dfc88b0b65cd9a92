import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestApp, type TestApp } from '../../http/test-app.test-support.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.stop());

const MONTH = new Date().toISOString().slice(0, 7);
let worlds = 0;
let events = 0;

type Call = { readonly customer: string; readonly model: string; readonly input: number; readonly output: number };

async function world(card: object, calls: readonly Call[]) {
  worlds += 1;
  const key = await app.environment(`simulate-${worlds}`);
  const send = (method: string, path: string, body: unknown) => app.call(method, path, { key, body });
  expect((await send('PUT', '/v1/rate_cards/default', card)).status).toBe(200);
  const bodies = calls.map(({ customer, model, input, output }) => {
    events += 1;
    return { id: `s${events}`, type: 'llm.call', subject: customer, data: { model, tokens: { input, output } } };
  });
  if (bodies.length > 0) expect((await send('POST', '/v1/events', bodies)).body.accepted).toBe(bodies.length);
  const simulate = async (body: object = {}) =>
    (await send('POST', '/v1/rate_cards/default/simulate', { month: MONTH, ...body })).body;
  return { simulate, send };
}

const graduated = (...amounts: string[]) => ({
  type: 'graduated',
  tiers: amounts.map((unit_amount, index) => ({
    up_to: index === amounts.length - 1 ? null : String((index + 1) * 100),
    unit_amount,
  })),
});
const card = (input: object, output: object, match: object = {}) => ({
  currency: 'USD',
  prices: [
    { meter: 'input_tokens', match, charge_model: input },
    { meter: 'output_tokens', match, charge_model: output },
  ],
});
const perUnit = (unit_amount: string) => ({ type: 'per_unit', unit_amount });

const call = fc.record({
  customer: fc.constantFrom('a', 'b', 'c'),
  model: fc.constantFrom('gpt-5', 'gpt-5-mini', 'o3'),
  input: fc.integer({ min: 0, max: 300 }),
  output: fc.integer({ min: 0, max: 300 }),
});

describe('a simulation', () => {
  test('under the card in force makes no difference, by totals and by usage; under another it is what that card really charges', async () => {
    const models = fc.constantFrom(perUnit('0.01'), graduated('0.05', '0.03', '0.01'), {
      type: 'volume',
      tiers: [
        { up_to: '200', unit_amount: '0.02' },
        { up_to: null, unit_amount: '0.005' },
      ],
    });
    await fc.assert(
      fc.asyncProperty(fc.array(call, { minLength: 1, maxLength: 12 }), models, models, async (calls, one, other) => {
        const before = await world(card(one, other), calls);
        const same = await before.simulate();
        expect(same).toMatchObject({ method: 'running_totals', totals: { difference: '0' } });
        // The same prices divided otherwise cannot come from totals.
        const split = await before.simulate({ card: card(one, other, { type: 'llm.call' }) });
        expect(split).toMatchObject({ method: 'summed_usage', totals: same.totals, requests: String(calls.length) });
        const after = await world(card(other, one), calls);
        const real = await after.simulate();
        const foreseen = await before.simulate({ card: card(other, one) });
        expect(foreseen.totals).toMatchObject({ old: same.totals.old, new: real.totals.old });
        const charges = (answer: { customers: { customer: string; new: string }[] }) =>
          Object.fromEntries(answer.customers.map((each) => [each.customer, each.new]));
        expect(charges(foreseen)).toEqual(charges(real));
      }),
      { numRuns: 25 },
    );
  });

  test('of a card with a price for each request: by usage, what that card really charges', async () => {
    const calls = ['a', 'a', 'b'].map((customer) => ({ customer, model: 'o3', input: 10, output: 5 }));
    const priced = { currency: 'USD', prices: [{ meter: 'requests', charge_model: perUnit('0.25') }] };
    const before = await world(card(perUnit('1'), perUnit('2')), calls);
    expect(await before.simulate({ card: priced })).toMatchObject({
      method: 'summed_usage',
      requests: '3',
      totals: { old: '60', new: '0.75' },
    });
    const after = await world(priced, calls);
    expect((await after.simulate()).totals.old).toBe('0.75');
  });

  test('says which usage the card does not price, and for one customer only', async () => {
    const { simulate } = await world(card(perUnit('0.01'), perUnit('0.02')), [
      { customer: 'a', model: 'gpt-5', input: 10, output: 5 },
      { customer: 'b', model: 'o3', input: 7, output: 3 },
    ]);
    const narrow = await simulate({ card: card(perUnit('1'), perUnit('2'), { model: 'gpt-5*' }) });
    expect(narrow.totals).toMatchObject({ old: '0.33', new: '20', customers: 2 });
    expect(narrow.unrated).toEqual([
      { meter: 'input_tokens', quantity: '7' },
      { meter: 'output_tokens', quantity: '3' },
    ]);
    expect((await simulate({ customer: 'b' })).totals).toMatchObject({ old: '0.13', new: '0.13', customers: 1 });
  });

  test('of an unknown card, a card that is not valid, a month that is none', async () => {
    const { send } = await world(card(perUnit('0.01'), perUnit('0.02')), []);
    expect((await send('POST', '/v1/rate_cards/none/simulate', { month: MONTH })).status).toBe(404);
    const invalid = await send('POST', '/v1/rate_cards/default/simulate', {
      month: MONTH,
      card: { currency: 'USD', prices: [{}] },
    });
    expect(invalid.body.errors[0].pointer).toMatch(/^\/card\/prices\/0/);
    expect((await send('POST', '/v1/rate_cards/default/simulate', { month: '2026-13' })).status).toBe(400);
  });
});
