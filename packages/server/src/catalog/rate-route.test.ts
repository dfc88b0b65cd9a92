import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestApp, type TestApp } from '../http/test-app.test-support.ts';

let server: TestApp;
beforeAll(async () => {
  server = await startTestApp();
});
afterAll(() => server.stop());

const rate = (body: object) => server.call('POST', '/v1/rate', { body });
const perUnit = (unit_amount: string, more: object = {}) => ({ type: 'per_unit', unit_amount, ...more });
const tiers = [
  { up_to: '10', unit_amount: '50' },
  { up_to: '20', unit_amount: '40' },
  { up_to: null, unit_amount: '30' },
];
const fees = [
  { up_to: '5', flat_amount: '1' },
  { up_to: '10', unit_amount: '1', flat_amount: '2' },
  { up_to: null, unit_amount: '2' },
];
const at = (local_time: string) => ({ dimensions: { local_time } });

/** Sources: reference/charge-model-cases.md by letter and number, else DESIGN section 8 or the arithmetic beside it. */
describe('every charge model through POST /v1/rate', () => {
  test.each<[source: string, model: object, use: object, amount: string]>([
    ['free', { type: 'free' }, { quantity: 1000 }, '0'],
    ['flat, a whole period', { type: 'flat', amount: '20' }, { quantity: '0' }, '20'],
    ['flat in advance', { type: 'flat', amount: '20', pay: 'in_advance' }, { quantity: '7' }, '20'],
    ['A1', perUnit('100'), { quantity: '5' }, '500'],
    ['A7', perUnit('5.12345'), { quantity: '10' }, '51.2345'],
    ['A5 package', { type: 'package', package_size: '10', package_amount: '100' }, { quantity: '121' }, '1300'],
    [
      'A5 package with free units',
      { type: 'package', package_size: '10', package_amount: '100', free_units: '10' },
      { quantity: '121' },
      '1200',
    ],
    [
      'package rounded down: 15 of 10',
      { type: 'package', package_size: '10', package_amount: '100', rounding: 'down' },
      { quantity: '15' },
      '100',
    ],
    ['DESIGN 8 and B1 graduated', { type: 'graduated', tiers }, { quantity: '15', previous_quantity: '0' }, '700'],
    ['B3 graduated with flat amounts', { type: 'graduated', tiers: fees }, { quantity: '12' }, '12'],
    ['graduated after 8: 2 at 50, 3 at 40', { type: 'graduated', tiers }, { quantity: 5, previous_quantity: 8 }, '220'],
    ['a void, back from 15', { type: 'graduated', tiers }, { quantity: '-6', previous_quantity: '15' }, '-250'],
    ['C1 volume', { type: 'volume', tiers }, { quantity: '15' }, '600'],
    ['volume falls: 21 at 30 less 20 at 40', { type: 'volume', tiers }, { quantity: 1, previous_quantity: 20 }, '-170'],
    [
      'B13 graduated percentage',
      {
        type: 'graduated_percentage',
        tiers: [
          { up_to: 10, rate: '0.01', flat_amount: 200 },
          { up_to: 20, rate: '0.02', flat_amount: 300 },
          { up_to: null, rate: '0.03', flat_amount: 400 },
        ],
      },
      { quantity: '11' },
      '500.12',
    ],
    [
      'B15 blocks',
      {
        type: 'graduated',
        tiers: [
          { up_to: 1000, unit_amount: 1, block_size: 100 },
          { up_to: null, unit_amount: 1, block_size: 1000 },
        ],
      },
      { quantity: 5325 },
      '15',
    ],
    [
      'D1 percentage: fixed amount, free events and units',
      { type: 'percentage', rate: '0.013', fixed_amount: '2', free_events: 3, free_units: '250' },
      { transactions: ['50', '100', '250', '400'] },
      '11.15',
    ],
    [
      'D3 least and most of a transaction',
      { type: 'percentage', rate: '0.0299', transaction_minimum: '1.75', transaction_maximum: '12' },
      { transactions: [10, 80, 10000] },
      '16.142',
    ],
    ['percentage of an amount', { type: 'percentage', rate: '0.013' }, { quantity: '800' }, '10.4'],
    ['D7 dynamic', { type: 'dynamic' }, { quantity: '0.402' }, '0.402'],
    ['dynamic with a multiplier', { type: 'dynamic', multiplier: '1.5' }, { transactions: ['10', '20'] }, '45'],
    ['cost plus 20 %', { type: 'cost_plus', markup: '0.20' }, { quantity: '0.5' }, '0.6'],
    [
      'cost plus an amount for each',
      { type: 'cost_plus', markup: '0.20', markup_amount: '0.1' },
      { transactions: ['0.5', '1'] },
      '2',
    ],
    [
      'matrix, most exact',
      {
        type: 'matrix',
        dimensions: ['model', 'token_class'],
        cells: [
          { match: { model: 'gpt-5*', token_class: 'output' }, unit_amount: '0.00001' },
          { match: { model: 'gpt-5-mini', token_class: 'output' }, unit_amount: '0.000002' },
        ],
        default: { unit_amount: '0.5' },
      },
      { quantity: 1000, dimensions: { model: 'gpt-5-mini', token_class: 'output' } },
      '0.002',
    ],
    [
      'matrix, default',
      { type: 'matrix', dimensions: ['model'], cells: [], default: { unit_amount: '0.5' } },
      { quantity: 4, dimensions: { model: 'o3' } },
      '2',
    ],
    [
      'a long prompt prices the whole request',
      {
        type: 'by_prompt_size',
        bands: [
          { up_to: '200000', charge_model: perUnit('0.000003') },
          { up_to: null, charge_model: perUnit('0.000006') },
        ],
      },
      { quantity: 1000, dimensions: { prompt_tokens: '200001' } },
      '0.006',
    ],
    [
      'time of day, past midnight',
      {
        type: 'time_of_day',
        bands: [{ from: '22:00', to: '06:00', charge_model: perUnit('1') }],
        default: perUnit('3'),
      },
      { quantity: 2, ...at('2026-11-21T05:59') },
      '2',
    ],
    ['included units', perUnit('2', { included: '100' }), { quantity: '150' }, '100'],
    ['sum with multiplier', perUnit('2', { multiplier: '3' }), { quantity: '10' }, '60'],
    [
      'divide and round up: 1,500 ms as 2 s',
      perUnit('5', { transform: { divide_by: '1000', rounding: 'up' } }),
      { quantity: '1500' },
      '10',
    ],
    ['discount', perUnit('10', { discount_rate: '0.5' }), { quantity: '3' }, '15'],
    [
      'A9 maximum',
      perUnit('10', { maximum: '100', discount_rate: '0.5' }),
      { quantity: 20, previous_quantity: 35 },
      '0',
    ],
    ['minimum of a whole period', perUnit('1', { minimum: '25' }), { quantity: '3' }, '25'],
    ['no minimum within a period', perUnit('1', { minimum: '25' }), { quantity: 3, previous_quantity: 0 }, '3'],
    [
      'E1 a window with its commitment and overage',
      perUnit('2', { window: 'hour', commitment: { amount: '10', overage_factor: '2' } }),
      { quantity: '8', ...at('2026-11-21T10:40') },
      '22',
    ],
    ['commitment trued up', perUnit('2', { commitment: { amount: '10' } }), { quantity: '1' }, '10'],
    ['commitment of a quantity', perUnit('2', { commitment: { quantity: '8' } }), { quantity: '1' }, '16'],
  ])('%s', async (_source, charge_model, use, amount) => {
    for (const currency of ['USD', 'credit:tokens']) {
      const answer = await rate({ charge_model, currency, ...use });
      expect(answer.status, answer.text).toBe(200);
      expect(answer.body).toMatchObject({ amount, currency });
    }
  });
});

