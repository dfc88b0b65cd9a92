import { z } from '@hono/zod-openapi';
import type { AppServices } from '../http/context.ts';
import { type App, readRoute } from '../http/operation.ts';
import { refuse } from '../http/problem.ts';
import { auditEnvironment } from './audit-environment.ts';
import { DIFFERENCES_LISTED_MAX } from './differences.ts';

const reportAnswer = z
  .strictObject({
    events: z.int(),
    blocks: z.int(),
    accumulators: z.int().openapi({ description: 'Running totals compared' }),
    postings: z.int(),
    rollups: z.int().openapi({ description: 'Rows of usage, custom meters and runs compared' }),
    differences: z
      .array(z.strictObject({ kind: z.string(), key: z.string(), expected: z.string(), found: z.string() }))
      .openapi({ description: `The first ${DIFFERENCES_LISTED_MAX}: what the events say, and what stands there` }),
    difference_count: z.int(),
    duration_ms: z.int(),
  })
  .openapi('AuditReport');

export function registerAuditRoutes(app: App, services: AppServices): void {
  let isRunning = false;
  readRoute(
    app,
    services,
    {
      method: 'post',
      path: '/v1/audit',
      operationId: 'audit',
      tag: 'Access',
      scope: 'audit:read',
      summary: 'Audit the books',
      description:
        'Recomputes usage, running totals, postings, balances and runs from the recorded events, and lists every difference. ' +
        'Reads one snapshot and changes nothing; one audit at a time.',
      answer: reportAnswer,
      problems: ['conflict'],
    },
    async ({ environmentId }) => {
      if (isRunning) throw refuse('conflict', 'an audit is running; ask again when it has ended');
      isRunning = true;
      try {
        const report = await auditEnvironment(services.database, environmentId);
        return { ...report, differences: [...report.differences] };
      } finally {
        isRunning = false;
      }
    },
  );
}
