import { z } from '@hono/zod-openapi';
import { externalId, instantInput, instantMicros, pageOf, pageQuery } from '../http/wire.ts';
import { eventIdentity } from '../event/capture-event.ts';
import type { AppServices } from '../http/context.ts';
import { type App, readRoute } from '../http/operation.ts';
import { refuse } from '../http/problem.ts';
import { findStoredEvent } from '../record/read-events.ts';
import { describeEvents, eventAnswer } from './describe-event.ts';
import { explainedAnswer, explainEvent } from './explain-event.ts';
import { listEvents } from './list-events.ts';
import { badParameter } from './parameters.ts';

const tag = 'Events';

const eventsQuery = pageQuery.extend({
  customer: externalId.optional(),
  type: externalId.optional(),
  source: externalId.optional(),
  provider: externalId.optional(),
  model: externalId.optional(),
  feature: externalId.optional(),
  user: externalId.optional(),
  run: externalId.optional().openapi({ description: '`run_id` of the event' }),
  status: z.enum(['ok', 'error', 'cancelled']).optional(),
  from: instantInput.optional().openapi({ description: 'Event time, inclusive' }),
  to: instantInput.optional().openapi({ description: 'Event time, exclusive' }),
});

export function registerEventRoutes(app: App, services: AppServices): void {
  const { pool } = services.database;
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/events',
      operationId: 'listEvents',
      tag,
      scope: 'usage:read',
      summary: 'List events',
      description:
        'Latest recorded first. A page reads a bounded number of events, so one may be short, or empty, and still have a `next_cursor`.',
      query: eventsQuery,
      answer: pageOf(eventAnswer),
    },
    async ({ environmentId, query }) => {
      const { limit, cursor, from, to, ...equal } = query;
      const span = {
        from: from === undefined ? undefined : instantMicros(from),
        to: to === undefined ? undefined : instantMicros(to),
      };
      if (span.from !== undefined && span.to !== undefined && span.from >= span.to) {
        throw badParameter('from', 'is not before `to`', 'from is inclusive, to is not');
      }
      const { found, nextCursor } = await listEvents(pool, environmentId, { ...equal, ...span }, { limit, cursor });
      return { data: await describeEvents(pool, environmentId, found), next_cursor: nextCursor };
    },
  );
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/events/lookup',
      operationId: 'lookupEvent',
      tag,
      scope: 'usage:read',
      summary: 'Explain one event',
      description:
        'The event as sent, who it was attributed to, what was metered, by which price and tier it was rated, and which grants paid.',
      query: z.strictObject({ source: externalId, id: externalId }),
      answer: explainedAnswer,
      problems: ['not_found'],
    },
    async ({ environmentId, query: { source, id } }) => {
      const stored = await findStoredEvent(pool, environmentId, eventIdentity(environmentId, source, id));
      if (stored === undefined) throw refuse('not_found', `there is no event ${id} of the source ${source}`);
      return explainEvent(services, environmentId, stored);
    },
  );
}
