/** What holds for models that choose by a dimension and for windows, over all their running totals together. */
import { add, compare, type Decimal, decimal, isNegative, subtract, sum, toText, ZERO } from '@ergon/exact';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cumulativeModels, increase, money, optional } from './charge-models.test-support.ts';
import { compileRateCard } from './compile-rate-card.ts';
import type { Bucket, CompiledPrice, Dimensions } from './contract.ts';

const { flat: _flat, free: _free, ...usageModels } = cumulativeModels;
const inner = fc.oneof(...Object.values(usageModels));
const windowed = fc
  .tuple(inner, fc.constantFrom('hour', 'day'))
  .map(([model, window]) => ({ ...(model as object), window }));
const either = fc.oneof(inner, windowed);
const minimum = optional(money);

const byPromptSize = fc.record({
  type: fc.constant('by_prompt_size'),
  bands: fc.tuple(either, either).map(([short, long]) => [
    { up_to: '200000', charge_model: short },
    { up_to: null, charge_model: long },
  ]),
  minimum,
});
const timeOfDay = fc.record({
  type: fc.constant('time_of_day'),
  bands: either.map((model) => [{ from: '22:00', to: '06:00', charge_model: model }]),
  default: either,
  minimum,
});
const composites: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  window: windowed,
  by_prompt_size: byPromptSize,
  time_of_day: timeOfDay,
  matrix: fc.record({
    type: fc.constant('matrix'),
    dimensions: fc.constant(['model']),
    cells: fc.tuple(fc.oneof(either, byPromptSize), fc.oneof(either, timeOfDay)).map(([one, other]) => [
      { match: { model: 'gpt*' }, charge_model: one },
      { match: { model: 'gpt-5' }, charge_model: other },
    ]),
    default: either.map((model) => ({ charge_model: model })),
    minimum,
  }),
};

type Use = { readonly dimensions: Dimensions; readonly quantity: Decimal };
const use: fc.Arbitrary<Use> = fc.record({
  dimensions: fc.record({
    model: fc.constantFrom('gpt-5', 'gpt-5-mini', 'claude'),
    prompt_tokens: fc.constantFrom('10', '200000', '200001'),
    local_time: fc.constantFrom('2026-11-21T23:10', '2026-11-22T00:05', '2026-11-22T05:59', '2026-11-22T12:00'),
  }),
  quantity: increase,
});

/** What a card refuses of any figures. */
const REFUSED = new Set(['above the maximum', 'a price of zero may be a mistake']);

/** The price, or `undefined` for figures that a card refuses. */
function compile(model: unknown): CompiledPrice | undefined {
  const spec = { currency: 'USD', prices: [{ meter: 'm', charge_model: model }] };
  const card = compileRateCard(JSON.parse(JSON.stringify(spec)));
  if (card.ok) return card.value.priceFor('m', {});
  expect(card.errors.filter(({ detail }) => !REFUSED.has(detail))).toEqual([]);
  return undefined;
}

/** Rated as an ingest does: each quantity on the running total it belongs to. */
function rateAll(price: CompiledPrice, uses: readonly Use[]) {
  const totals = new Map<string, { bucket: Bucket; quantity: Decimal; charged: Decimal }>();
  for (const { dimensions, quantity } of uses) {
    const bucket = price.bucket(dimensions);
    if (bucket === undefined) throw new Error('every use has a bucket');
    const before = totals.get(bucket.key) ?? { bucket, quantity: ZERO, charged: ZERO };
    const after = add(before.quantity, quantity);
    const marginal = bucket.rate.marginal(before.quantity, after);
    totals.set(bucket.key, { bucket, quantity: after, charged: add(before.charged, marginal) });
  }
  return totals;
}

describe.each(Object.entries(composites))('%s', (_name, documents) => {
  it('marginals sum to the totals, in any order', () => {
    fc.assert(
      fc.property(documents, fc.array(use, { maxLength: 12 }), (document, uses) => {
        const price = compile(document);
        fc.pre(price !== undefined);
        for (const order of [uses, uses.toReversed()]) {
          for (const { bucket, quantity, charged } of rateAll(price, order).values()) {
            const { rate } = bucket;
            expect(toText(charged)).toBe(toText(subtract(rate.total(quantity), rate.total(ZERO))));
          }
        }
      }),
    );
  });

  it('a period comes to no less than zero and no less than its minimum, whatever its marginals were', () => {
    fc.assert(
      fc.property(documents, fc.array(use, { maxLength: 12 }), (document, uses) => {
        const price = compile(document);
        fc.pre(price !== undefined);
        const usage = [...rateAll(price, uses).entries()].map(([key, { charged }]) => ({ key, charged }));
        const closing = price.close({ usage });
        expect(isNegative(closing.amount)).toBe(false);
        const total = add(sum(usage.map(({ charged }) => charged)), closing.amount);
        expect(isNegative(total)).toBe(false);
        const { minimum: least, window } = document as { minimum?: string; window?: string };
        // In a window the minimum is each window's, and one without usage is not known here. Amounts keep twelve places.
        if (least !== undefined && window === undefined) {
          expect(compare(add(total, decimal('0.000000000001')), decimal(least))).toBeGreaterThanOrEqual(0);
        }
      }),
    );
  });
});
