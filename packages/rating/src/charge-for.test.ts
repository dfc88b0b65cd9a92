import { toText } from '@ergon/exact';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { chargeFor, chargeRequestSchema } from './charge-for.ts';

const per = (unit: string | number, rest: object = {}): object => ({ type: 'per_unit', unit_amount: unit, ...rest });

function lines(request: object): string[] {
  const result = chargeFor(request);
  if (!result.ok) throw new Error(JSON.stringify(result.errors));
  return [
    toText(result.value.amount),
    ...result.value.lines.map((line) =>
      [
        line.tier,
        line.description,
        toText(line.quantity),
        line.unitAmount && `@${toText(line.unitAmount)}`,
        line.flatAmount && `+${toText(line.flatAmount)}`,
        `=${toText(line.amount)}`,
      ]
        .filter((part) => part !== undefined)
        .join(' '),
    ),
  ];
}

const tiers = [
  { up_to: '10', unit_amount: '50', flat_amount: '0' },
  { up_to: '20', unit_amount: '40', flat_amount: '7' },
  { up_to: null, unit_amount: '30' },
];

describe('explanations', () => {
  it.each<[string, object, string[]]>([
    [
      'the example of DESIGN section 8',
      { charge_model: { type: 'graduated', tiers }, quantity: '15', previous_quantity: '0', currency: 'USD' },
      ['707', '1 10 @50 =500', '2 5 @40 +7 =207'],
    ],
    [
      'a void takes back from the tiers it leaves',
      { charge_model: { type: 'graduated', tiers }, quantity: '-6', previous_quantity: '15' },
      ['-257', '1 -1 @50 =-50', '2 -5 @40 +-7 =-207'],
    ],
    [
      'volume, within a tier',
      { charge_model: { type: 'volume', tiers }, quantity: '2', previous_quantity: '15' },
      ['80', '2 2 @40 =80'],
    ],
    [
      'volume, into a cheaper tier',
      { charge_model: { type: 'volume', tiers }, quantity: '1', previous_quantity: '20' },
      ['-177', '3 21 @30 =630', '2 rated before at another tier -20 @40 +-7 =-807'],
    ],
    [
      'packages',
      { charge_model: { type: 'package', package_size: 10, package_amount: 3 }, quantity: 5, previous_quantity: 8 },
      ['3', 'packages 1 @3 =3'],
    ],
    [
      'rounded down packages',
      { charge_model: { type: 'package', package_size: 10, package_amount: 3, rounding: 'down' }, quantity: 19 },
      ['3', 'packages 1 @3 =3'],
    ],
    [
      'blocks of a tier',
      { charge_model: { type: 'volume', tiers: [{ up_to: null, unit_amount: 2, block_size: 100 }] }, quantity: 101 },
      ['4', '1 2 @2 =4'],
    ],
    [
      'multiplier, allowance, transform, discount, overage, maximum, in this order',
      {
        charge_model: per('10', {
          multiplier: '2',
          included: '5',
          transform: { divide_by: '10', rounding: 'up' },
          discount_rate: '0.1',
          commitment: { amount: '9', overage_factor: '3', true_up: false },
          maximum: '60',
        }),
        quantity: 20,
      },
      [
        '60',
        'multiplied -20 =0',
        'included 5 =0',
        'transformed 31 =0',
        '4 @10 =40',
        'discount 0 =-4',
        'overage beyond the commitment 0 =54',
        'maximum 0 =-30',
      ],
    ],
    [
      'rounding to 12 decimals, half away from zero',
      { charge_model: per('0.0000000000005'), quantity: 1 },
      ['0.000000000001', '1 @0.0000000000005 =0.0000000000005', 'rounding 0 =0.0000000000005'],
    ],
    [
      'a whole period with its minimum',
      { charge_model: per(2, { minimum: 10 }), quantity: 3 },
      ['10', '3 @2 =6', 'minimum 0 =4'],
    ],
    [
      'a marginal without its minimum',
      { charge_model: per(2, { minimum: 10 }), quantity: 3, previous_quantity: 0 },
      ['6', '3 @2 =6'],
    ],
    ['free', { charge_model: { type: 'free' }, quantity: 3 }, ['0']],
    ['a fixed amount', { charge_model: { type: 'flat', amount: '20' }, quantity: 3 }, ['20', 'fixed amount 0 =20']],
    [
      'a cost and its markup',
      { charge_model: { type: 'cost_plus', markup: '0.20', markup_amount: '0.01' }, transactions: ['1.5', '-1.5'] },
      ['0.01', '1.5 @1.2 =1.8', 'fixed amount 1 @0.01 =0.01', '-1.5 @1.2 =-1.8'],
    ],
    [
      'free events without a limit of units',
      { charge_model: { type: 'percentage', rate: '0.1', fixed_amount: 1, free_events: 2 }, transactions: [5, 5, 5] },
      ['1.5', 'free 5 =0', 'free 5 =0', '5 @0.1 =0.5', 'fixed amount 1 @1 =1'],
    ],
    [
      'a transaction minimum is no minimum of a correction',
      { charge_model: { type: 'percentage', rate: '0.1', transaction_minimum: 2 }, transactions: [5, -5] },
      ['1.5', '5 @0.1 =0.5', 'transaction minimum 0 =1.5', '-5 @0.1 =-0.5'],
    ],
    [
      'one event of a model by event',
      { charge_model: { type: 'percentage', rate: '0.1', fixed_amount: 1 }, quantity: 5 },
      ['1.5', '5 @0.1 =0.5', 'fixed amount 1 @1 =1'],
    ],
    ['events of a model by quantity', { charge_model: per(2), transactions: [1, 2] }, ['6', '3 @2 =6']],
    [
      'a matrix by its dimensions',
      {
        charge_model: { type: 'matrix', dimensions: ['model'], cells: [{ match: { model: 'a*' }, unit_amount: 2 }] },
        dimensions: { model: 'abc' },
        quantity: 3,
      },
      ['6', '3 @2 =6'],
    ],
  ])('%s', (_name, request, expected) => {
    expect(lines(request)).toEqual(expected);
  });
});

