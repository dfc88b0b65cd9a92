/**
 * Exact decimal numbers as a scaled bigint: value = coefficient / 10^scale.
 *
 * Values are immutable and never rounded behind the caller's back: addition, subtraction and multiplication are exact;
 * only {@link round} and {@link divide} lose digits, and both must be told how.
 */
declare const decimalBrand: unique symbol;

/** An exact decimal. Construct with {@link decimal}; compare with {@link compare}, never with `===`. */
export type Decimal = {
  readonly coefficient: bigint;
  /** Digits after the point, 0 to {@link SCALE_MAX}. */
  readonly scale: number;
  readonly [decimalBrand]: true;
};

/** How a result is rounded. `half-away-from-zero` is the only mode billing uses (DESIGN section 5). */
export type RoundingMode = 'half-away-from-zero' | 'half-even' | 'up' | 'down' | 'ceiling' | 'floor';

export type Rounding = { readonly places: number; readonly mode: RoundingMode };

/** Most digits a decimal literal may have, leading zeros and exponent included: beyond it, input is hostile, not large. */
export const DIGITS_MAX = 80;
/** Most digits after the point of a literal. Products may carry more. */
export const SCALE_MAX = 40;

function make(coefficient: bigint, scale: number): Decimal {
  return { coefficient, scale } as Decimal;
}

const POWERS: readonly bigint[] = Array.from({ length: 128 }, (_, exponent) => 10n ** BigInt(exponent));

function powerOfTen(exponent: number): bigint {
  return POWERS[exponent] ?? 10n ** BigInt(exponent);
}

export const ZERO: Decimal = make(0n, 0);
export const ONE: Decimal = make(1n, 0);

const LITERAL = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,4}))?$/;

/** Parses a decimal literal such as `"12.340"` or `"1e-7"`; `undefined` where the text is not one or passes the limits. */
export function parseDecimal(text: string): Decimal | undefined {
  if (text.length === 0 || text.length > DIGITS_MAX + 8) return undefined;
  const match = LITERAL.exec(text);
  if (match === null) return undefined;
  const [, sign, whole = '', fraction = '', exponentText] = match;
  const digits = whole.length + fraction.length;
  if (digits === 0 || digits > DIGITS_MAX) return undefined;
  const exponent = exponentText === undefined ? 0 : Number(exponentText);
  const scale = fraction.length - exponent;
  const magnitude = BigInt(whole + fraction);
  const coefficient = sign === '-' ? -magnitude : magnitude;
  if (scale >= 0) {
    if (magnitude === 0n) return make(0n, Math.min(scale, SCALE_MAX));
    return scale > SCALE_MAX ? undefined : make(coefficient, scale);
  }
  if (magnitude === 0n) return ZERO;
  if (digits - scale > DIGITS_MAX) return undefined;
  return make(coefficient * powerOfTen(-scale), 0);
}

/**
 * A decimal from a literal, a bigint, or a safe integer.
 *
 * @throws RangeError for anything else; a fractional `number` is refused because it has already been rounded.
 * @example decimal('0.000000150')
 */
export function decimal(value: string | bigint | number): Decimal {
  if (typeof value === 'bigint') return make(value, 0);
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value)) throw new RangeError(`not a safe integer: ${value}; pass decimals as text`);
    return make(BigInt(value), 0);
  }
  const parsed = parseDecimal(value);
  if (parsed === undefined) throw new RangeError(`not a decimal: ${JSON.stringify(value.slice(0, 100))}`);
  return parsed;
}

/** The decimal `coefficient / 10^scale`, for code that keeps the two apart. */
export function scaled(coefficient: bigint, scale: number): Decimal {
  if (!Number.isInteger(scale) || scale < 0) throw new RangeError(`scale must be a whole number >= 0, got ${scale}`);
  return make(coefficient, scale);
}

export function add(a: Decimal, b: Decimal): Decimal {
  if (a.scale === b.scale) return make(a.coefficient + b.coefficient, a.scale);
  if (a.scale > b.scale) return make(a.coefficient + b.coefficient * powerOfTen(a.scale - b.scale), a.scale);
  return make(a.coefficient * powerOfTen(b.scale - a.scale) + b.coefficient, b.scale);
}

export function negate(a: Decimal): Decimal {
  return make(-a.coefficient, a.scale);
}

export function subtract(a: Decimal, b: Decimal): Decimal {
  if (a.scale === b.scale) return make(a.coefficient - b.coefficient, a.scale);
  if (a.scale > b.scale) return make(a.coefficient - b.coefficient * powerOfTen(a.scale - b.scale), a.scale);
  return make(a.coefficient * powerOfTen(b.scale - a.scale) - b.coefficient, b.scale);
}

export function multiply(a: Decimal, b: Decimal): Decimal {
  return make(a.coefficient * b.coefficient, a.scale + b.scale);
}

/** -1, 0 or 1 as `a` is below, equal to or above `b`. */
export function compare(a: Decimal, b: Decimal): -1 | 0 | 1 {
  const left = a.scale >= b.scale ? a.coefficient : a.coefficient * powerOfTen(b.scale - a.scale);
  const right = b.scale >= a.scale ? b.coefficient : b.coefficient * powerOfTen(a.scale - b.scale);
  return left < right ? -1 : left > right ? 1 : 0;
}

