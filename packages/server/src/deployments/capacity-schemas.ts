import { type Decimal, parseDecimal } from '@ergon/exact';
import { z } from '@hono/zod-openapi';
import { decimalOutput, instantInput, instantOutput } from '../http/wire.ts';
import { LIMITS } from '../limits.ts';

/** Busy time, its attribution, and what became of the device-hours that were bought. */

export const busyBody = z
  .strictObject({
    from: instantInput.openapi({ description: 'A whole minute' }),
    to: instantInput.openapi({ description: 'A whole minute, exclusive' }),
    busy_device_seconds: z
      .union([z.string().max(40), z.number()])
      .refine((value) => readSeconds(value) !== undefined, 'seconds of at least 0 with at most 9 decimals')
      .openapi({ description: 'Seconds its devices were busy, summed over the devices', example: '25200' }),
    source: z.string().max(256).optional(),
  })
  .openapi('BusyRequest');

export const busyAnswer = z
  .strictObject({
    deployment: z.string(),
    from: instantOutput,
    to: instantOutput,
    busy_device_seconds: decimalOutput,
  })
  .openapi('Busy');

export const attributeBody = z
  .strictObject({
    measured_ns: z.union([z.string().regex(/^\d{1,15}$/), z.int().min(0)]),
    parts: z
      .array(
        z.strictObject({
          id: z.string().max(LIMITS.nameLengthMax).optional(),
          new_tokens: z.int().min(1).max(LIMITS.requestTokensMax),
          context: z.int().min(0).max(LIMITS.requestTokensMax),
        }),
      )
      .min(1)
      .max(LIMITS.stepPartsMax),
  })
  .openapi('AttributeStepRequest');

export const attributeAnswer = z
  .strictObject({
    shares: z.array(z.strictObject({ id: z.string().nullable(), accelerator_seconds: decimalOutput })),
    accelerator_seconds: decimalOutput.openapi({ description: "The step's seconds over its devices: the shares' sum" }),
  })
  .openapi('AttributedStep');

const secondsOutput = decimalOutput.openapi({ description: 'Device-seconds' });

export const capacityQuery = z.strictObject({
  from: instantInput
    .optional()
    .openapi({ description: 'Inclusive, a whole minute; 24 hours before `to` when left out' }),
  to: instantInput.optional().openapi({ description: 'Exclusive, a whole minute; the last whole one when left out' }),
});

export const capacityAnswer = z
  .strictObject({
    deployment: z.string(),
    from: instantOutput,
    to: instantOutput,
    bought: secondsOutput,
    allocated: secondsOutput,
    overhead: secondsOutput,
    idle: secondsOutput,
    measured: z
      .boolean()
      .openapi({ description: 'Whether busy time was reported: without it overhead is unknown and zero' }),
    busy_measured: decimalOutput.nullable(),
    demanded: secondsOutput.openapi({ description: 'What requests were allocated one by one' }),
    excess: secondsOutput.openapi({
      description:
        'Demand above busy or bought time, which cannot be: the model over-estimates, or devices are missing',
    }),
    utilisation: decimalOutput.nullable().openapi({ description: 'Allocated / bought, 6 decimals' }),
    cost: z
      .strictObject({
        currency: z.literal('USD'),
        bought: decimalOutput,
        allocated: decimalOutput,
        overhead: decimalOutput,
        idle: decimalOutput,
      })
      .nullable()
      .openapi({ description: 'At the dated prices of the versions; null where one has none' }),
  })
  .openapi('Capacity');

/** Device-seconds as text or number; the schema refuses what this does not read. */
export function readSeconds(value: string | number): Decimal | undefined {
  const seconds = parseDecimal(String(value));
  if (seconds === undefined || seconds.coefficient < 0n || seconds.scale > 9) return undefined;
  return seconds.coefficient < 10n ** 24n ? seconds : undefined;
}
