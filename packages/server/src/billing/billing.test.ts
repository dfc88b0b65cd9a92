import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { apiCalls, openSandbox, startTestApp, takeBack, type TestApp } from './sandbox.test-support.ts';

let app: TestApp;

beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.stop());

const PER_CALL = { type: 'per_unit', unit_amount: '0.5' };
const BASE = [{ key: 'base', amount: '20' }];

describe('a period', () => {
  test('charges its fee when it opens, its usage as it comes, and states both when it closes', async () => {
    const box = await openSandbox(app, '2026-01-15T00:00:00Z');
    await box.card(PER_CALL);
    await box.plan('pro', { rate_card: 'usage', fees: BASE });
    await box.subscribe({ key: 's', customer: 'acme', plan: 'pro' });
    expect(await box.lines(1)).toEqual([['fee:plan:pro@1:base', '20', null]]);
    await box.moveTo('2026-02-01T00:00:00Z');
    await box.send(apiCalls('2026-01-20T00:00:00Z', 3), apiCalls('2026-01-31T12:00:00Z', 4));
    expect(await box.moveTo('2026-02-15T00:00:00Z')).toMatchObject({ periods_closed: 1, complete: true });
    expect(await box.lines(1)).toEqual([
      ['fee:plan:pro@1:base', '20', null],
      ['usage:calls', '3.5', null],
    ]);
    expect(await box.totals()).toEqual({ 1: '23.5', 2: null });
    expect(await box.lines(2)).toEqual([['fee:plan:pro@1:base', '20', null]]);
    expect(await box.audit()).toBe(0);
  });

  test('that is closed is locked: what comes late or is voided is a line of the next', async () => {
    const box = await openSandbox(app, '2026-01-01T00:00:00Z');
    await box.card({ ...PER_CALL, minimum: '10' });
    await box.plan('pro', { rate_card: 'usage' });
    await box.subscribe({ key: 's', customer: 'acme', plan: 'pro', coupons: [] });
    const first = apiCalls('2026-01-10T00:00:00Z', 8);
    await box.moveTo('2026-01-20T00:00:00Z');
    await box.send(first);
    await box.moveTo('2026-02-01T00:00:00Z');
    expect(await box.lines(1)).toEqual([
      ['usage:calls', '4', null],
      ['close:calls', '6', null],
    ]);
    await box.send(apiCalls('2026-01-31T23:00:00Z', 30));
    await box.moveTo('2026-03-01T00:00:00Z');
    // Usage of 19 covers the minimum of January, so what was charged to reach it comes back.
    expect(await box.lines(2)).toEqual([
      ['usage:calls', '15', 1],
      ['close:calls', '-6', 1],
      ['close:calls', '10', null],
    ]);
    await box.send(takeBack(first, '2026-03-01T00:00:00Z'));
    await box.moveTo('2026-04-01T00:00:00Z');
    expect(await box.lines(3)).toEqual([
      ['usage:calls', '-4', 1],
      ['close:calls', '10', null],
    ]);
    expect(await box.totals()).toEqual({ 1: '10', 2: '19', 3: '6', 4: null });
    expect(await box.audit()).toBe(0);
    await expect(app.database.pool.query('update subscription_period set total = 0 where number = 1')).rejects.toThrow(
      'locked',
    );
    await expect(app.database.pool.query('delete from subscription_line')).rejects.toThrow('append-only');
  });

  test('that is closed is corrected also where a void and a late event come to nothing in sum', async () => {
    const box = await openSandbox(app, '2026-01-01T00:00:00Z');
    await box.call('PUT', '/v1/meters/images', { event_types: ['image'], aggregation: 'sum', value: 'data.count' });
    const prices = [
      { key: 'calls', meter: 'api_calls', charge_model: { ...PER_CALL, minimum: '10' } },
      { key: 'images', meter: 'images', charge_model: PER_CALL },
    ];
    await box.call('PUT', '/v1/rate_cards/usage', { currency: 'USD', prices });
    await box.plan('pro', { rate_card: 'usage' });
    await box.subscribe({ key: 's', customer: 'acme', plan: 'pro' });
    await box.moveTo('2026-01-20T00:00:00Z');
    const call = apiCalls('2026-01-10T00:00:00Z', 8);
    await box.send(call);
    await box.moveTo('2026-02-01T00:00:00Z');
    expect(await box.totals()).toEqual({ 1: '10', 2: null });
    await box.send(takeBack(call, '2026-02-01T00:00:00Z'), apiCalls('2026-01-10T00:00:00Z', 8, { type: 'image' }));
    await box.moveTo('2026-03-01T00:00:00Z');
    expect(await box.lines(2)).toEqual([
      ['usage:calls', '-4', 1],
      ['close:calls', '4', 1],
      ['usage:images', '4', 1],
      ['close:calls', '10', null],
    ]);
    await box.moveTo('2026-04-01T00:00:00Z');
    expect(await box.totals()).toEqual({ 1: '10', 2: '14', 3: '10', 4: null });
    expect(await box.audit()).toBe(0);
  });

  test('is cut in the zone of the subscription, from its anchor', async () => {
    const box = await openSandbox(app, '2026-01-31T05:00:00Z');
    await box.card(PER_CALL);
    await box.plan('pro', { rate_card: 'usage' });
    await box.call('PUT', '/v1/customers/acme', { time_zone: 'America/New_York' });
    await box.subscribe({ key: 's', customer: 'acme', plan: 'pro' });
    await box.moveTo('2026-04-30T12:00:00Z');
    const { data } = await box.call('GET', '/v1/subscriptions/s/periods');
    expect(data.map((one: { from: string }) => one.from)).toEqual([
      '2026-04-30T04:00:00Z',
      '2026-03-31T04:00:00Z',
      '2026-02-28T05:00:00Z',
      '2026-01-31T05:00:00Z',
    ]);
  });

  test('resets tiers and allowances: each period has running totals of its own', async () => {
    const box = await openSandbox(app, '2026-01-01T00:00:00Z');
    await box.card({ ...PER_CALL, included: 10 });
    await box.plan('day', { rate_card: 'usage', cadence: { unit: 'day' } });
    await box.subscribe({ key: 's', customer: 'acme', plan: 'day' });
    await box.moveTo('2026-01-03T00:00:00Z');
    await box.send(apiCalls('2026-01-01T08:00:00Z', 12), apiCalls('2026-01-02T08:00:00Z', 11));
    await box.moveTo('2026-01-04T00:00:00Z');
    expect(await box.lines(3)).toEqual([
      ['usage:calls', '1', 1],
      ['usage:calls', '0.5', 2],
    ]);
  });
});

