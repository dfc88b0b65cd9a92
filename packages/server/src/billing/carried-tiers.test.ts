import { add, currency, decimal, type Decimal, subtract, toText, ZERO } from '@ergon/exact';
import { compileRateCard } from '@ergon/rating';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestApp, type TestApp } from '../http/test-app.test-support.ts';
import type { CardVersion, CatalogSnapshot } from '../catalog/snapshot.ts';
import { apiCalls, openSandbox, type Sandbox, takeBack } from './sandbox.test-support.ts';
import { type PlanSpec, planSpec } from './schemas.ts';
import type { Subscription } from './subscription-store.ts';
import { usageOwed } from './usage-owed.ts';

const DAY = 86_400_000_000;
const START = Date.UTC(2026, 0, 1) * 1000;
const END = START + 31 * DAY;

const money = fc.integer({ min: 1, max: 400 }).map((cents) => (cents / 100).toFixed(2));
const tiers = fc
  .tuple(
    fc.uniqueArray(fc.integer({ min: 1, max: 60 }), { maxLength: 3 }),
    fc.array(money, { minLength: 8, maxLength: 8 }),
  )
  .map(([bounds, amounts]) =>
    [...bounds.sort((a, b) => a - b).map(String), null].map((bound, index) => ({
      up_to: bound,
      unit_amount: amounts[index],
      flat_amount: amounts[index + 4],
    })),
  );
const models = fc.oneof(
  tiers.map((all) => ({ type: 'graduated', tiers: all })),
  tiers.map((all) => ({ type: 'volume', tiers: all })),
  fc
    .record({ size: fc.integer({ min: 1, max: 9 }), free: fc.integer({ min: 0, max: 20 }), amount: money })
    .map(({ size, free, amount }) => ({
      type: 'package',
      package_size: String(size),
      free_units: String(free),
      package_amount: amount,
    })),
  money.map((amount) => ({ type: 'per_unit', unit_amount: amount, maximum: '50' })),
);

/** Versions of one card, a day apart from the beginning of the period. */
function versionsOf(model: object, count: number): CardVersion[] {
  const compiled = compileRateCard({
    currency: 'USD',
    prices: [{ key: 'calls', meter: 'api_calls', charge_model: model }],
  });
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.errors));
  return Array.from({ length: count }, (_, index) => ({
    ...{ id: index + 1, key: 'usage', version: index + 1, effectiveFrom: START + index * DAY },
    ...{ card: compiled.value, needsLocalTime: false },
  }));
}

function subscribed(changes: PlanSpec['card_changes']): Subscription {
  const plan = planSpec.parse({ currency: 'USD', rate_card: 'usage', card_changes: changes });
  return {
    ...{ id: 1n, key: 's', customerId: 1n, customer: 'acme', currency: currency('USD'), timeZone: 'UTC' },
    ...{
      unit: 'month',
      count: 1,
      anchorOn: '2026-01-01',
      startsAt: START,
      endsAt: null,
      dueAt: null,
      createdAt: START,
    },
    phases: [{ from: START, planKey: 'p', version: 1, plan, rateCard: null, isTrial: false }],
    ...{ addOns: [], coupons: [] },
  };
}

/** What a period owes of which each version counted so much, each charged for itself while the period ran. */
function owed(
  changes: PlanSpec['card_changes'],
  versions: readonly CardVersion[],
  counted: readonly Decimal[],
): Decimal {
  const newestFirst = versions.toReversed();
  const catalog = { cards: new Map([['usage', newestFirst]]) } as unknown as CatalogSnapshot;
  const totals = versions.map(({ id, card }, index) => {
    const q = counted[index] ?? ZERO;
    const charged = card.prices[0]?.bucketOf('all')?.rate.marginal(ZERO, q) ?? ZERO;
    return { cardVersionId: id, totals: { 'calls/all': { q: toText(q), a: toText(charged) } } };
  });
  const span = { number: 1, period: 'p', from: START, to: END, wholeFromOn: '2026-01-01', wholeToOn: '2026-02-01' };
  const phases = [{ from: START, card: 'usage', next: false }];
  const terms = {
    timeZone: 'UTC',
    rateCard: undefined,
    terms: { overrides: [], subscriptions: [subscriptionTerms(phases)] },
  };
  return usageOwed(subscribed(changes), terms, catalog, span, totals).reduce((sum, one) => add(sum, one.amount), ZERO);
}

