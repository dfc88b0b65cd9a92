import { z } from '@hono/zod-openapi';
import type { AppServices } from '../http/context.ts';
import { type App, readRoute } from '../http/operation.ts';
import { refuse } from '../http/problem.ts';
import { auditEnvironment } from './audit-environment.ts';

const report = z
  .object({
    events: z.int(),
    blocks: z.int(),
    accumulators: z.int(),
    postings: z.int(),
    rollups: z.int(),
    difference_count: z.int(),
    differences: z.array(z.object({ kind: z.string(), key: z.string(), expected: z.string(), found: z.string() })),
    duration_ms: z.int(),
  })
  .openapi('AuditReport');

/** Environments being audited by this process. */
const running = new Set<number>();

export function registerAuditRoutes(app: App, services: AppServices): void {
  readRoute(
    app,
    services,
    {
      method: 'post',
      path: '/v1/audit',
      operationId: 'audit',
      tag: 'Access',
      scope: 'audit:read',
      summary: 'Recompute everything from the events',
      description:
        'Recomputes identities, rollups, accumulators, postings, balances and runs of the environment from its events, in one snapshot, and reports every difference (at most 1,000 are listed). It reads every event: seconds for each 100,000.',
      answer: report,
    },
    async ({ environmentId }) => {
      if (running.has(environmentId))
        throw refuse('conflict', 'an audit of this environment is running already; wait for it');
      running.add(environmentId);
      try {
        const report = await auditEnvironment(services.database, environmentId);
        return { ...report, differences: [...report.differences] };
      } finally {
        running.delete(environmentId);
      }
    },
  );
}
