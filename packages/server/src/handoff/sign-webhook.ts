import { createHmac, randomBytes } from 'node:crypto';

/** A signing secret of Standard Webhooks: 32 random bytes; shown as `whsec_` and base64. */
export function newSecret(): Buffer {
  return randomBytes(32);
}

export function secretText(secret: Buffer): string {
  return `whsec_${secret.toString('base64')}`;
}

/** One message as it is signed: the same id and body at every attempt, the time of the attempt. */
export type SignedMessage = { readonly id: string; readonly atSeconds: number; readonly body: string };

/**
 * The headers of Standard Webhooks. While a secret is being replaced, both sign: a receiver may hold either.
 *
 * @see https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
export function webhookHeaders(message: SignedMessage, secrets: readonly Buffer[]): Record<string, string> {
  const content = `${message.id}.${message.atSeconds}.${message.body}`;
  const signatures = secrets.map((secret) => `v1,${createHmac('sha256', secret).update(content).digest('base64')}`);
  return {
    'content-type': 'application/json',
    'user-agent': 'ergon-webhooks/1',
    'webhook-id': message.id,
    'webhook-timestamp': String(message.atSeconds),
    'webhook-signature': signatures.join(' '),
  };
}
