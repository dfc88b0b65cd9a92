import { decimal, toText } from '@ergon/exact';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { compileRateCard, overlayPrices } from './compile-rate-card.ts';
import type { CompiledRateCard } from './contract.ts';
import { rateCardSchema } from './rate-card-schema.ts';

const per = (unit: string): object => ({ type: 'per_unit', unit_amount: unit });

function card(...prices: object[]): CompiledRateCard {
  const compiled = compileRateCard({ currency: 'USD', prices });
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.errors));
  return compiled.value;
}

function faults(...prices: object[]): string[] {
  const compiled = compileRateCard({ currency: 'USD', prices });
  return compiled.ok ? [] : compiled.errors.map((error) => `${error.pointer}: ${error.detail}`);
}

describe('which price wins', () => {
  const choices = card(
    { key: 'any', meter: 'requests', charge_model: per('1') },
    { key: 'gpt', meter: 'requests', match: { model: 'gpt*' }, charge_model: per('2') },
    { key: 'gpt-5', meter: 'requests', match: { model: 'gpt-5*' }, charge_model: per('3') },
    { key: 'gpt-5-eu', meter: 'requests', match: { model: 'gpt-5*', region: 'eu' }, charge_model: per('4') },
    { key: 'mini', meter: 'requests', match: { model: 'gpt-5-mini' }, charge_model: per('5') },
    { key: 'mini-eu', meter: 'requests', match: { model: 'gpt-5-mini', region: 'eu' }, charge_model: per('6') },
  );
  it.each([
    [{}, 'any'],
    [{ model: 'llama' }, 'any'],
    [{ model: 'gpt-4' }, 'gpt'],
    [{ model: 'gpt-5' }, 'gpt-5'],
    [{ model: 'gpt-5', region: 'us' }, 'gpt-5'],
    [{ model: 'gpt-5', region: 'eu' }, 'gpt-5-eu'],
    [{ model: 'gpt-5-mini' }, 'mini'],
    [{ model: 'gpt-5-mini', region: 'eu' }, 'mini-eu'],
    [{ model: 'gpt-5-mini', region: 'us', unrelated: 'x' }, 'mini'],
  ])('%j -> %s', (dimensions, key) => {
    expect(choices.priceFor('requests', dimensions)?.key).toBe(key);
    expect(choices.priceFor('requests', dimensions)?.key, 'remembered').toBe(key);
  });

  it('knows no price for another meter', () => {
    expect(choices.priceFor('pages', { model: 'gpt-5' })).toBeUndefined();
  });

  it('does not mistake inherited members for dimensions', () => {
    const odd = card({ meter: 'requests', match: { constructor: 'a*' }, charge_model: per('1') });
    expect(odd.priceFor('requests', {})).toBeUndefined();
  });

  it('stays right when hostile values fill its memory', () => {
    for (let index = 0; index < 25_000; index++) choices.priceFor('requests', { model: `x${index}`, region: 'eu' });
    expect(choices.priceFor('requests', { model: 'gpt-5', region: 'eu' })?.key).toBe('gpt-5-eu');
  });
});

describe("a customer's own prices over a card", () => {
  const base = rateCardSchema.parse({
    currency: 'USD',
    prices: [
      { meter: 'input_tokens', charge_model: per('1') },
      { meter: 'cache_read_tokens', match: { model: 'gpt*' }, charge_model: per('2') },
      { key: 'out', meter: 'output_tokens', match: { model: 'gpt-5', region: 'eu' }, charge_model: per('3') },
      { meter: 'output_tokens', charge_model: per('4') },
    ],
  });
  const overlaid = (...prices: object[]) =>
    card(...overlayPrices(base, rateCardSchema.parse({ currency: 'USD', prices }).prices).prices);
  const unitOf = (priced: CompiledRateCard, meter: string, dimensions: Record<string, string>): string | undefined => {
    const bucket = priced.priceFor(meter, dimensions)?.bucket(dimensions);
    return bucket && toText(bucket.rate.total(decimal(1)));
  };
  const own = overlaid(
    { meter: 'output_tokens', charge_model: per('10') },
    { meter: 'output_tokens', match: { model: 'gpt-5' }, charge_model: per('11') },
    { meter: 'input_tokens', match: { region: 'eu' }, charge_model: per('12') },
  );
  it.each([
    ['less exact than the card, and wins', 'output_tokens', { model: 'gpt-5', region: 'eu' }, '11'],
    ['replaces the price of its meter and match', 'output_tokens', { model: 'llama' }, '10'],
    ['does not match: the card', 'input_tokens', { region: 'us' }, '1'],
    ['matches', 'input_tokens', { region: 'eu' }, '12'],
    [
      "the card's price of the class before another class's own price",
      'cache_read_tokens',
      { model: 'gpt-5', region: 'eu' },
      '2',
    ],
    [
      'falls back to the own price where the class has none',
      'cache_read_tokens',
      { model: 'llama', region: 'eu' },
      '12',
    ],
  ])('%s', (_, meter, dimensions, unit) => {
    expect(unitOf(own, meter, dimensions as Record<string, string>)).toBe(unit);
  });

  it('replaces a price by its key, whatever that matched', () => {
    const keyed = overlaid({ key: 'out', meter: 'output_tokens', match: { model: 'x' }, charge_model: per('9') });
    expect(unitOf(keyed, 'output_tokens', { model: 'gpt-5', region: 'eu' })).toBe('4');
    expect(unitOf(keyed, 'output_tokens', { model: 'x' })).toBe('9');
  });

  it('ties only among themselves', () => {
    const two = [
      { key: 'a', meter: 'requests', match: { model: 'a*' }, charge_model: per('1') },
      { key: 'b', meter: 'requests', match: { agent: 'b*' }, charge_model: per('2') },
    ];
    expect(faults(...two)).toHaveLength(1);
    expect(faults({ ...two[0], takes_precedence: true }, two[1] ?? {})).toEqual([]);
  });
});