function subscriptionTerms(phases: { from: number; card: string; next: boolean }[]) {
  return { id: 1, zone: 'UTC', anchor: '2026-01-01', unit: 'month' as const, count: 1, from: START, to: null, phases };
}

describe('carried tiers', () => {
  const parts = fc.array(
    fc.integer({ min: 0, max: 40 }).map((count) => decimal(count)),
    { minLength: 1, maxLength: 5 },
  );

  test('a card published anew with the same prices changes nothing, wherever it cuts the usage', () => {
    fc.assert(
      fc.property(models, parts, (model, counted) => {
        const whole = counted.reduce((sum, one) => add(sum, one), ZERO);
        const one = owed('at_once', versionsOf(model, 1), [whole]);
        expect(toText(owed('carry', versionsOf(model, counted.length), counted))).toBe(toText(one));
      }),
    );
  });

  test('each version charges its own units in the tiers that are left', () => {
    fc.assert(
      fc.property(models, models, parts, parts, (model, next, [first = ZERO], [second = ZERO]) => {
        const [v1] = versionsOf(model, 1);
        const v2 = versionsOf(next, 2)[1];
        if (v1 === undefined || v2 === undefined) throw new Error('no versions');
        const rate = (version: CardVersion) => version.card.prices[0]?.bucketOf('all')?.rate;
        const expected = add(
          rate(v1)?.marginal(ZERO, first) ?? ZERO,
          subtract(rate(v2)?.marginal(ZERO, add(first, second)) ?? ZERO, rate(v2)?.marginal(ZERO, first) ?? ZERO),
        );
        expect(toText(owed('carry', [v1, v2], [first, second]))).toBe(toText(expected));
      }),
    );
  });
});

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.stop());

/** The first ten units at `first`, the rest at 0.5. */
const graduated = (first: string, more: object = {}) => ({
  type: 'graduated',
  tiers: [
    { up_to: '10', unit_amount: first },
    { up_to: null, unit_amount: '0.5' },
  ],
  ...more,
});

/** Eight calls under the first version, and as many under one of 12 January. */
async function twoVersions(changes: string, second: object): Promise<{ box: Sandbox; calls: object[] }> {
  const box = await openSandbox(app, '2026-01-01T00:00:00Z');
  await box.card(graduated('1'));
  await box.plan('pro', { rate_card: 'usage', card_changes: changes });
  await box.subscribe({ key: 's', customer: 'acme', plan: 'pro' });
  await box.moveTo('2026-01-12T00:00:00Z');
  await box.card(second);
  await box.moveTo('2026-01-20T00:00:00Z');
  const calls = [apiCalls('2026-01-05T12:00:00Z', 8), apiCalls('2026-01-15T12:00:00Z', 8)];
  await box.send(...calls);
  return { box, calls };
}

