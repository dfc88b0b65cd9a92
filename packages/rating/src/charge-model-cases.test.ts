/**
 * The numeric cases taken from other projects' test suites. Each row names its case and source; where those projects disagree
 * on flat fees at zero usage, a tier's flat fee needs a quantity above zero unless the price says `flat_fee_at_zero`.
 */
import { add, type Decimal, decimal, multiply, round, sum, toText } from '@ergon/exact';
import { describe, expect, it } from 'vitest';
import { chargeFor } from './charge-for.ts';
import { compileRateCard } from './compile-rate-card.ts';
import type { Charge, CompiledPrice } from './contract.ts';
import { chargeProratedGraduated } from './prorated-graduated.ts';

type Tier = readonly [upTo: number | null, unitAmount: string, flatAmount?: string, blockSize?: string];

const tiers = (...rows: readonly Tier[]): object[] =>
  rows.map(([upTo, unit, flat, block]) => ({
    up_to: upTo,
    unit_amount: unit,
    ...(flat === undefined ? {} : { flat_amount: flat }),
    ...(block === undefined ? {} : { block_size: block }),
  }));

function charge(request: object): Charge {
  const result = chargeFor(request);
  if (!result.ok) throw new Error(JSON.stringify(result.errors));
  expect(toText(sum(result.value.lines.map((line) => line.amount))), 'lines sum to the amount').toBe(
    toText(result.value.amount),
  );
  return result.value;
}

const amountOf = (request: object): string => toText(charge(request).amount);
const rounded = (value: Decimal, places: number): string =>
  toText(round(value, { places, mode: 'half-away-from-zero' }));

const perUnit = (unit: string): object => ({ type: 'per_unit', unit_amount: unit });
const packaged = (size: number, unit: number, free = 0): object => ({
  type: 'package',
  package_size: size,
  package_amount: unit,
  free_units: free,
});
const flexpriceTiers = tiers([10, '50'], [20, '40'], [null, '30']);
const openmeterTiers = tiers([5, '0', '100'], [10, '0', '50'], [15, '10'], [null, '5']);
const openmeterSplitTiers = tiers([5, '0', '100'], [10, '0', '50'], [15, '5'], [null, '1']);
const openmeterVolumeTiers = tiers([5, '0', '100'], [10, '0', '150'], [15, '10'], [null, '5']);
const lagoTiers = tiers([10, '10', '2'], [20, '5', '3'], [null, '5', '3']);
const autumnTiers = tiers([50, '0.0075'], [null, '0.0025']);
const autumnVolumeTiers = tiers([100, '0.10'], [500, '0.05'], [null, '0.02']);
const killBillTiers = tiers([10, '1.5'], [110, '1.0'], [null, '0.5']);
const killBillBlocks = tiers([1000, '1', '0', '100'], [101000, '1', '0', '1000'], [null, '0.5', '0', '1000']);
const percentTiers = [
  { up_to: 10, rate: '0.01', flat_amount: '200' },
  { up_to: 20, rate: '0.02', flat_amount: '300' },
  { up_to: null, rate: '0.03', flat_amount: '400' },
];

type Case = readonly [name: string, model: object, quantity: string, expected: string];

const many = (name: string, model: object, pairs: Readonly<Record<string, string>>): readonly Case[] =>
  Object.entries(pairs).map(([quantity, expected]) => [name, model, quantity, expected]);