describe('a rate card', () => {
  const CARD = {
    currency: 'USD',
    prices: [
      { meter: 'input_tokens', match: { model: 'gpt-5*' }, charge_model: perUnit('0.01') },
      { meter: 'input_tokens', charge_model: perUnit('0.02') },
      { meter: 'output_tokens', key: 'out', charge_model: { type: 'graduated', tiers } },
      { meter: 'requests', charge_model: { type: 'percentage', rate: '0', fixed_amount: '2', free_events: 1 } },
      { meter: 'api_calls', charge_model: { type: 'flat', amount: '9' } },
    ],
  };
  beforeAll(async () => {
    await server.call('PUT', '/v1/rate_cards/preview', { body: { ...CARD, effective_from: '2026-01-01T00:00:00Z' } });
  });

  test('prices usage by match, fallback and running totals, with what falls due at the close', async () => {
    const usage = [
      { meter: 'input_tokens', quantity: 100, dimensions: { model: 'gpt-5-mini' } },
      { meter: 'input_tokens', quantity: 100, dimensions: { model: 'o3' } },
      { meter: 'cache_read_tokens', quantity: 50, dimensions: { model: 'gpt-5' } },
      { meter: 'output_tokens', quantity: 8 },
      { meter: 'output_tokens', quantity: 5 },
      { meter: 'requests', transactions: [1, 1, 1] },
      { meter: 'pages', quantity: '3' },
    ];
    for (const by of [{ rate_card: 'preview' }, { card: CARD }]) {
      const answer = await rate({ ...by, usage });
      expect(answer.status, answer.text).toBe(200);
      // 1 + 2 + 0.5 + 400 + 100 + 120 + 4 + the fixed 9
      expect(answer.body).toMatchObject({ amount: '636.5', currency: 'USD' });
      expect(answer.body.unrated).toEqual([{ meter: 'pages', quantity: '3', reason: 'no_price' }]);
      expect(answer.body.lines).toContainEqual({
        meter: 'output_tokens',
        price: 'out',
        bucket: 'all',
        tier: 2,
        quantity: '3',
        unit_amount: '40',
        amount: '120',
      });
      expect(answer.body.version).toBe('rate_card' in by ? 1 : undefined);
    }
  });

  test('within a period nothing falls due but the usage', async () => {
    const usage = [
      { meter: 'output_tokens', quantity: 5, previous_quantity: 8 },
      { meter: 'output_tokens', quantity: 1 },
    ];
    expect((await rate({ rate_card: 'preview', usage })).body.amount).toBe('260');
  });

  test('usage below zero costs nothing, as when it is recorded', async () => {
    const meter = 'output_tokens';
    const preview = async (usage: object) => (await rate({ rate_card: 'preview', usage: [usage] })).body.amount;
    expect(await preview({ meter, quantity: -3 })).toBe('9');
    expect(await preview({ meter, quantity: -5, previous_quantity: 3 })).toBe('-150');
  });

  test.each<[body: object, status: number, pointer: string | undefined]>([
    [{ rate_card: 'nope', usage: [{ meter: 'pages', quantity: 1 }] }, 404, undefined],
    [{ rate_card: 'preview', at: '2020-01-01T00:00:00Z', usage: [{ meter: 'pages', quantity: 1 }] }, 404, undefined],
    [{ rate_card: 'preview' }, 400, '/usage'],
    [{ rate_card: 'preview', card: CARD, usage: [{ meter: 'pages', quantity: 1 }] }, 400, ''],
    [{ currency: 'USD', quantity: 1 }, 400, ''],
    [{ charge_model: perUnit('1'), quantity: 1 }, 400, '/currency'],
    [{ charge_model: perUnit('1'), currency: 'USD' }, 400, '/quantity'],
    [
      { charge_model: perUnit('1'), currency: 'USD', quantity: 1, usage: [{ meter: 'pages', quantity: 1 }] },
      400,
      '/usage',
    ],
    [{ rate_card: 'preview', quantity: 1, usage: [{ meter: 'pages', quantity: 1 }] }, 400, '/quantity'],
    [{ rate_card: 'preview', usage: [{ meter: 'pages' }] }, 400, '/usage/0/quantity'],
    [
      { rate_card: 'preview', usage: [{ meter: 'requests', quantity: 1, previous_quantity: 3 }] },
      400,
      '/usage/0/previous_quantity',
    ],
    [
      {
        rate_card: 'preview',
        usage: [
          { meter: 'output_tokens', quantity: 1 },
          { meter: 'output_tokens', quantity: 1, previous_quantity: 3 },
        ],
      },
      400,
      '/usage/1/previous_quantity',
    ],
    [
      { card: { currency: 'USD', prices: [{}] }, usage: [{ meter: 'pages', quantity: 1 }] },
      400,
      '/card/prices/0/meter',
    ],
    [
      {
        rate_card: 'preview',
        usage: Array.from({ length: 2 }, () => ({ meter: 'requests', transactions: Array(6_000).fill(1) })),
      },
      400,
      '/usage',
    ],
  ])('%j is answered %i at %s', async (body, status, pointer) => {
    const answer = await rate(body);
    expect(answer.status, answer.text).toBe(status);
    expect(answer.body.errors?.[0].pointer).toBe(pointer);
  });
});

test('nothing went wrong unseen', () => {
  expect(server.errors).toEqual([]);
});
