import type { Fetch } from '../io.ts';
import { ProblemError, parseProblem } from './problem.ts';
import { isRetryableStatus, type RetryPolicy, retryAfterMs, retryDelayMs } from './retry.ts';

export type Query = Readonly<Record<string, string | number | undefined>>;

export type Body = {
  readonly contentType: string;
  readonly bytes: string | Uint8Array<ArrayBuffer>;
  readonly encoding?: string;
};

export type ClientOptions = {
  /** Without a trailing slash, e.g. `http://127.0.0.1:4600`. */
  readonly baseUrl: string;
  readonly apiKey: string | undefined;
  readonly fetch: Fetch;
  readonly nowMs: () => number;
  readonly random: () => number;
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
  /** Told of every repeat, for the progress line. */
  readonly onRetry?: (reason: string, delayMs: number) => void;
};

/** The server could not be reached, or did not answer, however often it was asked. */
export class UnreachableError extends Error {
  constructor(url: string, reason: string) {
    super(`no answer from ${url}: ${reason}`);
    this.name = 'UnreachableError';
  }
}

export type RequestOptions = {
  readonly query?: Query;
  readonly body?: Body;
  readonly headers?: Readonly<Record<string, string>>;
  readonly retry: RetryPolicy;
  readonly timeoutMs?: number;
  /** True where the answer is worth waiting for although the person has interrupted: it says what was recorded. */
  readonly isFinishedOnInterrupt?: boolean;
  /** Told of each line of an answer as it comes. */
  readonly onLine?: (line: string) => void;
};

/** A typed door to the HTTP API. Every call is repeated as its policy says; all of them are safe to repeat. */
export type Client = {
  readonly baseUrl: string;
  /** @throws ProblemError for an answer outside 2xx, UnreachableError without one. */
  readonly request: (method: string, path: string, options: RequestOptions) => Promise<string>;
};

export function createClient(options: ClientOptions): Client {
  return { baseUrl: options.baseUrl, request: (method, path, request) => send(options, method, path, request) };
}

async function send(client: ClientOptions, method: string, path: string, options: RequestOptions): Promise<string> {
  const url = new URL(client.baseUrl + path);
  for (const [name, value] of Object.entries(options.query ?? {})) {
    if (value !== undefined) url.searchParams.set(name, String(value));
  }
  for (let attempt = 0; ; attempt += 1) {
    client.signal.throwIfAborted();
    const outcome = await tryOnce(client, method, url, options);
    if (outcome.kind === 'answer') return outcome.text;
    if (attempt + 1 >= options.retry.attemptsMax || outcome.kind === 'final') throw outcome.error;
    const delayMs = retryDelayMs(attempt, outcome.askedMs, options.retry, client.random);
    client.onRetry?.(outcome.error.message, delayMs);
    await client.sleep(delayMs, client.signal);
  }
}

type Outcome =
  | { readonly kind: 'answer'; readonly text: string }
  | { readonly kind: 'final'; readonly error: Error }
  | { readonly kind: 'retry'; readonly error: Error; readonly askedMs: number | undefined };

async function tryOnce(client: ClientOptions, method: string, url: URL, options: RequestOptions): Promise<Outcome> {
  const timeout = AbortSignal.timeout(options.timeoutMs ?? 60_000);
  const request = new Request(url, {
    method,
    headers: requestHeaders(client, options),
    ...(options.body !== undefined && { body: options.body.bytes }),
    signal: options.isFinishedOnInterrupt === true ? timeout : AbortSignal.any([client.signal, timeout]),
  });
  let status: number;
  let text: string;
  let retryAfter: string | null;
  try {
    const response = await client.fetch(request);
    status = response.status;
    retryAfter = response.headers.get('retry-after');
    text = options.onLine === undefined ? await response.text() : await readLines(response, options.onLine);
  } catch (error) {
    client.signal.throwIfAborted();
    return { kind: 'retry', error: new UnreachableError(client.baseUrl, networkReason(error)), askedMs: undefined };
  }
  if (status >= 200 && status < 300) return { kind: 'answer', text };
  const error = new ProblemError(parseProblem(status, text));
  if (!isRetryableStatus(status)) return { kind: 'final', error };
  return { kind: 'retry', error, askedMs: retryAfterMs(retryAfter, client.nowMs()) };
}

/** The whole text, its lines told of on the way. */
async function readLines(response: Response, onLine: (line: string) => void): Promise<string> {
  if (response.body === null) return '';
  let text = '';
  let told = 0;
  for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
    text += piece;
    for (let end = text.indexOf('\n', told); end !== -1; end = text.indexOf('\n', told)) {
      onLine(text.slice(told, end));
      told = end + 1;
    }
  }
  return text;
}

function requestHeaders(client: ClientOptions, options: RequestOptions): Record<string, string> {
  return {
    accept: 'application/json',
    ...(client.apiKey !== undefined && { authorization: `Bearer ${client.apiKey}` }),
    ...(options.body !== undefined && { 'content-type': options.body.contentType }),
    ...(options.body?.encoding !== undefined && { 'content-encoding': options.body.encoding }),
    ...options.headers,
  };
}

/** `fetch failed` says nothing; its cause (`connect ECONNREFUSED 127.0.0.1:4600`) does. */
function networkReason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause;
  if (cause instanceof Error) {
    const code = 'code' in cause ? String(cause.code) : '';
    return cause.message === '' ? code : cause.message;
  }
  return error.name === 'TimeoutError' ? 'it did not answer in time' : error.message;
}
