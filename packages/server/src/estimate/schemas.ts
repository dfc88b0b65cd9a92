import { TOKEN_CLASSES } from '@ergon/usage';
import { z } from '@hono/zod-openapi';
import { acceleratorInput, devicePrice, engineName, kvDtype, modelConfig, weightDtype } from '../deployments/index.ts';
import { catalogKey, decimalOutput, externalId } from '../http/wire.ts';
import { LIMITS } from '../limits.ts';

/** POST /v1/estimate (DESIGN section 8). */

const tokenCount = z.int().min(0).max(LIMITS.requestTokensMax);

const tokens = z
  .strictObject(
    Object.fromEntries(TOKEN_CLASSES.map((name) => [name, tokenCount.optional()])) as Record<
      (typeof TOKEN_CLASSES)[number],
      z.ZodOptional<typeof tokenCount>
    >,
  )
  .openapi({ description: 'The disjoint classes of usage events', example: { input: 500, cache_read: 1500 } });

/** Text is bounded by the tokenizers of the gateway, not here; the refusal says what to send instead. */
const noText = z
  .unknown()
  .refine(
    (value) => value === undefined,
    'text is not counted here; send token counts in `tokens`, from your tokenizer',
  )
  .optional()
  .openapi({ type: 'string', description: 'Refused: text is not counted here, send `tokens`' });

export const estimateBody = z
  .strictObject({
    customer: externalId.optional().openapi({ description: 'Whose rate card and running totals price it' }),
    feature: externalId.optional(),
    user: externalId.optional(),
    team: externalId.optional(),
    agent: externalId.optional(),
    provider: externalId.optional(),
    model: externalId.optional().openapi({ example: 'llama-3.1-70b' }),
    model_config: modelConfig.optional(),
    deployment: catalogKey.optional().openapi({ example: 'llama70-h100' }),
    accelerator: acceleratorInput.optional(),
    accelerator_count: z
      .int()
      .min(1)
      .max(1_024)
      .optional()
      .openapi({ description: 'Devices of one replica; 1 when left out' }),
    dtype: weightDtype.optional().openapi({ description: "Of the weights; the config's own when left out" }),
    kv_dtype: kvDtype.optional(),
    engine: engineName.optional(),
    batch_size: z.int().min(1).max(100_000).optional().openapi({ description: '32 when left out' }),
    price: devicePrice.optional(),
    tokens,
    max_output_tokens: tokenCount.min(1).optional(),
    expected_output_tokens: tokenCount.min(1).optional().openapi({ description: 'The bound itself when left out' }),
    properties: z.record(z.string().max(64), z.union([z.string().max(256), z.number(), z.boolean()])).optional(),
    prompt: noText,
    text: noText,
    messages: noText,
  })
  .openapi('EstimateRequest');
export type EstimateBody = z.infer<typeof estimateBody>;

const interval = z.strictObject({ low: decimalOutput, expected: decimalOutput, high: decimalOutput });

/** An inferred count has bounds and no point between them. */
const bounds = z.strictObject({ low: decimalOutput, expected: decimalOutput.optional(), high: decimalOutput });

const money = interval
  .extend({ currency: z.string() })
  .nullable()
  .openapi({ description: 'Null where no price is known' });

const phase = z.strictObject({
  bound: z.enum(['compute', 'memory', 'network', 'latency']),
  mfu: z.number(),
  mbu: z.number(),
  arithmetic_intensity: z.number(),
  accelerator_seconds: decimalOutput,
  roofline_accelerator_seconds: decimalOutput,
});

const computeAnswer = z
  .strictObject({
    flops: bounds,
    prefill_flops: decimalOutput.nullable(),
    decode_flops: interval.nullable(),
    hbm_bytes: interval.nullable(),
    accelerator_seconds: interval.nullable().openapi({
      description: 'Device-seconds, calibrated where the deployment was observed: 90 % of measurements lie within',
    }),
    billable_accelerator_seconds: interval.nullable().openapi({
      description: 'What the meter `accelerator_seconds` will record: the model at the reference point, uncalibrated',
    }),
    compute_units: interval.nullable(),
    prefill_seconds: decimalOutput.nullable().openapi({ description: 'Of the prefill pass, without queueing' }),
    seconds_per_output_token: interval.nullable(),
    phases: z.strictObject({ prefill: phase, decode: phase }).nullable(),
    accelerator: z.string().nullable(),
    accelerator_count: z.int().nullable(),
    batch_size: z.int().nullable(),
    deployment: z.string().nullable(),
    basis: z.enum(['architecture', 'inferred']),
    time_basis: z.enum(['modelled', 'calibrated']).nullable(),
    coverage: z.literal('0.9').nullable(),
    convention: z.literal('ergon-flops-1'),
    model_hash: z.string(),
    unread: z.array(z.string()).openapi({ description: 'Configuration keys without a tested rule' }),
  })
  .nullable()
  .openapi('EstimatedCompute');
export type ComputeAnswer = z.infer<typeof computeAnswer>;

export const estimateAnswer = z
  .strictObject({
    model: z.string().nullable(),
    tokens: z.strictObject({ input: decimalOutput, cache_read: decimalOutput, output: interval }),
    compute: computeAnswer,
    unmeasured: z.string().optional().openapi({ description: 'Why `compute` is null' }),
    cost: z
      .strictObject({ charge: money, provider_cost: money, physical_cost: money, currency: z.string() })
      .openapi({ description: '`currency` is that of the charge; the other two are in USD' }),
    unrated: z
      .array(z.strictObject({ meter: z.string(), quantity: decimalOutput, reason: z.string() }))
      .openapi({ description: 'What the card does not price, at the expected output' }),
    admission: z
      .strictObject({
        would_admit: z.boolean(),
        tightest: z
          .strictObject({
            kind: z.enum(['budget', 'wallet']),
            key: z.string(),
            measure: z.string(),
            available: decimalOutput.nullable(),
          })
          .nullable()
          .openapi({ description: 'The limit under which the call would fit the fewest times' }),
      })
      .openapi({ description: 'Whether a hold of the upper bounds would be admitted now; nothing is set aside' }),
  })
  .openapi('Estimate');
export type EstimateAnswer = z.infer<typeof estimateAnswer>;
