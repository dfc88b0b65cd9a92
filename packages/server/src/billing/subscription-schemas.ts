import { compare, decimal, toText, ZERO } from '@ergon/exact';
import { z } from '@hono/zod-openapi';
import { isTimeZone } from '../catalog/billing-month.ts';
import { formatInstant } from '../event/instant.ts';
import {
  amountInput,
  catalogKey,
  decimalOutput,
  externalId,
  instantInput,
  instantOutput,
  readAmount,
} from '../http/wire.ts';
import { LIMITS } from '../limits.ts';
import type { Line } from './line-store.ts';
import type { PeriodRecord } from './period-store.ts';
import { cadence } from './schemas.ts';
import type { Subscription } from './subscription-store.ts';

const QUANTITY_MAX = decimal(1_000_000);
const quantity = amountInput
  .refine((value) => compare(readAmount(value) ?? ZERO, QUANTITY_MAX) <= 0, 'at most 1000000')
  .default('1');

const day = z
  .string()
  .regex(/^(?!0000)\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$/, 'a day such as 2026-11-21')
  .refine((text) => !Number.isNaN(Date.parse(text)) && new Date(text).toISOString().startsWith(text), 'no such day');

const version = z.number().int().min(1).optional().openapi({ description: 'Default: the latest' });
const rateCard = catalogKey.optional().openapi({ description: "Instead of the plan's card" });

export const subscribeBody = z
  .strictObject({
    key: catalogKey.optional().openapi({ description: 'Your name for it. Default: `sub_` and a number' }),
    customer: externalId,
    plan: catalogKey,
    version,
    rate_card: rateCard,
    starts_at: instantInput.optional().openapi({
      description: 'Default: now. In the past only as long as no event of the customer has been recorded since then',
    }),
    anchor_on: day.optional().openapi({
      description:
        'A day on which a period begins. Default: the day on which the trial ends, else the day on which it starts',
    }),
    cadence: cadence.optional().openapi({ description: "Default: the plan's" }),
    time_zone: z
      .string()
      .max(64)
      .refine(isTimeZone, 'not an IANA time zone, such as Europe/Athens')
      .optional()
      .openapi({ description: "Default: the customer's. It never changes afterwards" }),
    trial_days: z.number().int().min(0).max(366).optional().openapi({ description: "Default: the plan's" }),
    phases: z
      .array(z.strictObject({ plan: catalogKey, version, rate_card: rateCard, from: instantInput }))
      .max(20)
      .default([])
      .openapi({ description: 'Plans that follow, in order of their beginning' }),
    add_ons: z
      .array(z.strictObject({ key: catalogKey, quantity }))
      .max(20)
      .default([]),
    coupons: z.array(catalogKey).max(20).default([]),
  })
  .openapi('SubscriptionRequest');

const when = z.enum(['now', 'period_end']).default('now');

export const changeBody = z
  .strictObject({ plan: catalogKey, version, rate_card: rateCard, at: when })
  .openapi('SubscriptionChange');
export const cancelBody = z.strictObject({ at: when.default('period_end') }).openapi('SubscriptionCancel');
export const addOnBody = z.strictObject({ key: catalogKey, quantity }).openapi('SubscriptionAddOn');
export const couponBody = z.strictObject({ key: catalogKey }).openapi('SubscriptionCoupon');

export const subscriptionAnswer = z
  .strictObject({
    key: z.string(),
    customer: z.string(),
    status: z.enum(['scheduled', 'trial', 'active', 'cancelling', 'ended']),
    currency: z.string(),
    time_zone: z.string(),
    cadence: z.strictObject({ unit: z.string(), count: z.number().int() }),
    anchor_on: z.string(),
    starts_at: instantOutput,
    ends_at: instantOutput.nullable(),
    next_at: instantOutput.nullable().openapi({ description: 'When its next period opens or closes' }),
    phases: z.array(
      z.strictObject({
        from: instantOutput,
        plan: z.string(),
        version: z.number().int(),
        rate_card: z.string().nullable(),
        trial: z.boolean(),
      }),
    ),
    add_ons: z.array(
      z.strictObject({
        id: z.string(),
        key: z.string(),
        version: z.number().int(),
        quantity: decimalOutput,
        from: instantOutput,
        to: instantOutput.nullable(),
      }),
    ),
    coupons: z.array(z.strictObject({ key: z.string(), version: z.number().int(), first_period: z.number().int() })),
    created_at: instantOutput,
  })
  .openapi('Subscription');

