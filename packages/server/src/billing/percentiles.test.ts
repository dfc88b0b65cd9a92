import { compare, decimal, toText } from '@ergon/exact';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { percentileOf } from './percentile-value.ts';
import { openSandbox, type Sandbox, startTestApp, takeBack, type TestApp } from './sandbox.test-support.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.stop());

describe('a percentile', () => {
  test.each([
    ['0.5', ['1'], '1'],
    ['0.95', ['3', '1', '2'], '3'],
    ['0.5', ['4', '1', '3', '2'], '2'],
    ['0.25', ['4', '1', '3', '2'], '1'],
    ['0.26', ['4', '1', '3', '2'], '2'],
    ['1', ['10', '9', '100'], '100'],
    ['0.9', ['0.1', '0.30', '0.2', '-5', '7', '8', '9', '6', '5', '4'], '8'],
  ])('%s of %j is %s', (percentile, values, expected) => {
    expect(
      toText(
        percentileOf(
          values.map((value) => decimal(value)),
          percentile,
        ),
      ),
    ).toBe(expected);
  });

  test('is a value that so large a part does not exceed, and the least such', () => {
    const whole = fc.integer({ min: -50, max: 50 });
    fc.assert(
      fc.property(fc.array(whole, { minLength: 1, maxLength: 60 }), fc.integer({ min: 1, max: 100 }), (all, share) => {
        const found = percentileOf(
          all.map((value) => decimal(value)),
          (share / 100).toFixed(2),
        );
        const upTo = all.filter((value) => compare(decimal(value), found) <= 0).length;
        const below = all.filter((value) => compare(decimal(value), found) < 0).length;
        expect(upTo * 100).toBeGreaterThanOrEqual(share * all.length);
        expect(below * 100).toBeLessThan(share * all.length);
      }),
    );
  });
});

let samples = 0;
function sample(at: string, rate: string, more: object = {}): object {
  samples += 1;
  return {
    ...{ id: `sample-${samples}`, source: 'test', type: 'bandwidth', subject: 'acme', time: at },
    data: { rate, ...more },
  };
}

async function opened(model: object, more: object = {}): Promise<Sandbox> {
  const box = await openSandbox(app, '2026-01-01T00:00:00Z');
  await box.call('PUT', '/v1/meters/peak_rate', {
    event_types: ['bandwidth'],
    aggregation: 'percentile',
    percentile: '0.95',
    value: 'data.rate',
    group_by: ['data.pop'],
  });
  const prices = [{ key: 'peak', meter: 'peak_rate', charge_model: model, ...more }];
  await box.call('PUT', '/v1/rate_cards/usage', { currency: 'USD', prices });
  await box.plan('pro', { rate_card: 'usage' });
  await box.subscribe({ key: 's', customer: 'acme', plan: 'pro' });
  return box;
}

