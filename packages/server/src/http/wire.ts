import { AMOUNT_PLACES, compare, type Decimal, decimal, parseCurrency, parseDecimal, ZERO } from '@ergon/exact';
import { z } from '@hono/zod-openapi';
import { formatInstant, microsFromPostgres, parseInstant } from '../event/instant.ts';
import { LIMITS } from '../limits.ts';

/** Schemas of what travels on every route: names, instants, amounts, pages. */

const CONTROL = /[\u0000-\u001f\u007f]/;

/** An identifier of the client's own: the same rule as an event's subject. */
export const externalId = z
  .string()
  .min(1)
  .max(LIMITS.nameLengthMax)
  .refine(
    (text) => !CONTROL.test(text) && text.isWellFormed(),
    'must not contain control characters or lone surrogates',
  );

/** Name of a catalog thing: a letter, then letters, digits, `_ . -`. */
export const catalogKey = z
  .string()
  .regex(/^[A-Za-z][A-Za-z0-9_.-]{0,63}$/, 'a letter, then at most 63 letters, digits, _ . or -');

/** Text for people. */
export const label = z.string().min(1).max(256);

export const currencyCode = z
  .string()
  .max(40)
  .refine((code) => parseCurrency(code) !== undefined, 'not an ISO 4217 currency or credit:<name>')
  .openapi({ example: 'USD' });

/** An instant in a request: RFC 3339 with an offset, kept to microseconds. */
export const instantInput = z
  .string()
  .max(40)
  .refine(
    (text) => parseInstant(text) !== undefined,
    'not an RFC 3339 date-time with offset, such as 2026-11-21T10:00:00Z',
  )
  .openapi({ format: 'date-time', example: '2026-11-21T10:00:00Z' });

export const instantOutput = z.string().openapi({ format: 'date-time', example: '2026-11-21T10:00:00Z' });

/** A decimal in an answer: plain text without exponent or trailing zeros. */
export const decimalOutput = z.string().openapi({ example: '87.5' });

/** Most digits before the point of an amount: what `numeric(38,12)` holds. */
const WHOLE_DIGITS_MAX = 26;
const BOUND = decimal(`1e${WHOLE_DIGITS_MAX}`);

/** An amount in a request that is above zero: decimal text, or a JSON number that kept its digits. */
export const amountInput = z
  .union([z.string().max(64), z.number()], { error: 'send a decimal as text, such as "12.50"' })
  .refine((value) => {
    const amount = readAmount(value);
    return amount !== undefined && compare(amount, ZERO) > 0;
  }, `must be a decimal above zero with at most ${WHOLE_DIGITS_MAX} digits before and ${AMOUNT_PLACES} after the point`)
  .openapi({ example: '100' });

/** The amount, or `undefined` where it is none or the ledger has no room for its digits. */
export function readAmount(value: string | number): Decimal | undefined {
  if (typeof value === 'number' && !keptItsDigits(value)) return undefined;
  const amount = parseDecimal(String(value));
  if (amount === undefined || amount.scale > AMOUNT_PLACES) return undefined;
  return compare(amount, BOUND) < 0 ? amount : undefined;
}

/** A double reproduces every decimal of 15 significant digits; with more, the text that was sent may have been another. */
function keptItsDigits(value: number): boolean {
  if (Number.isInteger(value)) return Number.isSafeInteger(value);
  const [mantissa = ''] = String(value).split('e');
  return mantissa.replace(/[-.]/g, '').replace(/^0+/, '').length <= 15;
}

/** Microseconds of an instant its schema has accepted. */
export function instantMicros(text: string): number {
  const micros = parseInstant(text);
  if (micros === undefined) throw new RangeError(`not an instant: ${text}`);
  return micros;
}

/** How PostgreSQL's instants travel. */
export function instantText(postgres: string): string {
  return formatInstant(microsFromPostgres(postgres));
}

export function instantOrNull(postgres: string | null): string | null {
  return postgres === null ? null : instantText(postgres);
}

const PAGE_SIZE = 100;

/** Query of a list. */
export const pageQuery = z.strictObject({
  limit: z.coerce
    .number({ error: `a whole number from 1 to ${LIMITS.pageSizeMax}` })
    .int()
    .min(1)
    .max(LIMITS.pageSizeMax)
    .default(PAGE_SIZE)
    .openapi({ type: 'integer', description: `Rows of one page, 1 to ${LIMITS.pageSizeMax}` }),
  cursor: z.string().max(200).optional().openapi({ description: '`next_cursor` of the page before' }),
});

/** Answer of a list. */
export function pageOf<Item extends z.ZodType>(item: Item) {
  return z.strictObject({
    data: z.array(item),
    next_cursor: z.string().nullable().openapi({ description: 'Null on the last page' }),
  });
}