describe('A to C: per unit, package, graduated, volume', () => {
  const graduated = (list: object[], rest: object = {}): object => ({ type: 'graduated', tiers: list, ...rest });
  const volume = (list: object[], rest: object = {}): object => ({ type: 'volume', tiers: list, ...rest });
  const atZero = { flat_fee_at_zero: true };
  it.each<Case>([
    ['A1 flexprice price_test', perUnit('100'), '5', '500'],
    ...many('A3 flexprice price_test', packaged(100, 1), {
      '0': '0',
      '2': '1',
      '99': '1',
      '100': '1',
      '101': '2',
      '150': '2',
      '300': '3',
    }),
    ['A5 lago package_spec', packaged(10, 100), '121', '1300'],
    ['A5 lago package_spec, 10 free', packaged(10, 100, 10), '121', '1200'],
    ['A5 lago package_spec, 200 free', packaged(10, 100, 200), '121', '0'],
    ['A7 lago standard_spec', perUnit('5.12345'), '10', '51.2345'],
    ...many('B1 flexprice price_test', graduated(flexpriceTiers), { '5': '250', '15': '700', '25': '1050' }),
    ...many('B3 flexprice price_test', graduated(tiers([5, '0', '1'], [10, '1', '2'], [null, '2'])), {
      '3': '1',
      '7': '5',
      '12': '12',
    }),
    ...many('B5 lago graduated_spec', graduated(lagoTiers, atZero), {
      '0': '2',
      '1': '12',
      '10': '102',
      '11': '110',
      '12': '115',
      '21': '163',
    }),
    ['B5 without flat_fee_at_zero (the decision)', graduated(lagoTiers), '0', '0'],
    ['B5 without flat_fee_at_zero (the decision)', graduated(lagoTiers), '1', '12'],
    ...many('B9 openmeter tieredgraduated', graduated(openmeterTiers, atZero), {
      '0': '100',
      '3': '100',
      '5': '100',
      '5.001': '150',
      '7': '150',
      '12': '170',
      '22': '235',
    }),
    ['B9 without flat_fee_at_zero (the decision)', graduated(openmeterTiers), '0', '0'],
    ['B11 autumn graduated', perUnit('0.000001'), '1000000', '1'],
    ['B11 autumn graduated', graduated(autumnTiers), '75', '0.4375'],
    ...many(
      'B13 lago graduated_percentage',
      { type: 'graduated_percentage', tiers: percentTiers, ...atZero },
      {
        '0': '200',
        '1': '200.01',
        '10': '200.1',
        '11': '500.12',
        '12': '500.14',
      },
    ),
    ['killbill ALL_TIERS 111 = 15 + 100 + 0.5', graduated(killBillTiers), '111', '115.5'],
    ['B15 killbill ALL_TIERS', graduated(tiers([1000, '1', '0', '100'], [null, '1', '0', '1000'])), '5325', '15'],
    ...many('C1 flexprice price_test', volume(flexpriceTiers), { '5': '250', '15': '600', '25': '750' }),
    ['C3 openmeter tieredvolume', volume(openmeterVolumeTiers, { minimum: '150' }), '5', '150'],
    ['openmeter tieredvolume, max spend 125', volume(openmeterVolumeTiers, { maximum: '125' }), '7', '125'],
    ...many('openmeter tieredvolume', volume(openmeterVolumeTiers), {
      '3': '100',
      '14': '140',
      '15': '150',
      '16': '80',
    }),
    ...many('C5 autumn volume', volume(autumnVolumeTiers), {
      '50': '5',
      '100': '10',
      '101': '5.05',
      '250': '12.5',
      '500': '25',
      '1000': '20',
    }),
    ['C7 killbill TOP_TIER', volume(killBillTiers), '111', '55.5'],
    ...many('C7 killbill TOP_TIER', volume(killBillBlocks), {
      '1000': '10',
      '101000': '101',
      '101001': '51',
      '300000': '150',
    }),
  ])('%s: %j at %s costs %s', (_name, model, quantity, expected) => {
    expect(amountOf({ charge_model: model, quantity })).toBe(expected);
  });

  it('A9 openmeter unit_test: 20 more after 7, half price, at most 100', () => {
    const model = { ...perUnit('10'), discount_rate: '0.5', maximum: '100' };
    expect(amountOf({ charge_model: model, quantity: '7' })).toBe('35');
    expect(amountOf({ charge_model: model, quantity: '20', previous_quantity: '7' })).toBe('65');
  });

  it('B7 openmeter tieredgraduated: 10 more after 12 are 15 + 7', () => {
    const rated = charge({ charge_model: graduated(openmeterSplitTiers), quantity: '10', previous_quantity: '12' });
    expect(toText(rated.amount)).toBe('22');
    expect(rated.lines.map((line) => [line.tier, toText(line.amount)])).toEqual([
      [3, '15'],
      [4, '7'],
    ]);
  });

  it('openmeter tieredgraduated: 10 more after 12 with a maximum of 170 are 10', () => {
    const model = graduated(openmeterSplitTiers, { maximum: '170' });
    expect(amountOf({ charge_model: model, quantity: '10', previous_quantity: '12' })).toBe('10');
  });

  it.each([
    ['B17', [5, 5, 10, -6], ['3.5', '2.66667', '2', '-2.2'], '197.33'],
    ['B17', [2, 5, 10, -6], ['1.4', '2.66667', '2', '-2.2'], '184.33'],
    ['B17', [1, 4, 1, -5, -1], ['0.7097', '1.54839', '0.2258', '-0.80645', '-0.0645'], '165.81'],
    ['another range', [5, -2], ['3.5', '-1'], '125'],
    ['overflow', [4, 2, -3], ['2.8', '1', '-0.6'], '180.5'],
    ['both directions', [5, 2, -4, 10], ['3.5', '1', '-1.6', '2'], '190'],
    ['below zero', [5, -100], ['2', '-33.33'], '0'],
  ])('%s lago prorated_graduated: %j', (_name, quantities, prorated, expected) => {
    const changes = quantities.map((quantity, index) => ({
      quantity: decimal(quantity),
      prorated: decimal(prorated[index] ?? ''),
    }));
    const result = chargeProratedGraduated(graduated(tiers([5, '10', '100'], [null, '5', '50'])), changes);
    expect(result.ok && rounded(result.value, 2)).toBe(expected);
  });

  it('lago prorated_graduated with three ranges', () => {
    const quantities = [2, 5, 10, -6, 4, 60];
    const prorated = ['1.4', '2.5', '2', '-2.2', '0.667', '2'];
    const changes = quantities.map((quantity, index) => ({
      quantity: decimal(quantity),
      prorated: decimal(prorated[index] ?? ''),
    }));
    const list = tiers([5, '10', '100'], [15, '5', '50'], [null, '2']);
    const result = chargeProratedGraduated(graduated(list), changes);
    expect(result.ok && toText(result.value)).toBe('191.335');
  });
});