export function equals(a: Decimal, b: Decimal): boolean {
  return compare(a, b) === 0;
}

export function isZero(a: Decimal): boolean {
  return a.coefficient === 0n;
}

export function isNegative(a: Decimal): boolean {
  return a.coefficient < 0n;
}

export function isPositive(a: Decimal): boolean {
  return a.coefficient > 0n;
}

export function isInteger(a: Decimal): boolean {
  return a.scale === 0 || a.coefficient % powerOfTen(a.scale) === 0n;
}

export function absolute(a: Decimal): Decimal {
  return a.coefficient < 0n ? negate(a) : a;
}

export function smaller(a: Decimal, b: Decimal): Decimal {
  return compare(a, b) <= 0 ? a : b;
}

export function larger(a: Decimal, b: Decimal): Decimal {
  return compare(a, b) >= 0 ? a : b;
}

export function sum(values: Iterable<Decimal>): Decimal {
  let total = ZERO;
  for (const value of values) total = add(total, value);
  return total;
}

/**
 * Rounds to `places` digits after the point (fewer digits pass unchanged).
 *
 * @throws RangeError when `places` is below zero.
 */
export function round(a: Decimal, rounding: Rounding): Decimal {
  if (a.scale <= rounding.places) return a;
  requirePlaces(rounding.places);
  return make(roundedQuotient(a.coefficient, powerOfTen(a.scale - rounding.places), rounding.mode), rounding.places);
}

/**
 * `a / b` rounded to `places` digits after the point.
 *
 * @throws RangeError when `b` is zero or `places` below zero.
 */
export function divide(a: Decimal, b: Decimal, rounding: Rounding): Decimal {
  requirePlaces(rounding.places);
  if (b.coefficient === 0n) throw new RangeError('division by zero');
  const shift = rounding.places + b.scale - a.scale;
  const numerator = shift >= 0 ? a.coefficient * powerOfTen(shift) : a.coefficient;
  const denominator = shift >= 0 ? b.coefficient : b.coefficient * powerOfTen(-shift);
  return make(roundedQuotient(numerator, denominator, rounding.mode), rounding.places);
}

function requirePlaces(places: number): void {
  if (!Number.isInteger(places) || places < 0)
    throw new RangeError(`places must be a whole number >= 0, got ${places}`);
}

function roundedQuotient(numerator: bigint, denominator: bigint, mode: RoundingMode): bigint {
  const quotient = numerator / denominator;
  const remainder = numerator - quotient * denominator;
  if (remainder === 0n) return quotient;
  const away = numerator < 0n === denominator < 0n ? 1n : -1n;
  switch (mode) {
    case 'down':
      return quotient;
    case 'up':
      return quotient + away;
    case 'ceiling':
      return away > 0n ? quotient + 1n : quotient;
    case 'floor':
      return away > 0n ? quotient : quotient - 1n;
    case 'half-away-from-zero':
    case 'half-even': {
      const twice = magnitude(remainder) * 2n;
      const whole = magnitude(denominator);
      if (twice < whole) return quotient;
      if (twice > whole || mode === 'half-away-from-zero') return quotient + away;
      return quotient % 2n === 0n ? quotient : quotient + away;
    }
  }
}

function magnitude(value: bigint): bigint {
  return value < 0n ? -value : value;
}

/** The shortest plain notation: no exponent, no trailing zeros, `"0"` for zero. */
export function toText(a: Decimal): string {
  const { coefficient, scale } = a;
  if (scale === 0 || coefficient === 0n) return coefficient.toString();
  const isBelowZero = coefficient < 0n;
  const digits = (isBelowZero ? -coefficient : coefficient).toString().padStart(scale + 1, '0');
  const point = digits.length - scale;
  let end = digits.length;
  while (end > point && digits.charCodeAt(end - 1) === 48) end--;
  const text = end === point ? digits.slice(0, point) : `${digits.slice(0, point)}.${digits.slice(point, end)}`;
  return isBelowZero ? `-${text}` : text;
}

/** Plain notation with exactly `places` digits after the point. @throws RangeError when digits would be lost. */
export function toFixed(a: Decimal, places: number): string {
  const exact = round(a, { places, mode: 'down' });
  if (!equals(exact, a)) throw new RangeError(`${toText(a)} does not fit ${places} decimals; round it first`);
  const digits = (a.coefficient < 0n ? -exact.coefficient : exact.coefficient) * powerOfTen(places - exact.scale);
  const text = digits.toString().padStart(places + 1, '0');
  const point = text.length - places;
  const plain = places === 0 ? text : `${text.slice(0, point)}.${text.slice(point)}`;
  return a.coefficient < 0n ? `-${plain}` : plain;
}

/** The nearest double: for plots and logs only, never for arithmetic on money. */
export function toApproximateNumber(a: Decimal): number {
  return Number(toText(a));
}

/** The whole number, when there is one. @throws RangeError when the value has a fraction. */
export function toBigInt(a: Decimal): bigint {
  if (!isInteger(a)) throw new RangeError(`${toText(a)} is not a whole number`);
  return a.coefficient / powerOfTen(a.scale);
}
