import { decimal, toText, ZERO } from '@ergon/exact';
import { describe, expect, it } from 'vitest';
import { compileRateCard } from './compile-rate-card.ts';
import type { CompiledPrice, Dimensions, SpecError } from './contract.ts';
import { FIRST_EVENT } from './event-rate.ts';

const per = (unit: string, rest: object = {}): object => ({ type: 'per_unit', unit_amount: unit, ...rest });

function price(chargeModel: object): CompiledPrice {
  const card = compileRateCard({ currency: 'USD', prices: [{ meter: 'm', charge_model: chargeModel }] });
  const found = card.ok ? card.value.priceFor('m', {}) : undefined;
  if (found === undefined) throw new Error(JSON.stringify(card));
  return found;
}

function faults(chargeModel: object): readonly SpecError[] {
  const card = compileRateCard({ currency: 'USD', prices: [{ meter: 'm', charge_model: chargeModel }] });
  return card.ok ? [] : card.errors;
}

function rated(priced: CompiledPrice, dimensions: Dimensions, quantity = 1): string | undefined {
  const bucket = priced.bucket(dimensions);
  return bucket && `${bucket.key} ${toText(bucket.rate.total(decimal(quantity)))}`;
}

describe('long context', () => {
  const priced = price({
    type: 'by_prompt_size',
    bands: [
      { up_to: '200000', charge_model: per('0.00000125') },
      { up_to: null, charge_model: per('0.0000025') },
    ],
  });
  it.each([
    ['0', 'up_to=200000 1.25'],
    ['200000', 'up_to=200000 1.25'],
    ['200001', 'longer 2.5'],
    ['1000000', 'longer 2.5'],
    ['many', undefined],
    [undefined, undefined],
  ])('a prompt of %s tokens: %s for the whole request', (tokens, expected) => {
    expect(rated(priced, { prompt_tokens: tokens }, 1_000_000)).toBe(expected);
  });

  it('belongs into a matrix by model', () => {
    const byModel = price({
      type: 'matrix',
      dimensions: ['model'],
      cells: [
        {
          match: { model: 'gemini*' },
          charge_model: {
            type: 'by_prompt_size',
            bands: [
              { up_to: 10, charge_model: per('1') },
              { up_to: null, charge_model: per('2', { window: 'day' }) },
            ],
          },
        },
      ],
      default: { unit_amount: '3' },
    });
    const at = (prompt_tokens: string): Dimensions => ({
      model: 'gemini-2.5-pro',
      prompt_tokens,
      local_time: '2026-11-21T10:00',
    });
    expect(rated(byModel, at('10'))).toBe('model=gemini*/up_to=10 1');
    expect(rated(byModel, at('11'))).toBe('model=gemini*/longer/day:2026-11-21 2');
    expect(rated(byModel, { model: 'other' })).toBe('default 3');
    for (const dimensions of [at('10'), at('11'), { model: 'other' }]) {
      const key = byModel.bucket(dimensions)?.key ?? '';
      expect(toText(byModel.close({ usage: [{ key, charged: ZERO }] }).amount)).toBe('0');
    }
  });
});

describe('time of day', () => {
  const bands = [
    { from: '09:00', to: '17:00', charge_model: per('3') },
    { from: '22:00', to: '06:00', charge_model: per('1') },
  ];
  const priced = price({ type: 'time_of_day', bands, default: per('2') });
  it.each([
    ['2026-11-21T08:59', 'default 2'],
    ['2026-11-21T09:00', 'from=09:00 3'],
    ['2026-11-21T16:59:59.999', 'from=09:00 3'],
    ['2026-11-21T17:00+02:00', 'default 2'],
    ['2026-11-21T22:00Z', 'from=22:00 1'],
    ['2026-11-21T00:00', 'from=22:00 1'],
    ['2026-11-21T05:59', 'from=22:00 1'],
    ['2026-11-21T06:00', 'default 2'],
    ['22:00', undefined],
    [undefined, undefined],
  ])('at %s: %s', (local_time, expected) => {
    expect(rated(priced, { local_time })).toBe(expected);
  });

  it('leaves times outside every band without a price when there is no default', () => {
    expect(rated(price({ type: 'time_of_day', bands }), { local_time: '2026-11-21T07:00' })).toBeUndefined();
  });

  it('a band from a minute to itself is the whole day, and bands must not overlap', () => {
    const day = { from: '09:00', to: '09:00', charge_model: per('1') };
    expect(rated(price({ type: 'time_of_day', bands: [day] }), { local_time: '2026-11-21T08:59' })).toBe(
      'from=09:00 1',
    );
    expect(faults({ type: 'time_of_day', bands: [day, ...bands] }).map((error) => error.pointer)).toContain(
      '/prices/0/charge_model/bands/1',
    );
  });
});