describe('D: percentage, dynamic', () => {
  it('D1 lago percentage: three free events and 250 free units, whichever ends first', () => {
    const model = { type: 'percentage', rate: '0.013', fixed_amount: '2', free_events: 3, free_units: '250' };
    expect(amountOf({ charge_model: model, transactions: [50, 100, 250, 400] })).toBe('11.15');
  });

  it('D3 lago percentage: transaction minimum and maximum', () => {
    const model = { type: 'percentage', rate: '0.0299', transaction_minimum: '1.75', transaction_maximum: '12' };
    expect(amountOf({ charge_model: model, transactions: [10, 80, 10000] })).toBe('16.142');
  });

  it('D5 openmeter dynamic', () => {
    const model = { type: 'dynamic', multiplier: '1.33333' };
    expect(rounded(charge({ charge_model: model, quantity: '10' }).amount, 2)).toBe('13.33');
    const capped = { ...model, maximum: '100' };
    const before = charge({ charge_model: capped, quantity: '70' }).amount;
    expect(rounded(before, 2)).toBe('93.33');
    const rest = charge({ charge_model: capped, quantity: '50', previous_quantity: '70' }).amount;
    expect(rounded(rest, 2)).toBe('6.67');
    expect(toText(add(before, rest))).toBe('100');
  });

  it('D7 lago dynamic: the amount of the event itself', () => {
    expect(amountOf({ charge_model: { type: 'dynamic' }, quantity: '0.402' })).toBe('0.402');
  });
});

