import { z } from '@hono/zod-openapi';
import type { AppServices } from '../http/context.ts';
import { type App, readRoute } from '../http/operation.ts';
import { refuse } from '../http/problem.ts';
import { externalId, instantInput, instantMicros, instantOutput, instantText, pageOf } from '../http/wire.ts';
import { REMEDIES } from './kinds.ts';
import { DAYS_KEPT, listFindings, type QualityRow } from './quality-store.ts';

const query = z.strictObject({
  from: instantInput.optional().openapi({ description: `Received since; default ${DAYS_KEPT} days ago` }),
  to: instantInput.optional().openapi({ description: 'Received before; default now' }),
});

const findingAnswer = z
  .strictObject({
    kind: z.string().openapi({ example: 'output_tokens_only' }),
    events: z.string().openapi({ description: 'Events concerned', example: '1204' }),
    first_seen: instantOutput,
    last_seen: instantOutput,
    example: z
      .strictObject({ source: z.string(), id: z.string() })
      .openapi({ description: 'The latest event that shows it; GET /v1/events/lookup explains it' }),
    detail: z.string().openapi({ description: 'What that event shows' }),
    remedy: z.string(),
  })
  .openapi('DataQualityFinding');

const DAY_MICROS = 86_400_000_000;

export function registerQualityRoutes(app: App, services: AppServices): void {
  const { pool } = services.database;
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/customers/{id}/data_quality',
      operationId: 'listDataQuality',
      tag: 'Usage',
      scope: 'usage:read',
      summary: "List what is wrong with a customer's usage",
      description: `Signs that usage is sent in a way that bills wrongly: the warnings of the ingest answers, counted, the most frequent first, all on one page. Counted by the day of receipt and kept ${DAYS_KEPT} days.`,
      params: z.strictObject({ id: externalId }),
      query,
      answer: pageOf(findingAnswer),
      problems: ['not_found'],
    },
    async ({ environmentId, params: { id }, query: { from, to } }) => {
      const now = services.clocks.now(environmentId);
      const span = {
        from: from === undefined ? now - DAYS_KEPT * DAY_MICROS : instantMicros(from),
        to: to === undefined ? now + 1 : instantMicros(to),
      };
      if (span.from >= span.to) {
        throw refuse('invalid_request', 'the parameter from is not valid', [
          { parameter: 'from', detail: 'is not before `to`', remedy: 'from is inclusive, to is not' },
        ]);
      }
      const customer = await pool.query<{ id: bigint }>(
        'select id from customer where environment_id = $1 and external_id = $2',
        [environmentId, id],
      );
      const [row] = customer.rows;
      if (row === undefined) throw refuse('not_found', `there is no customer ${id}`);
      const rows = await listFindings(pool, environmentId, row.id, span);
      return { data: rows.map(findingOf), next_cursor: null };
    },
  );
}

function findingOf(row: QualityRow): z.infer<typeof findingAnswer> {
  const remedies: Readonly<Record<string, string>> = REMEDIES;
  return {
    kind: row.kind,
    events: row.event_count.toString(),
    first_seen: instantText(row.first_at),
    last_seen: instantText(row.last_at),
    example: { source: row.source, id: row.event_id },
    detail: row.detail,
    remedy: remedies[row.kind] ?? 'See docs/usage.md.',
  };
}
