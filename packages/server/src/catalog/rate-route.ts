import { type ChargeLine, chargeFor, chargeRequestSchema } from '@ergon/rating';
import { toText } from '@ergon/exact';
import { z } from '@hono/zod-openapi';
import type { AppServices } from '../http/context.ts';
import { type App, readRoute } from '../http/operation.ts';
import { refuse } from '../http/problem.ts';
import { currencyCode, decimalOutput } from '../http/wire.ts';

const rateBody = chargeRequestSchema.extend({ currency: currencyCode }).openapi('RateRequest');

const lineAnswer = z.strictObject({
  description: z.string().optional(),
  tier: z.number().int().optional().openapi({ description: 'From 1' }),
  quantity: decimalOutput,
  unit_amount: decimalOutput.optional(),
  flat_amount: decimalOutput.optional(),
  amount: decimalOutput,
});

const rateAnswer = z
  .strictObject({ amount: decimalOutput, currency: z.string(), lines: z.array(lineAnswer) })
  .openapi('Charge');

export function registerRateRoute(app: App, services: AppServices): void {
  readRoute(
    app,
    services,
    {
      method: 'post',
      path: '/v1/rate',
      operationId: 'rate',
      tag: 'Catalog',
      scope: 'catalog:read',
      summary: 'Preview a charge',
      description:
        'What a quantity costs under a charge model, after `previous_quantity` of the same period. Reads and writes nothing.',
      body: rateBody,
      answer: rateAnswer,
      problems: ['invalid_catalog'],
    },
    async ({ body: { currency, ...request } }) => {
      const charge = chargeFor(request);
      if (!charge.ok) throw refuse('invalid_catalog', 'the charge model does not hold together', charge.errors);
      return { amount: toText(charge.value.amount), currency, lines: charge.value.lines.map(lineOf) };
    },
  );
}

function lineOf(line: ChargeLine): z.infer<typeof lineAnswer> {
  return {
    ...(line.description !== undefined && { description: line.description }),
    ...(line.tier !== undefined && { tier: line.tier }),
    quantity: toText(line.quantity),
    ...(line.unitAmount !== undefined && { unit_amount: toText(line.unitAmount) }),
    ...(line.flatAmount !== undefined && { flat_amount: toText(line.flatAmount) }),
    amount: toText(line.amount),
  };
}
