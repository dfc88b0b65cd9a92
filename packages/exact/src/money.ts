import type { Brand } from './brand.ts';
import { type Decimal, type Rounding, round } from './decimal.ts';
import { MINOR_UNITS } from './iso-4217.ts';

/** An ISO 4217 currency code, or a custom credit unit written `credit:<name>`. */
export type Currency = Brand<string, 'Currency'>;

/** An amount in a currency. Amounts of two currencies never meet. */
export type Money = { readonly currency: Currency; readonly amount: Decimal };

/** Decimals of an amount in the ledger and in rated results (DESIGN section 5). */
export const AMOUNT_PLACES = 12;
/** Decimals of unit prices and quantities (DESIGN section 5). */
export const QUANTITY_PLACES = 18;

const CREDIT_UNIT = /^credit:[a-z0-9_-]{1,32}$/;

/** Whether a currency's code names a custom credit unit: of such a charge the credits are the amount itself. */
export function isCreditUnit(code: string | undefined): boolean {
  return code?.startsWith('credit:') === true;
}

/** The currency named by `code`, or `undefined` when ISO 4217 does not list it and it is no credit unit. */
export function parseCurrency(code: string): Currency | undefined {
  return MINOR_UNITS.has(code) || CREDIT_UNIT.test(code) ? (code as Currency) : undefined;
}

/** @throws RangeError when `code` is no ISO 4217 code and no `credit:<name>`. */
export function currency(code: string): Currency {
  const parsed = parseCurrency(code);
  if (parsed === undefined) throw new RangeError(`not an ISO 4217 currency or credit unit: ${code.slice(0, 50)}`);
  return parsed;
}

/** Digits after the point of the currency's smallest unit: 2 for USD, 0 for JPY, 12 for credit units. */
export function minorUnits(code: Currency): number {
  return MINOR_UNITS.get(code) ?? AMOUNT_PLACES;
}

export function money(amount: Decimal, code: Currency): Money {
  return { currency: code, amount };
}

/** Rounding of a cumulative charge or a per-event amount: 12 decimals, half away from zero. */
export const AMOUNT_ROUNDING: Rounding = { places: AMOUNT_PLACES, mode: 'half-away-from-zero' };

export function roundAmount(amount: Decimal): Decimal {
  return round(amount, AMOUNT_ROUNDING);
}
