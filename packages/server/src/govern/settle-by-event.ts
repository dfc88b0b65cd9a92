import { captureEvent } from '../event/capture-event.ts';
import type { AppServices } from '../http/context.ts';
import type { Principal } from '../http/keys.ts';
import { ProblemError, refuse } from '../http/problem.ts';
import type { PendingRequest } from '../record/types.ts';

const DAY_MICROS = 86_400_000_000;

/**
 * Records the event of a hold's call, which settles the hold in the same transaction. A duplicate is the first time again.
 *
 * @throws ProblemError when the event is not valid, or another body stands under its identity.
 */
export async function settleByEvent(services: AppServices, principal: Principal, value: unknown): Promise<void> {
  const { environmentId } = principal;
  const receivedAt = services.clocks.now(environmentId);
  const captured = captureEvent(value, 0, {
    environmentId,
    receivedAt,
    oldest: receivedAt - services.lateDays * DAY_MICROS,
  });
  if (!captured.ok) {
    const { detail, pointer } = captured.error;
    throw refuse('invalid_request', 'the event is not valid', [{ pointer: `/event${pointer ?? ''}`, detail }]);
  }
  const pending: PendingRequest = {
    events: [captured.event],
    fates: [],
    warnings: [],
    actor: principal.keyId,
    hasVoid: false,
  };
  const outcome = await services.groupCommit.submit(environmentId, pending);
  if (!outcome.ok) {
    const { reason, cause } = outcome.failure;
    if (reason === 'failed') throw cause;
    const detail = reason === 'maybe_recorded' ? 'the commit may have happened' : 'nothing was recorded';
    throw new ProblemError({ code: reason, detail: `${detail}; send it again`, retryAfterSeconds: 1 });
  }
  if (pending.fates[0] === 'conflict') {
    throw refuse('conflict', 'another body was already recorded under the source and id of the event');
  }
}
