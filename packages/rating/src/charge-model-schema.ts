import { z } from 'zod';
import { BANDS_MAX, CELLS_MAX, MATCH_KEYS_MAX, MATCH_VALUE_MAX, PLACES_MAX, TIERS_MAX } from './limits.ts';
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

const minimum = amount('Least that a period costs; what is missing falls due at its close');

/** Act on the amount, in this order: discount, commitment, maximum; minimum and true-up at the close. */
const amountMembers = {
  discount_rate: wireDecimal('share', 'Part taken off the price: 0.10 is 10 %').optional(),
  commitment: z
    .strictObject({
      amount: amount('Committed spend').optional(),
      quantity: amount('Committed units; their price is the committed spend').optional(),
      overage_factor: amount('Multiplies what is charged beyond the commitment; default 1').optional(),
      true_up: z.boolean().optional().describe('Whether an unused rest falls due at the close; default true'),
    })
    .optional(),
  maximum: amount('Most that a period costs').optional(),
  minimum: minimum.optional(),
  window: z
    .enum(['hour', 'day'])
    .optional()
    .describe('Start a running total, with limits of its own, in every hour or day of the local_time dimension'),
};

/** Act on the running quantity before it is rated, in this order. */
const quantityMembers = {
  multiplier: amount('Multiplies the quantity').optional(),
  included: amount('Units that cost nothing').optional(),
  transform: z
    .strictObject({
      divide_by: wireDecimal('positive', 'Units in one billed unit'),
      rounding: z.enum(['up', 'down', 'half_up']),
      places: z.int().min(0).max(PLACES_MAX).optional().describe('Digits after the point that are kept; default 0'),
    })
    .optional(),
};

const usageMembers = { ...quantityMembers, ...amountMembers };

const tier = <Rate extends z.ZodRawShape>(rate: Rate) =>
  z
    .array(
      z.strictObject({
        up_to: wireDecimal('positive', 'Last unit of the tier, inclusive; null in the last tier').nullable(),
        flat_amount: amount('Due once the tier holds a quantity above zero').optional(),
        ...rate,
      }),
    )
    .min(1)
    .max(TIERS_MAX);

const unitTiers = tier({
  unit_amount: amount('Price of one unit, or of one block where block_size is given').optional(),
  block_size: wireDecimal('positive', 'Units that are only sold together; a started block counts').optional(),
});

const flatFeeAtZero = z
  .boolean()
  .optional()
  .describe("Charge the first tier's flat amount at the close even without usage; default false");

const free = z
  .strictObject({ type: z.literal('free') })
  .meta({ id: 'FreeModel', description: 'Costs nothing, and says so' });

const flat = z
  .strictObject({
    type: z.literal('flat'),
    amount: amount('Price of a whole period, whatever is used'),
    pay: z.enum(['in_advance', 'in_arrears']).optional().describe('Default in_arrears'),
  })
  .meta({ id: 'FlatModel', description: 'A fixed amount for each period' });

const perUnit = z
  .strictObject({
    type: z.literal('per_unit'),
    unit_amount: amount('Price of one unit'),
    ...usageMembers,
  })
  .meta({ id: 'PerUnitModel', description: 'Every unit at one price' });

const packaged = z
  .strictObject({
    type: z.literal('package'),
    package_size: wireDecimal('positive', 'Units in one package'),
    package_amount: amount('Price of one package'),
    rounding: z.enum(['up', 'down']).optional().describe('Whether a started package counts; default up'),
    free_units: amount('Units that cost nothing').optional(),
    ...usageMembers,
  })
  .meta({ id: 'PackageModel', description: 'Units sold in packages' });

const graduated = z
  .strictObject({ type: z.literal('graduated'), tiers: unitTiers, flat_fee_at_zero: flatFeeAtZero, ...usageMembers })
  .meta({ id: 'GraduatedModel', description: 'Each unit at the price of the tier it falls into' });

const volume = z
  .strictObject({ type: z.literal('volume'), tiers: unitTiers, flat_fee_at_zero: flatFeeAtZero, ...usageMembers })
  .meta({ id: 'VolumeModel', description: 'All units at the price of the tier that the total falls into' });

const graduatedPercentage = z
  .strictObject({
    type: z.literal('graduated_percentage'),
    tiers: tier({ rate: amount('Part of the amount that is charged: 0.01 is 1 %') }),
    flat_fee_at_zero: flatFeeAtZero,
    ...usageMembers,
  })
  .meta({
    id: 'GraduatedPercentageModel',
    description: 'The quantity is an amount; each part of it at the rate of its tier',
  });

