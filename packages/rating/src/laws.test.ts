/** What holds for every charge model, whatever its figures (DESIGN section 7, invariant 2, and the rating issue). */
import {
  absolute,
  add,
  compare,
  type Decimal,
  decimal,
  isNegative,
  negate,
  subtract,
  sum,
  toText,
  ZERO,
} from '@ergon/exact';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  cumulativeModels,
  eventModels,
  increase,
  money,
  optional,
  quantity,
  size,
} from './charge-models.test-support.ts';
import { chargeModelSchema } from './charge-model-schema.ts';
import { compileChargeModel } from './compile-charge-model.ts';
import type { CompiledModel } from './compiled-model.ts';
import type { Charge, EventState } from './contract.ts';
import { FIRST_EVENT } from './event-rate.ts';

/** The compiled model, or `undefined` for figures that contradict each other (a minimum above the maximum). */
function compile(document: unknown): CompiledModel | undefined {
  const spec = chargeModelSchema.parse(JSON.parse(JSON.stringify(document)));
  const compiled = compileChargeModel(spec, []);
  if (compiled.ok) return compiled.value;
  expect(compiled.errors.every((error) => error.detail === 'above the maximum')).toBe(true);
  return undefined;
}

/** Lines sum to the charge, and what is put down to rounding is no more than rounding. */
function expectExplained({ amount, lines }: Charge): void {
  expect(toText(sum(lines.map((line) => line.amount)))).toBe(toText(amount));
  const rounding = sum(lines.filter((line) => line.description === 'rounding').map((line) => line.amount));
  expect(isAbove(absolute(rounding), '0.000000000001')).toBe(false);
}

/** By more than the last place that amounts are kept to. */
function isAbove(amount: Decimal, bound: string): boolean {
  return compare(subtract(amount, decimal(bound)), decimal('0.000000000001')) >= 0;
}

describe.each(Object.entries(cumulativeModels))('%s', (_name, documents) => {
  it('marginals sum to the total, for any increments in any order, and so do their lines', () => {
    fc.assert(
      fc.property(documents, fc.array(quantity, { maxLength: 8 }), (document, steps) => {
        const rate = compile(document)?.bucket({})?.rate;
        fc.pre(rate !== undefined);
        for (const order of [steps, steps.toReversed()]) {
          let before = ZERO;
          let charged = rate.total(ZERO);
          for (const step of order) {
            const after = add(before, step);
            const marginal = rate.marginal(before, after);
            const explained = rate.explain(before, after);
            expect(toText(explained.amount)).toBe(toText(marginal));
            expectExplained(explained);
            charged = add(charged, marginal);
            before = after;
          }
          expect(toText(charged)).toBe(toText(rate.total(sum(steps))));
        }
      }),
    );
  });

  it('costs nothing below zero unless a quantity is, and never more than its maximum', () => {
    fc.assert(
      fc.property(documents, increase, (document, total) => {
        const rate = compile(document)?.bucket({})?.rate;
        fc.pre(rate !== undefined);
        const amount = rate.total(total);
        expect(isNegative(amount)).toBe(false);
        expect(toText(amount)).not.toMatch(/\.\d{13}/);
        const { maximum } = document as { maximum?: string };
        expect(maximum !== undefined && isAbove(amount, maximum)).toBe(false);
      }),
    );
  });

  it('a closed period costs its minimum and its commitment at least', () => {
    fc.assert(
      fc.property(documents, increase, (document, total) => {
        const model = compile(document);
        const bucket = model?.bucket({});
        fc.pre(bucket !== undefined);
        const whole = { part: 1n, whole: 1n };
        const charged = bucket.rate.marginal(ZERO, total);
        const closing = bucket.close(charged, whole);
        expect(isNegative(closing.amount)).toBe(false);
        const { minimum, commitment } = document as {
          minimum?: string;
          commitment?: { amount: string; true_up: boolean };
        };
        const paid = add(charged, closing.amount);
        const owed = [minimum, commitment?.true_up ? commitment.amount : undefined].filter(
          (amount) => amount !== undefined,
        );
        expect(owed.filter((amount) => isAbove(decimal(amount), toText(paid)))).toEqual([]);
      }),
    );
  });
});

