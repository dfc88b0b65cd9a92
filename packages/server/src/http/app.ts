import { OpenAPIHono } from '@hono/zod-openapi';
import { randomUUID } from 'node:crypto';
import { LIMITS } from '../limits.ts';
import type { AppEnv, AppServices } from './context.ts';
import { postEvents } from './events-route.ts';
import { type Problem, ProblemError, refuse, renderProblem } from './problem.ts';

/** The whole HTTP surface on web-standard requests; a test calls `app.request()` without a socket. */
export function createApp(services: AppServices): OpenAPIHono<AppEnv> {
  const app = new OpenAPIHono<AppEnv>({
    defaultHook: (result) => {
      if (!result.success) {
        throw refuse(
          'invalid_request',
          'the request does not match its schema',
          result.error.issues
            .slice(0, 20)
            .map((issue) => ({ pointer: `/${issue.path.join('/')}`, detail: issue.message })),
        );
      }
    },
  });
  app.use(async (context, next) => {
    const requestId = context.req.header('x-request-id')?.match(/^[\w-]{1,64}$/)?.[0] ?? randomUUID();
    context.set('requestId', requestId);
    const startedAt = performance.now();
    await next();
    context.res.headers.set('x-request-id', requestId);
    const route = context.req.routePath === '*' ? 'other' : context.req.routePath;
    services.metrics.requestSeconds.observe(
      { route, status: String(context.res.status) },
      (performance.now() - startedAt) / 1000,
    );
  });
  app.post('/v1/events', async (context) => {
    const body = Buffer.from(await context.req.arrayBuffer());
    if (body.length > LIMITS.bodyBytesMax)
      throw refuse('body_too_large', `the body is larger than ${LIMITS.bodyBytesMax} bytes`);
    const answer = await postEvents(services, context.req.raw.headers, body, context.get('requestId'));
    return new Response(answer.body, { status: answer.status, headers: answer.headers });
  });
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
  app.notFound((context) =>
    problemResponse(
      { code: 'not_found', detail: `there is nothing at ${context.req.path}` },
      context.req.path,
      context.get('requestId'),
    ),
  );
  app.onError((error, context) => {
    const requestId = context.get('requestId') ?? randomUUID();
    if (error instanceof ProblemError) return problemResponse(error.problem, context.req.path, requestId);
    services.logError(error, requestId);
    return problemResponse(
      { code: 'internal_error', detail: 'the log has the request id' },
      context.req.path,
      requestId,
    );
  });
  return app;
}

function problemResponse(problem: Problem, instance: string, requestId: string): Response {
  const { status, headers, body } = renderProblem(problem, instance, requestId);
  return new Response(body, { status, headers });
}