function price(chargeModel: object): CompiledPrice {
  const card = compileRateCard({ currency: 'USD', prices: [{ meter: 'm', charge_model: chargeModel }] });
  const found = card.ok ? card.value.priceFor('m', {}) : undefined;
  if (found === undefined) throw new Error(JSON.stringify(card));
  return found;
}

/** Usage by local time, rated and closed: what was charged at once, and what fell due at the close. */
function period(priced: CompiledPrice, usage: readonly (readonly [localTime: string, quantity: number])[]): string[] {
  const charged = usage.map(([localTime, quantity]) => {
    const bucket = priced.bucket({ local_time: localTime });
    if (bucket === undefined) throw new Error(`no bucket at ${localTime}`);
    return { key: bucket.key, charged: bucket.rate.marginal(decimal(0), decimal(quantity)) };
  });
  const closing = priced.close({ usage: charged });
  const running = sum(charged.map((entry) => entry.charged));
  return [toText(running), toText(closing.amount), toText(add(running, closing.amount))];
}

describe('D and E: windows, commitments, minimums', () => {
  it('D9 flexprice bucketed package: started packages count in each window', () => {
    const priced = price({ ...packaged(100, 5), window: 'hour' });
    const hours = [50, 150, 200, 99].map((quantity, hour) => [`2026-11-21T0${hour}:30`, quantity] as const);
    expect(period(priced, hours)).toEqual(['30', '0', '30']);
  });

  it('E1 flexprice commitment: windows of 2 and 8', () => {
    const commitment = { amount: '10', overage_factor: '2', true_up: true };
    const priced = price({ ...perUnit('2'), window: 'hour', commitment });
    expect(
      period(priced, [
        ['2026-11-21T00:00', 2],
        ['2026-11-21T01:00', 8],
      ]),
    ).toEqual(['26', '6', '32']);
  });

  it('E3 flexprice commitment: other terms by day than by night', () => {
    const byDay = { amount: '5', overage_factor: '2', true_up: false };
    const priced = price({
      type: 'time_of_day',
      bands: [{ from: '09:00', to: '17:00', charge_model: { ...perUnit('2'), window: 'hour', commitment: byDay } }],
      default: { ...perUnit('1'), window: 'hour', commitment: { amount: '10', true_up: true } },
    });
    expect(
      period(priced, [
        ['2026-11-21T09:00', 10],
        ['2026-11-21T10:00', 1],
        ['2026-11-21T20:00', 3],
      ]),
    ).toEqual(['40', '7', '47']);
  });

  it('E5 flexprice commitment: beyond the commitment at a factor of one', () => {
    const commitment = { amount: '50', overage_factor: '1' };
    const priced = price({
      type: 'time_of_day',
      bands: [{ from: '09:00', to: '17:00', charge_model: { ...perUnit('5'), window: 'hour', commitment } }],
      default: perUnit('1'),
    });
    expect(
      period(priced, [
        ['2026-11-21T09:00', 60],
        ['2026-11-21T10:00', 40],
        ['2026-11-21T20:00', 30],
      ]),
    ).toEqual(['530', '0', '530']);
  });

  it('E7 lago spending minimum: 1000 for 25 of 28 days with a usage of 800, tax 20 %', () => {
    const closing = price({ ...perUnit('1'), minimum: '1000' }).close({
      usage: [{ key: 'all', charged: decimal('800') }],
      share: { part: 25n, whole: 28n },
    });
    const invoiced = round(add(decimal('800'), closing.amount), { places: 0, mode: 'half-away-from-zero' });
    expect([rounded(closing.amount, 0), toText(invoiced)]).toEqual(['93', '893']);
    expect(rounded(multiply(invoiced, decimal('1.2')), 0)).toBe('1072');
  });

  it('E9 lago min commitment: a quarter of 91,000 c that ended after 32 of 91 days', () => {
    const closing = price({ ...perUnit('1'), minimum: '91000' }).close({
      usage: [],
      share: { part: 32n, whole: 91n },
    });
    expect(toText(closing.amount)).toBe('32000');
  });
});
