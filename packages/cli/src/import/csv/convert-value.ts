import { decimal, equals, isInteger, isNegative, parseDecimal, toText } from '@ergon/exact';
import type { ValueType } from './mapping.ts';

export type Converted =
  | { readonly ok: true; readonly value: string | number | boolean }
  | { readonly ok: false; readonly detail: string };

/** Turns the text of a cell into a JSON value without losing a digit, or says what was expected. */
export function convertValue(text: string, type: ValueType): Converted {
  switch (type) {
    case 'string':
      return { ok: true, value: text };
    case 'boolean':
      return toBoolean(text);
    case 'integer':
      return toInteger(text);
    case 'number':
      return toNumber(text);
  }
}

function toBoolean(text: string): Converted {
  if (/^(true|yes|1)$/i.test(text)) return { ok: true, value: true };
  if (/^(false|no|0)$/i.test(text)) return { ok: true, value: false };
  return { ok: false, detail: `${quote(text)} is not true or false` };
}

function toInteger(text: string): Converted {
  if (/^\d{1,15}$/.test(text)) return { ok: true, value: Number(text) };
  const parsed = parseDecimal(text);
  if (parsed === undefined || !isInteger(parsed) || isNegative(parsed)) {
    return { ok: false, detail: `${quote(text)} is not a whole number of 0 or more` };
  }
  const value = Number(toText(parsed));
  return Number.isSafeInteger(value) ? { ok: true, value } : { ok: false, detail: `${quote(text)} passes 2^53` };
}

/** A JSON number where a double holds it exactly, otherwise the same digits as a string, which the service reads as well. */
function toNumber(text: string): Converted {
  const parsed = parseDecimal(text);
  if (parsed === undefined) return { ok: false, detail: `${quote(text)} is not a number` };
  const value = Number(text);
  const back = Number.isFinite(value) ? parseDecimal(String(value)) : undefined;
  if (back !== undefined && equals(back, parsed)) return { ok: true, value: equals(parsed, decimal(0)) ? 0 : value };
  return { ok: true, value: toText(parsed) };
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 60));
}
