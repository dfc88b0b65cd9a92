import { currency, decimal, isPositive, multiply, roundAmount, toText, isCreditUnit } from '@ergon/exact';
import { formatInstant } from '../event/instant.ts';
import { refuse } from '../http/problem.ts';
import { enqueue } from '../outbox/index.ts';
import type { Client } from '../store/database.ts';
import { findCreditUnit } from './credit-unit-store.ts';
import { createGrant } from './grant-service.ts';
import { PAYMENT_CONNECTORS } from './payment-connectors.ts';
import { houseAccountIn, insertPosting, topUpAccountIn } from './posting-store.ts';
import { insertTopUp, type NewTopUp, resolveTopUp, type TopUpRow } from './top-up-store.ts';

const DAY_MICROS = 86_400_000_000;

export type TopUpRequest = Omit<NewTopUp, 'payAmount' | 'payCurrency'> & { readonly customer: string };

/**
 * Asks for a payment: the top-up is pending, its amount stands in flight, the connector is told. Nothing can be spent of it yet.
 *
 * @param now microseconds since 1970.
 * @returns its id; `undefined` when the wallet has one in flight already, or the scheduled instant has had its own.
 */
export async function requestTopUp(client: Client, request: TopUpRequest, now: number): Promise<string | undefined> {
  const price = await topUpPrice(client, request.environmentId, request.currency, request.amount);
  const id = await insertTopUp(client, { ...request, ...price }, now);
  if (id === undefined) return undefined;
  await moveInFlight(client, request, 'top_up_requested');
  const { environmentId, customer, wallet, amount, trigger } = request;
  await PAYMENT_CONNECTORS[request.connector].request(
    client,
    {
      ...{ environmentId, topUp: id, customer, wallet, amount, currency: request.currency, ...price, trigger },
      answerBy: formatInstant(request.answerBy),
      idempotencyKey: `ergon-top-up-${environmentId}-${id}`,
    },
    now,
  );
  return id;
}

/**
 * What an amount of a wallet costs: itself in money, its rate in credits.
 *
 * @throws ProblemError where nobody has said the rate, or the amount is worth less than the smallest amount there is.
 */
export async function topUpPrice(
  client: Client,
  environmentId: number,
  code: string,
  amount: string,
): Promise<{ payAmount: string; payCurrency: string }> {
  if (!isCreditUnit(code)) return { payAmount: amount, payCurrency: code };
  const unit = await findCreditUnit(client, environmentId, code);
  if (unit === undefined) {
    throw refuse('conflict', `nobody has said what ${code} is worth, so a top-up of it has no price`, [
      { detail: `no credit unit ${code}`, remedy: `PUT /v1/credit_units/${code} with its currency and rate` },
    ]);
  }
  const payAmount = roundAmount(multiply(decimal(amount), decimal(unit.rate)));
  if (!isPositive(payAmount)) {
    throw refuse('conflict', `at its rate ${amount} of ${code} are worth nothing that could be paid`, [
      { detail: `the rate of ${code} is ${unit.rate} ${unit.currency}`, remedy: 'ask for more, or change the rate' },
    ]);
  }
  return { payAmount: toText(payAmount), payCurrency: unit.currency };
}

type InFlight = {
  readonly environmentId: number;
  readonly customerId: bigint;
  readonly currency: string;
  readonly amount: string;
};

/** The amount into flight (debit payment_due, credit the customer's top_up account), or out of it. */
async function moveInFlight(
  client: Client,
  { environmentId, customerId, currency: code, amount }: InFlight,
  kind: 'top_up_requested' | 'top_up_paid' | 'top_up_failed',
): Promise<void> {
  const due = await houseAccountIn(client, environmentId, 'payment_due', code);
  const isIn = kind === 'top_up_requested';
  const flight = await topUpAccountIn(client, environmentId, customerId, code, isIn ? amount : `-${amount}`);
  await insertPosting(client, {
    ...{ environmentId, customerId, kind, currency: code, amount },
    debitAccountId: isIn ? due : flight,
    creditAccountId: isIn ? flight : due,
  });
}

/**
 * The payment has come: out of flight, and a paid grant into the wallet, once. A top-up that was given up may still be paid:
 * the money is there. The caller holds the lock of the row.
 *
 * @returns the id of the grant.
 */
export async function payTopUp(
  client: Client,
  environmentId: number,
  row: TopUpRow,
  reference: string | null,
  now: number,
): Promise<string> {
  const place = { environmentId, customerId: row.customer_id, currency: row.currency, amount: row.amount };
  if (row.status === 'pending') await moveInFlight(client, place, 'top_up_paid');
  const days = row.terms.expires_after_days;
  const grant = await createGrant(client, {
    environmentId,
    customerId: row.customer_id,
    wallet: row.wallet,
    currency: currency(row.currency),
    amount: decimal(row.amount),
    kind: 'paid',
    priority: row.terms.priority ?? null,
    effectiveAt: now,
    expiresAt: days === undefined ? null : now + days * DAY_MICROS,
    eligibility: {},
    idempotencyKey: undefined,
    costBasis: { amount: row.pay_amount, currency: row.pay_currency },
    topUpId: row.id,
  });
  await resolveTopUp(client, environmentId, row.id, { status: 'paid', grantId: grant.id, reference }, now);
  await tell(client, environmentId, row, 'wallet.top_up_paid', { grant: grant.id, reference }, now);
  return grant.id;
}

/** No payment came: the amount leaves its flight. The caller holds the lock of the row, which is pending. */
export async function failTopUp(
  client: Client,
  environmentId: number,
  row: TopUpRow,
  failure: string,
  now: number,
): Promise<void> {
  const place = { environmentId, customerId: row.customer_id, currency: row.currency, amount: row.amount };
  await moveInFlight(client, place, 'top_up_failed');
  await resolveTopUp(client, environmentId, row.id, { status: 'failed', failure }, now);
  await tell(client, environmentId, row, 'wallet.top_up_failed', { failure }, now);
}

async function tell(
  client: Client,
  environmentId: number,
  row: TopUpRow,
  type: 'wallet.top_up_paid' | 'wallet.top_up_failed',
  more: Readonly<Record<string, unknown>>,
  now: number,
): Promise<void> {
  const data = {
    ...{ top_up: row.id, customer: row.customer, wallet: row.wallet },
    ...{ amount: toText(decimal(row.amount)), currency: row.currency, trigger: row.trigger, ...more },
  };
  await enqueue(client, environmentId, [{ type, crossingKey: `${type}/${row.id}`, customer: row.customer, data }], now);
}