describe('windows', () => {
  it('each hour or day has a running total of its own', () => {
    const tiers = [
      { up_to: 10, unit_amount: '2' },
      { up_to: null, unit_amount: '1' },
    ];
    const hourly = price({ type: 'graduated', tiers, window: 'hour' });
    const daily = price({ type: 'graduated', tiers, window: 'day' });
    expect(hourly.bucket({ local_time: '2026-10-25T03:15' })?.key).toBe('hour:2026-10-25T03');
    expect(daily.bucket({ local_time: '2026-10-25T03:15+02:00' })?.key).toBe('day:2026-10-25');
    expect(hourly.bucket({}), 'no local time').toBeUndefined();
  });

  it('keeps apart the hour that a clock change repeats', () => {
    const hourly = price(per('1', { window: 'hour' }));
    const keys = ['2026-10-25T03:15+03:00', '2026-10-25T03:15+02:00'].map(
      (local_time) => hourly.bucket({ local_time })?.key,
    );
    expect(keys).toEqual(['hour:2026-10-25T03+03:00', 'hour:2026-10-25T03+02:00']);
    expect(hourly.close({ usage: keys.map((key) => ({ key: key ?? '', charged: ZERO })) }).lines).toEqual([]);
  });

  it('a window without usage owes its commitment too, each in the band it lies in', () => {
    const priced = price({
      type: 'time_of_day',
      bands: [{ from: '00:00', to: '02:00', charge_model: per('1', { window: 'hour', commitment: { amount: '10' } }) }],
      default: per('1', { window: 'hour', commitment: { amount: '3' } }),
    });
    const usage = [{ key: 'from=00:00/hour:2026-11-21T01', charged: decimal(4) }];
    const hours = (served: bigint) =>
      ['00', '01', '02', '03'].map((hour) => ({ at: `2026-11-21T${hour}:00`, served, length: 60n }));
    expect(toText(priced.close({ usage }).amount)).toBe('6');
    expect(toText(priced.close({ usage, hours: hours(60n) }).amount)).toBe('22');
    // What was served of each window counts, and not the period's share once more.
    expect(toText(priced.close({ usage, hours: hours(60n), share: { part: 1n, whole: 2n } }).amount)).toBe('22');
    expect(toText(priced.close({ usage, hours: hours(30n) }).amount)).toBe('9');
    expect(toText(priced.close({ usage, hours: [] }).amount), 'a window in which the price was not in force').toBe('0');
  });

  it('a day owes by the hours that were served of it; a band of it by its own', () => {
    const daily = (from: string) =>
      price({
        type: 'time_of_day',
        bands: [{ from, to: '02:00', charge_model: per('1', { window: 'day', commitment: { amount: '12' } }) }],
        default: per('1', { window: 'day' }),
      });
    const hours = Array.from({ length: 24 }, (_, hour) => ({
      at: `2026-11-21T${String(hour).padStart(2, '0')}:00`,
      served: hour >= 1 && hour < 12 ? 60n : 0n,
      length: 60n,
    }));
    expect(toText(daily('00:00').close({ usage: [], hours }).amount)).toBe('6');
    expect(toText(daily('00:30').close({ usage: [], hours }).amount), 'an hour of an hour and a half').toBe('8');
    const whole = price(per('1', { window: 'day', commitment: { amount: '24' } }));
    expect(toText(whole.close({ usage: [], hours }).amount)).toBe('11');
    const usage = [{ key: 'day:2026-11-21', charged: decimal(4) }];
    expect(toText(whole.close({ usage, hours }).amount)).toBe('7');
  });
});

describe('closing a period', () => {
  const fee = { up_to: null, unit_amount: '1', flat_amount: '5' };
  it.each<[string, object, string, string[]]>([
    ['nothing owed', per('1'), '7', []],
    ['flat', { type: 'flat', amount: '20' }, '0', ['fixed amount 20']],
    ['flat fee at zero', { type: 'volume', tiers: [fee], flat_fee_at_zero: true }, '7', ['fixed amount 5']],
    [
      'a fee that counts toward the minimum',
      { type: 'volume', tiers: [fee], flat_fee_at_zero: true, minimum: '15' },
      '7',
      ['fixed amount 5', 'minimum 3'],
    ],
    ['commitment', per('1', { commitment: { amount: '10' } }), '7', ['commitment true-up 3']],
    [
      'commitment by quantity',
      per('2', { discount_rate: '0.5', commitment: { quantity: '9' } }),
      '7',
      ['commitment true-up 2'],
    ],
    [
      'a fee that counts toward the commitment',
      { type: 'volume', tiers: [fee], flat_fee_at_zero: true, commitment: { amount: '15' } },
      '7',
      ['fixed amount 5', 'commitment true-up 3'],
    ],
    ['commitment without true-up', per('1', { commitment: { amount: '10', true_up: false } }), '7', []],
    [
      'commitment, then minimum',
      per('1', { commitment: { amount: '10' }, minimum: '12' }),
      '7',
      ['commitment true-up 3', 'minimum 2'],
    ],
    ['minimum that was reached', per('1', { minimum: '7' }), '7', []],
    [
      'minimum of a percentage by event',
      { type: 'percentage', rate: '0.1', fixed_amount: '1', minimum: '9' },
      '7',
      ['minimum 2'],
    ],
  ])('%s', (_name, chargeModel, charged, expected) => {
    const closing = price(chargeModel).close({ usage: [{ key: 'all', charged: decimal(charged) }] });
    expect(closing.lines.map((line) => `${line.description} ${toText(line.amount)}`)).toEqual(expected);
  });

  it('a matrix has a minimum over all its cells, besides those of the cells', () => {
    const cells = [
      { match: { a: 'x' }, charge_model: per('1', { minimum: '4' }) },
      { match: { a: 'y' }, unit_amount: '1' },
    ];
    const priced = price({ type: 'matrix', dimensions: ['a'], cells, minimum: '10' });
    const closing = priced.close({ usage: [{ key: 'a=y', charged: decimal(5) }] });
    expect(closing.lines.map((line) => toText(line.amount))).toEqual(['4', '1']);
  });

  it('refuses a key that is none of its buckets', () => {
    const matrix = price({ type: 'matrix', dimensions: ['a'], cells: [{ match: { a: 'x' }, unit_amount: '1' }] });
    for (const key of ['all', 'a=z', 'a=x/all/all', '']) {
      expect(() => matrix.close({ usage: [{ key, charged: ZERO }] })).toThrow(RangeError);
    }
    const hourly = price(per('1', { window: 'hour' }));
    for (const key of ['all', 'day:2026-11-21', 'hour:x']) {
      expect(() => hourly.close({ usage: [{ key, charged: ZERO }] })).toThrow(RangeError);
    }
  });
});

