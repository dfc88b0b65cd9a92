import type { z } from '@hono/zod-openapi';
import type { AppContext, AppServices } from './context.ts';
import { describeOperation } from './openapi.ts';
import { accept, answered, type App, honoPath, type Operation, type OperationRequest } from './operation.ts';
import { renderProblem } from './problem.ts';
import { problemOf } from './problem-of.ts';

/** Whoever waits for a long answer. */
export type Watch = {
  /** Aborted when the client has gone. */
  readonly signal: AbortSignal;
  readonly onProgress: (progress: Readonly<Record<string, unknown>>) => void;
};

type Format = { readonly type: string; line(name: 'progress' | 'result' | 'problem', json: string): string };

const FORMATS: readonly Format[] = [
  { type: 'text/event-stream', line: (name, json) => `event: ${name}\ndata: ${json}\n\n` },
  { type: 'application/x-ndjson', line: (name, json) => `{"${name}":${json}}\n` },
];

/** Progress is for people: more often than this nobody sees. */
const PROGRESS_EVERY_MS = 200;

/**
 * A route that changes nothing and may take its time. With `Accept: text/event-stream` or `application/x-ndjson` it tells how
 * far it is, then its answer; a refusal before any progress is a plain problem, one after it is the last line.
 */
export function progressRoute<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType, A extends z.ZodType>(
  app: App,
  services: AppServices,
  operation: Operation<P, Q, B, A>,
  run: (request: OperationRequest<z.output<P>, z.output<Q>, z.output<B>>, watch: Watch) => Promise<z.output<A>>,
): void {
  describeOperation(app, operation);
  app.on(operation.method.toUpperCase(), honoPath(operation.path), async (context) => {
    const { request } = await accept(services, operation, context);
    const { signal } = context.req.raw;
    const accepted = context.req.header('accept') ?? '';
    const format = FORMATS.find(({ type }) => accepted.includes(type));
    if (format === undefined) {
      const answer = await run(request, { signal, onProgress: () => undefined });
      return answered(context, operation.status ?? 200, JSON.stringify(answer));
    }
    return streamed(services, context, format, (watch) => run(request, watch));
  });
}

async function streamed(
  services: AppServices,
  context: AppContext,
  format: Format,
  run: (watch: Watch) => Promise<unknown>,
): Promise<Response> {
  const gone = new AbortController();
  const lines = new TransformStream<string, string>();
  const writer = lines.writable.getWriter();
  // Closed by whoever reads: nobody waits any more.
  writer.closed.catch(() => gone.abort());
  const write = (name: 'progress' | 'result' | 'problem', json: string): void => {
    writer.write(format.line(name, json)).catch(() => undefined);
  };
  const started = Promise.withResolvers<void>();
  let isStarted = false;
  let toldAt = 0;
  const signal = AbortSignal.any([context.req.raw.signal, gone.signal]);
  const onProgress: Watch['onProgress'] = (progress) => {
    if (!isStarted) started.resolve();
    isStarted = true;
    const now = performance.now();
    if (now - toldAt < PROGRESS_EVERY_MS) return;
    toldAt = now;
    write('progress', JSON.stringify(progress));
  };
  run({ signal, onProgress })
    .then((answer) => write('result', JSON.stringify(answer)))
    .catch((error: unknown) => {
      if (!isStarted) {
        started.reject(error);
        return;
      }
      const requestId = context.get('requestId');
      const problem = problemOf(error, services, requestId);
      write('problem', renderProblem(problem, context.req.path, requestId).body);
    })
    .finally(() => {
      started.resolve();
      writer.close().catch(() => undefined);
    });
  await started.promise;
  return new Response(lines.readable.pipeThrough(new TextEncoderStream()), {
    headers: { 'content-type': format.type, 'cache-control': 'no-store' },
  });
}
