import type { UsageFlag } from '../record.ts';

/** A figure the provider did not send (absent or null), which is not zero. Counts are never negative, so this cannot clash. */
export const ABSENT = -1;

/** A hostile usage object could be wrong in a million places; a reader needs the first few. */
const FLAGS_MAX = 16;

/** What was found wrong while one record was read. One per record, filled by the readers. */
export type Findings = {
  flags: UsageFlag[] | undefined;
  /** Set when a figure could not be used as sent, so the record's quality falls from `reported` to `partial`. */
  isPartial: boolean;
};

/** Notes a flag that does not touch the figures' reliability. */
export function note(findings: Findings, code: string, detail: string): void {
  if (findings.flags === undefined) findings.flags = [];
  if (findings.flags.length < FLAGS_MAX) findings.flags.push({ code, detail });
}

/** Notes an inconsistency: the record becomes `partial`. */
export function fault(findings: Findings, code: string, detail: string): void {
  findings.isPartial = true;
  note(findings, code, detail);
}

/**
 * A token count as any sender writes it: integer, double without a fraction, decimal string, bigint.
 *
 * @returns a safe integer >= 0, or {@link ABSENT} for null, absent and what cannot be a count. Negative counts become 0 and
 * fractions are cut, each with a flag; counts above 2^53 - 1 are left out, because any figure put there would be invented.
 */
export function count(value: unknown, field: string, findings: Findings): number {
  if (typeof value === 'number' && value >= 0 && Number.isSafeInteger(value)) return value + 0;
  if (value === undefined || value === null) return ABSENT;
  return oddCount(value, field, findings);
}

const NUMERIC = /^-?\d{1,30}(?:\.\d{0,30})?(?:[eE][+-]?\d{1,2})?$/;

function oddCount(value: unknown, field: string, findings: Findings): number {
  const number = toNumber(value);
  if (number === undefined) {
    fault(findings, 'not_a_count', `${field} is ${shown(value)}, which is not a number; it was left out`);
    return ABSENT;
  }
  if (number < 0) {
    fault(findings, 'negative_count', `${field} is ${shown(value)}; counted as 0`);
    return 0;
  }
  const whole = Math.floor(number);
  if (whole > Number.MAX_SAFE_INTEGER) {
    fault(findings, 'count_too_large', `${field} is ${shown(value)}, above 2^53 - 1; it was left out`);
    return ABSENT;
  }
  if (whole !== number) fault(findings, 'fractional_count', `${field} is ${shown(value)}; the fraction was cut`);
  return whole + 0;
}

function toNumber(value: unknown): number | undefined {
  if (typeof value === 'number') return Number.isNaN(value) ? undefined : value;
  if (typeof value === 'bigint') return Number(value);
  if (typeof value !== 'string' || value.length > 64) return undefined;
  const text = value.trim();
  return NUMERIC.test(text) ? Number(text) : undefined;
}

/** A short, safe rendering of anything a sender may put where a figure belongs. */
export function shown(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
    case 'number':
    case 'boolean':
      return String(value);
    case 'bigint':
      return value > -(10n ** 40n) && value < 10n ** 40n ? String(value) : 'a very large integer';
    case 'object':
      return Array.isArray(value) ? 'an array' : 'an object';
    default:
      return `of type ${typeof value}`;
  }
}

/** The count, with absence taken as zero: for sums only. */
export function known(figure: number): number {
  return figure === ABSENT ? 0 : figure;
}