describe('fees by the day (reference F, E)', () => {
  const MONTH = { unit: 'month' };
  const cases: [name: string, from: string, to: string, expected: string[]][] = [
    ['F1 flexprice: 10 to 20 on day 15 of 31', '10', '20', ['10', '-5.48', '10.97']],
    ['F3 flexprice: 1000 to 500 on the same day', '1000', '500', ['1000', '-548.39', '274.19']],
  ];
  test.each(cases)('%s', async (_, from, to, expected) => {
    const box = await openSandbox(app, '2026-01-01T00:00:00Z');
    await box.plan('a', { cadence: MONTH, fees: [{ key: 'base', amount: from }] });
    await box.plan('b', { cadence: MONTH, fees: [{ key: 'base', amount: to }] });
    await box.subscribe({ key: 's', customer: 'acme', plan: 'a' });
    await box.moveTo('2026-01-15T13:00:00Z');
    await box.call('POST', '/v1/subscriptions/s/change', { plan: 'b' });
    expect((await box.lines(1)).map(([, amount]) => amount)).toEqual(expected);
    expect(await box.audit()).toBe(0);
  });

  test('E7 lago: a minimum of 1000 is owed for 25 of 28 days, usage was 800', async () => {
    const box = await openSandbox(app, '2026-02-04T00:00:00Z');
    await box.card({ type: 'per_unit', unit_amount: '1', minimum: '1000' });
    await box.plan('pro', { rate_card: 'usage' });
    await box.subscribe({ key: 's', customer: 'acme', plan: 'pro', anchor_on: '2026-02-01' });
    await box.moveTo('2026-02-20T00:00:00Z');
    await box.send(apiCalls('2026-02-19T00:00:00Z', 800));
    await box.moveTo('2026-03-01T00:00:00Z');
    expect((await box.lines(1)).map(([key, amount]) => [key, Number(amount).toFixed(0)])).toEqual([
      ['usage:calls', '800'],
      ['close:calls', '93'],
    ]);
  });

  test('E9 lago: a commitment of 910 a quarter that ended after 32 of 91 days', async () => {
    const box = await openSandbox(app, '2025-04-01T00:00:00Z');
    await box.card({ type: 'per_unit', unit_amount: '1', commitment: { amount: '910', true_up: true } });
    await box.plan('pro', { rate_card: 'usage', cadence: { unit: 'month', count: 3 } });
    await box.subscribe({ key: 's', customer: 'acme', plan: 'pro' });
    await box.moveTo('2025-05-03T00:00:00Z');
    expect(await box.call('POST', '/v1/subscriptions/s/cancel', { at: 'now' })).toMatchObject({ status: 'ended' });
    expect(await box.lines(1)).toEqual([['close:calls', '320', null]]);
  });

  test('the parts of a fee sum to the whole, however often its plan is published anew', async () => {
    const box = await openSandbox(app, '2026-01-01T00:00:00Z');
    await box.plan('pro', { fees: [{ key: 'base', amount: '10' }] });
    await box.subscribe({ key: 's', customer: 'acme', plan: 'pro' });
    for (const day of ['04', '05', '11', '12', '13', '23', '30']) {
      await box.moveTo(`2026-01-${day}T00:00:00Z`);
      await box.plan('pro', { name: `of ${day}`, fees: [{ key: 'base', amount: '10' }] });
      await box.call('POST', '/v1/subscriptions/s/change', { plan: 'pro' });
    }
    await box.moveTo('2026-02-01T00:00:00Z');
    expect(await box.totals()).toMatchObject({ 1: '10' });
  });

  test('in arrears they are owed at the close; once only at the beginning; not prorated whole or not at all', async () => {
    const box = await openSandbox(app, '2026-01-16T00:00:00Z');
    const fees = [
      { key: 'late', amount: '31', pay: 'in_arrears' },
      { key: 'setup', amount: '99', charge: 'once' },
      { key: 'whole', amount: '5', prorate: false },
    ];
    await box.plan('pro', { fees });
    await box.subscribe({ key: 's', customer: 'acme', plan: 'pro', anchor_on: '2026-01-01' });
    await box.moveTo('2026-03-01T00:00:00Z');
    expect(await box.lines(1)).toEqual([
      ['fee:plan:pro@1:setup', '99', null],
      ['fee:plan:pro@1:whole', '5', null],
      ['fee:plan:pro@1:late', '16', null],
    ]);
    expect(await box.lines(2)).toEqual([
      ['fee:plan:pro@1:whole', '5', null],
      ['fee:plan:pro@1:late', '31', null],
    ]);
  });
});

