import { compare, decimal, ZERO } from '@ergon/exact';
import { z } from '@hono/zod-openapi';
import { amountInput, catalogKey, currencyCode, label, readAmount } from '../http/wire.ts';
import { LIMITS } from '../limits.ts';

/** What a client may say about features, plans, add-ons and coupons; stored as it was said, and never edited. */

const names = z.array(z.string().min(1).max(LIMITS.nameLengthMax)).min(1).max(100);

export const cadence = z
  .strictObject({ unit: z.enum(['day', 'week', 'month', 'year']), count: z.number().int().min(1).max(366).default(1) })
  .refine(
    ({ unit, count }) => count <= { day: 366, week: 52, month: 12, year: 1 }[unit],
    'a period is at most a year long',
  )
  .openapi({ example: { unit: 'month', count: 1 } });

/** Far beyond any fee, and a million of them still fit the ledger. */
const FEE_MAX = decimal('1e15');
const feeAmount = amountInput.refine((value) => compare(readAmount(value) ?? ZERO, FEE_MAX) < 0, 'must be below 10^15');

const fee = z.strictObject({
  key: catalogKey,
  name: label.optional(),
  amount: feeAmount,
  charge: z.enum(['every_period', 'once']).default('every_period').openapi({
    description: '`once`: when the plan (or add-on) begins, such as a set-up fee',
  }),
  pay: z.enum(['in_advance', 'in_arrears']).default('in_advance').openapi({
    description: 'Due when the period opens, or when it closes',
  }),
  prorate: z.boolean().default(true).openapi({
    description:
      'Owed by the day where the plan holds for a part of the period; else whole where it holds at its beginning',
  }),
});

const allowance = z
  .strictObject({
    key: catalogKey,
    amount: amountInput,
    currency: currencyCode.optional().openapi({ description: "Default: the plan's" }),
    priority: z.number().int().min(0).max(1_000_000).optional(),
    eligibility: z
      .strictObject({ features: names.optional(), meters: names.optional(), models: names.optional() })
      .default({}),
  })
  .openapi({ description: 'A promotional grant for each period, which ends with it' });

const entitlement = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('boolean'), feature: catalogKey }),
  z.strictObject({ type: z.literal('static'), feature: catalogKey, value: z.string().min(1).max(1024) }),
  z.strictObject({
    type: z.literal('metered'),
    feature: catalogKey,
    limit: amountInput,
    mode: z.enum(['hard', 'soft']).default('hard').openapi({
      description: 'hard: access ends at the limit; soft: it is only reported',
    }),
  }),
]);

const parts = {
  name: label.optional(),
  currency: currencyCode,
  fees: z.array(fee).max(LIMITS.planPartsMax).refine(hasDistinctKeys, 'two fees have one key').default([]),
  allowances: z
    .array(allowance)
    .max(LIMITS.planPartsMax)
    .refine(hasDistinctKeys, 'two allowances have one key')
    .default([]),
  entitlements: z
    .array(entitlement)
    .max(LIMITS.planPartsMax)
    .refine((all) => new Set(all.map((one) => one.feature)).size === all.length, 'two entitlements to one feature')
    .default([]),
};

export const planSpec = z.strictObject({
  ...parts,
  cadence: cadence.default({ unit: 'month', count: 1 }),
  rate_card: catalogKey.optional().openapi({
    description: "The usage charges: a card's key. Left out: the customer's own card, else `default`",
  }),
  card_changes: z.enum(['at_once', 'next_period', 'carry']).default('at_once').openapi({
    description:
      'When a new version of the card takes effect: at its instant with tiers that begin anew, with the next period, or at its instant with tiers that go on counting where the version before stopped (`carry`: the close charges or gives back the difference)',
  }),
  trial: z
    .strictObject({
      days: z.number().int().min(1).max(366),
      rate_card: catalogKey.optional().openapi({ description: 'The card of the trial; usage is charged by it' }),
    })
    .optional()
    .openapi({ description: 'Days without fees, minimums and commitments at the beginning' }),
});
export type PlanSpec = z.infer<typeof planSpec>;

export const addOnSpec = z.strictObject(parts);
export type AddOnSpec = z.infer<typeof addOnSpec>;

export const featureSpec = z.strictObject({
  name: label.optional(),
  meter: catalogKey.optional().openapi({ description: 'What a metered entitlement to it counts' }),
  only_tagged: z.boolean().default(false).openapi({
    description: 'Count only events whose `feature` is this one; otherwise all of the meter',
  }),
});
export type FeatureSpec = z.infer<typeof featureSpec>;

const HUNDRED = decimal(100);

export const couponSpec = z
  .strictObject({
    name: label.optional(),
    percent: amountInput
      .refine((value) => compare(readAmount(value) ?? ZERO, HUNDRED) <= 0, 'at most 100')
      .optional()
      .openapi({ example: '20' }),
    amount: amountInput.optional(),
    currency: currencyCode.optional().openapi({ description: 'With `amount`: whose subscriptions it fits' }),
    duration: z
      .discriminatedUnion('type', [
        z.strictObject({ type: z.literal('once') }),
        z.strictObject({ type: z.literal('repeating'), periods: z.number().int().min(1).max(1000) }),
        z.strictObject({ type: z.literal('forever') }),
      ])
      .default({ type: 'once' }),
  })
  .refine(({ percent, amount }) => (percent === undefined) !== (amount === undefined), 'either percent or amount')
  .refine(({ amount, currency }) => (amount === undefined) === (currency === undefined), 'an amount needs a currency');
export type CouponSpec = z.infer<typeof couponSpec>;

export type Fee = PlanSpec['fees'][number];
export type Entitlement = PlanSpec['entitlements'][number];
export type Allowance = PlanSpec['allowances'][number];

function hasDistinctKeys(all: readonly { readonly key: string }[]): boolean {
  return new Set(all.map((one) => one.key)).size === all.length;
}
