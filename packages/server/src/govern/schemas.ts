import { decimal, parseCurrency, parseDecimal, toText } from '@ergon/exact';
import { z } from '@hono/zod-openapi';
import { isTimeZone } from '../catalog/billing-month.ts';
import {
  amountInput,
  catalogKey,
  currencyCode,
  decimalOutput,
  externalId,
  instantOutput,
  readAmount,
} from '../http/wire.ts';
import { estimateBody } from '../estimate/schemas.ts';
import { LIMITS } from '../limits.ts';

/** What a hold sets aside and a budget limits. Money measures count in the budget's currency. */
export const MEASURES = [
  'charge',
  'provider_cost',
  'physical_cost',
  'tokens',
  'requests',
  'flops',
  'accelerator_seconds',
  'compute_units',
  'credits',
] as const;
/** What a meter of events counts, by its key: `meter:images`. Of meters that add up: count and sum. */
export type MeterMeasure = `meter:${string}`;
export type Measure = (typeof MEASURES)[number] | MeterMeasure;

export function isMeterMeasure(text: string): text is MeterMeasure {
  return text.startsWith('meter:');
}

export function meterOf(measure: MeterMeasure): string {
  return measure.slice('meter:'.length);
}

const meterMeasure = z
  .string()
  .regex(/^meter:[A-Za-z][A-Za-z0-9_.-]{0,63}$/, 'meter:<key of a meter>, such as meter:images')
  .openapi({ description: 'What a meter that counts or sums has counted', example: 'meter:images' });

/** Dimensions that a budget selects by; `run` holds for a run's whole subtree. */
export const SCOPE_DIMENSIONS = [
  'customer',
  'team',
  'user',
  'api_key',
  'feature',
  'provider',
  'model',
  'agent',
  'run',
  'work_item',
] as const;
export type ScopeDimension = (typeof SCOPE_DIMENSIONS)[number];

const WINDOWS = ['minute', 'hour', 'day', 'week', 'month', 'quarter', 'year', 'lifetime'] as const;

const rolling = z
  .string()
  .regex(/^rolling:[1-9]\d{0,3}[mhd]$/, 'rolling:<length>, such as rolling:24h')
  .openapi({ description: '60 slices; a slice leaves when it is wholly outside' });

const anchored = z
  .string()
  .regex(
    /^every:[1-9]\d{0,2}(day|week|month|year)@\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$/,
    'every:<count><unit>@<day>, such as every:1month@2026-01-15',
  )
  .refine((text) => {
    const day = text.slice(-10);
    const at = Date.parse(day);
    return !Number.isNaN(at) && new Date(at).toISOString().startsWith(day);
  }, 'no such day')
  .openapi({ description: "A subscription's periods: so many units, counted from a day of the time zone" });

const scopeValue = externalId;
const scope = z
  .strictObject({
    ...(Object.fromEntries(SCOPE_DIMENSIONS.map((name) => [name, scopeValue.optional()])) as Record<
      ScopeDimension,
      z.ZodOptional<typeof scopeValue>
    >),
    environment: scopeValue
      .optional()
      .openapi({ description: 'The key of the environment it is made in; it counts there alone' }),
    tags: z.record(z.string().min(1).max(64), z.string().max(256)).optional(),
  })
  .openapi({
    description: 'All of these must hold; a trailing * matches what begins so. Empty: the whole environment',
  });

const positive = z
  .union([z.string().max(64), z.number()])
  .refine((value) => {
    const amount = readAmount(value);
    return amount !== undefined && amount.coefficient >= 0n;
  }, 'a decimal of at least zero, as text')
  .openapi({ example: '50' });

const share = z.string().refine((text) => {
  const value = parseDecimal(text);
  return value !== undefined && value.coefficient > 0n && Number(text) <= 10;
}, 'a share of the limit above 0, such as "0.8"');

const unknownPolicy = z.enum(['deny', 'fallback', 'allow_and_flag', 'zero']);

