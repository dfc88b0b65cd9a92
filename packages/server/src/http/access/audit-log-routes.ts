import { z } from '@hono/zod-openapi';
import type { AppServices } from '../context.ts';
import { cursorAfter, cursorNumber, page } from '../cursor.ts';
import { type App, readRoute } from '../operation.ts';
import { instantOutput, instantText, pageOf, pageQuery } from '../wire.ts';

const entryAnswer = z
  .strictObject({
    id: z.string(),
    at: instantOutput,
    actor: z.string().openapi({ description: 'Id of the key, or `system`' }),
    action: z.string().openapi({ example: 'rate_card.publish' }),
    target: z.string().openapi({ example: '/v1/rate_cards/default' }),
    detail: z.record(z.string(), z.unknown()),
  })
  .openapi('AuditLogEntry');

type Row = { id: bigint; at: string; actor: string; action: string; target: string; detail: Record<string, unknown> };

export function registerAuditLogRoutes(app: App, services: AppServices): void {
  readRoute(
    app,
    services,
    {
      method: 'get',
      path: '/v1/audit_log',
      operationId: 'listAuditLog',
      tag: 'Access',
      scope: 'audit:read',
      summary: 'List the audit log',
      description:
        'Newest first: every change of catalog, customers, wallets, grants, keys and environments. Append-only.',
      query: pageQuery,
      answer: pageOf(entryAnswer),
    },
    async ({ environmentId, query: { limit, cursor } }) => {
      const result = await services.database.pool.query<Row>(
        `select id, at, actor, action, target, detail from audit_log
         where environment_id = $1 and ($2::int8 is null or id < $2) order by id desc limit $3`,
        [environmentId, cursorNumber('audit_log', cursor) ?? null, limit + 1],
      );
      return page(result.rows, limit, entryOf, (row) => cursorAfter('audit_log', row.id));
    },
  );
}

function entryOf(row: Row): z.infer<typeof entryAnswer> {
  return { ...row, id: String(row.id), at: instantText(row.at) };
}
