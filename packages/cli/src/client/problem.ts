/** An answer that is not 2xx: the server's problem details (RFC 9457) where it sent them. */
export type Problem = {
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly detail: string;
  /** What is at fault, one sentence each: `/prices/0/meter: there is no meter x; create the meter first`. */
  readonly errors: readonly string[];
  /** The same, with the JSON pointer apart where it has one. */
  readonly faults: readonly { readonly pointer: string | undefined; readonly text: string }[];
  readonly requestId: string | undefined;
};

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value.length > 0 ? value : undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Reads a problem from a body of any shape: a proxy in between may answer with a page of its own. */
export function parseProblem(status: number, body: string): Problem {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    parsed = undefined;
  }
  const members = isObject(parsed) ? parsed : {};
  const errors = Array.isArray(members['errors']) ? members['errors'].filter(isObject) : [];
  return {
    status,
    code: text(members['code']) ?? `http_${status}`,
    title: text(members['title']) ?? `The server answered ${status}`,
    detail: text(members['detail']) ?? body.replace(/\s+/g, ' ').slice(0, 300),
    errors: errors.map(describeField),
    faults: errors.map((error) => ({ pointer: text(error['pointer']), text: said(error) })),
    requestId: text(members['request_id']),
  };
}

function describeField(error: Record<string, unknown>): string {
  const where = text(error['pointer']) ?? text(error['parameter']) ?? text(error['header']);
  return where === undefined ? said(error) : `${where}: ${said(error)}`;
}

function said(error: Record<string, unknown>): string {
  return [text(error['detail']), text(error['remedy'])].filter((one) => one !== undefined).join('; ');
}

/** A problem as an error, thrown by the client's `get`, `post`, ... */
export class ProblemError extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.detail === '' ? problem.title : `${problem.title}: ${problem.detail}`);
    this.name = 'ProblemError';
    this.problem = problem;
  }
}