describe('token classes without a price of their own', () => {
  const tokens = card(
    { meter: 'input_tokens', charge_model: per('1') },
    { meter: 'output_tokens', match: { model: 'gpt*' }, charge_model: per('2') },
    { meter: 'reasoning_tokens', match: { model: 'gpt-5' }, charge_model: { type: 'free' } },
  );
  it.each([
    ['tool_use_tokens', 'input_tokens'],
    ['cache_write_5m_tokens', 'input_tokens'],
    ['cache_write_1h_tokens', 'input_tokens'],
    ['cache_read_tokens', 'input_tokens'],
    ['input_audio_tokens', 'input_tokens'],
    ['input_image_tokens', 'input_tokens'],
    ['input_video_tokens', 'input_tokens'],
    ['reasoning_tokens', 'output_tokens'],
    ['hidden_output_tokens', 'output_tokens'],
    ['rejected_prediction_tokens', 'output_tokens'],
    ['output_audio_tokens', 'output_tokens'],
    ['output_image_tokens', 'output_tokens'],
  ])('%s is rated as %s', (meter, fallback) => {
    expect(tokens.priceFor(meter, { model: 'gpt-4' })?.meter).toBe(fallback);
  });

  it('prefers its own price, and says when it is free', () => {
    expect(tokens.priceFor('reasoning_tokens', { model: 'gpt-5' })).toMatchObject({
      meter: 'reasoning_tokens',
      isFree: true,
    });
    expect(tokens.priceFor('output_tokens', { model: 'llama' })).toBeUndefined();
  });
});

describe('what a publish refuses', () => {
  const matrix = (cells: object[], rest: object = {}): object => ({
    meter: 'requests',
    charge_model: { type: 'matrix', dimensions: ['model', 'region'], cells, ...rest },
  });
  it.each<[string, object[], RegExp]>([
    ['an unknown member', [{ meter: 'm', charge_model: { ...per('1'), price: 1 } }], /charge_model\/price: unknown/],
    ['an unknown model', [{ meter: 'm', charge_model: { type: 'barter' } }], /charge_model\/type/],
    ['a zero that is not said to be free', [{ meter: 'm', charge_model: per('0.0') }], /unit_amount: a price of zero/],
    ['a negative price', [{ meter: 'm', charge_model: per('-1') }], /must not be below zero/],
    ['19 decimals', [{ meter: 'm', charge_model: per('0.0000000000000000001') }], /not a decimal of at most/],
    ['27 whole digits', [{ meter: 'm', charge_model: per('1e26') }], /not a decimal of at most/],
    ['a lossy number', [{ meter: 'm', charge_model: { type: 'per_unit', unit_amount: 1 / 3 } }], /15|text/],
    ['words', [{ meter: 'm', charge_model: per('a lot') }], /not a decimal/],
    ['a star inside', [{ meter: 'm', match: { model: 'a*b' }, charge_model: per('1') }], /match\/model: a \*/],
    [
      'a tie of prefixes',
      [
        { meter: 'm', match: { model: 'ab*' }, charge_model: per('1') },
        { meter: 'm', match: { region: 'eu*' }, charge_model: per('1') },
      ],
      /prices\/1\/match: ties with price 0/,
    ],
    [
      'the same price twice',
      [
        { meter: 'm', charge_model: per('1') },
        { meter: 'm', charge_model: per('2') },
      ],
      /ties with price 0/,
    ],
    [
      'one key for two prices',
      [
        { key: 'k', meter: 'm', charge_model: per('1') },
        { key: 'k', meter: 'n', charge_model: per('2') },
      ],
      /"k" is taken by price 0/,
    ],
    [
      'a total and its part',
      [
        { meter: 'total_tokens', match: { model: 'a' }, charge_model: per('1') },
        { meter: 'cache_read_tokens', match: { model: 'b' }, charge_model: per('1') },
      ],
      /prices\/1\/meter: cache_read_tokens is part of total_tokens/,
    ],
    ['an empty matrix', [matrix([])], /prices nothing/],
    ['a cell of another dimension', [matrix([{ match: { zone: 'a' }, unit_amount: '1' }])], /zone.*no dimension/],
    ['a cell without a price', [matrix([{ match: { model: 'a' } }])], /either unit_amount or charge_model/],
    [
      'a tie of cells',
      [
        matrix([
          { match: { model: 'a' }, unit_amount: '1' },
          { match: { region: 'b' }, unit_amount: '1' },
        ]),
      ],
      /cells\/1\/match: ties with cell 0/,
    ],
    ['a control character', [{ meter: 'm', match: { model: 'a\u0000' }, charge_model: per('1') }], /match\/model/],
  ])('%s', (_name, prices, fault) => {
    expect(faults(...prices).join('\n')).toMatch(fault);
  });

  it('a currency that is none', () => {
    expect(compileRateCard({ currency: 'XYZ', prices: [] })).toMatchObject({
      ok: false,
      errors: [{ pointer: '/currency' }],
    });
  });

  it('anything that is no card', () => {
    for (const document of [null, 1, 'x', [], { currency: 'USD' }]) expect(compileRateCard(document).ok).toBe(false);
  });
});