describe.each(Object.entries(eventModels))('%s by event', (_name, documents) => {
  const rateAll = (model: CompiledModel, quantities: readonly Decimal[], from: EventState) => {
    let state = from;
    let charged = ZERO;
    for (const value of quantities) {
      const rated = model.bucket({})?.perEvent?.next(state, value);
      if (rated === undefined) throw new Error('priced by event');
      expectExplained(rated.charge);
      state = rated.state;
      charged = add(charged, rated.charge.amount);
    }
    return { state, charged };
  };

  it('two runs equal one, no total is below zero, and none is above the maximum', () => {
    fc.assert(
      fc.property(documents, fc.array(increase, { maxLength: 8 }), fc.nat({ max: 8 }), (document, events, cut) => {
        const model = compile(document);
        fc.pre(model !== undefined);
        expect(model.timing).toBe('per_event');
        const once = rateAll(model, events, FIRST_EVENT);
        const first = rateAll(model, events.slice(0, cut), FIRST_EVENT);
        const second = rateAll(model, events.slice(cut), first.state);
        expect(toText(add(first.charged, second.charged))).toBe(toText(once.charged));
        expect(second.state).toEqual(once.state);
        expect(isNegative(once.charged)).toBe(false);
        const { maximum } = document as { maximum?: string };
        expect(maximum !== undefined && isAbove(once.charged, maximum)).toBe(false);
      }),
    );
  });

  it('events priced together, in any order, cost what they cost one after another', () => {
    const signed = fc.tuple(increase, fc.boolean()).map(([value, isBack]) => (isBack ? negate(value) : value));
    fc.assert(
      fc.property(documents, fc.array(signed, { maxLength: 8 }), (document, events) => {
        const model = compile(document);
        const together = model?.bucket({})?.perEvent?.together;
        fc.pre(model !== undefined && together !== undefined);
        const amount = sum(events.toReversed().map((value) => together.listed(value)));
        const total = together.total({ events: BigInt(events.length), quantity: sum(events), amount });
        expect(toText(total)).toBe(toText(rateAll(model, events, FIRST_EVENT).charged));
      }),
    );
  });
});

it('graduated and volume agree where there is one tier', () => {
  const members = fc.record({ unit_amount: money, block_size: optional(size), flat_amount: optional(money) });
  fc.assert(
    fc.property(members, fc.boolean(), quantity, quantity, (tier, atZero, before, after) => {
      const [graduated, volume] = ['graduated', 'volume'].map((name) =>
        compile({ type: name, tiers: [{ up_to: null, ...tier }], flat_fee_at_zero: atZero })?.bucket({}),
      );
      const charge = graduated?.rate.explain(before, after);
      expect(charge).toEqual(volume?.rate.explain(before, after));
      expect(charge && toText(charge.amount)).toBe(toText(volume?.rate.marginal(before, after) ?? ZERO));
    }),
  );
});

it('graduated equals the sum over single units', () => {
  const row = fc.tuple(
    fc.integer({ min: 1, max: 9 }),
    fc.integer({ min: 0, max: 99 }),
    fc.integer({ min: 0, max: 99 }),
  );
  fc.assert(
    fc.property(fc.array(row, { minLength: 1, maxLength: 4 }), fc.integer({ min: 0, max: 40 }), (rows, units) => {
      let bound = 0;
      const tiers = rows.map(([length, unit, flat], index) => {
        bound += length;
        return { up_to: index === rows.length - 1 ? null : bound, unit_amount: unit, flat_amount: flat, end: bound };
      });
      let expected = 0;
      for (let unit = 1; unit <= units; unit++) {
        const index = tiers.findIndex((tier) => tier.up_to === null || unit <= tier.up_to);
        const isFirst = unit === 1 + (tiers[index - 1]?.end ?? 0);
        expected += (tiers[index]?.unit_amount ?? 0) + (isFirst ? (tiers[index]?.flat_amount ?? 0) : 0);
      }
      const spec = { type: 'graduated', tiers: tiers.map(({ end: _end, ...tier }) => tier) };
      expect(toText(compile(spec)?.bucket({})?.rate.total(decimal(units)) ?? ZERO)).toBe(String(expected));
    }),
  );
});
