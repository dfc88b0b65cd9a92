import { parseCurrency } from '@ergon/exact';
import { z } from 'zod';
import { chargeModelSchema, matchSchema, nameSchema } from './charge-model-schema.ts';
import { PRICES_MAX } from './limits.ts';

/** An ISO 4217 code or a credit unit. */
export const currencySchema = z
  .string()
  .max(40)
  .refine((code) => parseCurrency(code) !== undefined, 'not an ISO 4217 currency or credit:<name>');

const payer = z.enum(['bill', 'absorb']);

export const priceSchema = z.strictObject({
  key: nameSchema.optional().describe('Stable name within the card; made from meter and match when left out'),
  meter: nameSchema,
  match: matchSchema.optional(),
  charge_model: chargeModelSchema,
  takes_precedence: z
    .literal(true)
    .optional()
    .describe("Wins over the meter's prices that do not say so, however exact their match"),
  failed_calls: payer.optional().describe('Who pays for a final call that failed; default bill'),
  retries: payer.optional().describe('Who pays for an attempt that was not final; default bill'),
});

/** The prices of one version of a rate card; its key and dates belong to the catalog. */
export const rateCardSchema = z.strictObject({
  currency: currencySchema,
  prices: z.array(priceSchema).max(PRICES_MAX),
});

export type PriceSpec = z.infer<typeof priceSchema>;
export type RateCardSpec = z.infer<typeof rateCardSchema>;