describe('which price', () => {
  test('override before phase before plan before default, by the time of the event', async () => {
    const box = await openSandbox(app, '2026-01-01T00:00:00Z');
    for (const [key, unit] of [
      ['default', '1'],
      ['of-plan', '10'],
      ['of-phase', '100'],
      ['of-override', '1000'],
    ])
      await box.card({ type: 'per_unit', unit_amount: unit }, key);
    await box.plan('pro', { rate_card: 'of-plan' });
    await box.call('PUT', '/v1/customers/acme', {});
    await box.subscribe({
      key: 's',
      customer: 'acme',
      plan: 'pro',
      starts_at: '2026-01-02T00:00:00Z',
      phases: [{ plan: 'pro', rate_card: 'of-phase', from: '2026-01-03T00:00:00Z' }],
    });
    await box.call('PUT', '/v1/customers/acme/overrides/deal', {
      rate_card: 'of-override',
      effective_from: '2026-01-04T00:00:00Z',
      effective_to: '2026-01-05T00:00:00Z',
    });
    await box.moveTo('2026-01-06T00:00:00Z');
    const times = ['01T12', '02T00', '03T00', '04T00', '04T23', '05T00'];
    const sent = times.map((time) => apiCalls(`2026-01-${time}:00:00Z`, 1));
    await box.send(...sent.toReversed());
    const charged: string[] = [];
    for (const event of sent) {
      const { id } = event as { id: string };
      const found = await box.call('GET', `/v1/events/lookup?source=test&id=${id}`);
      charged.push(`${found.lines[0].period}: ${found.lines[0].amount}`);
    }
    expect(charged.map((text) => text.replace(/@\d+/, '@s'))).toEqual([
      '2026-01-01: 1',
      '2026-01-02@s: 10',
      '2026-01-02@s: 100',
      '2026-01-02@s: 1000',
      '2026-01-02@s: 1000',
      '2026-01-02@s: 100',
    ]);
    expect(await box.audit()).toBe(0);
  });

  test('a new version of the card: at once as a segment of its own, or with the next period', async () => {
    const box = await openSandbox(app, '2026-01-01T00:00:00Z');
    await box.card({ type: 'per_unit', unit_amount: '1' });
    await box.plan('once', { rate_card: 'usage' });
    await box.plan('next', { rate_card: 'usage', card_changes: 'next_period' });
    await box.subscribe({ key: 's', customer: 'acme', plan: 'once' });
    await box.subscribe({ key: 't', customer: 'beta', plan: 'next' });
    await box.moveTo('2026-01-10T00:00:00Z');
    await box.card({ type: 'per_unit', unit_amount: '2' });
    await box.moveTo('2026-01-11T00:00:00Z');
    for (const subject of ['acme', 'beta']) await box.send(apiCalls('2026-01-10T12:00:00Z', 1, { subject }));
    await box.moveTo('2026-02-02T00:00:00Z');
    await box.send(apiCalls('2026-02-01T12:00:00Z', 1, { subject: 'beta' }));
    await box.moveTo('2026-03-01T00:00:00Z');
    expect(await box.totals()).toMatchObject({ 1: '2' });
    const { data } = await box.call('GET', '/v1/subscriptions/t/periods');
    expect(data.map((one: { total: string }) => one.total)).toEqual([null, '2', '1']);
  });
});

