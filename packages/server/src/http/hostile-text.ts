import { LIMITS } from '../limits.ts';
import type { FieldError } from './problem.ts';

/**
 * The first member of a parsed body that no schema should have to think about: nested too deep, a NUL or a lone surrogate
 * (PostgreSQL stores neither), or a member named `__proto__`. `undefined` when the body is clean.
 */
export function findHostileText(value: unknown, pointer = '', depth = 0): FieldError | undefined {
  if (typeof value === 'string') return textError(value, pointer);
  if (typeof value !== 'object' || value === null) return undefined;
  if (depth >= LIMITS.depthMax) return { pointer, detail: `nested deeper than ${LIMITS.depthMax} levels` };
  if (Array.isArray(value)) {
    for (const [index, element] of value.entries()) {
      const error = findHostileText(element, `${pointer}/${index}`, depth + 1);
      if (error !== undefined) return error;
    }
    return undefined;
  }
  for (const [name, member] of Object.entries(value)) {
    if (name === '__proto__') return { pointer, detail: 'a member must not be named __proto__' };
    if (textError(name, pointer) !== undefined) {
      return { pointer, detail: 'the name of a member holds a NUL or a lone surrogate' };
    }
    const error = findHostileText(member, `${pointer}/${escapePointer(name)}`, depth + 1);
    if (error !== undefined) return error;
  }
  return undefined;
}

function textError(text: string, pointer: string): FieldError | undefined {
  if (text.includes('\u0000')) return { pointer, detail: 'must not contain NUL characters' };
  return text.isWellFormed() ? undefined : { pointer, detail: 'must not contain lone surrogates' };
}

/** One segment of a JSON pointer (RFC 6901). */
export function escapePointer(segment: string): string {
  return segment.replaceAll('~', '~0').replaceAll('/', '~1');
}