/** @param now microseconds since 1970. */
export function subscriptionShown(subscription: Subscription, now: number): z.infer<typeof subscriptionAnswer> {
  const { startsAt, endsAt, phases, addOns, coupons, dueAt } = subscription;
  return {
    key: subscription.key,
    customer: subscription.customer,
    status: statusOf(subscription, now),
    currency: subscription.currency,
    time_zone: subscription.timeZone,
    cadence: { unit: subscription.unit, count: subscription.count },
    anchor_on: subscription.anchorOn,
    starts_at: formatInstant(startsAt),
    ends_at: instant(endsAt),
    next_at: instant(dueAt),
    phases: phases.map((phase) => ({
      from: formatInstant(phase.from),
      plan: phase.planKey,
      version: phase.version,
      rate_card: phase.rateCard,
      trial: phase.isTrial,
    })),
    add_ons: addOns.map((one) => ({
      id: String(one.id),
      key: one.key,
      version: one.version,
      quantity: toText(one.quantity),
      from: formatInstant(one.from),
      to: instant(one.to),
    })),
    coupons: coupons.map((one) => ({ key: one.key, version: one.version, first_period: one.firstPeriod })),
    created_at: formatInstant(subscription.createdAt),
  };
}

function statusOf({ startsAt, endsAt, phases }: Subscription, now: number) {
  if (endsAt !== null && endsAt <= now) return 'ended';
  if (startsAt > now) return 'scheduled';
  if (endsAt !== null) return 'cancelling';
  return phases.findLast((phase) => phase.from <= now)?.isTrial === true ? 'trial' : 'active';
}

export const periodAnswer = z
  .strictObject({
    number: z.number().int(),
    period: z.string().openapi({ description: 'Names its running totals', example: '2026-11-01@7' }),
    from: instantOutput,
    to: instantOutput,
    status: z.enum(['open', 'closed']),
    closed_at: instantOutput.nullable(),
    total: decimalOutput
      .nullable()
      .openapi({ description: "Sum of its lines in the subscription's currency, once it is closed" }),
    currency: z.string(),
  })
  .openapi('SubscriptionPeriod');

export function periodShown(period: PeriodRecord, currency: string): z.infer<typeof periodAnswer> {
  return {
    number: period.number,
    period: period.period,
    from: formatInstant(period.from),
    to: formatInstant(period.to),
    status: period.closedAt === null ? 'open' : 'closed',
    closed_at: instant(period.closedAt),
    total: period.total === null ? null : toText(period.total),
    currency,
  };
}

export const lineAnswer = z
  .strictObject({
    line: z.number().int(),
    kind: z.enum(['fee', 'usage', 'close', 'coupon']).openapi({
      description: 'close: due without usage, such as a minimum, a true-up or a fixed amount of the card',
    }),
    adjusts: z.number().int().nullable().openapi({ description: 'The closed period that it corrects' }),
    key: z.string(),
    description: z.string(),
    quantity: decimalOutput.nullable(),
    currency: z.string(),
    amount: decimalOutput,
    detail: z.record(z.string(), z.unknown()),
    posting: z.string().nullable().openapi({ description: 'Its ledger entry; usage was posted with its events' }),
    created_at: instantOutput,
  })
  .openapi('SubscriptionLine');

export function lineShown(line: Line): z.infer<typeof lineAnswer> {
  return {
    line: line.line,
    kind: line.kind,
    adjusts: line.about === line.number ? null : line.about,
    key: line.key,
    description: line.description,
    quantity: line.quantity === null ? null : toText(line.quantity),
    currency: line.currency,
    amount: toText(line.amount),
    detail: { ...line.detail },
    posting: line.postingId === null ? null : String(line.postingId),
    created_at: formatInstant(line.createdAt),
  };
}

function instant(micros: number | null): string | null {
  return micros === null ? null : formatInstant(micros);
}

/** Parts a subscription may hold: {@link LIMITS.termsMax}. */
export function tooManyParts({ phases, addOns, coupons }: Subscription): boolean {
  return Math.max(phases.length, addOns.length, coupons.length) >= LIMITS.termsMax;
}