describe('coupons, trials, allowances, add-ons', () => {
  const coupons: [name: string, coupons: object[], totals: string[]][] = [
    ['percent of everything, once', [{ percent: '25' }], ['90', '120', '120']],
    [
      'an amount, twice',
      [{ amount: '50', currency: 'USD', duration: { type: 'repeating', periods: 2 } }],
      ['70', '70', '120'],
    ],
    ['never more than there is', [{ amount: '500', currency: 'USD' }], ['0', '120', '120']],
    [
      'one after the other',
      [
        { amount: '20', currency: 'USD' },
        { percent: '50', duration: { type: 'forever' } },
      ],
      ['50', '60', '60'],
    ],
  ];
  test.each(coupons)('%s', async (_, specs, totals) => {
    const box = await openSandbox(app, '2026-01-01T00:00:00Z');
    await box.plan('pro', { fees: [{ key: 'base', amount: '120' }] });
    for (const [index, spec] of specs.entries()) await box.call('PUT', `/v1/coupons/c${index}`, spec);
    await box.subscribe({ key: 's', customer: 'acme', plan: 'pro', coupons: specs.map((_, index) => `c${index}`) });
    await box.moveTo('2026-04-01T00:00:00Z');
    const found = await box.totals();
    expect([found[1], found[2], found[3]]).toEqual(totals);
    expect(await box.audit()).toBe(0);
  });

  test('a trial owes neither fees nor minimums; the anchor is the day on which it ends', async () => {
    const box = await openSandbox(app, '2026-01-01T09:30:00Z');
    await box.card({ ...PER_CALL, minimum: '10' });
    await box.card({ type: 'free' }, 'trial');
    await box.plan('pro', { rate_card: 'usage', fees: BASE, trial: { days: 14, rate_card: 'trial' } });
    const support = [
      { key: 'support', amount: '7' },
      { key: 'setup', amount: '3', charge: 'once' },
    ];
    await box.call('PUT', '/v1/add_ons/support', { currency: 'USD', fees: support });
    expect(
      await box.subscribe({ key: 's', customer: 'acme', plan: 'pro', add_ons: [{ key: 'support' }] }),
    ).toMatchObject({ status: 'trial', anchor_on: '2026-01-15' });
    await box.send(apiCalls('2026-01-01T09:30:00Z', 100));
    await box.moveTo('2026-03-15T00:00:00Z');
    expect(await box.totals()).toEqual({ 1: '0', 2: '40', 3: '37', 4: null });
    expect(await box.audit()).toBe(0);
  });

  test('G17 autumn: 500 a month and 200 for life, use 400, then 200, then 0', async () => {
    const box = await openSandbox(app, '2026-01-01T00:00:00Z');
    await box.card({ type: 'per_unit', unit_amount: '1' });
    await box.plan('pro', { rate_card: 'usage', allowances: [{ key: 'monthly', amount: '500' }] });
    await box.subscribe({ key: 's', customer: 'acme', plan: 'pro' });
    await box.call('PUT', '/v1/customers/acme/wallets/life', { currency: 'USD' });
    await box.call('POST', '/v1/customers/acme/wallets/life/grants', { amount: '200', currency: 'USD' }, 201);
    const left = async () =>
      Promise.all(
        ['plan.USD', 'life'].map(async (key) => (await box.call('GET', `/v1/customers/acme/wallets/${key}`)).available),
      );
    await box.send(apiCalls('2026-01-01T00:00:00Z', 400));
    expect(await left()).toEqual(['100', '200']);
    await box.send(apiCalls('2026-01-01T00:00:00Z', 200));
    expect(await left()).toEqual(['0', '100']);
    await box.moveTo('2026-02-01T00:00:00Z');
    expect(await left()).toEqual(['500', '100']);
    expect(await box.audit()).toBe(0);
  });

  test('an add-on is charged for the days left, times its quantity, and comes back when it goes', async () => {
    const box = await openSandbox(app, '2026-04-01T00:00:00Z');
    await box.plan('pro', {});
    await box.call('PUT', '/v1/add_ons/seats', { currency: 'USD', fees: [{ key: 'seat', amount: '3' }] });
    await box.subscribe({ key: 's', customer: 'acme', plan: 'pro' });
    await box.moveTo('2026-04-11T00:00:00Z');
    const { add_ons: addOns } = await box.call('POST', '/v1/subscriptions/s/add_ons', { key: 'seats', quantity: 5 });
    await box.moveTo('2026-04-21T00:00:00Z');
    await box.call('POST', `/v1/subscriptions/s/add_ons/${addOns[0].id}/remove`, { at: 'now' });
    expect((await box.lines(1)).map(([, amount]) => amount)).toEqual(['10', '-5']);
    await box.moveTo('2026-05-01T00:00:00Z');
    expect(await box.totals()).toMatchObject({ 1: '5' });
  });
});

