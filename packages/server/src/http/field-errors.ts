import type { z } from '@hono/zod-openapi';
import { escapePointer } from './hostile-text.ts';
import type { FieldError } from './problem.ts';

/** Where a value came from: a body is pointed into, a parameter is named. */
export type Origin = 'body' | 'parameter';

const ERRORS_MAX = 20;

/** A schema's complaints, one for each member at fault. */
export function fieldErrors(error: z.ZodError, origin: Origin): FieldError[] {
  return error.issues.flatMap((issue) => issueErrors(issue, origin)).slice(0, ERRORS_MAX);
}

function issueErrors(issue: z.core.$ZodIssue, origin: Origin): FieldError[] {
  const path = issue.path.map(String);
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      ...located([...path, key], origin),
      detail: `unknown ${origin === 'body' ? 'member' : 'parameter'} ${JSON.stringify(key.slice(0, 64))}`,
      remedy: 'remove it or correct its name',
    }));
  }
  if (issue.code === 'invalid_key' || issue.code === 'invalid_element') {
    const inner = issue.issues[0];
    return [{ ...located(path, origin), detail: inner?.message ?? issue.message }];
  }
  if (issue.code === 'invalid_union') {
    const meant = meantBranch(issue.errors);
    if (meant !== undefined) {
      return meant.flatMap((inner) => issueErrors({ ...inner, path: [...issue.path, ...inner.path] }, origin));
    }
    return [{ ...located(path, origin), ...noBranch(issue) }];
  }
  if (isMissing(issue)) return [{ ...located(path, origin), ...MISSING }];
  const isNumberless = issue.code === 'invalid_type' && issue.message.endsWith('received NaN');
  return [{ ...located(path, origin), detail: isNumberless ? 'expected a number' : issue.message }];
}

const MISSING = { detail: 'is missing', remedy: 'send it' };

/** A schema says of a value that is not there which type it is not. */
function isMissing(issue: z.core.$ZodIssue): boolean {
  return issue.code === 'invalid_type' && issue.message.endsWith('received undefined');
}

/** What a value would have to be for one of a union's branches to take it. */
function noBranch({ errors, message }: z.core.$ZodIssueInvalidUnion): Pick<FieldError, 'detail' | 'remedy'> {
  const first = errors.flatMap(([one]) => one ?? []);
  if (first.length > 0 && first.every(isMissing)) return MISSING;
  const isOfAnotherType = first.every((one) => one.code === 'invalid_type' && one.path.length === 0);
  if (isOfAnotherType && first.length > 0)
    return {
      detail: `expected ${unique(first.map((one) => (one.code === 'invalid_type' ? one.expected : ''))).join(' or ')}`,
    };
  const said = unique(
    first.filter((one) => one.path.length === 0 && one.code !== 'invalid_type').map((one) => one.message),
  );
  return { detail: said.length === 0 ? message : said.join('; ') };
}

function unique(texts: readonly string[]): string[] {
  return [...new Set(texts)];
}

/** Of a union's branches the only one that takes a value of this type at all: its complaints are the ones that help. */
function meantBranch(branches: readonly z.core.$ZodIssue[][]): readonly z.core.$ZodIssue[] | undefined {
  const fitting = branches.filter(
    (issues) => !issues.some((one) => one.code === 'invalid_type' && one.path.length === 0),
  );
  return fitting.length === 1 ? fitting[0] : undefined;
}

function located(path: readonly string[], origin: Origin): Pick<FieldError, 'pointer' | 'parameter'> {
  return origin === 'body'
    ? { pointer: path.map((segment) => `/${escapePointer(segment.slice(0, 128))}`).join('') }
    : { parameter: path.join('.').slice(0, 128) };
}
