import { compare, type Decimal, decimal, negate, ONE, parseDecimal, QUANTITY_PLACES, ZERO } from '@ergon/exact';
import { z } from 'zod';
import { WHOLE_DIGITS_MAX } from './limits.ts';

/** A decimal as it travels: text, or a JSON number that has not lost digits. */
export type WireDecimal = string | number;

const TEXT = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$/;
const TEXT_MAX = 64;
/** A double reproduces every decimal of 15 significant digits; with more, the text that was sent may have been another. */
const NUMBER_DIGITS_MAX = 15;
const BOUND: Decimal = decimal(`1e${WHOLE_DIGITS_MAX}`);

type Sign = 'any' | 'not_negative' | 'positive' | 'at_least_minus_one' | 'share';

const SIGNS: Readonly<Record<Sign, { readonly holds: (value: Decimal) => boolean; readonly words: string }>> = {
  any: { holds: () => true, words: '' },
  not_negative: { holds: (value) => compare(value, ZERO) >= 0, words: 'must not be below zero' },
  positive: { holds: (value) => compare(value, ZERO) > 0, words: 'must be above zero' },
  at_least_minus_one: { holds: (value) => compare(value, negate(ONE)) >= 0, words: 'must be -1 or more' },
  share: {
    holds: (value) => compare(value, ZERO) >= 0 && compare(value, ONE) <= 0,
    words: 'must be a part between 0 and 1',
  },
};

/** The decimal, or `undefined` where the text is none, a number may have lost digits, or DESIGN section 5 has no room. */
export function readDecimal(value: WireDecimal): Decimal | undefined {
  if (typeof value === 'number' && !isFaithful(value)) return undefined;
  const parsed = parseDecimal(String(value));
  if (parsed === undefined || parsed.scale > QUANTITY_PLACES) return undefined;
  return compare(parsed, BOUND) < 0 && compare(parsed, negate(BOUND)) > 0 ? parsed : undefined;
}

/** The decimal of a value that its schema has accepted. @throws RangeError otherwise. */
export function toDecimal(value: WireDecimal): Decimal {
  const parsed = readDecimal(value);
  if (parsed === undefined) throw new RangeError(`not a wire decimal: ${String(value).slice(0, 100)}`);
  return parsed;
}

function isFaithful(value: number): boolean {
  if (Number.isInteger(value)) return Number.isSafeInteger(value);
  return Number.isFinite(value) && significantDigits(String(value)) <= NUMBER_DIGITS_MAX;
}

function significantDigits(text: string): number {
  const [mantissa = ''] = text.split('e');
  return mantissa.replace(/[-.]/g, '').replace(/^0+/, '').length;
}

/** A decimal on the wire: up to 18 digits after the point; a JSON number of at most 15 significant digits. */
export function wireDecimal(sign: Sign, description: string): z.ZodType<WireDecimal> {
  const rule = SIGNS[sign];
  return z
    .union([z.string().max(TEXT_MAX).regex(TEXT, { abort: true }), z.number()])
    .superRefine((value, context) => {
      const parsed = readDecimal(value);
      if (parsed === undefined) {
        context.addIssue({
          code: 'custom',
          message: `not a decimal of at most ${WHOLE_DIGITS_MAX} digits before and ${QUANTITY_PLACES} after the point; send long ones as text`,
        });
      } else if (!rule.holds(parsed)) {
        context.addIssue({ code: 'custom', message: rule.words });
      }
    })
    .describe(description);
}