describe('a percentile meter', () => {
  test('is charged when the period closes, from its events; what comes late or is voided adjusts it', async () => {
    const box = await opened({ type: 'per_unit', unit_amount: '2' });
    await box.moveTo('2026-01-20T00:00:00Z');
    // 1 to 40: nineteen twentieths of forty are 38.
    const all = Array.from({ length: 40 }, (_, index) =>
      sample('2026-01-10T00:00:00Z', String(((index * 7) % 40) + 1)),
    );
    await box.send(...all);
    const before = await box.call(
      'GET',
      '/v1/usage?meter=charge&customer=acme&from=2026-01-10T00:00:00Z&to=2026-01-11T00:00:00Z',
    );
    expect(before.rows.map((row: { value: string }) => row.value)).toEqual(['0']);
    await box.moveTo('2026-02-01T00:00:00Z');
    expect(await box.lines(1)).toEqual([
      ['usage:peak', '0', null],
      ['percentile:peak', '76', null],
    ]);
    const { data } = await box.call('GET', '/v1/subscriptions/s/periods/1/lines');
    expect(data[1].detail.percentiles).toEqual([{ bucket: 'all', value: '38', values: 40, amount: '76' }]);
    expect(await box.audit()).toBe(0);

    // Five late ones beyond all: of 45 values the 43rd is the third of them.
    await box.send(...['100', '200', '300', '400', '500'].map((rate) => sample('2026-01-31T12:00:00Z', rate)));
    await box.moveTo('2026-03-01T00:00:00Z');
    expect(await box.lines(2)).toEqual([
      ['usage:peak', '0', 1],
      ['percentile:peak', '524', 1],
    ]);
    expect(await box.audit()).toBe(0);

    // Without forty of them: five are left, and the greatest is the percentile.
    await box.send(...all.map((one) => takeBack(one, '2026-03-01T00:00:00Z')));
    await box.moveTo('2026-04-01T00:00:00Z');
    expect(await box.lines(3)).toEqual([
      ['usage:peak', '0', 1],
      ['percentile:peak', '400', 1],
    ]);
    expect(await box.totals()).toEqual({ 1: '76', 2: '524', 3: '400', 4: null });
    expect(await box.audit()).toBe(0);
  });

  test('is one for each bucket, goes through tiers, and counts toward a minimum', async () => {
    const tiers = [
      { up_to: '10', unit_amount: '1' },
      { up_to: null, unit_amount: '0.5' },
    ];
    const box = await opened({
      type: 'matrix',
      dimensions: ['pop'],
      cells: [{ match: { pop: 'ams' }, charge_model: { type: 'graduated', tiers } }],
      default: { unit_amount: '3' },
      minimum: '40',
    });
    await box.moveTo('2026-01-20T00:00:00Z');
    await box.send(
      ...['1', '30', '20'].map((rate) => sample('2026-01-10T00:00:00Z', rate, { pop: 'ams' })),
      ...['2', '4'].map((rate) => sample('2026-01-10T00:00:00Z', rate, { pop: 'fra' })),
    );
    await box.moveTo('2026-02-01T00:00:00Z');
    // 10 and 20 halves; 4 at 3; and what is missing to 40.
    expect(await box.lines(1)).toEqual([
      ['usage:peak', '0', null],
      ['percentile:peak', '32', null],
      ['close:peak', '8', null],
    ]);
    expect(await box.audit()).toBe(0);
  });

  test('charges nothing for each event, whatever the model, and nothing for events that are absorbed', async () => {
    const fee = { type: 'percentage', rate: '0.1', fixed_amount: '5' };
    const box = await opened(fee, { failed_calls: 'absorb' });
    await box.moveTo('2026-01-20T00:00:00Z');
    await box.send(
      sample('2026-01-10T00:00:00Z', '10'),
      sample('2026-01-10T00:00:00Z', '20'),
      sample('2026-01-10T00:00:00Z', '9000', { status: 'error', final: true }),
    );
    await box.moveTo('2026-02-01T00:00:00Z');
    // A tenth of 20, and the fee once.
    expect(await box.lines(1)).toEqual([
      ['usage:peak', '0', null],
      ['percentile:peak', '7', null],
    ]);
    expect(await box.audit()).toBe(0);
  });

  test.each<[spec: object, pointer: string]>([
    [{ aggregation: 'percentile', value: 'data.rate' }, '/percentile'],
    [{ aggregation: 'sum', value: 'data.rate', percentile: '0.5' }, '/percentile'],
    [{ aggregation: 'percentile', value: 'data.rate', percentile: '0.0' }, '/percentile'],
    [{ aggregation: 'percentile', value: 'data.rate', percentile: '95' }, '/percentile'],
    [{ aggregation: 'percentile', percentile: '0.5' }, '/value'],
  ])('%j is refused at %s', async (spec, pointer) => {
    const answer = await app.call('PUT', '/v1/meters/odd', { body: { event_types: ['x'], ...spec } });
    expect([answer.status, answer.body.errors[0].pointer]).toEqual([400, pointer]);
  });

  test('has no usage to read before', async () => {
    const box = await opened({ type: 'per_unit', unit_amount: '2' });
    const answer = await app.call('GET', '/v1/usage?meter=peak_rate', { key: box.key });
    expect([answer.status, answer.body.errors[0].parameter]).toEqual([400, 'meter']);
  });
});
