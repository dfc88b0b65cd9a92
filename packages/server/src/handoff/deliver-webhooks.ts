import { instantText } from '../http/wire.ts';
import { LIMITS } from '../limits.ts';
import type { Outbound, OutboundAnswer } from '../outbound/index.ts';
import type { Database } from '../store/database.ts';
import { type AttemptOutcome, type DueDelivery, fanOut, keepOutcome, takeDue } from './delivery-store.ts';
import { retryDelaySeconds } from './retry-delay.ts';
import { webhookHeaders } from './sign-webhook.ts';

export type DeliveryServices = {
  readonly database: Database;
  readonly outbound: Outbound;
  /** Microseconds since 1970. */
  readonly now: () => number;
};

/** Rounds one turn of the job makes at most, so that a stop never waits long. */
const ROUNDS_MAX = 20;

/**
 * Hands the outbox to the endpoints and makes every attempt that is due. At least once: a worker that dies after the receiver
 * answered leaves the attempt to be made again, under the same `webhook-id`.
 *
 * @returns how many attempts were made.
 */
export async function deliverWebhooks(services: DeliveryServices): Promise<number> {
  const { database, now } = services;
  let attempts = 0;
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const handed = await database.transaction((client) => fanOut(client, now()));
    const due = await takeDue(database.pool, now());
    await Promise.all(due.map((delivery) => attempt(services, delivery)));
    attempts += due.length;
    if (handed + due.length === 0) break;
  }
  return attempts;
}

async function attempt({ database, outbound, now }: DeliveryServices, delivery: DueDelivery): Promise<void> {
  const id = `msg_${delivery.environment_id}_${delivery.event_id}`;
  const body = JSON.stringify({
    type: delivery.type,
    timestamp: instantText(delivery.occurred_at),
    data: delivery.data,
  });
  const secrets = delivery.previous_secret === null ? [delivery.secret] : [delivery.secret, delivery.previous_secret];
  const headers = webhookHeaders({ id, atSeconds: Math.floor(now() / 1_000_000), body }, secrets);
  const answer = await outbound.post(delivery.url, headers, body);
  await keepOutcome(database.pool, delivery, outcomeOf(answer, delivery.attempts_in_row, now()), now());
}

function outcomeOf(answer: OutboundAnswer, attemptInRow: number, now: number): AttemptOutcome {
  if (answer.ok && answer.status >= 200 && answer.status < 300) return { kind: 'delivered', status: answer.status };
  const status = answer.ok ? answer.status : null;
  const error = answer.ok ? `the receiver answered ${answer.status}` : answer.error;
  const isGone = status === 410;
  if (isGone || attemptInRow >= LIMITS.webhookAttemptsMax) return { kind: 'dead', status, error, isGone };
  const delay = retryDelaySeconds(attemptInRow, Math.random(), answer.ok ? answer.retryAfterSeconds : undefined);
  return { kind: 'failed', status, error, nextAt: now + Math.round(delay * 1_000_000) };
}
