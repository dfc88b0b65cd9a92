import { enqueue } from '../outbox/index.ts';
import type { Client } from '../store/database.ts';

/** What a connector is asked to collect. */
export type PaymentRequest = {
  readonly environmentId: number;
  readonly topUp: string;
  readonly customer: string;
  readonly wallet: string;
  /** What the wallet will get. */
  readonly amount: string;
  readonly currency: string;
  /** What is to be paid for it. */
  readonly payAmount: string;
  readonly payCurrency: string;
  readonly trigger: 'manual' | 'threshold' | 'schedule';
  readonly answerBy: string;
  /** Hand this to the payment provider: the same top-up asked for again bears the same key. */
  readonly idempotencyKey: string;
};

/**
 * Takes payments for top-ups. `request` runs inside the transaction that makes the top-up, so it calls nobody: what must leave,
 * leaves through the outbox. The outcome comes back as `POST .../top_ups/{id}/paid` or `/failed`.
 */
export type PaymentConnector = {
  readonly key: string;
  request(client: Client, payment: PaymentRequest, now: number): Promise<void>;
};

/** Somebody looks at the list of pending top-ups and says what became of them. */
const manual: PaymentConnector = { key: 'manual', request: () => Promise.resolve() };

/** Asks the operator's system by a signed webhook, retried until it answers 2xx. */
const webhook: PaymentConnector = {
  key: 'webhook',
  async request(client, payment, now) {
    const event = {
      type: 'wallet.top_up_requested',
      crossingKey: `top_up_requested/${payment.topUp}`,
      customer: payment.customer,
      data: {
        top_up: payment.topUp,
        customer: payment.customer,
        wallet: payment.wallet,
        amount: payment.amount,
        currency: payment.currency,
        pay_amount: payment.payAmount,
        pay_currency: payment.payCurrency,
        trigger: payment.trigger,
        answer_by: payment.answerBy,
        idempotency_key: payment.idempotencyKey,
      },
    } as const;
    await enqueue(client, payment.environmentId, [event], now);
  },
};

export const CONNECTOR_KEYS = ['manual', 'webhook'] as const;
export type ConnectorKey = (typeof CONNECTOR_KEYS)[number];

export const PAYMENT_CONNECTORS: Readonly<Record<ConnectorKey, PaymentConnector>> = { manual, webhook };
