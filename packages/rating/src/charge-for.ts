import { add, type Decimal, ZERO } from '@ergon/exact';
import { z } from 'zod';
import { chargeModelSchema, nameSchema } from './charge-model-schema.ts';
import { closePeriod } from './close-period.ts';
import { compileChargeModel } from './compile-charge-model.ts';
import type { Bucket, Charge, Compiled, SpecError } from './contract.ts';
import { joinCharges } from './cumulative-rate.ts';
import { FIRST_EVENT } from './event-rate.ts';
import { MATCH_VALUE_MAX, TRANSACTIONS_MAX } from './limits.ts';
import { currencySchema } from './rate-card-schema.ts';
import { schemaErrors, specError } from './spec-error.ts';
import { toDecimal, type WireDecimal, wireDecimal } from './wire-decimal.ts';

/** What `POST /v1/rate` takes. The currency only names the amounts; a charge model has none of its own. */
export const chargeRequestSchema = z.strictObject({
  charge_model: chargeModelSchema,
  quantity: wireDecimal('any', 'Units to rate').optional(),
  previous_quantity: wireDecimal(
    'any',
    'Units rated before in the same period; left out, the answer is a whole period with its minimum and true-up',
  ).optional(),
  transactions: z
    .array(wireDecimal('any', 'Quantity of one event'))
    .max(TRANSACTIONS_MAX)
    .optional()
    .describe('The events of a whole period in order, in place of quantity: for models that price single events'),
  dimensions: z.record(nameSchema, z.string().max(MATCH_VALUE_MAX)).optional(),
  currency: currencySchema.optional(),
});

/** The charge of a quantity, or of single events, under a charge model: no rate card and no state. */
export function chargeFor(request: unknown): Compiled<Charge> {
  const parsed = chargeRequestSchema.safeParse(request);
  if (!parsed.success) return { ok: false, errors: schemaErrors(parsed.error) };
  const spec = parsed.data;
  const compiled = compileChargeModel(spec.charge_model, ['charge_model']);
  if (!compiled.ok) return compiled;
  const model = compiled.value;
  const bucket = model.bucket(spec.dimensions ?? {});
  const errors = checkUse(spec, bucket);
  if (bucket === undefined || errors.length > 0) return { ok: false, errors };

  const before = spec.previous_quantity === undefined ? ZERO : toDecimal(spec.previous_quantity);
  const usage = spec.transactions
    ? chargeEvents(bucket, spec.transactions)
    : chargeTotal(bucket, before, spec.quantity);
  if (spec.previous_quantity !== undefined) return { ok: true, value: usage };
  const closing = closePeriod(model, { usage: [{ key: bucket.key, charged: usage.amount }] });
  return { ok: true, value: joinCharges([usage, closing]) };
}

function chargeTotal(bucket: Bucket, before: Decimal, quantity: WireDecimal | undefined): Charge {
  return bucket.rate.explain(before, add(before, quantity === undefined ? ZERO : toDecimal(quantity)));
}

function chargeEvents(bucket: Bucket, transactions: readonly WireDecimal[]): Charge {
  const quantities = transactions.map(toDecimal);
  if (bucket.perEvent === undefined) {
    const total = quantities.reduce(add, ZERO);
    return bucket.rate.explain(ZERO, total);
  }
  let state = FIRST_EVENT;
  const charges: Charge[] = [];
  for (const quantity of quantities) {
    const rated = bucket.perEvent.next(state, quantity);
    state = rated.state;
    charges.push(rated.charge);
  }
  return joinCharges(charges);
}

function checkUse(spec: z.infer<typeof chargeRequestSchema>, bucket: Bucket | undefined): readonly SpecError[] {
  const { quantity, previous_quantity: previous, transactions } = spec;
  const errors: SpecError[] = [];
  if ((quantity === undefined) === (transactions === undefined)) {
    errors.push(
      specError(['quantity'], 'a preview has either quantity or transactions', 'give exactly one of the two'),
    );
  }
  if (previous !== undefined && (transactions !== undefined || bucket?.perEvent !== undefined)) {
    const detail = 'what came before single events is no quantity';
    errors.push(specError(['previous_quantity'], detail, 'send all events of the period as transactions'));
  }
  if (bucket === undefined) {
    const detail = 'the model has no price for these dimensions';
    errors.push(specError(['dimensions'], detail, 'give the dimensions that the model chooses by'));
  }
  return errors;
}