describe('identity', () => {
  const windowed = {
    type: 'time_of_day',
    bands: [{ from: '00:00', to: '00:00', charge_model: per('1', { window: 'hour' }) }],
  };
  const cells = [{ match: { model: 'a*' }, charge_model: windowed }];
  it.each<[string, object]>([
    ['per unit', per('1')],
    ['windows', per('1', { window: 'hour' })],
    ['a band', { type: 'by_prompt_size', bands: [{ up_to: null, charge_model: per('1') }] }],
    ['a cell', { type: 'matrix', dimensions: ['model'], cells: [{ match: { model: 'a*' }, unit_amount: '1' }] }],
    ['a default cell', { type: 'matrix', dimensions: ['model'], cells: [], default: { unit_amount: '1' } }],
    ['a window of a band of a cell', { type: 'matrix', dimensions: ['model'], cells }],
  ])('of %s: the same key is the same object', (_name, chargeModel) => {
    const priced = price(chargeModel);
    const at = (minute: string): Dimensions => ({
      model: `a${minute}`,
      prompt_tokens: minute,
      local_time: `2026-11-21T10:${minute}`,
    });
    const bucket = priced.bucket(at('10'));
    expect(bucket).toBeDefined();
    expect(priced.bucket(at('10'))).toBe(bucket);
    expect(priced.bucket(at('20'))).toBe(bucket);
  });

  it('stays while hostile windows pass by', () => {
    const priced = price(windowed);
    const bucket = priced.bucket({ local_time: '2026-11-21T10:00' });
    for (let hour = 0; hour < 25_000; hour++) {
      const year = 1000 + Math.floor(hour / 24);
      expect(priced.bucket({ local_time: `${year}-01-01T${String(hour % 24).padStart(2, '0')}:00` })).not.toBe(bucket);
    }
    expect(priced.bucket({ local_time: '2026-11-21T10:59' })).toBe(bucket);
  });
});

describe('timing', () => {
  it.each<[string, object, string]>([
    ['flat', { type: 'flat', amount: '1', pay: 'in_advance' }, 'at_close in_advance'],
    ['per unit', per('1'), 'cumulative in_arrears'],
    ['percentage', { type: 'percentage', rate: '0.1' }, 'cumulative in_arrears'],
    ['percentage with a fixed amount', { type: 'percentage', rate: '0.1', fixed_amount: '1' }, 'per_event in_arrears'],
    ['cost plus', { type: 'cost_plus', markup: '0.2' }, 'cumulative in_arrears'],
    ['cost plus an amount', { type: 'cost_plus', markup_amount: '1' }, 'per_event in_arrears'],
  ])('%s', (_name, chargeModel, expected) => {
    const { timing, pay } = price(chargeModel);
    expect(`${timing} ${pay}`).toBe(expected);
  });

  it('a matrix with one cell by event prices all cells by event', () => {
    const cells = [
      { match: { a: 'x' }, charge_model: { type: 'percentage', rate: '0.1', fixed_amount: '1' } },
      {
        match: { a: 'y' },
        charge_model: {
          type: 'volume',
          tiers: [
            { up_to: 3, unit_amount: 2 },
            { up_to: null, unit_amount: 1 },
          ],
        },
      },
    ];
    const priced = price({ type: 'matrix', dimensions: ['a'], cells });
    expect(priced.timing).toBe('per_event');
    const charges = (a: string): string[] => {
      let state = FIRST_EVENT;
      return [3, 1].map((quantity) => {
        const next = priced.bucket({ a })?.perEvent?.next(state, decimal(quantity));
        state = next?.state ?? state;
        return toText(next?.charge.amount ?? ZERO);
      });
    };
    expect(charges('x')).toEqual(['1.3', '1.1']);
    expect(charges('y')).toEqual(['6', '-2']);
  });
});
