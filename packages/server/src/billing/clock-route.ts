import { z } from '@hono/zod-openapi';
import { lockCatalog } from '../catalog/index.ts';
import { loadSnapshot } from '../catalog/snapshot.ts';
import { formatInstant, microsFromPostgres } from '../event/instant.ts';
import type { AppServices } from '../http/context.ts';
import { type App, writeRoute } from '../http/operation.ts';
import { refuse } from '../http/problem.ts';
import { instantInput, instantMicros, instantOutput } from '../http/wire.ts';
import { LIMITS } from '../limits.ts';
import { recordAction } from '../store/audit-log.ts';
import type { Client } from '../store/database.ts';
import { adjustEnded, type AdvanceContext, advanceSubscription } from './advance.ts';
import { compileDueEntitlements } from './compile-entitlements.ts';
import { wrong } from './subscribe.ts';

const clockBody = z.strictObject({ now: instantInput }).openapi('TestClockRequest');
const clockAnswer = z
  .strictObject({
    now: instantOutput,
    periods_closed: z.number().int(),
    complete: z.boolean().openapi({ description: 'False: the job closes what is left' }),
  })
  .openapi('TestClock');

/** A sandbox's clock stands still until it is moved; whatever falls due on the way happens before the answer. */
export function registerClockRoute(app: App, services: AppServices): void {
  writeRoute(
    app,
    services,
    {
      method: 'put',
      path: '/v1/test_clock',
      operationId: 'putTestClock',
      tag: 'Plans',
      scope: 'billing:write',
      summary: 'Stop or move the clock of a sandbox',
      description:
        'Only in an environment created with `sandbox: true`, and only forwards. Events are received, prices published, periods closed and grants expired at this time.',
      body: clockBody,
      answer: clockAnswer,
      problems: ['conflict'],
    },
    async ({ client, environmentId, principal, body, afterCommit }) => {
      await lockCatalog(client, environmentId);
      const now = instantMicros(body.now);
      await moveClock(client, environmentId, now);
      const { closed, isComplete } = await closeDue(client, environmentId, now);
      await compileDueEntitlements(client, environmentId, now);
      await recordAction(client, {
        environmentId,
        actor: principal.keyId,
        action: 'test_clock.put',
        target: '/v1/test_clock',
        detail: { now: formatInstant(now) },
      });
      afterCommit(() => services.clocks.set(environmentId, now));
      return { now: formatInstant(now), periods_closed: closed, complete: isComplete };
    },
  );
}

async function moveClock(client: Client, environmentId: number, now: number): Promise<void> {
  const result = await client.query<{ is_sandbox: boolean; clock_at: string | null }>(
    'select is_sandbox, clock_at from environment where id = $1 for update',
    [environmentId],
  );
  const row = result.rows[0];
  if (row?.is_sandbox !== true) {
    throw refuse('conflict', 'this environment is no sandbox; create one: POST /v1/environments with "sandbox": true');
  }
  if (row.clock_at !== null && microsFromPostgres(row.clock_at) > now) {
    throw wrong('/now', 'a clock moves forwards only', 'name a later instant, or create another sandbox');
  }
  await client.query('update environment set clock_at = $2 where id = $1', [environmentId, formatInstant(now)]);
}

async function closeDue(
  client: Client,
  environmentId: number,
  now: number,
): Promise<{ closed: number; isComplete: boolean }> {
  const context = { client, environmentId, catalog: await loadSnapshot(client, environmentId), now };
  let closed = 0;
  for (;;) {
    const due = await client.query<{ id: bigint }>(
      'select id from subscription where environment_id = $1 and due_at <= $2 order by due_at, id limit 100',
      [environmentId, formatInstant(now)],
    );
    if (due.rows.length === 0) return { closed: closed + (await adjustLate(context)), isComplete: true };
    for (const { id } of due.rows) {
      if (closed >= LIMITS.clockPeriodsMax) return { closed, isComplete: false };
      closed += await advanceSubscription(context, id, 50);
    }
  }
}

/** Of subscriptions that have ended: what came after their last close. */
async function adjustLate(context: AdvanceContext): Promise<number> {
  const ended = await context.client.query<{ id: bigint }>(
    'select id from subscription where environment_id = $1 and due_at is null and ends_at <= $2 order by id desc limit 1000',
    [context.environmentId, formatInstant(context.now)],
  );
  let closed = 0;
  for (const { id } of ended.rows) closed += await adjustEnded(context, id);
  return closed;
}
