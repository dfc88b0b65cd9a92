import { z } from 'zod';
import { CELLS_MAX, MATCH_KEYS_MAX, MATCH_VALUE_MAX } from './limits.ts';
import { wireDecimal } from './wire-decimal.ts';

const amount = (description: string) => wireDecimal('not_negative', description);

/** Name of a meter, dimension or price. */
export const nameSchema = z.string().regex(/^[A-Za-z][A-Za-z0-9_.-]{0,63}$/);

/** Dimension values a price or cell applies to; a trailing `*` stands for any rest. */
export const matchSchema = z
  .record(
    nameSchema,
    z
      .string()
      .min(1)
      .max(MATCH_VALUE_MAX)
      // No control characters, and no lone surrogates: the value becomes part of an accumulator's key.
      .regex(/^[^\p{C}]+$/u),
  )
  .refine((match) => Object.keys(match).length <= MATCH_KEYS_MAX, `at most ${MATCH_KEYS_MAX} keys`)
  .describe('Dimension values; a trailing * stands for any rest');

/** Members that any model of one running quantity may carry. They act on each bucket of their own. */
const modifiers = {
  minimum: amount('Least that a period costs; the rest falls due at its close').optional(),
};

const freeSchema = z.strictObject({ type: z.literal('free') }).describe('Costs nothing, and says so');

const perUnitSchema = z.strictObject({
  type: z.literal('per_unit'),
  unit_amount: amount('Price of one unit'),
  ...modifiers,
});

const costPlusSchema = z
  .strictObject({
    type: z.literal('cost_plus'),
    markup: wireDecimal('at_least_minus_one', 'Part added to the cost: 0.20 is 20 %').optional(),
    ...modifiers,
  })
  .describe("The quantity is the provider's cost in the card's currency");

/** Models that rate one running quantity: all but those that choose among others by a dimension. */
export const simpleModelSchema = z.discriminatedUnion('type', [freeSchema, perUnitSchema, costPlusSchema]);

const cellRate = {
  unit_amount: amount('Shorthand for a per_unit model').optional(),
  charge_model: simpleModelSchema.optional(),
};

const matrixSchema = z
  .strictObject({
    type: z.literal('matrix'),
    dimensions: z.array(nameSchema).min(1).max(MATCH_KEYS_MAX),
    cells: z.array(z.strictObject({ match: matchSchema, ...cellRate })).max(CELLS_MAX),
    default: z.strictObject(cellRate).optional(),
    minimum: modifiers.minimum,
  })
  .describe('A price by dimensions: most exact keys win, then the longest literal prefix');

/** How a quantity becomes an amount. */
export const chargeModelSchema = z.discriminatedUnion('type', [...simpleModelSchema.options, matrixSchema]);

export type SimpleModelSpec = z.infer<typeof simpleModelSchema>;
export type MatrixSpec = z.infer<typeof matrixSchema>;
export type ChargeModelSpec = z.infer<typeof chargeModelSchema>;
