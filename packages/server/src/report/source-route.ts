import { type SeenCall, sourceWarnings } from '@ergon/usage';
import { z } from '@hono/zod-openapi';
import { formatInstant } from '../event/instant.ts';
import type { AppServices } from '../http/context.ts';
import { type App, readRoute } from '../http/operation.ts';
import { refuse } from '../http/problem.ts';
import { externalId, instantInput, instantMicros, instantOutput } from '../http/wire.ts';
import { LIMITS } from '../limits.ts';
import { callIdOf, REMEDIES } from '../quality/index.ts';
import { prepareEvent } from '../record/prepare.ts';
import { standingEvents } from '../record/read-events.ts';
import { badParameter } from './parameters.ts';

const DAYS = 7;
const DAY_MICROS = 86_400_000_000;

const query = z.strictObject({
  from: instantInput.optional().openapi({ description: `Event time, inclusive; default ${DAYS} days ago` }),
  to: instantInput.optional().openapi({ description: 'Event time, exclusive; default now' }),
});

const sourcesAnswer = z
  .strictObject({
    from: instantOutput,
    to: instantOutput,
    events_examined: z.number().int(),
    is_complete: z.boolean().openapi({ description: 'False: there were more events; ask for a shorter time' }),
    sources: z.array(
      z.strictObject({
        source: z.string(),
        calls: z.number().int(),
        failed: z.number().int().openapi({ description: 'Failed, or a retry' }),
      }),
    ),
    findings: z.array(z.strictObject({ kind: z.string(), detail: z.string(), remedy: z.string() })),
  })
  .openapi('SourceComparison');

/** Reads a customer's calls again and compares the doors they came by: the warnings at ingest see the latest calls only. */
export function registerSourceRoute(app: App, services: AppServices): void {
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/customers/{id}/data_quality/sources',
      operationId: 'compareSources',
      tag: 'Usage',
      scope: 'usage:read',
      summary: "Compare the sources of a customer's calls",
      description: `Usage that arrives by two doors, and sources that never send a failed call, over the calls of a time: exact, where the warnings at ingest know the latest calls of one process only. Reads at most ${LIMITS.eventsScannedMax} events; voided ones do not count.`,
      params: z.strictObject({ id: externalId }),
      query,
      answer: sourcesAnswer,
      problems: ['not_found'],
    },
    async ({ environmentId, params: { id }, query: { from, to } }) => {
      const now = services.clocks.now(environmentId);
      const span = {
        from: from === undefined ? now - DAYS * DAY_MICROS : instantMicros(from),
        to: to === undefined ? now + 1 : instantMicros(to),
      };
      if (span.from >= span.to) throw badParameter('from', 'is not before `to`', 'from is inclusive, to is not');
      const { calls, examined, isComplete } = await readCalls(services, environmentId, id, span);
      return {
        from: formatInstant(span.from),
        to: formatInstant(span.to),
        events_examined: examined,
        is_complete: isComplete,
        sources: sourcesOf(calls),
        findings: sourceWarnings(calls).map(({ code, detail }) => ({ kind: code, detail, remedy: REMEDIES[code] })),
      };
    },
  );
}

type Read = { readonly calls: readonly SeenCall[]; readonly examined: number; readonly isComplete: boolean };

async function readCalls(
  { database, record }: AppServices,
  environmentId: number,
  externalCustomer: string,
  span: { readonly from: number; readonly to: number },
): Promise<Read> {
  const found = await database.pool.query<{ id: bigint }>(
    'select id from customer where environment_id = $1 and external_id = $2',
    [environmentId, externalCustomer],
  );
  const [row] = found.rows;
  if (row === undefined) throw refuse('not_found', `there is no customer ${externalCustomer}`);
  const catalog = await record.catalog(environmentId);
  const calls: SeenCall[] = [];
  let examined = 0;
  for await (const stored of standingEvents(database.pool, environmentId, Number(row.id), span.from, span.to)) {
    if (examined >= LIMITS.eventsScannedMax) return { calls, examined, isComplete: false };
    examined += 1;
    const { event, rating } = stored;
    if (event.type !== 'llm.call' && event.type !== 'embedding.call') continue;
    const { usage } = prepareEvent(event, catalog, rating);
    if (usage === undefined) continue;
    calls.push({
      source: event.source,
      occurredAt: formatInstant(event.occurredAt),
      callId: callIdOf(event.data),
      record: usage,
      isFailed: event.status !== 'ok' || event.attempt > 1,
    });
  }
  return { calls, examined, isComplete: true };
}

function sourcesOf(calls: readonly SeenCall[]): z.infer<typeof sourcesAnswer>['sources'] {
  const counts = new Map<string, { calls: number; failed: number }>();
  for (const { source, isFailed } of calls) {
    const count = counts.get(source) ?? { calls: 0, failed: 0 };
    count.calls += 1;
    if (isFailed) count.failed += 1;
    counts.set(source, count);
  }
  return [...counts].map(([source, count]) => ({ source, ...count })).sort((a, b) => b.calls - a.calls);
}
