import type { z } from 'zod';
import type { SpecError } from './contract.ts';
import { ERRORS_REPORTED_MAX } from './limits.ts';

/** A JSON pointer (RFC 6901) to the member named by `path`. */
export function pointer(path: readonly (string | number)[]): string {
  return path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

export function specError(path: readonly (string | number)[], detail: string, remedy: string): SpecError {
  return { pointer: pointer(path), detail, remedy };
}

/** A schema's complaints in the contract's form, one for each member at fault, the first hundred. */
export function schemaErrors(error: z.ZodError, prefix: readonly (string | number)[] = []): readonly SpecError[] {
  return error.issues.slice(0, ERRORS_REPORTED_MAX).flatMap((issue) => {
    const path = [...prefix, ...issue.path.map((part) => (typeof part === 'number' ? part : String(part)))];
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) =>
        specError([...path, key], `unknown member "${key}"`, 'remove it or correct its name'),
      );
    }
    if (issue.code === 'invalid_union' && !('discriminator' in issue)) {
      return [specError(path, 'not a decimal', 'send a decimal as text, such as "0.0000015", or a JSON number')];
    }
    return [specError(path, issue.message, 'see the schema of this member in the API reference')];
  });
}