describe('cancel', () => {
  test('at the end of the period: it runs to its end, and nothing follows', async () => {
    const box = await openSandbox(app, '2026-01-01T00:00:00Z');
    await box.plan('pro', { fees: BASE });
    await box.subscribe({ key: 's', customer: 'acme', plan: 'pro' });
    await box.moveTo('2026-01-10T00:00:00Z');
    expect(await box.call('POST', '/v1/subscriptions/s/cancel', {})).toMatchObject({
      status: 'cancelling',
      ends_at: '2026-02-01T00:00:00Z',
    });
    await box.moveTo('2026-06-01T00:00:00Z');
    expect(await box.totals()).toEqual({ 1: '20' });
    expect(await box.call('GET', '/v1/subscriptions/s')).toMatchObject({ status: 'ended', next_at: null });
  });

  test('now: the days after today come back, and the customer may subscribe again', async () => {
    const box = await openSandbox(app, '2026-04-01T00:00:00Z');
    await box.card(PER_CALL, 'default');
    await box.plan('pro', { fees: [{ key: 'base', amount: '30' }] });
    await box.subscribe({ key: 's', customer: 'acme', plan: 'pro' });
    await box.moveTo('2026-04-10T15:00:00Z');
    await box.send(apiCalls('2026-04-10T14:00:00Z', 2));
    await box.call('POST', '/v1/subscriptions/s/cancel', { at: 'now' });
    expect(await box.lines(1)).toEqual([
      ['fee:plan:pro@1:base', '30', null],
      ['fee:plan:pro@1:base', '-20', null],
      ['usage:calls', '1', null],
    ]);
    await box.subscribe({ key: 'again', customer: 'acme', plan: 'pro' });
    expect(await box.audit()).toBe(0);
  });

  test('now, as a period begins: nothing of that period is owed, but what was used', async () => {
    const box = await openSandbox(app, '2026-01-01T00:00:00Z');
    await box.card({ ...PER_CALL, minimum: '10' });
    await box.plan('pro', { rate_card: 'usage', fees: BASE });
    await box.subscribe({ key: 's', customer: 'acme', plan: 'pro' });
    await box.moveTo('2026-02-01T00:00:00Z');
    await box.send(apiCalls('2026-02-01T00:30:00Z', 2));
    await box.call('POST', '/v1/subscriptions/s/cancel', { at: 'now' });
    expect(await box.lines(2)).toEqual([
      ['fee:plan:pro@1:base', '20', null],
      ['usage:calls', '1', null],
      ['fee:plan:pro@1:base', '-20', null],
    ]);
    expect(await box.totals()).toEqual({ 1: '30', 2: '1' });
    expect(await box.audit()).toBe(0);
  });

  test('may be taken back before it takes effect', async () => {
    const box = await openSandbox(app, '2026-01-01T00:00:00Z');
    await box.plan('pro', { fees: BASE });
    await box.subscribe({ key: 's', customer: 'acme', plan: 'pro' });
    await box.call('POST', '/v1/subscriptions/s/cancel', {});
    await box.call('POST', '/v1/subscriptions/s/resume');
    await box.moveTo('2026-03-01T00:00:00Z');
    expect(await box.totals()).toEqual({ 1: '20', 2: '20', 3: null });
  });

  test('what comes after the last close is a period of no length that corrects it', async () => {
    const box = await openSandbox(app, '2026-01-01T00:00:00Z');
    await box.card(PER_CALL);
    await box.plan('pro', { rate_card: 'usage', fees: BASE });
    await box.subscribe({ key: 's', customer: 'acme', plan: 'pro' });
    await box.call('POST', '/v1/subscriptions/s/cancel', {});
    await box.moveTo('2026-02-01T00:00:00Z');
    await box.send(apiCalls('2026-01-20T00:00:00Z', 4));
    await box.moveTo('2026-02-02T00:00:00Z');
    await box.moveTo('2026-02-03T00:00:00Z');
    expect(await box.totals()).toEqual({ 1: '20', 2: '2' });
    expect(await box.lines(2)).toEqual([['usage:calls', '2', 1]]);
    expect(await box.audit()).toBe(0);
  });

  test('is not taken back when another subscription follows; two never overlap', async () => {
    const box = await openSandbox(app, '2026-01-01T00:00:00Z');
    await box.plan('pro', {});
    const next = { key: 'next', customer: 'acme', plan: 'pro', starts_at: '2026-02-01T00:00:00Z' };
    await box.subscribe({ key: 's', customer: 'acme', plan: 'pro' });
    expect(await box.call('POST', '/v1/subscriptions', next, 409)).toMatchObject({ code: 'conflict' });
    await box.call('POST', '/v1/subscriptions/s/cancel', {});
    await box.subscribe(next);
    const refused = await box.call('POST', '/v1/subscriptions/s/resume', undefined, 409);
    expect(refused.detail).toContain('next follows s');
  });
});

