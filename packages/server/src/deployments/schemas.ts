import { z } from '@hono/zod-openapi';
import { catalogKey, decimalOutput, externalId, instantInput, instantOutput } from '../http/wire.ts';
import { isPositive, parseDecimal } from '@ergon/exact';
import { LIMITS } from '../limits.ts';

/** What a deployment is, as requests, rows and answers carry it. */

const WEIGHT_DTYPES = ['fp32', 'bf16', 'fp8', 'fp8_block', 'int8', 'int4', 'mxfp4', 'nvfp4'] as const;

/** Far below any device and far above: what is divided by them stays finite. */
const positive = z.number().min(1e-3).max(1e9);

/** A device that is not in the catalog; peaks are dense, in TFLOP/s. */
const ownAccelerator = z
  .strictObject({
    id: catalogKey,
    peak_tflops: z.strictObject({ bf16: positive, fp8: positive.optional(), fp4: positive.optional() }),
    memory_gb: positive,
    memory_bandwidth_tb_s: positive,
    link_gb_s: positive.optional().openapi({ description: 'One direction, a device' }),
  })
  .openapi('OwnAccelerator');

export const acceleratorInput = z
  .union([z.string().min(1).max(64), ownAccelerator])
  .openapi({ description: 'An id of the accelerator catalog, such as `h100-sxm`, or a device of your own' });

const priceText = z
  .string()
  .max(32)
  .refine((text) => {
    const price = parseDecimal(text);
    return price !== undefined && isPositive(price) && price.scale <= 9 && price.coefficient < 10n ** 18n;
  }, 'a decimal above zero as text, such as "2.00"');

const shareText = z
  .string()
  .max(12)
  .refine((text) => /^(1(\.0{1,9})?|0\.\d{1,9})$/.test(text) && /[1-9]/.test(text), 'a decimal above 0 and at most 1');

export const devicePrice = z
  .strictObject({
    per_device_hour: priceText.openapi({ example: '2.00' }),
    currency: z.literal('USD'),
    utilisation: shareText.optional().openapi({
      description: 'Busy share of the hours bought: idle time is paid by what runs. 1 when left out',
      example: '0.6',
    }),
    source: z.string().max(256).optional(),
  })
  .openapi('DevicePrice');

export const modelConfig = z
  .record(z.string(), z.unknown())
  .openapi({ description: "A Hugging Face `config.json`, where the model is not in Ergon's catalog" });

export const weightDtype = z.enum(WEIGHT_DTYPES);
export const kvDtype = z.enum(['bf16', 'fp8']);
export const engineName = z.enum(['vllm', 'sglang', 'trtllm']);

export const deploymentSpec = z.strictObject({
  model: externalId.openapi({
    description: 'A model of the catalog; with `model_config` any name',
    example: 'llama-3.1-70b',
  }),
  model_config: modelConfig.optional(),
  serves: z.array(externalId).max(LIMITS.deploymentNamesMax).optional().openapi({
    description:
      'Model names in events that name no deployment and are counted here; `model` when left out, nothing when empty',
  }),
  upstream: z.string().max(2_048).optional().openapi({ description: 'Where it answers, for people' }),
  accelerator: acceleratorInput,
  accelerator_count: z.int().min(1).max(100_000).openapi({ description: 'Devices bought, over all replicas' }),
  tensor_parallel: z.int().min(1).max(1_024).optional().openapi({
    description: 'Devices of one replica; all of them when left out',
  }),
  weight_dtype: weightDtype.optional().openapi({ description: "The config's own when left out" }),
  kv_dtype: kvDtype.optional().openapi({ description: 'bf16 when left out' }),
  engine: engineName.optional(),
  max_sequences: z.int().min(1).max(100_000).optional().openapi({ description: "The engine's cap on a batch" }),
  price: devicePrice.optional(),
  reference: z
    .strictObject({ batch: z.int().min(1).max(100_000) })
    .openapi({ description: 'The operating point that requests are billed at, whatever ran beside them' }),
});
export type DeploymentSpec = z.infer<typeof deploymentSpec>;

export const deploymentBody = deploymentSpec
  .extend({
    effective_from: instantInput.optional().openapi({
      description:
        'When the version comes into force. Left out: at once, and for the first version from the beginning. In the past: refused, but for the first version',
    }),
  })
  .openapi('DeploymentRequest');

const calibrationAnswer = z
  .strictObject({
    factor: z.number().openapi({ description: 'Measured / predicted' }),
    low: z.number(),
    high: z.number(),
    coverage: z.literal('0.9'),
    observations: z.int(),
    time_basis: z.enum(['modelled', 'calibrated']),
  })
  .openapi('Calibration');

const driftAnswer = z
  .strictObject({
    alarm: z.boolean().openapi({
      description: 'More than a quarter of the latest observations left the interval that those before them gave',
    }),
    recent: z.int(),
    outside: z.int(),
  })
  .openapi('Drift');

export const deploymentAnswer = z
  .strictObject({
    key: z.string(),
    version: z.int(),
    effective_from: instantOutput,
    created_at: instantOutput,
    spec: deploymentSpec,
    model: z.strictObject({
      name: z.string(),
      basis: z.enum(['architecture', 'inferred']),
      hash: z.string().openapi({ description: 'Names the architecture in records of events' }),
      unread: z.array(z.string()).openapi({
        description: 'Configuration keys without a tested rule: counts are an interval, and nothing is metered',
      }),
      parameters_total: z.strictObject({ low: decimalOutput, high: decimalOutput }),
      kv_bytes_per_token: decimalOutput.nullable(),
      checkpoint_bytes: decimalOutput.nullable(),
    }),
    calibration: calibrationAnswer.nullable(),
    drift: driftAnswer,
    warnings: z.array(z.string()),
  })
  .openapi('Deployment');

export const observationBody = z
  .strictObject({
    observations: z
      .array(
        z.strictObject({
          observed_at: instantInput.optional(),
          concurrency: z.int().min(1).max(100_000).openapi({ description: 'Requests in flight on one replica' }),
          input_tokens: z.int().min(0).max(LIMITS.requestTokensMax).openapi({ description: 'New prompt tokens, mean' }),
          cached_tokens: z.int().min(0).max(LIMITS.requestTokensMax).default(0),
          output_tokens: z.int().min(1).max(LIMITS.requestTokensMax),
          seconds_per_output_token: z.number().min(1e-9).max(3_600),
          source: z.string().max(256).optional(),
        }),
      )
      .min(1)
      .max(LIMITS.observationsMax),
  })
  .openapi('ObservationsRequest');

export const observationAnswer = z
  .strictObject({
    id: z.string(),
    observed_at: instantOutput,
    created_at: instantOutput,
    concurrency: z.int(),
    input_tokens: z.int(),
    cached_tokens: z.int(),
    output_tokens: z.int(),
    seconds_per_output_token: decimalOutput,
    predicted_seconds_per_output_token: z
      .number()
      .nullable()
      .openapi({ description: 'Before any calibration; null where the model has no tested rule' }),
    source: z.string().nullable(),
  })
  .openapi('Observation');