describe('quantities below zero', () => {
  it.each<[string, object, string]>([
    ['per unit', per(2), '-6'],
    ['graduated, at the first tier', { type: 'graduated', tiers }, '-150'],
    ['volume, at the first tier', { type: 'volume', tiers }, '-150'],
    ['an allowance gives nothing back', per(2, { included: 10 }), '-6'],
    ['started units count toward zero', per(2, { transform: { divide_by: 2, rounding: 'up' } }), '-2'],
    ['whole units count away from it', per(2, { transform: { divide_by: 2, rounding: 'down' } }), '-4'],
    ['half a unit', per(2, { transform: { divide_by: 2, rounding: 'half_up' } }), '-4'],
  ])('%s', (_name, model, expected) => {
    expect(lines({ charge_model: model, quantity: -3 })[0]).toBe(expected);
  });
});

describe('what a preview refuses', () => {
  const event = { type: 'percentage', rate: '0.1', fixed_amount: 1 };
  it.each<[string, unknown, string]>([
    ['nothing', null, ''],
    ['no quantity', { charge_model: per(1) }, '/quantity'],
    ['both', { charge_model: per(1), quantity: 1, transactions: [1] }, '/quantity'],
    ['a past of single events', { charge_model: event, quantity: 1, previous_quantity: 1 }, '/previous_quantity'],
    ['a past of transactions', { charge_model: per(1), transactions: [1], previous_quantity: 1 }, '/previous_quantity'],
    [
      'unpriced dimensions',
      { charge_model: { type: 'by_prompt_size', bands: [{ up_to: null, charge_model: per(1) }] }, quantity: 1 },
      '/dimensions',
    ],
    ['an unknown member', { charge_model: per(1), quantity: 1, amount: 1 }, '/amount'],
    [
      'tiers out of order',
      { charge_model: { type: 'volume', tiers: [{ up_to: 5 }, { up_to: 5 }, { up_to: null }] }, quantity: 1 },
      '/charge_model/tiers/1/up_to',
    ],
    [
      'a closed last tier',
      { charge_model: { type: 'volume', tiers: [{ up_to: 5 }] }, quantity: 1 },
      '/charge_model/tiers/0/up_to',
    ],
    [
      'an open tier before the last',
      { charge_model: { type: 'volume', tiers: [{ up_to: null }, { up_to: null }] }, quantity: 1 },
      '/charge_model/tiers/0/up_to',
    ],
    ['a currency that is none', { charge_model: per(1), quantity: 1, currency: 'XYZ' }, '/currency'],
    ['no tiers', { charge_model: { type: 'volume', tiers: [] }, quantity: 1 }, '/charge_model/tiers'],
    [
      '101 tiers',
      { charge_model: { type: 'volume', tiers: Array.from({ length: 101 }, () => ({ up_to: null })) }, quantity: 1 },
      '/charge_model/tiers',
    ],
    ['a commitment of nothing', { charge_model: per(1, { commitment: {} }), quantity: 1 }, '/charge_model/commitment'],
    [
      'a commitment of both',
      { charge_model: per(1, { commitment: { amount: 1, quantity: 1 } }), quantity: 1 },
      '/charge_model/commitment',
    ],
    [
      'a committed quantity of events',
      { charge_model: { ...event, commitment: { quantity: 1 } }, quantity: 1 },
      '/charge_model/commitment/quantity',
    ],
    [
      'a minimum above the maximum',
      { charge_model: per(1, { minimum: 2, maximum: 1 }), quantity: 1 },
      '/charge_model/minimum',
    ],
    [
      'a commitment above the maximum',
      { charge_model: per(1, { commitment: { amount: 2 }, maximum: 1 }), quantity: 1 },
      '/charge_model/commitment/amount',
    ],
    [
      'a transaction minimum above its maximum',
      { charge_model: { ...event, transaction_minimum: 2, transaction_maximum: 1 }, quantity: 1 },
      '/charge_model/transaction_minimum',
    ],
    [
      'a discount above all',
      { charge_model: per(1, { discount_rate: 1.1 }), quantity: 1 },
      '/charge_model/discount_rate',
    ],
    [
      'a package of nothing',
      { charge_model: { type: 'package', package_size: 0, package_amount: 1 }, quantity: 1 },
      '/charge_model/package_size',
    ],
    ['an endless quantity', { charge_model: per(1), quantity: `1${'0'.repeat(60)}` }, '/quantity'],
    [
      '10,001 transactions',
      { charge_model: per(1), transactions: Array.from({ length: 10_001 }, () => 1) },
      '/transactions',
    ],
  ])('%s', (_name, request, pointer) => {
    const result = chargeFor(request);
    expect(result.ok ? [] : result.errors.map((error) => error.pointer)).toContain(pointer);
  });

  it('a bad band with the place it stands at', () => {
    const bad = { ...event, commitment: { quantity: 1 } };
    const model = {
      type: 'by_prompt_size',
      bands: [
        { up_to: 5, charge_model: bad },
        { up_to: null, charge_model: per(1) },
      ],
    };
    const result = chargeFor({ charge_model: model, quantity: 1 });
    expect(result.ok ? [] : result.errors.map((error) => error.pointer)).toEqual([
      '/charge_model/bands/0/charge_model/commitment/quantity',
    ]);
  });
});

it('can be published as JSON Schema', () => {
  expect(JSON.stringify(z.toJSONSchema(chargeRequestSchema, { io: 'input' }))).toContain('previous_quantity');
});