describe('refusals name the member at fault', () => {
  const cases: [name: string, body: object, pointer: string][] = [
    ['no such plan', { customer: 'acme', plan: 'none' }, '/plan'],
    ['no such version', { customer: 'acme', plan: 'pro', version: 9 }, '/plan'],
    ['no such coupon', { customer: 'acme', plan: 'pro', coupons: ['none'] }, '/coupons/0'],
    ['no such add-on', { customer: 'acme', plan: 'pro', add_ons: [{ key: 'none' }] }, '/add_ons/0/key'],
    ['a card in another currency', { customer: 'acme', plan: 'pro', rate_card: 'euro' }, '/rate_card'],
    ['a day that is none', { customer: 'acme', plan: 'pro', anchor_on: '2026-02-30' }, '/anchor_on'],
    ['a day of no year', { customer: 'acme', plan: 'pro', anchor_on: '0000-01-01' }, '/anchor_on'],
    ['a zone that is none', { customer: 'acme', plan: 'pro', time_zone: 'Mars/Base' }, '/time_zone'],
    ['too long a period', { customer: 'acme', plan: 'pro', cadence: { unit: 'year', count: 2 } }, '/cadence'],
    [
      'a phase before the first',
      { customer: 'acme', plan: 'pro', phases: [{ plan: 'pro', from: '2020-01-01T00:00:00Z' }] },
      '/phases/0/from',
    ],
    [
      'a beginning before rated events',
      { customer: 'acme', plan: 'pro', starts_at: '2025-12-01T00:00:00Z' },
      '/starts_at',
    ],
    [
      'a quantity beyond measure',
      { customer: 'acme', plan: 'pro', add_ons: [{ key: 'a', quantity: '1e20' }] },
      '/add_ons/0/quantity',
    ],
  ];
  test.each(cases)('%s', async (_, body, pointer) => {
    const box = await openSandbox(app, '2026-01-01T00:00:00Z');
    await box.plan('pro', {});
    await box.call('PUT', '/v1/rate_cards/euro', { currency: 'EUR', prices: [] });
    await box.send(apiCalls('2026-01-01T00:00:00Z', 1));
    const refused = await box.call('POST', '/v1/subscriptions', body, 400);
    expect(refused.errors[0].pointer).toBe(pointer);
  });

  test('an override begins now or later, and one that has rated keeps its card', async () => {
    const box = await openSandbox(app, '2026-01-02T00:00:00Z');
    await box.card(PER_CALL, 'a');
    await box.card(PER_CALL, 'b');
    const put = (key: string, body: object, status = 200) =>
      box.call('PUT', `/v1/customers/acme/overrides/${key}`, body, status);
    await put('one', { rate_card: 'a', effective_from: '2026-01-01T00:00:00Z' }, 400);
    await put('one', { rate_card: 'none' }, 400);
    await put('one', { rate_card: 'a' });
    await put('one', { rate_card: 'b' }, 409);
    await put('two', { rate_card: 'b', effective_from: '2026-06-01T00:00:00Z' }, 409);
    await put('one', { rate_card: 'a', effective_to: '2026-06-01T00:00:00Z' });
    await put('two', { rate_card: 'b', effective_from: '2026-06-01T00:00:00Z' });
    await box.call('POST', '/v1/customers/acme/overrides/two/end');
    const { data } = await box.call('GET', '/v1/customers/acme/overrides');
    expect(data.map((one: { key: string }) => one.key)).toEqual(['one']);
  });

  test('the clock of what is no sandbox, and a clock that would go back', async () => {
    const box = await openSandbox(app, '2026-01-02T00:00:00Z');
    await box.call('PUT', '/v1/test_clock', { now: '2026-01-01T00:00:00Z' }, 400);
    const refused = await app.call('PUT', '/v1/test_clock', { body: { now: '2026-01-01T00:00:00Z' } });
    expect(refused.status).toBe(409);
  });
});