export const budgetSpec = z.strictObject({
  key: catalogKey,
  name: z.string().max(256).optional(),
  scope: scope.default({}),
  per: z
    .array(z.enum(SCOPE_DIMENSIONS))
    .max(3)
    .default([])
    .openapi({ description: 'A counter of its own for each value; without it the scope is one shared pool' }),
  unit: z
    .union([
      z.enum(['tokens', 'requests', 'flops', 'accelerator_seconds', 'compute_units', 'credits']),
      meterMeasure,
      currencyCode,
    ])
    .openapi({
      description: 'A currency, a credit unit (credit:<name>), a quantity, or what a meter counts (meter:<key>)',
      example: 'USD',
    }),
  measure: z
    .enum(['charge', 'provider_cost', 'physical_cost'])
    .optional()
    .openapi({ description: 'Which money a currency limits; charge when left out' }),
  window: z.union([z.enum(WINDOWS), rolling, anchored]),
  time_zone: z.string().max(64).refine(isTimeZone, 'an IANA time zone').default('UTC'),
  limit: positive,
  mode: z
    .enum(['shadow', 'warn', 'enforce'])
    .default('enforce')
    .openapi({ description: 'shadow and warn admit everything and count; warn tells the caller as well' }),
  thresholds: z.array(share).max(10).default(['0.5', '0.8', '1']),
  on_exceed: z
    .enum(['deny', 'clamp'])
    .default('deny')
    .openapi({ description: 'clamp lowers the output bound of the request to what fits, where it has one' }),
  unknown_quantity: unknownPolicy.default('deny').openapi({
    description: 'What becomes of a hold that lacks the quantity this budget limits; zero: it takes none of it',
  }),
  unknown_price: unknownPolicy.optional().openapi({
    description: 'The same where money or credits lack though the hold says its tokens; unknown_quantity when left out',
  }),
  unknown_length: unknownPolicy.optional().openapi({
    description: 'The same where the hold does not say its tokens either; unknown_quantity when left out',
  }),
  fallback_quantity: positive.optional(),
  on_store_failure: z.enum(['closed', 'open', 'fallback']).default('closed').openapi({
    description:
      'What becomes of a hold while the database cannot be reached. open: admitted and posted later; fallback: so, up to fallback_allowance; closed: 503. The strictest of the enforced budgets that apply decides',
  }),
  fallback_allowance: positive
    .optional()
    .openapi({ description: "Of the budget's unit, all members together, for each failure and process" }),
  count_from: z
    .enum(['creation', 'window_start'])
    .default('creation')
    .openapi({ description: 'window_start: a new budget begins with what its present window has seen already' }),
});
export type BudgetSpec = z.infer<typeof budgetSpec>;

/** The measure that a budget counts. */
export function measureOf(spec: BudgetSpec): Measure {
  if (isMeterMeasure(spec.unit)) return spec.unit;
  const quantity = MEASURES.find((name) => name === spec.unit);
  return quantity ?? spec.measure ?? 'charge';
}

/** The currency of a money budget. */
export function currencyOf(spec: BudgetSpec): string | undefined {
  return isMeterMeasure(spec.unit) || MEASURES.some((name) => name === spec.unit)
    ? undefined
    : parseCurrency(spec.unit);
}

const counterAnswer = z
  .strictObject({
    member: z.record(z.string(), z.string()),
    window_start: instantOutput,
    committed: decimalOutput,
    held: decimalOutput,
    overage: decimalOutput.openapi({
      description: 'Of the committed, what passed the limit without having been admitted',
    }),
    available: decimalOutput.openapi({ description: 'limit - committed - held; below zero after an overage' }),
  })
  .openapi('BudgetCounter');

export const overageAnswer = z
  .strictObject({
    member: z.record(z.string(), z.string()),
    window_start: instantOutput,
    amount: decimalOutput,
    cause: z.enum(['unheld', 'above_hold', 'late', 'lowered_limit', 'counted_back', 'store_failure']).openapi({
      description:
        'An event without a hold, a settlement above its hold, one after the hold was gone, a limit that was lowered below what was spent, a new budget whose window had seen more, a hold admitted while the database could not be reached',
    }),
    hold: z.string().nullable(),
    occurred_at: instantOutput,
  })
  .openapi('BudgetOverage');

export const budgetAnswer = budgetSpec
  .extend({
    limit: decimalOutput,
    fallback_quantity: decimalOutput.nullable(),
    fallback_allowance: decimalOutput.nullable(),
    created_at: instantOutput,
    counters: z.array(counterAnswer).openapi({ description: 'Of the present window, the fullest first, at most 100' }),
  })
  .openapi('Budget');

const METERS_MAX = 16;

