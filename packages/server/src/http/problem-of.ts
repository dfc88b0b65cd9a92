import { isConnectionLost, isTooSlow } from '../store/database.ts';
import type { AppServices } from './context.ts';
import { type Problem, ProblemError } from './problem.ts';

/** The problem that whatever a route threw is answered with; what nobody expected goes to the log. */
export function problemOf(error: unknown, services: Pick<AppServices, 'logError'>, requestId: string): Problem {
  if (error instanceof ProblemError) return error.problem;
  if (isConnectionLost(error)) {
    const detail = 'the database cannot be reached; send it again';
    return { code: 'unavailable', detail, retryAfterSeconds: 1 };
  }
  if (isTooSlow(error)) {
    const detail = 'the database did not answer in time; ask for less, or send it again';
    return { code: 'too_slow', detail, retryAfterSeconds: 1 };
  }
  services.logError(error, requestId);
  return { code: 'internal_error', detail: 'the log has the request id' };
}
