import { compare, decimal } from '@ergon/exact';
import { z } from '@hono/zod-openapi';
import {
  amountInput,
  decimalOutput,
  externalId,
  instantInput,
  instantOrNull,
  instantOutput,
  instantText,
  readAmount,
} from '../http/wire.ts';
import { LIMITS } from '../limits.ts';
import { CONNECTOR_KEYS } from './payment-connectors.ts';
import { decimalText, walletParams } from './schemas.ts';
import type { TopUpRow } from './top-up-store.ts';

export const topUpParams = walletParams.extend({ top_up: z.string().regex(/^\d{1,18}$/, 'the id of a top-up') });

const connector = z.enum(CONNECTOR_KEYS).default('manual').openapi({
  description:
    'manual: somebody answers paid or failed; webhook: a signed `wallet.top_up_requested` asks your system to',
});
const answerHours = z
  .number()
  .int()
  .min(1)
  .max(24 * 60)
  .default(72)
  .openapi({
    description: 'A payment not answered for by then has failed',
  });
const terms = {
  expires_after_days: z
    .number()
    .int()
    .min(1)
    .max(36_500)
    .optional()
    .openapi({ description: 'Of the grant, once paid' }),
  priority: z.number().int().min(0).max(1_000_000).optional().openapi({ description: 'Of the grant' }),
};

export const topUpBody = z
  .strictObject({ amount: amountInput, connector, answer_hours: answerHours, ...terms })
  .openapi('TopUpRequest');

export const topUpRule = z
  .strictObject({
    amount: amountInput,
    threshold: amountInput.optional().openapi({ description: 'Tops up when less than this is available' }),
    schedule: z
      .strictObject({
        every: z.enum(['day', 'week', 'month']),
        anchor_at: instantInput.openapi({ description: 'The first; the others follow at its local time of day' }),
      })
      .optional(),
    cap: z
      .strictObject({
        per: z.enum(['day', 'month']).openapi({ description: 'A calendar day or month in the customer’s time zone' }),
        count: z.number().int().min(1).max(1_000).optional(),
        amount: amountInput.optional(),
      })
      .refine((cap) => cap.count !== undefined || cap.amount !== undefined, 'name a count, an amount, or both')
      .optional(),
    cooldown_seconds: z.number().int().min(10).max(2_592_000).default(300).openapi({
      description: 'Between two top-ups by threshold, paid or failed',
    }),
    connector,
    answer_hours: answerHours,
    ...terms,
  })
  .refine((rule) => rule.threshold !== undefined || rule.schedule !== undefined, {
    error: 'name a threshold, a schedule, or both',
    path: ['threshold'],
  })
  .openapi('AutoTopUp');
export type TopUpRuleBody = z.output<typeof topUpRule>;

const levels = (what: z.ZodType<string | number>) => z.array(what).max(LIMITS.alertLevelsMax).default([]);
const hours = z
  .union([z.string().max(20), z.number()])
  .refine((value) => {
    const level = readAmount(value);
    return level !== undefined && compare(level, decimal(0n)) > 0 && compare(level, decimal(10_000n)) <= 0;
  }, 'a number of hours above zero, at most 10,000')
  .openapi({ example: '24' });

export const alertsBody = z
  .strictObject({
    amounts: levels(amountInput).openapi({ description: 'Alerts when less than one of these is available' }),
    hours_left: levels(hours).openapi({ description: 'Alerts when the forecast lasts less than one of these' }),
  })
  .openapi('WalletAlertsRequest');

export const alertsAnswer = z
  .strictObject({
    data: z.array(
      z.strictObject({
        kind: z.enum(['amount', 'hours_left']),
        level: decimalOutput,
        is_below: z.boolean(),
        crossings: z.number().int().openapi({ description: 'How often it was crossed, each told once' }),
        changed_at: instantOutput,
      }),
    ),
  })
  .openapi('WalletAlerts');

export const autoTopUpAnswer = z.strictObject({ auto_top_up: z.unknown() }).openapi('AutoTopUpSetting');

export const topUpAnswer = z
  .strictObject({
    id: z.string(),
    customer: externalId,
    wallet: z.string(),
    amount: decimalOutput,
    currency: z.string(),
    pay_amount: decimalOutput,
    pay_currency: z.string(),
    trigger: z.enum(['manual', 'threshold', 'schedule']),
    connector: z.enum(CONNECTOR_KEYS),
    status: z.enum(['pending', 'paid', 'failed']),
    requested_at: instantOutput,
    answer_by: instantOutput,
    resolved_at: instantOutput.nullable(),
    reference: z.string().nullable(),
    failure: z.string().nullable(),
    grant: z.string().nullable(),
  })
  .openapi('TopUp');

export const paidBody = z
  .strictObject({ reference: z.string().max(256).optional().openapi({ description: 'Of the payment' }) })
  .default({})
  .openapi('TopUpPaid');
export const failedBody = z
  .strictObject({ reason: z.string().min(1).max(256).default('payment failed') })
  .default({ reason: 'payment failed' })
  .openapi('TopUpFailed');

export function topUpOf(row: TopUpRow): z.infer<typeof topUpAnswer> {
  return {
    id: row.id,
    customer: row.customer,
    wallet: row.wallet,
    amount: decimalText(row.amount),
    currency: row.currency,
    pay_amount: decimalText(row.pay_amount),
    pay_currency: row.pay_currency,
    trigger: row.trigger,
    connector: row.connector,
    status: row.status,
    requested_at: instantText(row.requested_at),
    answer_by: instantText(row.answer_by),
    resolved_at: instantOrNull(row.resolved_at),
    reference: row.reference,
    failure: row.failure,
    grant: row.grant_id,
  };
}
