import { decimal, toText } from '@ergon/exact';
import { z } from '@hono/zod-openapi';
import { microsFromPostgres } from '../event/instant.ts';
import {
  amountInput,
  currencyCode,
  decimalOutput,
  externalId,
  instantInput,
  instantOrNull,
  instantOutput,
  instantText,
} from '../http/wire.ts';
import { LIMITS } from '../limits.ts';
import type { GrantRow, WalletRow } from './wallet-store.ts';

const walletKey = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/, 'a letter or digit, then at most 63 letters, digits, _ . or -');

export const customerParams = z.strictObject({ id: externalId });
export const walletParams = customerParams.extend({ wallet: walletKey });
export const grantParams = walletParams.extend({ grant: z.string().regex(/^\d{1,18}$/, 'the id of a grant') });

export const walletBody = z.strictObject({ currency: currencyCode }).openapi('WalletRequest');

const names = z.array(z.string().min(1).max(LIMITS.nameLengthMax)).min(1).max(100);

const eligibility = z.strictObject({ features: names.optional(), meters: names.optional(), models: names.optional() });

export const grantBody = z
  .strictObject({
    amount: amountInput,
    currency: currencyCode,
    kind: z.enum(['paid', 'promotional']).default('paid'),
    priority: z
      .number()
      .int()
      .min(0)
      .max(1_000_000)
      .nullish()
      .openapi({ description: 'Lowest burns first; none last' }),
    effective_at: instantInput.nullish().openapi({ description: 'Default: now' }),
    expires_at: instantInput.nullish(),
    cost_basis: z.strictObject({ amount: amountInput, currency: currencyCode }).optional().openapi({
      description: 'What all of it cost in money, where somebody paid another unit for it: credits, a discount',
    }),
    eligibility: eligibility.default({}).openapi({
      description: 'What it may pay for: usage of one of the features, meters and models; a model may end in *',
    }),
  })
  .openapi('GrantRequest');

export const grantAnswer = z
  .strictObject({
    id: z.string(),
    wallet: z.string(),
    amount: decimalOutput,
    balance: decimalOutput,
    currency: z.string(),
    kind: z.enum(['paid', 'promotional']),
    status: z.enum(['scheduled', 'active', 'spent', 'expired', 'voided']),
    priority: z.number().int().nullable(),
    effective_at: instantOutput,
    expires_at: instantOutput.nullable(),
    voided_at: instantOutput.nullable(),
    cost_basis: z.strictObject({ amount: decimalOutput, currency: z.string() }).nullable(),
    top_up: z.string().nullable().openapi({ description: 'The top-up that paid for it' }),
    eligibility,
    created_at: instantOutput,
  })
  .openapi('Grant');

const walletFields = {
  key: z.string(),
  currency: z.string(),
  posted: decimalOutput.openapi({ description: 'Sum of the balances of all its grants' }),
  held: decimalOutput.openapi({ description: 'Part of it that is reserved' }),
  available: decimalOutput.openapi({ description: 'What grants in force hold, less what is held' }),
  receivable: decimalOutput.openapi({
    description: 'What the customer owes in this currency for usage that no grant covered; one for all wallets',
  }),
  customer_credit: decimalOutput.openapi({
    description: 'Given back by reversals after its grant had ended; one for all wallets of the currency',
  }),
  created_at: instantOutput,
};

export const walletSummary = z.strictObject(walletFields).openapi('WalletSummary');
export const walletAnswer = z
  .strictObject({
    ...walletFields,
    incoming: decimalOutput.openapi({ description: 'Pending top-ups; nothing of it can be spent yet' }),
    value: z
      .strictObject({ available: decimalOutput, currency: z.string(), rate: decimalOutput })
      .nullable()
      .openapi({ description: 'Of a credit wallet whose unit has a rate: what is available, in money' }),
    forecast: z.strictObject({
      burn_per_hour: decimalOutput.openapi({
        description:
          'Charged an hour in this currency, over the observed hours: the last 24, or since the wallet was made',
      }),
      observed_hours: decimalOutput,
      hours_left: decimalOutput.nullable().openapi({ description: 'Null when nothing is burnt' }),
      empty_at: instantOutput.nullable(),
    }),
    grants: z.array(grantAnswer).openapi({
      description: `Those that hold something first, in the order they burn; at most ${LIMITS.pageSizeMax}`,
    }),
  })
  .openapi('Wallet');

export const entryAnswer = z
  .strictObject({
    id: z.string(),
    posted_at: instantOutput,
    kind: z.enum([
      ...(['grant', 'usage', 'reversal', 'expiry', 'void_grant'] as const),
      ...(['hold', 'release', 'settlement', 'settlement_reversal'] as const),
      ...(['subscription', 'subscription_credit'] as const),
      ...(['top_up_requested', 'top_up_paid', 'top_up_failed'] as const),
    ]),
    debit_account: z.string().openapi({ description: '`kind:id`', example: 'grant:17' }),
    credit_account: z.string().openapi({ example: 'revenue:3' }),
    amount: decimalOutput,
    currency: z.string(),
    grant: z.string().optional(),
    meter: z.string().optional(),
    block: z.string().optional().openapi({ description: 'The transaction of events it was posted with' }),
  })
  .openapi('Entry');

export function decimalText(postgres: string): string {
  return toText(decimal(postgres));
}

export function walletOf(row: WalletRow): z.infer<typeof walletSummary> {
  return {
    key: row.key,
    currency: row.currency,
    posted: decimalText(row.posted),
    held: decimalText(row.held),
    available: decimalText(row.available),
    receivable: decimalText(row.receivable),
    customer_credit: decimalText(row.customer_credit),
    created_at: instantText(row.created_at),
  };
}

/** @param now microseconds since 1970. */
export function grantOf(row: GrantRow, now: number): z.infer<typeof grantAnswer> {
  return {
    id: row.id,
    wallet: row.wallet,
    amount: decimalText(row.amount),
    balance: decimalText(row.balance),
    currency: row.currency,
    kind: row.kind,
    status: statusOf(row, now),
    priority: row.priority,
    effective_at: instantText(row.effective_at),
    expires_at: instantOrNull(row.expires_at),
    voided_at: instantOrNull(row.voided_at),
    cost_basis:
      row.cost_basis_amount === null || row.cost_basis_currency === null
        ? null
        : { amount: decimalText(row.cost_basis_amount), currency: row.cost_basis_currency },
    top_up: row.top_up_id,
    eligibility: {
      ...(row.eligibility.features !== undefined && { features: [...row.eligibility.features] }),
      ...(row.eligibility.meters !== undefined && { meters: [...row.eligibility.meters] }),
      ...(row.eligibility.models !== undefined && { models: [...row.eligibility.models] }),
    },
    created_at: instantText(row.created_at),
  };
}

function statusOf(row: GrantRow, now: number): z.infer<typeof grantAnswer>['status'] {
  if (row.voided_at !== null) return 'voided';
  if (row.expires_at !== null && microsFromPostgres(row.expires_at) <= now) return 'expired';
  if (microsFromPostgres(row.effective_at) > now) return 'scheduled';
  return decimalText(row.balance) === '0' ? 'spent' : 'active';
}
