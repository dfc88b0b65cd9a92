/** Every type of event that leaves through the outbox, with what it tells. docs/webhooks.md lists them. */
export const OUTBOX_EVENT_TYPES = {
  'wallet.balance_low': 'What a wallet has available fell below an amount, or its forecast below a number of hours',
  'wallet.top_up_requested': 'Somebody is asked to take a payment; answer with paid or failed',
  'wallet.top_up_paid': 'A top-up was paid and its grant is in the wallet',
  'wallet.top_up_failed': 'A top-up was not paid',
  'wallet.top_up_capped': 'A wallet was due for a top-up that its cap forbids',
  'budget.threshold_crossed': 'A budget passed one of its thresholds',
  'budget.exceeded': 'Spend that was not admitted passed an enforced budget, the first time in a window',
  'policy.decision': 'A policy asked to notify somebody',
  'webhook.test': 'Sent when somebody asks an endpoint to be tried',
} as const;

export type OutboxEventType = keyof typeof OUTBOX_EVENT_TYPES;
