import { compare, decimal } from '@ergon/exact';
import { z } from '@hono/zod-openapi';
import { amountInput, label } from '../http/wire.ts';
import { LIMITS } from '../limits.ts';
import { POLICY_ACTIONS } from './actions.ts';

const value = z.string().min(1).max(LIMITS.nameLengthMax);
const oneOrMore = z.union([value, z.array(value).min(1).max(100)]);

/** What a policy looks at, by name; a trailing `*` matches any ending. */
const scope = z.strictObject({
  customer: oneOrMore.optional(),
  team: oneOrMore.optional(),
  user: oneOrMore.optional(),
  feature: oneOrMore.optional(),
  provider: oneOrMore.optional(),
  model: oneOrMore.optional(),
  agent: oneOrMore.optional(),
  run_id: oneOrMore.optional(),
  work_item: oneOrMore.optional(),
  event_type: oneOrMore.optional(),
});

const rung = z
  .strictObject({
    at_least: amountInput
      .optional()
      .openapi({ description: 'The metric has reached this; the highest reached rung applies' }),
    action: z.enum(POLICY_ACTIONS),
    reason: label.optional(),
    max_output_tokens: z
      .number()
      .int()
      .min(1)
      .max(LIMITS.quantityMax)
      .optional()
      .openapi({ description: 'Of cap_output' }),
    model: value.optional().openapi({ description: 'Of downgrade_model' }),
    parallelism: z.number().int().min(1).max(10_000).optional().openapi({ description: 'Of shrink_parallelism' }),
    tag: value.optional().openapi({ description: 'Of require_tag: the rung applies where it is missing' }),
  })
  .refine(
    (one) => one.action !== 'cap_output' || one.max_output_tokens !== undefined,
    'cap_output needs max_output_tokens',
  )
  .refine((one) => one.action !== 'downgrade_model' || one.model !== undefined, 'downgrade_model needs a model')
  .refine(
    (one) => one.action !== 'shrink_parallelism' || one.parallelism !== undefined,
    'shrink_parallelism needs parallelism',
  )
  .refine((one) => one.action !== 'require_tag' || one.tag !== undefined, 'require_tag needs a tag');
export type PolicyRung = z.output<typeof rung>;

/** A policy as it is published: never edited, replaced by its next version. */
export const policyDocument = z
  .strictObject({
    name: label.optional(),
    mode: z.enum(['shadow', 'warn', 'enforce']).openapi({
      description: 'shadow: noted only, with what it would have changed; warn: told, not done; enforce: done',
    }),
    scope: scope.default({}).openapi({ description: 'Every member must match; none matches everything' }),
    condition: z.string().min(1).max(LIMITS.conditionLengthMax).optional().openapi({
      description: 'CEL, true where the policy applies',
      example: 'model.startsWith("gpt-5") && atLeast(metrics.charge, "5")',
    }),
    metric: z
      .string()
      .regex(/^[a-z][a-z0-9_]{0,63}$/)
      .optional()
      .openapi({ description: 'The quantity that the rungs look at, such as charge, tokens or wallet_available' }),
    ladder: z.array(rung).min(1).max(20),
    on_error: z.enum(['open', 'closed']).default('open').openapi({
      description:
        'What a condition that fails, or a metric that is missing, means: open: as if it did not apply; closed: refuse',
    }),
  })
  .refine((one) => one.metric !== undefined || one.ladder.every((each) => each.at_least === undefined), {
    error: 'rungs with at_least need a metric',
    path: ['metric'],
  })
  .refine((one) => one.metric === undefined || one.ladder.every((each) => each.at_least !== undefined), {
    error: 'with a metric every rung needs at_least',
    path: ['ladder'],
  })
  .refine((one) => one.metric !== undefined || one.ladder.length === 1, {
    error: 'without a metric there is one rung',
    path: ['ladder'],
  })
  .refine((one) => isRising(one.ladder), { error: 'rungs must rise by at_least', path: ['ladder'] })
  .openapi('PolicyDocument');
export type PolicyDocument = z.output<typeof policyDocument>;

function isRising(ladder: readonly PolicyRung[]): boolean {
  return ladder.every((each, index) => {
    const before = ladder[index - 1];
    if (before?.at_least === undefined || each.at_least === undefined) return true;
    return compare(decimal(String(before.at_least)), decimal(String(each.at_least))) < 0;
  });
}

const name = z.string().max(LIMITS.nameLengthMax).optional();

/** What is decided on: everything a decision needs, so that it can be made again from its record. */
export const policyInputs = z
  .strictObject({
    customer: name,
    team: name,
    user: name,
    feature: name,
    provider: name,
    model: name,
    agent: name,
    run_id: name,
    work_item: name,
    event_type: name,
    tags: z
      .record(z.string().min(1).max(64), z.string().max(LIMITS.nameLengthMax))
      .refine((tags) => Object.keys(tags).length <= 50, 'at most 50 tags')
      .default({}),
    metrics: z
      .record(
        z.string().regex(/^[a-z][a-z0-9_]{0,63}$/),
        z.string().regex(/^-?\d{1,40}(\.\d{1,18})?$/, 'a decimal as text'),
      )
      .refine((metrics) => Object.keys(metrics).length <= 50, 'at most 50 metrics')
      .default({})
      .openapi({ description: 'Decimals as text', example: { charge: '0.0132', tokens: '2500' } }),
  })
  .openapi('PolicyInputs');
export type PolicyInputs = z.output<typeof policyInputs>;