describe('a card published anew while a period runs', () => {
  test('begins its tiers anew where the plan says nothing', async () => {
    const { box } = await twoVersions('at_once', graduated('2'));
    await box.moveTo('2026-02-01T00:00:00Z');
    expect(await box.lines(1)).toEqual([
      ['usage:calls', '8', null],
      ['usage:calls', '16', null],
    ]);
  });

  test('goes on counting where the plan says carry; what comes late in either version moves the other', async () => {
    const { box, calls } = await twoVersions('carry', graduated('2'));
    await box.moveTo('2026-02-01T00:00:00Z');
    // The second version's eight are the 9th to 16th: two at 2, six at 0.5.
    expect(await box.lines(1)).toEqual([
      ['usage:calls', '8', null],
      ['usage:calls', '16', null],
      ['carry:calls', '-9', null],
    ]);
    const { data } = await box.call('GET', '/v1/subscriptions/s/periods/1/lines');
    expect(data[2]).toMatchObject({
      kind: 'close',
      description: 'api_calls: tiers carried on (usage version 2)',
      detail: { carried: [{ bucket: 'all', before: '8', quantity: '8', amount: '-9' }] },
    });
    expect(await box.audit()).toBe(0);

    // Two more of the first version: it fills the first tier, and all of the second version is beyond it.
    await box.send(apiCalls('2026-01-06T12:00:00Z', 2));
    await box.moveTo('2026-03-01T00:00:00Z');
    expect(await box.lines(2)).toEqual([
      ['usage:calls', '2', 1],
      ['carry:calls', '-3', 1],
    ]);

    // Without the first eight, the second version's are the 3rd to 10th.
    await box.send(takeBack(calls[0] ?? {}, '2026-03-01T00:00:00Z'));
    await box.moveTo('2026-04-01T00:00:00Z');
    expect(await box.lines(3)).toEqual([
      ['usage:calls', '-8', 1],
      ['carry:calls', '12', 1],
    ]);
    expect(await box.totals()).toEqual({ 1: '15', 2: '-1', 3: '4', 4: null });
    expect(await box.audit()).toBe(0);
  });

  test('what was carried counts toward a minimum', async () => {
    const { box } = await twoVersions('carry', graduated('2', { minimum: '31' }));
    await box.moveTo('2026-02-01T00:00:00Z');
    // 20 of the month's 31 days: 20 are owed at least, and seven were charged.
    expect(await box.lines(1)).toEqual([
      ['usage:calls', '8', null],
      ['usage:calls', '16', null],
      ['carry:calls', '-9', null],
      ['close:calls', '13', null],
    ]);
    expect(await box.audit()).toBe(0);
  });

  test('goes by the plan of the instant at which it takes effect, whatever the plan before said', async () => {
    const box = await openSandbox(app, '2026-01-01T00:00:00Z');
    await box.card(graduated('1'));
    for (const changes of ['at_once', 'carry']) {
      await box.plan(changes, { rate_card: 'usage', card_changes: changes });
    }
    await box.subscribe({ key: 's', customer: 'acme', plan: 'at_once' });
    for (const [day, plan, first] of [
      ['05', 'carry', '2'],
      ['10', 'at_once', '3'],
      ['15', 'carry', '4'],
    ] as const) {
      await box.moveTo(`2026-01-${day}T00:00:00Z`);
      await box.call('POST', '/v1/subscriptions/s/change', { plan });
      await box.card(graduated(first));
    }
    await box.moveTo('2026-01-20T00:00:00Z');
    await box.send(...['04', '09', '14', '19'].map((day) => apiCalls(`2026-01-${day}T12:00:00Z`, 8)));
    await box.moveTo('2026-02-01T00:00:00Z');
    // The second goes on where the first stopped, the third begins anew, the fourth goes on where the third stopped.
    expect(await box.lines(1)).toEqual([
      ['usage:calls', '8', null],
      ['usage:calls', '16', null],
      ['carry:calls', '-9', null],
      ['usage:calls', '24', null],
      ['usage:calls', '32', null],
      ['carry:calls', '-21', null],
    ]);
    expect(await box.audit()).toBe(0);
  });

  test('does not carry what is no sum, and begins anew with the next period', async () => {
    const box = await openSandbox(app, '2026-01-01T00:00:00Z');
    await box.call('PUT', '/v1/meters/peak', { event_types: ['api.call'], aggregation: 'max', value: 'data.count' });
    const publish = (first: string) =>
      box.call('PUT', '/v1/rate_cards/usage', {
        currency: 'USD',
        prices: [
          { key: 'peak', meter: 'peak', charge_model: graduated(first) },
          { key: 'calls', meter: 'api_calls', charge_model: graduated(first) },
        ],
      });
    await publish('1');
    await box.plan('pro', { rate_card: 'usage', card_changes: 'carry' });
    await box.subscribe({ key: 's', customer: 'acme', plan: 'pro' });
    await box.moveTo('2026-01-12T00:00:00Z');
    await publish('2');
    await box.moveTo('2026-01-20T00:00:00Z');
    await box.send(apiCalls('2026-01-05T12:00:00Z', 12), apiCalls('2026-01-15T12:00:00Z', 8));
    await box.moveTo('2026-02-10T00:00:00Z');
    await box.send(apiCalls('2026-02-05T12:00:00Z', 8));
    await box.moveTo('2026-03-01T00:00:00Z');
    expect(await box.lines(1)).toEqual([
      ['usage:peak', '11', null],
      ['usage:calls', '11', null],
      ['usage:peak', '16', null],
      ['usage:calls', '16', null],
      ['carry:calls', '-12', null],
    ]);
    expect(await box.lines(2)).toEqual([
      ['usage:peak', '16', null],
      ['usage:calls', '16', null],
    ]);
    expect(await box.audit()).toBe(0);
  });
});
