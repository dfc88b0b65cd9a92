import { add, ZERO } from '@ergon/exact';
import { z } from 'zod';
import { chargeModelSchema, nameSchema } from './charge-model-schema.ts';
import { closePeriod } from './close-period.ts';
import { compileChargeModel } from './compile-charge-model.ts';
import type { Charge, Compiled } from './contract.ts';
import { joinCharges } from './cumulative-rate.ts';
import { MATCH_VALUE_MAX } from './limits.ts';
import { schemaErrors, specError } from './spec-error.ts';
import { toDecimal, wireDecimal } from './wire-decimal.ts';

/** What `POST /v1/rate` takes beside a currency. */
export const chargeRequestSchema = z.strictObject({
  charge_model: chargeModelSchema,
  quantity: wireDecimal('any', 'Units to rate'),
  previous_quantity: wireDecimal(
    'any',
    'Units rated before in the same period; left out, the answer is a whole period with its minimum and true-up',
  ).optional(),
  dimensions: z.record(nameSchema, z.string().max(MATCH_VALUE_MAX)).optional(),
});

/** The charge of a quantity under a charge model, without a rate card and without state. */
export function chargeFor(request: unknown): Compiled<Charge> {
  const parsed = chargeRequestSchema.safeParse(request);
  if (!parsed.success) return { ok: false, errors: schemaErrors(parsed.error) };
  const spec = parsed.data;
  const compiled = compileChargeModel(spec.charge_model, ['charge_model']);
  if (!compiled.ok) return compiled;
  const model = compiled.value;
  const bucket = model.bucket(spec.dimensions ?? {});
  if (bucket === undefined) {
    const detail = 'the model has no price for these dimensions';
    return { ok: false, errors: [specError(['dimensions'], detail, 'give the dimensions that the model chooses by')] };
  }
  const before = spec.previous_quantity === undefined ? ZERO : toDecimal(spec.previous_quantity);
  const quantity = toDecimal(spec.quantity);
  const usage = bucket.rate.explain(before, add(before, quantity));
  if (spec.previous_quantity !== undefined) return { ok: true, value: usage };
  const closing = closePeriod(model, { usage: [{ key: bucket.key, charged: usage.amount }] });
  return { ok: true, value: joinCharges([usage, closing]) };
}