const percentage = z
  .strictObject({
    type: z.literal('percentage'),
    rate: amount('Part of the amount that is charged: 0.013 is 1.3 %'),
    fixed_amount: amount('Added for each event').optional(),
    free_events: z.int().min(0).optional().describe('The first events that cost nothing'),
    free_units: amount('The first amount that costs nothing').optional(),
    transaction_minimum: amount('Least that one event costs').optional(),
    transaction_maximum: amount('Most that one event costs').optional(),
    ...amountMembers,
  })
  .meta({ id: 'PercentageModel', description: 'The quantity is an amount, such as the value of a payment' });

const dynamic = z
  .strictObject({
    type: z.literal('dynamic'),
    multiplier: amount('Multiplies the amount that the event carries; default 1').optional(),
    ...amountMembers,
  })
  .meta({ id: 'DynamicModel', description: 'The quantity is the amount to charge' });

const costPlus = z
  .strictObject({
    type: z.literal('cost_plus'),
    markup: wireDecimal('at_least_minus_one', 'Part added to the cost: 0.20 is 20 %').optional(),
    markup_amount: amount('Added for each event').optional(),
    ...amountMembers,
  })
  .meta({ id: 'CostPlusModel', description: "The quantity is the provider's cost in the card's currency" });

const usageModels = [
  free,
  perUnit,
  packaged,
  graduated,
  volume,
  graduatedPercentage,
  percentage,
  dynamic,
  costPlus,
] as const;

/** Models that rate usage by one running total, which models that choose by a dimension may hold. */
const usageModelSchema = z.discriminatedUnion('type', [...usageModels]).meta({ id: 'UsageModel' });

const byPromptSize = z
  .strictObject({
    type: z.literal('by_prompt_size'),
    bands: z
      .array(
        z.strictObject({
          up_to: wireDecimal('positive', 'Longest prompt of the band, in tokens; null in the last').nullable(),
          charge_model: usageModelSchema,
        }),
      )
      .min(1)
      .max(BANDS_MAX),
    minimum: minimum.optional(),
  })
  .meta({
    id: 'ByPromptSizeModel',
    description:
      "Long-context prices: the whole request at the price of its whole prompt's length (prompt_tokens dimension)",
  });

const localTime = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'not a time HH:MM');

const timeOfDay = z
  .strictObject({
    type: z.literal('time_of_day'),
    bands: z
      .array(
        z.strictObject({
          from: localTime.describe('First minute of the band'),
          to: localTime.describe('First minute after it; at or before from: on the next day'),
          charge_model: usageModelSchema,
        }),
      )
      .min(1)
      .max(BANDS_MAX),
    default: usageModelSchema.optional().describe('For times outside every band'),
    minimum: minimum.optional(),
  })
  .meta({ id: 'TimeOfDayModel', description: 'Prices by the local time of the event (local_time dimension)' });

const cellRate = {
  unit_amount: amount('Shorthand for a per_unit model').optional(),
  charge_model: z.discriminatedUnion('type', [...usageModels, byPromptSize, timeOfDay]).optional(),
};

const matrix = z
  .strictObject({
    type: z.literal('matrix'),
    dimensions: z.array(nameSchema).min(1).max(MATCH_KEYS_MAX),
    cells: z.array(z.strictObject({ match: matchSchema, ...cellRate })).max(CELLS_MAX),
    default: z.strictObject(cellRate).optional(),
    minimum: minimum.optional(),
  })
  .meta({
    id: 'MatrixModel',
    description: 'A price by dimensions: most exact keys win, then the longest literal prefix',
  });

/** How a quantity becomes an amount. */
export const chargeModelSchema = z
  .discriminatedUnion('type', [...usageModels, flat, byPromptSize, timeOfDay, matrix])
  .meta({ id: 'ChargeModel' });

export type ChargeModelSpec = z.infer<typeof chargeModelSchema>;
export type UsageModelSpec = z.infer<typeof usageModelSchema>;
export type SimpleModelSpec = UsageModelSpec | z.infer<typeof flat>;
export type ByPromptSizeSpec = z.infer<typeof byPromptSize>;
export type TimeOfDaySpec = z.infer<typeof timeOfDay>;
export type MatrixSpec = z.infer<typeof matrix>;
export type UnitTierSpec = z.infer<typeof unitTiers>[number];
export type QuantityRuleSpec = Pick<z.infer<typeof perUnit>, keyof typeof quantityMembers>;
export type AmountRuleSpec = Pick<z.infer<typeof perUnit>, keyof typeof amountMembers>;
