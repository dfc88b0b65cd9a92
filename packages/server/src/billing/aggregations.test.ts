import { afterAll, beforeAll, expect, test } from 'vitest';
import { openSandbox, startTestApp, takeBack, type TestApp } from './sandbox.test-support.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.stop());

const PER_UNIT = { type: 'per_unit', unit_amount: '1' };
const DAY_SECONDS = 86_400;
/** Values 3, 9 and 6, on the 11th, 21st and 31st; what is held lasts to the end of January. */
const HELD = (3 * 21 + 9 * 11 + 6) * DAY_SECONDS;

let samples = 0;
function sample(day: number, value: number): object {
  samples += 1;
  const time = `2026-01-${day}T00:00:00Z`;
  return { id: `a-${samples}`, source: 'test', type: 'level', subject: 'acme', time, data: { value } };
}

test.each<[aggregation: string, model: object, lines: [key: string, amount: string][], without: string]>([
  ['count', PER_UNIT, [['usage:calls', '3']], '-1'],
  ['sum', PER_UNIT, [['usage:calls', '18']], '-9'],
  ['max', PER_UNIT, [['usage:calls', '9']], '-3'],
  ['min', PER_UNIT, [['usage:calls', '3']], '0'],
  ['avg', PER_UNIT, [['usage:calls', '6']], '-1.5'],
  ['latest', PER_UNIT, [['usage:calls', '6']], '0'],
  ['unique', PER_UNIT, [['usage:calls', '3']], '-1'],
  ['weighted_sum', PER_UNIT, [['usage:calls', String(HELD)]], String(-9 * 11 * DAY_SECONDS)],
  [
    'sum',
    // Every one of 31 days owes its ten, used or not.
    { ...PER_UNIT, window: 'day', commitment: { amount: '10' } },
    [
      ['usage:calls', '18'],
      ['close:calls', '292'],
    ],
    '-9',
  ],
])(
  '%s with %j comes to %j in a period, and to %s less without its greatest value',
  async (aggregation, model, lines, without) => {
    const box = await openSandbox(app, '2026-01-01T00:00:00Z');
    const value = aggregation === 'count' ? {} : { value: 'data.value' };
    await box.call('PUT', '/v1/meters/level', { event_types: ['level'], aggregation, ...value });
    const prices = [{ key: 'calls', meter: 'level', charge_model: model }];
    await box.call('PUT', '/v1/rate_cards/usage', { currency: 'USD', prices });
    await box.plan('pro', { rate_card: 'usage' });
    await box.subscribe({ key: 's', customer: 'acme', plan: 'pro' });
    await box.moveTo('2026-01-31T01:00:00Z');
    const greatest = sample(21, 9);
    await box.send(sample(11, 3), greatest, sample(31, 6));
    await box.moveTo('2026-02-01T00:00:00Z');
    expect((await box.lines(1)).map(([key, amount]) => [key, amount])).toEqual(lines);
    await box.send(takeBack(greatest, '2026-02-01T00:00:00Z'));
    await box.moveTo('2026-03-01T00:00:00Z');
    const adjusted = (await box.lines(2)).filter(([key, , about]) => key === 'usage:calls' && about === 1);
    expect(adjusted.map(([, amount]) => amount)).toEqual(without === '0' ? [] : [without]);
    expect(await box.audit()).toBe(0);
  },
);
