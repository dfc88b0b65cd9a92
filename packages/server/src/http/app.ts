import { OpenAPIHono } from '@hono/zod-openapi';
import { randomUUID } from 'node:crypto';
import { registerAuditRoutes } from '../audit/index.ts';
import { registerBillingRoutes } from '../billing/index.ts';
import { registerCatalogFileRoutes } from '../catalog-file/index.ts';
import { registerCatalogRoutes } from '../catalog/index.ts';
import { registerGovernRoutes } from '../govern/index.ts';
import { registerComputeRoutes } from '../deployments/index.ts';
import { boundHold, registerEstimateRoute } from '../estimate/index.ts';
import { registerHandoffRoutes } from '../handoff/index.ts';
import { registerLedgerRoutes } from '../ledger/index.ts';
import { registerPoliciesRoutes } from '../policies/index.ts';
import { registerQualityRoutes } from '../quality/index.ts';
import { registerReportRoutes } from '../report/index.ts';
import { registerRerating } from '../rerate/index.ts';
import { registerAccessRoutes } from './access/index.ts';
import { allowedMethods } from './allowed-methods.ts';
import type { AppEnv, AppServices } from './context.ts';
import { describeEventOperations } from './event-operations.ts';
import { postEvents } from './events-route.ts';
import type { App } from './operation.ts';
import { type Problem, refuse, renderProblem } from './problem.ts';
import { problemOf } from './problem-of.ts';
import { registerReference } from './reference/index.ts';

/** The whole HTTP surface on web-standard requests; a test calls `app.request()` without a socket. */
export function createApp(services: AppServices): OpenAPIHono<AppEnv> {
  const app = new OpenAPIHono<AppEnv>();
  app.openAPIRegistry.registerComponent('securitySchemes', 'key', {
    type: 'http',
    scheme: 'bearer',
    description: 'An API key; x-api-key works as well',
  });
  app.use(async (context, next) => {
    const requestId = context.req.header('x-request-id')?.match(/^[\w-]{1,64}$/)?.[0] ?? randomUUID();
    context.set('requestId', requestId);
    const startedAt = performance.now();
    if (!isDecodable(context.req.path)) throw refuse('invalid_request', 'the path is not valid percent-encoding');
    await next();
    context.res.headers.set('x-request-id', requestId);
    const route = context.req.routePath === '*' ? 'other' : context.req.routePath;
    services.metrics.requestSeconds.observe(
      { route, status: String(context.res.status) },
      (performance.now() - startedAt) / 1000,
    );
  });
  app.post('/v1/events', async (context) => {
    const answer = await postEvents(services, context.req.raw, context.get('requestId'));
    return new Response(answer.body, { status: answer.status, headers: answer.headers });
  });
  registerHealth(app, services);
  describeEventOperations(app);
  registerCatalogRoutes(app, services);
  registerBillingRoutes(app, services);
  registerCatalogFileRoutes(app, services);
  registerLedgerRoutes(app, services);
  registerGovernRoutes(app, services, boundHold);
  registerComputeRoutes(app, services);
  registerEstimateRoute(app, services);
  registerReportRoutes(app, services);
  registerRerating(app, services);
  registerQualityRoutes(app, services);
  registerPoliciesRoutes(app, services);
  registerHandoffRoutes(app, services);
  registerAccessRoutes(app, services);
  registerAuditRoutes(app, services);
  registerReference(app, services);
  answerProblems(app, services);
  return app;
}

function registerHealth(app: App, services: AppServices): void {
  app.get('/healthz', (context) => context.json({ status: 'ok' }));
  app.get('/readyz', async (context) => {
    const { ready, reason } = await services.readiness();
    return context.json(
      { status: ready ? 'ready' : 'not_ready', ...(reason !== undefined && { reason }) },
      ready ? 200 : 503,
    );
  });
  app.get('/metrics', async (context) =>
    context.text(await services.metrics.registry.metrics(), 200, {
      'content-type': services.metrics.registry.contentType,
    }),
  );
}

/** Whatever no route answered, and whatever a route threw. */
function answerProblems(app: App, services: AppServices): void {
  app.notFound((context) => {
    const methods = allowedMethods(app.routes, context.req.path);
    if (methods.length === 0) {
      const detail = `there is nothing at ${context.req.path}`;
      return problemResponse({ code: 'not_found', detail }, context.req.path, context.get('requestId'));
    }
    const detail = `${context.req.path} takes ${methods.join(', ')}`;
    const response = problemResponse(
      { code: 'method_not_allowed', detail },
      context.req.path,
      context.get('requestId'),
    );
    response.headers.set('allow', methods.join(', '));
    return response;
  });
  app.onError((error, context) => {
    const requestId = context.get('requestId') ?? randomUUID();
    return problemResponse(problemOf(error, services, requestId), context.req.path, requestId);
  });
}

function isDecodable(path: string): boolean {
  try {
    decodeURIComponent(path);
    return true;
  } catch {
    return false;
  }
}

function problemResponse(problem: Problem, instance: string, requestId: string): Response {
  const { status, headers, body } = renderProblem(problem, instance, requestId);
  return new Response(body, { status, headers });
}
