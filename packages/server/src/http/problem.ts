/**
 * RFC 9457 problem details. One table maps each code to its status and title; /docs/problems has a paragraph for each
 * (reference/problem-paragraphs.ts).
 */
export const PROBLEMS = {
  malformed_json: { status: 400, title: 'The body is not JSON' },
  undecodable_body: { status: 400, title: 'The body cannot be decoded' },
  no_events: { status: 400, title: 'No events in the body' },
  invalid_request: { status: 400, title: 'The request is not valid' },
  invalid_catalog: { status: 400, title: 'The catalog entry is not valid' },
  unauthenticated: { status: 401, title: 'No valid API key' },
  policy_refused: { status: 403, title: 'A policy refuses it' },
  budget_exceeded: { status: 402, title: 'Budget exceeded' },
  forbidden: { status: 403, title: 'The key may not do this' },
  not_found: { status: 404, title: 'Not found' },
  method_not_allowed: { status: 405, title: 'Method not allowed' },
  conflict: { status: 409, title: 'Conflicts with what is there' },
  body_too_large: { status: 413, title: 'The body is too large' },
  too_many_events: { status: 413, title: 'Too many events in one request' },
  unsupported_media_type: { status: 415, title: 'Unsupported media type' },
  unsupported_encoding: { status: 415, title: 'Unsupported content encoding' },
  rate_limited: { status: 429, title: 'Too many requests for this key' },
  internal_error: { status: 500, title: 'An error of the server' },
  unavailable: { status: 503, title: 'The database cannot be reached' },
  too_slow: { status: 503, title: 'The database did not answer in time' },
  overloaded: { status: 503, title: 'Too many requests are waiting' },
  maybe_recorded: { status: 503, title: 'The commit may or may not have happened' },
} as const;

export type ProblemCode = keyof typeof PROBLEMS;

/** What is at fault: a member of the body (JSON pointer), a path or query parameter, or a header. */
export type FieldError = {
  readonly pointer?: string;
  readonly parameter?: string;
  readonly header?: string;
  readonly detail: string;
  readonly remedy?: string;
};

export type Problem = {
  readonly code: ProblemCode;
  readonly detail: string;
  readonly errors?: readonly FieldError[];
  readonly retryAfterSeconds?: number;
  /** Further members of the document (RFC 9457, 3.2), for programs. */
  readonly members?: Readonly<Record<string, unknown>>;
};

/** Where each problem type is explained; also served by this server at /docs/problems. */
const TYPE_BASE = '/docs/problems#';

/** Thrown by a route to answer with a problem: an expected refusal that ends the request. */
export class ProblemError extends Error {
  readonly problem: Problem;
  constructor(problem: Problem) {
    super(problem.detail);
    this.problem = problem;
  }
}

export function refuse(code: ProblemCode, detail: string, errors?: readonly FieldError[]): ProblemError {
  return new ProblemError(errors === undefined ? { code, detail } : { code, detail, errors });
}

export type RenderedProblem = {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: string;
};

export function renderProblem(problem: Problem, instance: string, requestId: string): RenderedProblem {
  const { status, title } = PROBLEMS[problem.code];
  const headers: Record<string, string> = { 'content-type': 'application/problem+json', 'x-request-id': requestId };
  if (problem.retryAfterSeconds !== undefined) headers['retry-after'] = String(problem.retryAfterSeconds);
  // The rest of such a body is not read, so the connection cannot carry another request; the client must know before it tries.
  if (problem.code === 'body_too_large') headers.connection = 'close';
  if (status === 401) headers['www-authenticate'] = 'Bearer realm="ergon"';
  const body = JSON.stringify({
    type: `${TYPE_BASE}${problem.code}`,
    title,
    status,
    detail: problem.detail,
    instance,
    code: problem.code,
    ...problem.members,
    ...(problem.errors !== undefined && { errors: problem.errors }),
    request_id: requestId,
    retryable: status === 503 || status === 429,
  });
  return { status, headers, body };
}
