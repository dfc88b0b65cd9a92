import { refuse } from '../http/problem.ts';

/** The values of one SQL statement; each is named where it is used, so that none is ever part of the text. */
export class StatementValues {
  readonly values: unknown[] = [];

  /** Adds a value and returns its placeholder with a cast: `$3::text[]`. */
  add(value: unknown, type: string): string {
    this.values.push(value);
    return `$${this.values.length}::${type}`;
  }
}

/** A refusal of one query parameter, with what to do about it. */
export function badParameter(parameter: string, detail: string, remedy?: string) {
  return refuse('invalid_request', `the parameter ${parameter} is not valid`, [
    { parameter, detail, ...(remedy !== undefined && { remedy }) },
  ]);
}