const amounts = z
  .object(
    Object.fromEntries(MEASURES.map((name) => [name, positive.optional()])) as Record<
      (typeof MEASURES)[number],
      z.ZodOptional<typeof positive>
    >,
  )
  .catchall(positive)
  .superRefine((given, context) => {
    const others = Object.keys(given).filter((name) => !MEASURES.some((known) => known === name));
    const unknown = others.find((name) => !meterMeasure.safeParse(name).success);
    if (unknown !== undefined) {
      context.addIssue({ code: 'custom', path: [unknown], message: 'no measure; those are listed, and meter:<key>' });
    }
    if (others.length > METERS_MAX) context.addIssue({ code: 'custom', message: `at most ${METERS_MAX} meters` });
  })
  .openapi('HoldAmounts', { description: 'By measure; of a meter that counts or sums, as meter:<key>' });

/** Each measure of given amounts, with its exact text. */
export function amountTexts(given: Readonly<Record<string, string | number | undefined>>): [Measure, string][] {
  return Object.entries(given).flatMap(([name, value]): [Measure, string][] => {
    const measure = isMeterMeasure(name) ? name : MEASURES.find((known) => known === name);
    return measure === undefined || value === undefined ? [] : [[measure, toText(decimal(String(value)))]];
  });
}

function isCharged({
  amount,
  amounts: given,
}: {
  amount?: unknown;
  amounts?: { charge?: unknown } | undefined;
}): boolean {
  return Number(amount ?? given?.charge ?? 0) > 0;
}

const holdId = externalId.refine((text) => !text.includes('/'), 'without /');

export const holdBody = z
  .strictObject({
    id: holdId.openapi({ description: 'Yours: the same again is a no-op, another body under it a conflict' }),
    customer: externalId.optional(),
    team: externalId.optional(),
    user: externalId.optional(),
    feature: externalId.optional(),
    provider: externalId.optional(),
    model: externalId.optional(),
    agent: externalId.optional(),
    run_id: externalId.optional(),
    parent_run_id: externalId.optional(),
    work_item: externalId.optional(),
    tags: z.record(z.string().min(1).max(64), z.string().max(256)).optional(),
    amounts: amounts.optional(),
    amount: amountInput.optional().openapi({ description: 'Short for amounts.charge' }),
    currency: currencyCode.optional(),
    estimate: estimateBody.optional().openapi({
      description:
        'Instead of amounts, currency and output: the body of POST /v1/estimate. The high end of every interval is held',
    }),
    output: z
      .strictObject({ max_tokens: z.int().min(0).max(100_000_000), per_token: amounts })
      .optional()
      .openapi({ description: 'The part of `amounts` that the output bound makes: lets a refusal say what would fit' }),
    expires_in_seconds: z.int().min(1).max(LIMITS.holdSecondsMax).default(300),
    dispatched: z.boolean().default(false),
    above: z.enum(['overage', 'cap', 'refuse']).default('overage').openapi({
      description: 'What a settlement above the hold does',
    }),
  })
  .refine((body) => body.currency !== undefined || body.estimate !== undefined || !isCharged(body), {
    path: ['currency'],
    message: 'is missing: a charge in no currency fits no wallet and no budget',
  })
  .openapi('HoldRequest');
export type HoldBody = z.infer<typeof holdBody>;

export const settleBody = z
  .strictObject({
    amount: positive.optional(),
    amounts: amounts.optional(),
    event: z.record(z.string(), z.unknown()).optional().openapi({
      description: 'The event of the call, instead of amounts: recorded, rated and debited in the same transaction',
    }),
  })
  .openapi('SettleRequest');

export const extendBody = z
  .strictObject({ expires_in_seconds: z.int().min(1).max(LIMITS.holdSecondsMax), dispatched: z.boolean().optional() })
  .openapi('ExtendRequest');

export const scopeAnswer = z.strictObject({ kind: z.enum(['budget', 'wallet']), key: z.string() });

export const holdAnswer = z
  .strictObject({
    id: z.string(),
    status: z.enum(['pending', 'dispatched', 'settled', 'released', 'expired']),
    customer: z.string().nullable(),
    currency: z.string().nullable(),
    amounts: z.record(z.string(), decimalOutput),
    settled: z.record(z.string(), decimalOutput).nullable(),
    settled_by: z.enum(['amount', 'event', 'estimate']).nullable(),
    late: z.boolean().openapi({ description: 'Settled after it had expired or was released' }),
    scopes: z.array(scopeAnswer),
    flags: z.array(z.string()),
    max_output_tokens: z
      .int()
      .nullable()
      .openapi({ description: 'The bound to send upstream, where the hold has one; lowered when clamped' }),
    clamped: z.boolean(),
    created_at: instantOutput,
    expires_at: instantOutput,
    resolved_at: instantOutput.nullable(),
  })
  .openapi('Hold');