describe('hostile cards', () => {
  const names = Array.from({ length: 7 }, (_, index) => `d${index}`);
  /** Cells of many shapes: which of seven dimensions they name changes with every cell. */
  const cells = (value: (cell: number) => string, count: number): object[] =>
    Array.from({ length: count }, (_, cell) => ({
      match: Object.fromEntries(
        names
          .filter((_name, bit) => ((cell * 37) >> bit) & 1)
          .slice(0, 4)
          .concat('same')
          .map((name) => [name, value(cell)]),
      ),
      unit_amount: '1',
    }));
  const cardOf = (rows: object[][]): object => ({
    currency: 'USD',
    prices: rows.map((list, index) => ({
      meter: `m${index}`,
      charge_model: { type: 'matrix', dimensions: [...names, 'same'], cells: list },
    })),
  });
  const timed = (document: object): [boolean, number, number] => {
    const started = performance.now();
    const compiled = compileRateCard(document);
    return [compiled.ok, compiled.ok ? 0 : compiled.errors.length, performance.now() - started];
  };

  it('with every cell a tie are refused with a list that can be read', () => {
    const [ok, errors, ms] = timed(cardOf(Array.from({ length: 5 }, () => cells(() => 'x', 2000))));
    expect(ok).toBe(false);
    expect(errors).toBe(100);
    expect(ms).toBeLessThan(5000);
  });

  it('with too many cells are refused', () => {
    const [ok, errors] = timed(cardOf(Array.from({ length: 6 }, () => cells((cell) => `v${cell}`, 2000))));
    expect([ok, errors]).toEqual([false, 1]);
  });

  it('with a fault in every member name the first hundred', () => {
    const prices = Array.from({ length: 1000 }, () => ({ meter: '!', charge_model: {} }));
    expect(faults(...prices)).toHaveLength(100);
  });
});

describe('matrix', () => {
  const price = card({
    meter: 'tokens',
    charge_model: {
      type: 'matrix',
      dimensions: ['model', 'token_class'],
      cells: [
        { match: { model: 'gpt-5*', token_class: 'output' }, unit_amount: '0.00001' },
        { match: { model: 'gpt-5*' }, unit_amount: 0.00000125 },
        { match: { token_class: 'cache_read' }, charge_model: { type: 'free' } },
      ],
      default: { unit_amount: '1' },
    },
  }).priceFor('tokens', {});

  it.each([
    [{ model: 'gpt-5-mini', token_class: 'output' }, 'model=gpt-5*,token_class=output', '0.01'],
    [{ model: 'gpt-5-mini', token_class: 'input' }, 'model=gpt-5*', '0.00125'],
    [{ model: 'gpt-5', token_class: 'cache_read' }, 'token_class=cache_read', '0'],
    [{ model: 'llama', token_class: 'input' }, 'default', '1000'],
    [{}, 'default', '1000'],
  ])('%j -> %s', (dimensions, key, amount) => {
    const bucket = price?.bucket(dimensions);
    expect(bucket?.key).toBe(key);
    expect(bucket && toText(bucket.rate.total(decimal(1000)))).toBe(amount);
  });

  it('leaves what fits no cell without a bucket when it has no default', () => {
    const strict = card({
      meter: 'm',
      charge_model: { type: 'matrix', dimensions: ['a'], cells: [{ match: { a: 'x' }, unit_amount: '1' }] },
    });
    expect(strict.priceFor('m', {})?.bucket({ a: 'y' })).toBeUndefined();
  });
});

it('can be published as JSON Schema, with each model written once', () => {
  const text = JSON.stringify(z.toJSONSchema(rateCardSchema, { io: 'input' }));
  expect(text.match(/"const":"graduated_percentage"/g)).toHaveLength(1);
});
